#include "scheduler/pool/worker.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>

namespace hearth {
namespace {

// Longer is for ever: it keeps sums of times far from their limits.
constexpr std::chrono::nanoseconds longest_keep_alive = std::chrono::hours(24 * 365 * 100);

template <class T>
bool agrees(const T& wanted, const T& loaded) {
  return wanted == T{} || wanted == loaded;
}

bool context_agrees(const ModelSpec& wanted, const Worker& worker) {
  const uint32_t context = wanted.load.wish.context;
  const bool automatic = wanted.automatic_context || context == 0;
  // What somebody else asked for is enough for who asked for nothing where it is no less than they would get.
  if (automatic && !worker.spec.automatic_context && wanted.survey != nullptr) {
    constexpr uint32_t decent = 8192;
    const uint32_t least = context != 0 ? context : std::min(decent, wanted.survey->profile.context);
    return (worker.was_ready ? worker.ready.context : worker.spec.load.wish.context) >= least;
  }
  if (automatic) return true;
  if (!worker.spec.automatic_context && context == worker.spec.load.wish.context) return true;
  return worker.was_ready && context == worker.ready.context;
}

uint64_t size_of_file(const std::string& path) {
  std::error_code failure;
  const auto size = std::filesystem::file_size(path, failure);
  return failure ? 0 : size;
}

}  // namespace

std::optional<Time> Worker::expires() const noexcept {
  if (keep_alive < std::chrono::nanoseconds(0) || keep_alive > longest_keep_alive) return std::nullopt;
  return idle_since + keep_alive;
}

bool suits(const ModelSpec& wanted, const Worker& worker) noexcept {
  const LoadRequest &a = wanted.load, &b = worker.spec.load;
  return context_agrees(wanted, worker) && agrees(a.wish.rows, b.wish.rows) &&
         agrees(a.wish.parallel, b.wish.parallel) && a.wish.kv.k == b.wish.kv.k &&
         a.wish.kv.v == b.wish.kv.v && agrees(a.wish.gpu_layers, b.wish.gpu_layers) &&
         agrees(a.wish.main_gpu, b.wish.main_gpu) && agrees(a.cpu_set, b.cpu_set) &&
         agrees(a.threads, b.threads) && (a.devices.empty() || a.devices == b.devices);
}

bool same_load(const ModelSpec& a, const ModelSpec& b) noexcept {
  const Wish &x = a.load.wish, &y = b.load.wish;
  return a.load.path == b.load.path && a.automatic_context == b.automatic_context && x.context == y.context &&
         x.parallel == y.parallel && x.rows == y.rows && x.kv.k == y.kv.k && x.kv.v == y.kv.v &&
         x.gpu_layers == y.gpu_layers && x.main_gpu == y.main_gpu && a.load.cpu_set == b.load.cpu_set &&
         a.load.threads == b.load.threads && a.load.devices == b.load.devices;
}

uint64_t estimated_memory(const std::string& path) {
  constexpr std::string_view pattern = "-00001-of-00003.gguf";
  if (path.size() < pattern.size()) return size_of_file(path);
  const std::string_view end = std::string_view(path).substr(path.size() - pattern.size());
  const auto like = [](char c, char p) {
    return std::isdigit(static_cast<unsigned char>(p)) != 0 ? std::isdigit(static_cast<unsigned char>(c)) != 0
                                                            : c == p;
  };
  if (!std::equal(end.begin(), end.end(), pattern.begin(), like)) return size_of_file(path);
  const std::string stem = path.substr(0, path.size() - pattern.size());
  const std::string count(end.substr(10, 5));
  uint64_t sum = 0;
  for (int part = 1; part <= std::stoi(count); ++part) {
    const uint64_t size = size_of_file(fmt::format("{}-{:05}-of-{}.gguf", stem, part, count));
    if (size == 0) break;
    sum += size;
  }
  return sum;
}

}  // namespace hearth
