#pragma once

#include "device/cpu/stage.h"

namespace hearth::cpu {

// The rows of a step on their way through a weight matrix. One object lives on each thread's stack for one
// stage: the constructor reads (and norms) the input; multiply() gives a block of results for all rows of the
// step.
class Projector {
 public:
  // Collective: all threads construct it together (a barrier lies inside when there are prompt rows).
  Projector(Step& step, uint32_t thread, const Input& in);
  ~Projector();
  Projector(const Projector&) = delete;
  Projector& operator=(const Projector&) = delete;

  // y[row·y_stride + r − first] = x[row] · W[r] for all rows of the step and r in [first, first + count).
  void multiply(const LoadedWeight& w, uint32_t first, uint32_t count, float* y, uint32_t y_stride) const;

 private:
  void multiply_exact(const LoadedWeight& w, uint32_t first, uint32_t count, float* y,
                      uint32_t y_stride) const;
  void multiply_prompt(const LoadedWeight& w, uint32_t first, uint32_t count, float* y,
                       uint32_t y_stride) const;
  void pack_prompt(const Input& in) const;

  Step& step_;
  uint32_t thread_;
  uint32_t cols_;
  const float* exact_ = nullptr;  // [exact_rows × cols]
};

// y[n·stride + r − first] = x[n] · W[r] with the generation kernels, any number of rows of x.
void exact_product(const LoadedWeight& w, uint32_t expert, uint32_t first, uint32_t count, const float* x,
                   uint32_t x_stride, uint32_t rows, float* y, uint32_t y_stride);

// Calls unit(first, count) for shares of [0, total) in steps of `size`: a fixed contiguous part per thread
// when all rows are exact (both finish together, memory is read in one stream), dealt out one by one
// otherwise.
template <class F>
void for_units(Step& step, uint32_t thread, uint32_t units, F&& unit) {
  const uint32_t threads = step.device->team().size();
  if (step.prompt_rows() == 0) {
    const uint32_t begin = static_cast<uint32_t>(uint64_t{units} * thread / threads);
    const uint32_t end = static_cast<uint32_t>(uint64_t{units} * (thread + 1) / threads);
    for (uint32_t u = begin; u < end; ++u) unit(u);
    return;
  }
  for (uint32_t u = step.next_unit.fetch_add(1); u < units; u = step.next_unit.fetch_add(1)) unit(u);
}

}  // namespace hearth::cpu
