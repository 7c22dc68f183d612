#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "plan/plan.h"

namespace hearth {

// What is fixed while parts are being placed.
struct Terms {
  uint32_t context = 0, parallel = 1;
  size_t step = 0;         // row class
  bool host_copy = false;  // the host holds weights in its own form, instead of reading the file's mapping
  KvTypes kv;
};

// What a device takes.
struct Use {
  bool any = false;
  uint64_t copied = 0, mapped = 0, kv = 0, arena = 0, workspace = 0, results = 0;

  uint64_t anonymous() const noexcept;
};

// A placement being tried. Sums saturate: a hostile file may name any size.
class Draft {
 public:
  Draft(const MemoryProfile& model, std::span<const DeviceBudget> devices, const Terms& terms);

  // Puts a part on a device; false, and nothing changed, where that does not fit or the device refuses.
  bool put(size_t part, uint32_t device);
  // The same without asking whether it fits.
  void force(size_t part, uint32_t device);
  std::optional<uint32_t> at(size_t part) const { return at_[part]; }
  bool complete() const;
  bool fits() const;

  Use use(uint32_t device) const;
  // Places where the row of activations goes from one device to another.
  uint32_t crossings() const;
  const Terms& terms() const noexcept { return terms_; }

  Plan plan(const Wish& wish) const;

 private:
  bool fits(uint32_t device) const;
  bool in_pieces(uint32_t device, const Use& use) const;
  bool fits_shared() const;
  void add(size_t part, uint32_t device, Use& use) const;

  const MemoryProfile& model_;
  std::span<const DeviceBudget> devices_;
  Terms terms_;
  std::vector<std::optional<uint32_t>> at_;  // [part]
};

// Pages that a layer of a cache group may have on a device, by what its driver gives in one piece.
uint64_t most_pages(const DeviceBudget& device, const CacheProfile& group, KvTypes kv) noexcept;

// Rows of scores per step, and pages of a cache.
uint32_t results_of(const Terms& terms, uint32_t rows) noexcept;
uint64_t pages_of(const Terms& terms, const CacheProfile& cache) noexcept;

// Seconds that a placement takes: for one row of a prompt, and for one generated token behind `depth` tokens
// of context. Where rates are unknown, those of common devices are assumed, and it is said which figure that
// touches.
struct Times {
  double prompt = 0, token = 0;
  bool prompt_known = true, token_known = true, measured = true;
};
Times times(const MemoryProfile& model, std::span<const DeviceBudget> devices, const Draft& draft,
            uint32_t depth);

// What a placement is judged by: seconds for a typical request.
double score(const MemoryProfile& model, std::span<const DeviceBudget> devices, const Draft& draft);

// The best placement under these terms; none where nothing fits.
std::optional<Draft> best_placement(const MemoryProfile& model, std::span<const DeviceBudget> devices,
                                    const Wish& wish, const Terms& terms);

// The best plan for a context, over all row classes.
std::optional<Plan> best_plan(const MemoryProfile& model, std::span<const DeviceBudget> devices,
                              const Wish& wish, uint32_t context);

// Single changes that make a refused wish fit, smallest first.
std::vector<Change> changes_that_fit(const MemoryProfile& model, std::span<const DeviceBudget> devices,
                                     const Wish& wish);

// What the wish takes where nothing is in the way: on one device, and of a device that may be given more.
struct Needs {
  uint64_t needed = 0, usable = 0;
  bool mapped = false;
  uint32_t device = 0;  // the one that lacks it
};
Needs needs_of(const MemoryProfile& model, std::span<const DeviceBudget> devices, const Wish& wish);

}  // namespace hearth
