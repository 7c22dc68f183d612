#include "worker/loaded_model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <chrono>

#include "base/memory.h"
#include "device/modules.h"
#include "model/profile.h"

namespace hearth {

Plan plan_for(const BoundModel& model, const Gguf& file, const Device& device, const Wish& wish) {
  const DeviceBudget budget{device.info().name, available_memory(), true};
  auto result = place(profile(model, file, device), budget, wish);
  if (const auto* shortfall = std::get_if<Shortfall>(&result)) {
    throw Error(Code::out_of_memory,
                fmt::format("the model needs {} MiB beside its file, {} MiB are available",
                            shortfall->needed >> 20, shortfall->usable >> 20),
                shortfall->would_fit.empty()
                    ? "free memory or use a smaller model"
                    : fmt::format("would fit: {}", fmt::join(shortfall->would_fit, ", or ")));
  }
  return std::get<Plan>(std::move(result));
}

LoadedModel::LoadedModel(OpenModel open, const LoadRequest& request, bool exact) : open_(std::move(open)) {
  const auto begin = std::chrono::steady_clock::now();
  BoundModel model = bind_model(*open_.file);
  device_ = open_device(request.devices.empty() ? "cpu" : request.devices.front(),
                        {{request.cpu_set, request.threads, exact}, request.backends});
  Plan plan = plan_for(model, *open_.file, *device_, request.wish);
  EngineOptions options;
  options.ends = [tokenizer = open_.tokenizer.get()](TokenId t) { return tokenizer->ends_generation(t); };
  engine_ =
      std::make_unique<Engine>(std::move(model), *open_.file, *device_, std::move(plan), std::move(options));
  seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace hearth
