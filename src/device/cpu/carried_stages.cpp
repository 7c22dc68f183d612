// Stages with a carried state that take columns one by one: ShortConv, Shift.
#include <algorithm>
#include <array>

#include "device/cpu/carried.h"

namespace hearth::cpu {

ColumnShare columns_of(const Step& step, uint32_t thread, uint32_t cols) {
  constexpr uint32_t line = 16;  // floats
  const uint64_t threads = step.device->team().size(), lines = (cols + line - 1) / line;
  const auto border = [&](uint64_t t) {
    return std::min(cols, static_cast<uint32_t>(lines * t / threads) * line);
  };
  return {border(thread), border(thread + 1) - border(thread)};
}

float* state_of(const Step& step, StateRef state, size_t slice) {
  const PageId page = step.inputs.page_tables[state.group][slice * step.inputs.table_stride];
  return step.device->kv(state.group).state(state.layer, page);
}

namespace {

// Each thread convolves its columns. The last `taps` tokens of them go round in a ring in its scratch memory,
// behind the kernel, which is turned so that a tap's weights lie together.
class ShortConvStage final : public Stage {
 public:
  explicit ShortConvStage(const ShortConv& o) : op_(o) {}

  void run(Step& step, uint32_t thread) const override {
    const ColumnShare share = columns_of(step, thread, op_.out.cols);
    if (share.count == 0) return;
    const LoadedWeight& kernel = step.device->weight(op_.kernel);
    Work w{share, kernel.cols, step.block(thread), nullptr};
    w.ring = w.kernel + uint64_t{w.taps} * share.count;
    for (uint32_t c = 0; c < share.count; ++c) {
      const float* from = kernel.values() + uint64_t{share.begin + c} * w.taps;
      for (uint32_t k = 0; k < w.taps; ++k) w.kernel[uint64_t{k} * share.count + c] = from[k];
    }
    for (size_t s = 0; s < step.inputs.slices.size(); ++s) convolve(step, s, w);
  }

 private:
  struct Work {
    ColumnShare share;
    uint32_t taps;
    float *kernel, *ring;  // [taps][columns] each

    // Of the slice's token number i − taps + 1.
    float* seen(uint32_t i) const { return ring + uint64_t{i % taps} * share.count; }
  };

  void convolve(const Step& step, size_t s, const Work& w) const {
    const Slice& slice = step.inputs.slices[s];
    float* state = state_of(step, op_.state, s) + w.share.begin;
    const uint32_t carried = w.taps - 1, n = w.share.count;
    for (uint32_t i = 0; i < carried; ++i) {
      if (slice.cached == 0) {
        std::fill_n(w.seen(i), n, 0.0F);
      } else {
        std::copy_n(state + uint64_t{i} * op_.out.cols, n, w.seen(i));
      }
    }
    for (uint32_t i = 0; i < slice.rows; ++i) token(step, slice.first_row + i, i, w);
    for (uint32_t i = 0; i < carried; ++i)
      std::copy_n(w.seen(slice.rows + i), n, state + uint64_t{i} * op_.out.cols);
  }

  void token(const Step& step, uint32_t row, uint32_t i, const Work& w) const {
    const RowKernels& k = *step.device->table().rows;
    const float* in = step.act(op_.in) + uint64_t{row} * op_.in.cols + w.share.begin;
    float* out = step.act(op_.out) + uint64_t{row} * op_.out.cols + w.share.begin;
    const uint32_t n = w.share.count;
    k.gated(Activation::none, in + op_.at, op_.pre ? in + *op_.pre : nullptr, n, w.seen(i + w.taps - 1));
    std::array<const float*, most_taps> rows{};
    for (uint32_t t = 0; t < w.taps; ++t) rows[t] = w.seen(i + t);
    const LoadedWeight* bias = step.device->maybe(op_.bias);
    step.device->table().state->convolve(
        rows.data(), w.kernel, bias != nullptr ? bias->values() + w.share.begin : nullptr, w.taps, n, out);
    if (op_.act != Act1::none || op_.post)
      k.gated(static_cast<Activation>(op_.act), out, op_.post ? in + *op_.post : nullptr, n, out);
  }

  ShortConv op_;
};

class ShiftStage final : public Stage {
 public:
  explicit ShiftStage(const Shift& o) : op_(o) {}

  void run(Step& step, uint32_t thread) const override {
    const ColumnShare share = columns_of(step, thread, op_.in.cols);
    if (share.count == 0) return;
    for (size_t s = 0; s < step.inputs.slices.size(); ++s) {
      const Slice& slice = step.inputs.slices[s];
      float* state = state_of(step, op_.state, s) + share.begin;
      if (slice.cached == 0) std::fill_n(state, share.count, 0.0F);
      const float* before = state;
      for (uint32_t i = 0; i < slice.rows; ++i) before = token(step, slice.first_row + i, share, before);
      std::copy_n(before, share.count, state);
    }
  }

 private:
  // The row itself: what stands before the next one.
  const float* token(const Step& step, uint32_t row, const ColumnShare& share, const float* before) const {
    const uint32_t cols = op_.in.cols;
    const float* x = step.act(op_.in) + uint64_t{row} * cols + share.begin;
    const float* mix = step.device->weight(op_.mix).values() + share.begin;
    float* out = step.act(op_.out) + uint64_t{row} * op_.out.cols + share.begin;
    for (uint32_t at = 0; at < op_.out.cols; at += cols)
      step.device->table().state->blend(x, before, mix + at, share.count, out + at);
    return x;
  }

  Shift op_;
};

}  // namespace

std::unique_ptr<Stage> shift_stage(const Shift& op) { return std::make_unique<ShiftStage>(op); }
std::unique_ptr<Stage> short_conv_stage(const ShortConv& op) { return std::make_unique<ShortConvStage>(op); }

}  // namespace hearth::cpu
