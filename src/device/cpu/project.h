#pragma once

#include <initializer_list>
#include <span>

#include "device/cpu/stage.h"

namespace hearth::cpu {

// Rows for the generation kernels: floats, and the same as integers if a packed weight is to be
// multiplied with them.
struct ExactRows {
  const float* x = nullptr;
  uint32_t stride = 0;  // floats from one row to the next
  const std::byte* integers = nullptr;
};

// Rounds `rows` rows of `cols` floats into the thread's integers, `together` columns by one scale.
const std::byte* round_exact(const Step& step, uint32_t thread, const float* x, uint32_t rows, uint32_t cols,
                             uint32_t together);

// A block of results: y[row·y_stride + r − first] = x[row] · W[r] for all rows of the step and r in
// [first, first + count).
struct Product {
  const LoadedWeight* w;
  uint32_t first, count;
  float* y;
};

// The rows of a step on their way through a weight matrix. One object lives on each thread's stack for one
// stage: the constructor reads (and norms) the input; multiply() gives a block of results for all rows of the
// step.
class Projector {
 public:
  // Collective: all threads construct it together (a barrier lies inside when there are prompt rows).
  // `weights`: all that will be multiplied with.
  Projector(Step& step, uint32_t thread, const Input& in, std::initializer_list<Weight> weights);
  ~Projector();
  Projector(const Projector&) = delete;
  Projector& operator=(const Projector&) = delete;

  // Side by side, so that activations which came into the cache serve all of them.
  void multiply(std::span<const Product> products, uint32_t y_stride) const;
  void multiply(const Product& product, uint32_t y_stride) const { multiply({&product, 1}, y_stride); }

 private:
  // Panels of weights, one set after the other: while one is multiplied the next is filled, piece by piece.
  class Panels {
   public:
    Panels(const Projector& projector, std::span<const Product> products, uint64_t below, uint32_t y_stride);

    bool left() const;
    void advance();
    void finish();  // fills what is missing
    void multiply(Panels& next) const;

   private:
    static constexpr uint32_t piece_cols = 32;

    void skip_integers();
    void begin();
    void fill_piece();
    ConvertRows converter() const;  // of the set's type, or null
    void fill_rows(const LoadedWeight& w, uint32_t first, uint32_t count, std::byte* panel) const;
    std::byte* memory() const;
    void ask_ahead();

    const Projector* projector_;
    const MatmulKernels* kernels_;
    std::span<const Product> products_;
    uint64_t below_;  // floats of results of the exact rows
    uint32_t y_stride_;
    uint32_t column_ = 0, product_ = 0, row_ = 0;  // of the set, which begins there
    uint32_t rows_ = 0, width_ = 0, pieces_ = 0, piece_ = 0;
    bool second_ = false;
    uint64_t ahead_ = 0, ahead_end_ = 0;  // bytes of packed activations that will be wanted
  };

  bool takes_integers(const LoadedWeight& w) const;
  void pack_prompt(const Input& in, bool panels, uint32_t together) const;

  Step& step_;
  uint32_t thread_;
  uint32_t cols_;
  ExactRows exact_;
};

// y[n·stride + r − first] = x[n] · W[r] with the generation kernels, any number of rows of x.
void exact_product(const LoadedWeight& w, uint32_t expert, uint32_t first, uint32_t count, const ExactRows& x,
                   uint32_t rows, float* y, uint32_t y_stride);

// scale · y + bias, for results [first, first + count) of a row.
inline void finish_block(const RowKernels& k, float scale, const LoadedWeight* bias, uint32_t first,
                         uint32_t count, float* y) {
  if (scale != 1.0F) k.scale(y, scale, count, y);
  if (bias != nullptr) k.add(y, bias->values() + first, count, y);
}

// Turns x by the angles of a row's position, in place; nothing where the model's table of that number is
// empty.
inline void rotate(const Step& step, uint32_t table, float* x, uint32_t row) {
  const RopeTable& rope = step.program->ropes[table];
  const auto pairs = static_cast<uint32_t>(rope.inv_freq.size());
  if (pairs == 0) return;
  const float* cosines = step.rope_row(table, row);
  step.device->table().rows->rope(x, cosines, cosines + pairs, pairs, rope.split);
}

// Collective: calls unit(u) once for each of [0, units). Where all rows are exact each thread has a
// contiguous part, otherwise they are dealt out one by one.
template <class F>
void for_units(Step& step, uint32_t thread, uint32_t units, F&& unit) {
  if (step.prompt_rows() == 0) return step.shares->run(thread, units, unit);
  for (uint32_t u = step.next_unit.fetch_add(1); u < units; u = step.next_unit.fetch_add(1)) unit(u);
}

}  // namespace hearth::cpu
