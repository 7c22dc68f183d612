#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "device/device.h"

// What a probe runs on a device: small programs whose results are known.
namespace hearth::probe {

using OpenDevice = std::function<std::unique_ptr<Device>()>;

// Anonymous memory for weights, freed with the object; not touched before it is written.
class Bytes {
 public:
  explicit Bytes(uint64_t size);
  Bytes(Bytes&& other) noexcept;
  Bytes& operator=(Bytes&&) = delete;
  Bytes(const Bytes&) = delete;
  ~Bytes();
  std::span<std::byte> span() const noexcept { return {data_, size_}; }

 private:
  std::byte* data_ = nullptr;
  uint64_t size_ = 0;
};

// A program under construction with its weights; then the same, made ready on a device of its own. One
// sequence: its tokens are the rows of the embedding table, in order.
class Trial {
 public:
  Act act(uint32_t cols);
  // Values are written in `type` by its plain rule (TypeInfo::round). They must be rows × cols.
  Weight weight(DType type, uint32_t rows, uint32_t cols, std::span<const float> values);
  // Every row is the same, so that a large matrix costs little to make.
  Weight repeated_weight(DType type, uint32_t rows, uint32_t cols, std::span<const float> row);
  void push(Op op);
  // What the device reads for a weight: values after rounding to its type.
  std::vector<float> decoded(Weight weight) const;

  // Why the device does not take one of the operations; empty = it takes all.
  std::string refused_by(const Device& device, KvTypes kv) const;
  // Opens, reserves and loads. `rows`: per step at most; `tokens`: of the whole sequence. Throws Error, also
  // where the device holds other memory than it was told to.
  void make_ready(const OpenDevice& open, uint32_t rows, uint32_t tokens, KvTypes kv = {});
  // Computes rows [cached, cached + rows) of the sequence; all results, or the last row's only.
  std::span<const float> step(uint32_t cached, uint32_t rows, bool exact, bool all_results = true);

  Device& device() noexcept { return *device_; }

  Program program;

 private:
  void reserve(uint32_t rows, uint32_t tokens, KvTypes kv);

  std::vector<Bytes> values_;
  std::unique_ptr<Device> device_;  // before the executable: it must outlive it
  std::unique_ptr<Executable> executable_;
  std::vector<PageId> pages_;
};

}  // namespace hearth::probe
