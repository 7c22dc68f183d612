#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <fstream>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "hardware/verdict_cache.h"

namespace hearth {
namespace {

namespace fs = std::filesystem;

constexpr std::array library_folders{"/usr/lib/x86_64-linux-gnu",
                                     "/usr/lib/aarch64-linux-gnu",
                                     "/usr/lib64",
                                     "/usr/lib",
                                     "/usr/local/lib",
                                     "/run/opengl-driver/lib",
                                     "/usr/lib/wsl/lib",
                                     "/usr/local/nvidia/lib64",
                                     "/opt/rocm/lib"};
constexpr std::array icd_folders{"/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d",
                                 "/usr/local/share/vulkan/icd.d", "/run/opengl-driver/share/vulkan/icd.d"};
constexpr std::array version_files{"/sys/module/nvidia/version", "/sys/module/amdgpu/version",
                                   "/sys/module/i915/version", "/sys/module/xe/version",
                                   "/proc/driver/nvidia/version"};

class Fingerprint {
 public:
  explicit Fingerprint(const std::string& root) : root_(root) {}

  // A file that is not there adds nothing: whether it comes or goes, the sum changes.
  void file(const std::string& path) {
    struct stat s {};
    if (::stat((root_ + path).c_str(), &s) != 0) return;
    text(fmt::format("{} {} {}.{}", path, s.st_size, s.st_mtim.tv_sec, s.st_mtim.tv_nsec));
  }
  void content(const std::string& path) {
    try {
      text(read_file(root_ + path));
    } catch (const Error&) {  // it is not there
    }
  }
  void library(const std::string& name) {
    if (name.starts_with('/')) return file(name);
    for (const char* folder : library_folders) file(fmt::format("{}/{}", folder, name));
  }
  // Vulkan's drivers: JSON files that name a library each.
  void icds(const std::string& folder) {
    std::vector<std::string> files;
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(root_ + folder, none))
      files.push_back(entry.path().filename().string());
    std::sort(files.begin(), files.end());
    for (const std::string& name : files) {
      const std::string path = fmt::format("{}/{}", folder, name);
      file(path);
      try {
        const Json icd = json::parse(read_file(root_ + path));
        library(json::value_to<std::string>(icd.at("ICD").at("library_path")));
      } catch (const std::exception&) {  // no ICD file; the loader will not use it either
      }
    }
  }
  // Display and accelerator devices: a card that comes or goes asks for another look.
  void devices() {
    std::vector<std::string> addresses;
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(root_ + "/sys/bus/pci/devices", none))
      addresses.push_back(entry.path().filename().string());
    std::sort(addresses.begin(), addresses.end());
    for (const std::string& address : addresses) {
      const std::string folder = "/sys/bus/pci/devices/" + address;
      const std::string kind = first_bytes(folder + "/class");
      if (!kind.starts_with("0x03") && !kind.starts_with("0x12")) continue;
      text(address + " " + first_bytes(folder + "/vendor") + first_bytes(folder + "/device"));
    }
  }
  void variable(const char* name) {
    const char* value = std::getenv(name);
    if (value != nullptr) text(fmt::format("{}={}", name, value));
  }

  std::string result() const { return fmt::format("{:016x}", hash_); }

 private:
  std::string first_bytes(const std::string& path) const {
    std::ifstream in(root_ + path);
    std::string line;
    std::getline(in, line);
    return line.substr(0, 64);
  }
  void text(std::string_view bytes) {
    for (const char c : bytes) hash_ = (hash_ ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
    hash_ = (hash_ ^ '\n') * 1099511628211ULL;
  }

  std::string root_;
  uint64_t hash_ = 14695981039346656037ULL;
};

}  // namespace

std::string driver_fingerprint(const std::string& backend, const std::vector<std::string>& module_folders,
                               const std::string& root) {
  Fingerprint f(root);
  if (backend != "cpu") {
    for (const char* path : version_files) f.content(path);
    f.devices();
  }
  if (backend == "vulkan") {
    f.library("libvulkan.so.1");
    for (const char* folder : icd_folders) f.icds(folder);
    for (const char* name : {"VK_ICD_FILENAMES", "VK_DRIVER_FILES", "VK_ADD_DRIVER_FILES"}) f.variable(name);
  }
  if (backend == "cuda") {
    for (const char* name : {"libcuda.so.1", "libnvidia-ml.so.1"}) f.library(name);
    f.variable("CUDA_VISIBLE_DEVICES");
  }
  if (backend == "rocm") {
    for (const char* name : {"libhsa-runtime64.so.1", "libamdhip64.so"}) f.library(name);
    for (const char* name : {"ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "HSA_OVERRIDE_GFX_VERSION"})
      f.variable(name);
  }
  if (backend != "cpu") f.variable("LD_LIBRARY_PATH");
  for (const std::string& folder : module_folders) f.file(fmt::format("{}/libhearth-{}.so", folder, backend));
  return f.result();
}

std::string program_fingerprint(const std::string& program) {
  struct stat s {};
  if (::stat(program.c_str(), &s) != 0) return "unknown";
  return fmt::format("{:x}-{:x}.{:x}", s.st_size, s.st_mtim.tv_sec, s.st_mtim.tv_nsec);
}

}  // namespace hearth
