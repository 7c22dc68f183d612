#include "engine/pages.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "base/error.h"

namespace hearth {
namespace {

TEST(PagePool, TakesEachPageOnce) {
  PagePool pool(3);
  const auto a = pool.take(), b = pool.take(), c = pool.take();
  ASSERT_TRUE(a && b && c);
  EXPECT_FALSE(pool.take());
  EXPECT_EQ(a->value, 0U);
  EXPECT_NE(*a, *b);
  EXPECT_NE(*b, *c);
  pool.release(*b);
  EXPECT_EQ(pool.take(), b);
}

TEST(PagePool, DoubleReleaseIsABug) {
  PagePool pool(1);
  const auto page = pool.take();
  pool.share(*page);
  pool.release(*page);
  EXPECT_EQ(pool.free_pages(), 0U);
  pool.release(*page);
  EXPECT_THROW(pool.release(*page), Error);
  EXPECT_THROW(pool.share(*page), Error);
}

// Against a model that only counts: thousands of random calls, the accounting proven after each.
TEST(PagePool, AgreesWithAModel) {
  std::mt19937 random(11);
  PagePool pool(17);
  std::map<uint32_t, uint32_t> held;
  uint64_t total = 0;
  for (int i = 0; i < 5000; ++i) {
    const auto some = [&] {
      auto at = held.begin();
      std::advance(at, random() % held.size());
      return at;
    };
    switch (random() % 3) {
      case 0:
        if (const auto page = pool.take()) {
          EXPECT_FALSE(held.contains(page->value));
          held[page->value] = 1;
          ++total;
        } else {
          EXPECT_EQ(held.size(), 17U);
        }
        break;
      case 1:
        if (held.empty()) break;
        {
          const auto at = some();
          pool.share({at->first});
          ++at->second;
          ++total;
        }
        break;
      default:
        if (held.empty()) break;
        {
          const auto at = some();
          pool.release({at->first});
          --total;
          if (--at->second == 0) held.erase(at);
        }
    }
    ASSERT_EQ(pool.free_pages(), 17 - held.size());
    pool.check(total);
  }
  EXPECT_THROW(pool.check(total + 1), Error);
}

}  // namespace
}  // namespace hearth
