// hearth debug compare: one program on two devices, operation by operation.
#include "worker/compare.h"

#include <fmt/format.h>

#include <memory>

#include "base/error.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/environment.h"
#include "device/modules.h"
#include "worker/open_model.h"

namespace hearth {
namespace {

struct CompareOptions {
  std::string file, device = "cpu", with, kv = "f32";
  uint32_t rows = 40;
  bool verbose = false;
};

std::string where(const OpDifference& d) {
  const std::string layer = d.layer == 0xffff ? "outside the layers" : fmt::format("layer {}", d.layer);
  return fmt::format("operation {} ({}), {}{}{}", d.op, d.kind, layer, d.tensor.empty() ? "" : ", ",
                     d.tensor);
}

void compare(const CompareOptions& o) {
  const OpenModel open = OpenModel::open(o.file);
  const BoundModel model = bind_model(*open.file);
  const DeviceOptions options{{setting("CPU"), thread_setting(), true}, setting("BACKENDS")};
  const auto reference = open_device(o.device, options), other = open_device(o.with, options);
  const size_t slash = o.kv.find('/');
  const KvTypes kv{find_kv_type(o.kv.substr(0, slash)),
                   find_kv_type(slash == std::string::npos ? o.kv : o.kv.substr(slash + 1))};
  double worst = 0;
  uint32_t count = 0;
  const auto found =
      compare_devices(model, *open.file, *reference, *other, kv, o.rows, [&](const OpDifference& d) {
        ++count;
        worst = std::max(worst, d.difference / std::max(d.tolerance, 1e-30));
        if (o.verbose)
          fmt::print("{}: difference {:.3g}, {:.3g} allowed\n", where(d), d.difference, d.tolerance);
      });
  if (!found) {
    fmt::print("{} operations agree on {} and {}; the largest difference is {:.2g} of what is allowed\n",
               count, o.device, o.with, worst);
    return;
  }
  fmt::print("{}: {} and {} differ by {:.3g}, {:.3g} is allowed; row {}, value {}: {:.9g} and {:.9g}\n",
             where(*found), o.device, o.with, found->difference, found->tolerance, found->row, found->column,
             found->reference, found->other);
  throw Error(Code::unsupported, fmt::format("{} and {} do not agree", o.device, o.with),
              "report it with the line above");
}

}  // namespace

void add_compare(Arguments app) {
  auto o = std::make_shared<CompareOptions>();
  app.option("FILE", o->file, "GGUF file (default: the built-in model)");
  app.option("--device", o->device, "the reference").shows_default();
  app.option("--with", o->with, "the device to compare, as vulkan0").required();
  app.option("--kv-type", o->kv, "cache type, K/V for two").shows_default();
  app.option("--rows", o->rows, "tokens of the step").in_range(1U, 512U).shows_default();
  app.flag("-v,--verbose", o->verbose, "one line per operation");
  app.run([o] { compare(*o); });
}

}  // namespace hearth
