// A machine whose every file, link, list and node is made of the fuzzer's bytes: looked at whole, never more
// than nonsense found.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "hardware/report.h"

namespace hearth {
namespace {

class MadeUpSystem final : public SystemView {
 public:
  explicit MadeUpSystem(std::string_view bytes) : bytes_(bytes) {}

  FileText file(const std::string&, size_t limit) const override {
    const uint8_t how = byte();
    if (how == 0) return {.error = 1 + byte()};
    std::string text(take(how));
    return {.text = text.substr(0, limit), .cut = text.size() > limit};
  }
  std::vector<std::string> list(const std::string& path) const override {
    std::vector<std::string> names;
    if (path == "/sys/bus/pci/devices")
      names = {"0000:03:00.0", "0000:00:02.0"};
    else if (path.ends_with("/drm"))
      names = {"card0", "renderD128"};
    else if (path.ends_with("/nodes"))
      names = {"0", "1", "2"};
    else if (path == "/dev")
      names = {"nvidia0", "null"};
    for (int i = byte() & 3; i > 0; --i) names.emplace_back(take(byte() & 31));
    std::sort(names.begin(), names.end());
    return names;
  }
  std::optional<std::string> link(const std::string&) const override {
    const uint8_t how = byte();
    if (how == 0) return std::nullopt;
    static constexpr std::string_view drivers[] = {"../amdgpu", "../nvidia", "../nouveau", "../vfio-pci"};
    return how < 128 ? std::string(drivers[how & 3]) : std::string(take(how & 63));
  }
  std::optional<NodeInfo> node(const std::string&) const override {
    const uint8_t how = byte();
    if ((how & 1) == 0) return std::nullopt;
    return NodeInfo{'c', how * 8U, byte(), byte()};
  }
  int open_error(const std::string&) const override { return byte() & 15; }
  KernelLog kernel_log() const override {
    KernelLog log;
    for (int i = byte() & 7; i > 0; --i) log.lines.emplace_back(take(byte()));
    log.lines.push_back("kfd: skipped device 1002:73bf, PCI rejects atomics " + std::string(take(8)));
    log.lines.push_back("NVRM: supported through the NVIDIA " + std::string(take(8)));
    return log;
  }
  Environment environment() const override {
    Environment out;
    for (const char* name : {"HSA_OVERRIDE_GFX_VERSION", "CUDA_VISIBLE_DEVICES", "HEARTH_DEVICES",
                             "LD_LIBRARY_PATH", "OLLAMA_VULKAN", "HSA_OVERRIDE_GFX_VERSION_1"}) {
      out[name] = take(byte() & 31);
    }
    return out;
  }
  SystemName name() const override { return {std::string(take(16)), "x86_64"}; }
  Account account() const override { return {"somebody", byte(), {byte()}}; }

 private:
  uint8_t byte() const {
    if (at_ >= bytes_.size()) return 0;
    return static_cast<uint8_t>(bytes_[at_++]);
  }
  std::string_view take(size_t length) const {
    length = std::min(length, bytes_.size() - at_);
    at_ += length;
    return bytes_.substr(at_ - length, length);
  }

  std::string_view bytes_;
  mutable size_t at_ = 0;
};

}  // namespace
}  // namespace hearth

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const hearth::MadeUpSystem system({reinterpret_cast<const char*>(data), size});
  const hearth::Report report = hearth::examine(hearth::take_inventory(system), {});
  (void)hearth::to_text(report, {});
  (void)hearth::to_json(report);
  return 0;
}
