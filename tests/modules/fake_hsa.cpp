// libhsa-runtime64.so.1 and libamdhip64.so of a machine with a processor and one RX 6700 XT.
// FAKE_HSA="call=answer,…": a number is the call's result; crash, hang and exit are what they say. An answer
// alone is that of hsa_init.
#include <signal.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#define FAKE extern "C" __attribute__((visibility("default")))

struct FakeAgent {
  uint64_t handle;
};

static int answer(const std::string& call) {
  const char* value = std::getenv("FAKE_HSA");
  const std::string text = value != nullptr ? value : "";
  const std::string all = "," + (text.find('=') != std::string::npos ? text : "hsa_init=" + text) + ",";
  const size_t at = all.find("," + call + "=");
  if (at == std::string::npos) return 0;
  const size_t begin = at + call.size() + 2;
  const std::string what = all.substr(begin, all.find(',', begin) - begin);
  if (what == "crash") {
    ::signal(SIGSEGV, SIG_DFL);
    ::raise(SIGSEGV);
  }
  if (what == "exit") ::_exit(1);
  while (what == "hang") ::pause();
  return std::atoi(what.c_str());
}

FAKE int hsa_init() {
  const int result = answer("hsa_init");
  const char* override_text = std::getenv("HSA_OVERRIDE_GFX_VERSION");
  if (override_text != nullptr && std::strcmp(override_text, "gfx1030") == 0) return 4104;  // as the real one
  return result;
}
FAKE int hsa_iterate_agents(int (*take)(FakeAgent, void*), void* data) {
  const int result = answer("hsa_iterate_agents");
  if (result == 0) {
    for (const uint64_t handle : {1, 2}) take({handle}, data);
  }
  return result;
}
FAKE int hsa_agent_get_info(FakeAgent agent, int what, void* value) {
  if (const int result = answer("hsa_agent_get_info"); result != 0) return result;
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

FAKE int hipInit(unsigned) { return answer("hipInit"); }
FAKE int hipGetDeviceCount(int* count) {
  *count = 1;
  return answer("hipGetDeviceCount");
}
FAKE int hipDeviceGetPCIBusId(char* text, int length, int) {
  std::snprintf(text, static_cast<size_t>(length), "0000:03:00.0");
  return answer("hipDeviceGetPCIBusId");
}
FAKE int hipDeviceTotalMem(size_t* bytes, int) {
  *bytes = 12ULL << 30;
  return answer("hipDeviceTotalMem");
}
