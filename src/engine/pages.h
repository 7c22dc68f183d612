#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/id.h"

namespace hearth {

// Which pages of a cache are in use, and by how many holders: integers only, no memory, no device.
class PagePool {
 public:
  explicit PagePool(uint32_t pages);

  // A free page with one holder; none when all are taken.
  std::optional<PageId> take();
  void share(PageId page);
  // Gives one hold back; the last one frees the page. Releasing a free page is a bug and throws Error(bug).
  void release(PageId page);

  uint32_t holders(PageId page) const { return holders_[page.value]; }
  uint32_t pages() const noexcept { return static_cast<uint32_t>(holders_.size()); }
  uint32_t free_pages() const noexcept { return static_cast<uint32_t>(free_.size()); }

  // Proves the accounting: free + held = all, the free list has no duplicates; `held` is what the owners
  // count themselves. Throws Error(bug) naming the numbers.
  void check(uint64_t held) const;

 private:
  std::vector<uint32_t> holders_;  // [page]
  std::vector<uint32_t> free_;  // last in, first out: a page that is warm in the caches is used again first
};

}  // namespace hearth
