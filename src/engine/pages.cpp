#include "engine/pages.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/error.h"

namespace hearth {
namespace {

[[noreturn]] void broken(const std::string& what) {
  throw Error(Code::bug, what, "report this with the log");
}

}  // namespace

PagePool::PagePool(uint32_t pages) : holders_(pages, 0), free_(pages) {
  std::iota(free_.rbegin(), free_.rend(), 0U);
}

std::optional<PageId> PagePool::take() {
  if (free_.empty()) return std::nullopt;
  const PageId page{free_.back()};
  free_.pop_back();
  holders_[page.value] = 1;
  return page;
}

void PagePool::share(PageId page) {
  if (holders_[page.value] == 0) broken(fmt::format("page {} is shared while free", page.value));
  ++holders_[page.value];
}

void PagePool::release(PageId page) {
  if (holders_[page.value] == 0) broken(fmt::format("page {} is released while free", page.value));
  if (--holders_[page.value] == 0) free_.push_back(page.value);
}

void PagePool::check(uint64_t held) const {
  const uint64_t counted = std::accumulate(holders_.begin(), holders_.end(), uint64_t{0});
  if (counted != held) broken(fmt::format("pages have {} holders, sequences hold {}", counted, held));
  const auto used = std::count_if(holders_.begin(), holders_.end(), [](uint32_t n) { return n > 0; });
  std::vector<uint32_t> sorted = free_;
  std::sort(sorted.begin(), sorted.end());
  const bool twice = std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end();
  if (twice || static_cast<uint64_t>(used) + free_.size() != holders_.size()) {
    broken(fmt::format("{} pages used and {} free of {}", used, free_.size(), holders_.size()));
  }
}

}  // namespace hearth
