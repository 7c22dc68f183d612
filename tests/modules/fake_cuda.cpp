// libcuda.so.1 and libnvidia-ml.so.1 of a machine that is not here. FAKE_CUDA="call=answer,…": a number is
// the call's result; crash, hang and exit are what they say.
#include <dlfcn.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

int answer(const std::string& call) {
  const char* value = std::getenv("FAKE_CUDA");
  const std::string all = "," + std::string(value != nullptr ? value : "") + ",";
  const size_t at = all.find("," + call + "=");
  if (at == std::string::npos) return 0;
  const std::string what = all.substr(at + call.size() + 2, all.find(',', at + 1) - at - call.size() - 2);
  if (what == "crash") {
    ::signal(SIGSEGV, SIG_DFL);
    ::raise(SIGSEGV);
  }
  if (what == "exit") ::_exit(1);
  while (what == "hang") ::pause();
  if (what == "compat") {  // a forward-compatibility library does not serve this card
    Dl_info info{};
    ::dladdr(reinterpret_cast<void*>(&answer), &info);
    return std::strstr(info.dli_fname, "/compat/") != nullptr ? 804 : 0;
  }
  return std::atoi(what.c_str());
}

}  // namespace

#define FAKE extern "C" __attribute__((visibility("default")))

FAKE int cuInit(unsigned) {
  std::fprintf(stderr, "the fake driver starts\n");
  return answer("cuInit");
}
FAKE int cuDriverGetVersion(int* version) {
  *version = 12080;
  return answer("cuDriverGetVersion");
}
FAKE int cuDeviceGetCount(int* count) {
  *count = 2;
  return answer("cuDeviceGetCount");
}
FAKE int cuDeviceGet(int* device, int index) {
  *device = index;
  return answer("cuDeviceGet");
}
FAKE int cuDeviceGetName(char* name, int length, int) {
  std::snprintf(name, static_cast<size_t>(length), "Tesla P40");
  return answer("cuDeviceGetName");
}
FAKE int cuDeviceGetUuid(unsigned char* uuid, int device) {
  std::memset(uuid, device + 1, 16);
  return answer("cuDeviceGetUuid");
}
FAKE int cuDeviceGetPCIBusId(char* text, int length, int device) {
  std::snprintf(text, static_cast<size_t>(length), "0000:0%c:00.0", device == 0 ? 'A' : 'B');
  return answer("cuDeviceGetPCIBusId");
}
FAKE int cuDeviceTotalMem_v2(size_t* bytes, int) {
  *bytes = 24ULL << 30;
  return answer("cuDeviceTotalMem_v2");
}
FAKE int cuDeviceGetAttribute(int* value, int which, int) {
  *value = which == 75 ? 6 : which == 76 ? 1 : 0;
  return answer("cuDeviceGetAttribute");
}
FAKE int cuGetErrorString(int code, const char** text) {
  *text = code == 803 ? "system has unsupported display driver / cuda driver combination" : "some error";
  return 0;
}

FAKE int nvmlInit_v2() { return answer("nvmlInit_v2"); }
FAKE int nvmlSystemGetDriverVersion(char* text, unsigned length) {
  std::snprintf(text, length, "580.119.02");
  return answer("nvmlSystemGetDriverVersion");
}
FAKE const char* nvmlErrorString(int code) { return code == 18 ? "Driver/library version mismatch" : "?"; }
FAKE int nvmlDeviceGetHandleByPciBusId_v2(const char*, void** device) {
  *device = nullptr;
  return answer("nvmlDeviceGetHandleByPciBusId_v2");
}
FAKE int nvmlDeviceGetMemoryInfo(void*, unsigned long long* memory) {
  memory[0] = 24ULL << 30;
  memory[1] = 23ULL << 30;
  memory[2] = 1ULL << 30;
  return answer("nvmlDeviceGetMemoryInfo");
}
