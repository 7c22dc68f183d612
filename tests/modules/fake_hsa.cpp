// libhsa-runtime64.so.1 and libamdhip64.so of a machine with a processor and one RX 6700 XT. FAKE_HSA: the
// result of hsa_init, or crash.
#include <signal.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#define FAKE extern "C" __attribute__((visibility("default")))

struct FakeAgent {
  uint64_t handle;
};

FAKE int hsa_init() {
  const char* value = std::getenv("FAKE_HSA");
  const std::string what = value != nullptr ? value : "0";
  if (what == "crash") {
    ::signal(SIGSEGV, SIG_DFL);
    ::raise(SIGSEGV);
  }
  const char* override_text = std::getenv("HSA_OVERRIDE_GFX_VERSION");
  if (override_text != nullptr && std::strcmp(override_text, "gfx1030") == 0) return 4104;  // as the real one
  return std::atoi(what.c_str());
}
FAKE int hsa_iterate_agents(int (*take)(FakeAgent, void*), void* data) {
  for (const uint64_t handle : {1, 2}) take({handle}, data);
  return 0;
}
FAKE int hsa_agent_get_info(FakeAgent agent, int what, void* value) {
  const bool gpu = agent.handle == 2;
  const auto number = [&](uint32_t n) {
    std::memcpy(value, &n, sizeof n);
    return 0;
  };
  switch (what) {
    case 0: std::strcpy(static_cast<char*>(value), gpu ? "gfx1031" : "AMD Ryzen"); return 0;
    case 17: return number(gpu ? 1 : 0);
    case 0xA002: return number(40);
    case 0xA004: return number(1);
    case 0xA006: return number(3 << 8);
    case 0xA009: std::strcpy(static_cast<char*>(value), "AMD Radeon RX 6700 XT"); return 0;
    case 0xA00F: return number(0);
    default: return 4097;
  }
}
FAKE int hsa_status_string(int, const char** text) {
  *text = "HSA_STATUS_ERROR_OUT_OF_RESOURCES";
  return 0;
}

FAKE int hipInit(unsigned) { return 0; }
FAKE int hipGetDeviceCount(int* count) {
  *count = 1;
  return 0;
}
FAKE int hipDeviceGetPCIBusId(char* text, int length, int) {
  std::snprintf(text, static_cast<size_t>(length), "0000:03:00.0");
  return 0;
}
FAKE int hipDeviceTotalMem(size_t* bytes, int) {
  *bytes = 12ULL << 30;
  return 0;
}
