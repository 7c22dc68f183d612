#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "device/cpu/buffers.h"

namespace hearth::test {
namespace {

uint64_t present(const cpu::Memory& memory) {
  const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> pages(memory.size() / page);
  if (::mincore(memory.data(), memory.size(), pages.data()) != 0) return 0;
  return page * static_cast<uint64_t>(
                    std::count_if(pages.begin(), pages.end(), [](auto p) { return (p & 1) != 0; }));
}

bool populates() {
#ifdef MADV_POPULATE_WRITE
  const cpu::Memory memory(1 << 16, "a trial");
  return ::madvise(memory.data(), memory.size(), MADV_POPULATE_WRITE) == 0;
#else
  return false;
#endif
}

TEST(MakePresent, FindsMemoryForARangeAndKeepsWhatIsThere) {
  if (!populates()) GTEST_SKIP() << "this system has no MADV_POPULATE_WRITE";
  constexpr uint64_t bytes = 9ULL << 20, first = 3'000'001, count = 2'500'000;
  const cpu::Memory memory(bytes, "a test");
  memory.data()[first] = std::byte{7};
  EXPECT_LT(present(memory), count);
  cpu::make_present(memory.data() + first, count);
  EXPECT_GE(present(memory), count);
  EXPECT_EQ(memory.data()[first], std::byte{7});
  EXPECT_EQ(memory.data()[first + count - 1], std::byte{0});
}

}  // namespace
}  // namespace hearth::test
