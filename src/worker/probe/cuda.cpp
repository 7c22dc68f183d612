// NVIDIA's driver, as far as it answers without a kernel: libcuda and libnvidia-ml. Numbers and signatures
// are those of NVIDIA's driver API and NVML documents.
#include <fmt/format.h>

#include <array>
#include <cstring>

#include "worker/probe/driver.h"

namespace hearth::probe {
namespace {

struct Uuid {
  std::array<unsigned char, 16> bytes;
};
struct NvmlMemory {
  unsigned long long total, free, used;
};

constexpr int attribute_integrated = 18, attribute_major = 75, attribute_minor = 76;
constexpr unsigned system_text = 96;

// Calls of a driver: each result other than 0 is kept as a reply.
class Caller {
 public:
  Caller(ProbeVerdict& to, std::function<std::string(int)> text) : to_(to), text_(std::move(text)) {}

  template <class F, class... A>
  bool operator()(const char* name, F* function, A... arguments) {
    if (function == nullptr) {
      to_.replies.push_back({name, -1, "the library has no such function"});
      return false;
    }
    const int code = function(arguments...);
    if (code != 0) to_.replies.push_back({name, code, text_(code)});
    return code == 0;
  }

 private:
  ProbeVerdict& to_;
  std::function<std::string(int)> text_;
};

// The management library works where CUDA does not, and says why it does not.
class Nvml {
 public:
  Nvml(const ProbeQuestion& question, ProbeVerdict& whole)
      : library_({"libnvidia-ml.so.1", "libnvidia-ml.so"}, question),
        call_(whole, [this](int code) { return text(code); }) {
    if (!library_) return;
    ready_ = call_("nvmlInit_v2", library_.function<int()>("nvmlInit_v2"));
    std::array<char, system_text> version{};
    if (ready_ && call_("nvmlSystemGetDriverVersion",
                        library_.function<int(char*, unsigned)>("nvmlSystemGetDriverVersion"), version.data(),
                        system_text))
      whole.driver = fmt::format("nvidia {}", version.data());
  }

  uint64_t free_bytes(const std::string& pci) const {
    void* device = nullptr;
    NvmlMemory memory{};
    const auto handle_of = library_.function<int(const char*, void**)>("nvmlDeviceGetHandleByPciBusId_v2");
    const auto memory_of = library_.function<int(void*, NvmlMemory*)>("nvmlDeviceGetMemoryInfo");
    if (!ready_ || handle_of == nullptr || memory_of == nullptr) return 0;
    return handle_of(pci.c_str(), &device) == 0 && memory_of(device, &memory) == 0 ? memory.free : 0;
  }

 private:
  std::string text(int code) const {
    const auto error_text = library_.function<const char*(int)>("nvmlErrorString");
    const char* words = error_text != nullptr ? error_text(code) : nullptr;
    return words != nullptr ? words : "";
  }

  DriverLibrary library_;
  Caller call_;
  bool ready_ = false;
};

std::string hex(const Uuid& uuid) {
  std::string out;
  for (const unsigned char b : uuid.bytes) out += fmt::format("{:02x}", b);
  return out;
}

class Cuda {
 public:
  Cuda(const DriverLibrary& library, ProbeVerdict& whole)
      : library_(library), whole_(whole), call_(whole, [this](int code) { return text(code); }) {}

  bool start(const BeginPhase& begin) {
    begin("cuInit");
    if (!call_("cuInit", library_.function<int(unsigned)>("cuInit"), 0U)) return false;
    int version = 0;
    if (call_("cuDriverGetVersion", library_.function<int(int*)>("cuDriverGetVersion"), &version))
      whole_.features.push_back(fmt::format("CUDA {}.{}", version / 1000, version % 1000 / 10));
    begin("cuDeviceGetCount");
    return call_("cuDeviceGetCount", library_.function<int(int*)>("cuDeviceGetCount"), &count_);
  }

  int count() const noexcept { return count_; }

  ProbeVerdict describe(int index, const Nvml& nvml) {
    ProbeVerdict v;
    v.backend = "cuda";
    v.device = fmt::format("cuda{}", index);
    v.driver = whole_.driver;
    v.library = whole_.library;
    v.features = whole_.features;
    int device = index;
    call_("cuDeviceGet", library_.function<int(int*, int)>("cuDeviceGet"), &device, index);
    std::array<char, 256> text{};
    if (call_("cuDeviceGetName", library_.function<int(char*, int, int)>("cuDeviceGetName"), text.data(), 255,
              device))
      v.name = text.data();
    Uuid uuid{};
    if (call_("cuDeviceGetUuid", library_.function<int(Uuid*, int)>("cuDeviceGetUuid"), &uuid, device)) {
      v.key = hex(uuid);
      v.features.push_back("uuid " + v.key);
    }
    std::array<char, 64> pci{};
    if (call_("cuDeviceGetPCIBusId", library_.function<int(char*, int, int)>("cuDeviceGetPCIBusId"),
              pci.data(), 63, device))
      v.key = lower(pci.data());
    size_t bytes = 0;
    if (call_("cuDeviceTotalMem", library_.function<int(size_t*, int)>("cuDeviceTotalMem_v2"), &bytes,
              device))
      v.memory.total = bytes;
    v.memory.usable = nvml.free_bytes(pci.data());
    v.features.push_back(
        fmt::format("compute {}.{}", attribute(attribute_major, device), attribute(attribute_minor, device)));
    v.kind = attribute(attribute_integrated, device) == 1 ? "integrated" : "discrete";
    return v;
  }

 private:
  int attribute(int which, int device) {
    int value = 0;
    call_("cuDeviceGetAttribute", library_.function<int(int*, int, int)>("cuDeviceGetAttribute"), &value,
          which, device);
    return value;
  }

  std::string text(int code) const {
    const auto error_text = library_.function<int(int, const char**)>("cuGetErrorString");
    const char* words = nullptr;
    return error_text != nullptr && error_text(code, &words) == 0 && words != nullptr ? words : "";
  }

  static std::string lower(std::string text) {
    for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    return text;
  }

  const DriverLibrary& library_;
  ProbeVerdict& whole_;
  Caller call_;
  int count_ = 0;
};

}  // namespace

std::vector<ProbeVerdict> ask_cuda(const ProbeQuestion& question, ProbeVerdict& whole,
                                   const BeginPhase& begin) {
  begin("load library");
  const DriverLibrary library({"libcuda.so.1", "libcuda.so"}, question);
  if (!library) {
    whole.outcome = ProbeOutcome::no_loader;
    whole.cause = "NVIDIA's driver library is not there: " + library.trouble();
    return {};
  }
  whole.library = library.path();
  begin("nvmlInit");
  const Nvml nvml(question, whole);
  Cuda cuda(library, whole);
  if (!cuda.start(begin)) {
    const DriverReply& reply = whole.replies.back();
    whole.outcome = ProbeOutcome::failed;
    whole.cause =
        fmt::format("{} answered {}{}{}", reply.call, reply.code, reply.text.empty() ? "" : ": ", reply.text);
    return {};
  }
  std::vector<ProbeVerdict> devices;
  begin("describe devices");
  for (int i = 0; i < cuda.count() && i < 64; ++i) devices.push_back(cuda.describe(i, nvml));
  return devices;
}

}  // namespace hearth::probe
