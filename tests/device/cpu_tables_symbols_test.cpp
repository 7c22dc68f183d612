// Kernel objects must not define symbols that the linker may use in place of those of other files: a weak
// copy of an inline function compiled for AVX-512 would crash a machine without it.
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "support/data.h"
#include "support/sanitized.h"

namespace hearth::test {
namespace {

constexpr const char* folders[] = {"avx2", "avx512", "avx512vnni", "avx512bf16", "amx"};

std::vector<std::filesystem::path> kernel_objects() {
  std::vector<std::filesystem::path> objects;
  const auto root = build_dir() / "CMakeFiles" / "hearth_device.dir";
  if (!std::filesystem::exists(root)) return objects;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    if (entry.path().extension() != ".o") continue;
    for (const char* folder : folders) {
      if (entry.path().parent_path().filename() == folder) objects.push_back(entry.path());
    }
  }
  return objects;
}

struct Output {
  std::string text;
  int status = -1;
};

Output nm(const std::filesystem::path& object) {
  Output out;
  const std::string command = "nm '" + object.string() + "' 2>/dev/null";
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), [](FILE*) { return 0; });
  if (pipe == nullptr) return out;
  char buffer[4096];
  for (size_t n = 0; (n = std::fread(buffer, 1, sizeof buffer, pipe.get())) > 0;) out.text.append(buffer, n);
  out.status = ::pclose(pipe.get());
  return out;
}

bool sanitized() {
#ifdef HEARTH_SANITIZED
  return true;
#else
  return false;
#endif
}

TEST(CpuTablesSymbols, KernelObjectsDefineNoWeakSymbols) {
  if (sanitized()) GTEST_SKIP() << "sanitizers add weak symbols of their own; a plain build runs this test";
  const auto objects = kernel_objects();
  ASSERT_GE(objects.size(), std::size(folders)) << "no kernel objects below " << build_dir();
  for (const auto& object : objects) {
    const Output out = nm(object);
    if (out.status != 0) GTEST_SKIP() << "nm is missing or cannot read " << object;
    ASSERT_NE(out.text.find(" D "), std::string::npos)
        << object << " defines no table: is nm's output understood?";
    std::istringstream lines(out.text);
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      std::string address, kind, name;
      words >> address >> kind >> name;
      const bool weak = kind == "W" || kind == "V" || kind == "u";
      EXPECT_FALSE(weak) << object.filename() << " in " << object.parent_path().filename() << " defines "
                         << name;
    }
  }
}

}  // namespace
}  // namespace hearth::test
