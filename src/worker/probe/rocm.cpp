// AMD's compute driver, as far as it answers without a kernel: the HSA runtime names the agents, HIP their
// memory. Numbers and signatures are those of the HSA runtime specification and of AMD's public headers.
#include <fmt/format.h>

#include <array>
#include <cstring>

#include "worker/probe/driver.h"

namespace hearth::probe {
namespace {

struct Agent {
  uint64_t handle;
};

constexpr int info_name = 0, info_device = 17, device_is_gpu = 1;
constexpr int info_compute_units = 0xA002, info_node = 0xA004, info_bdf = 0xA006, info_product = 0xA009,
              info_domain = 0xA00F;

class Hsa {
 public:
  using Info = int(Agent, int, void*);

  Hsa(const DriverLibrary& library, ProbeVerdict& whole) : library_(library), whole_(whole) {}

  // Empty: it answered. Else the reply that ended it is kept.
  bool start(const BeginPhase& begin) {
    begin("hsa_init");
    if (!call("hsa_init", library_.function<int()>("hsa_init"))) return false;
    begin("hsa_iterate_agents");
    const auto iterate = library_.function<int(int (*)(Agent, void*), void*)>("hsa_iterate_agents");
    return call("hsa_iterate_agents", iterate, &Hsa::take, static_cast<void*>(&agents_));
  }

  std::vector<ProbeVerdict> devices() const {
    const auto info = library_.function<Info>("hsa_agent_get_info");
    std::vector<ProbeVerdict> found;
    if (info == nullptr) return found;
    for (const Agent agent : agents_) {
      int type = 0;
      if (info(agent, info_device, &type) == 0 && type == device_is_gpu)
        found.push_back(describe(info, agent));
    }
    for (size_t i = 0; i < found.size(); ++i) found[i].device = fmt::format("rocm{}", i);
    return found;
  }

 private:
  static int take(Agent agent, void* list) {
    static_cast<std::vector<Agent>*>(list)->push_back(agent);
    return 0;
  }

  ProbeVerdict describe(Info* info, Agent agent) const {
    ProbeVerdict v;
    v.backend = "rocm";
    v.library = whole_.library;
    v.driver = whole_.driver;
    std::array<char, 65> target{}, product{};
    if (info(agent, info_name, target.data()) == 0) v.features.emplace_back(target.data());
    v.name = info(agent, info_product, product.data()) == 0 ? product.data() : target.data();
    uint32_t bdf = 0, domain = 0, node = 0, units = 0;
    if (info(agent, info_bdf, &bdf) == 0) {
      info(agent, info_domain, &domain);
      v.key = fmt::format("{:04x}:{:02x}:{:02x}.{}", domain, bdf >> 8 & 0xff, bdf >> 3 & 0x1f, bdf & 7);
    }
    if (info(agent, info_node, &node) == 0) v.features.push_back(fmt::format("node {}", node));
    if (info(agent, info_compute_units, &units) == 0) v.features.push_back(fmt::format("{} units", units));
    return v;
  }

  template <class F, class... A>
  bool call(const char* name, F* function, A... arguments) {
    if (function == nullptr) {
      whole_.replies.push_back({name, -1, "the library has no such function"});
      return false;
    }
    const int code = function(arguments...);
    if (code == 0) return true;
    const char* words = nullptr;
    const auto status_text = library_.function<int(int, const char**)>("hsa_status_string");
    if (status_text != nullptr) status_text(code, &words);
    whole_.replies.push_back({name, code, words != nullptr ? words : ""});
    return false;
  }

  const DriverLibrary& library_;
  ProbeVerdict& whole_;
  std::vector<Agent> agents_;
};

// Total memory by PCI address, where HIP is there and sees the device.
void ask_hip(const ProbeQuestion& question, std::vector<ProbeVerdict>& devices, ProbeVerdict& whole,
             const BeginPhase& begin) {
  begin("hipInit");
  const DriverLibrary library({"libamdhip64.so", "libamdhip64.so.7", "libamdhip64.so.6", "libamdhip64.so.5"},
                              question);
  const auto init = library.function<int(unsigned)>("hipInit");
  const auto count_of = library.function<int(int*)>("hipGetDeviceCount");
  const auto pci_of = library.function<int(char*, int, int)>("hipDeviceGetPCIBusId");
  const auto memory_of = library.function<int(size_t*, int)>("hipDeviceTotalMem");
  if (init == nullptr || count_of == nullptr || pci_of == nullptr || memory_of == nullptr) return;
  int count = 0;
  for (const auto& [name, code] :
       {std::pair{"hipInit", init(0)}, std::pair{"hipGetDeviceCount", count_of(&count)}}) {
    if (code != 0) whole.replies.push_back({name, code, {}});
  }
  for (int i = 0; i < count && i < 64; ++i) {
    std::array<char, 64> pci{};
    size_t bytes = 0;
    if (pci_of(pci.data(), 63, i) != 0 || memory_of(&bytes, i) != 0) continue;
    for (ProbeVerdict& d : devices) {
      if (d.key == pci.data()) d.memory.total = bytes;
    }
  }
}

}  // namespace

std::vector<ProbeVerdict> ask_rocm(const ProbeQuestion& question, ProbeVerdict& whole,
                                   const BeginPhase& begin) {
  begin("load library");
  const DriverLibrary library({"libhsa-runtime64.so.1", "libhsa-runtime64.so"}, question);
  if (!library) {
    whole.outcome = ProbeOutcome::no_loader;
    whole.cause = "AMD's compute runtime is not there: " + library.trouble();
    return {};
  }
  whole.library = library.path();
  Hsa hsa(library, whole);
  if (!hsa.start(begin)) {
    const DriverReply& reply = whole.replies.back();
    whole.outcome = ProbeOutcome::failed;
    whole.cause =
        fmt::format("{} answered {}{}{}", reply.call, reply.code, reply.text.empty() ? "" : ": ", reply.text);
    return {};
  }
  std::vector<ProbeVerdict> devices = hsa.devices();
  ask_hip(question, devices, whole, begin);
  return devices;
}

}  // namespace hearth::probe
