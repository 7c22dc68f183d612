#include "device/cpu/project.h"

#include <algorithm>
#include <cstring>

#include "device/cpu/packed.h"

namespace hearth::cpu {
namespace {

constexpr uint32_t gemv_rows = 8;  // activation rows that a generation kernel takes at once

uint32_t number_bytes(PanelFormat format) { return format == PanelFormat::f32 ? 4 : 2; }

}  // namespace

void read_row(const Step& step, const Norm* norm, const float* x, uint32_t cols, float* out) {
  if (norm == nullptr) {
    std::memcpy(out, x, cols * sizeof(float));
    return;
  }
  const RowKernels& k = *step.device->table().rows;
  const LoadedWeight* gain = step.device->maybe(norm->gain);
  const LoadedWeight* bias = step.device->maybe(norm->bias);
  const uint32_t size = cols / norm->parts;
  for (uint32_t at = 0; at < cols; at += size) {
    const float* gains = gain != nullptr ? gain->values() + at : nullptr;
    const float* biases = bias != nullptr ? bias->values() + at : nullptr;
    if (norm->kind == NormKind::rms) {
      k.rms_norm(x + at, gains, size, norm->eps, out + at);
      if (biases != nullptr) k.add(out + at, biases, size, out + at);
    } else {
      k.layer_norm(x + at, gains, biases, size, norm->eps, out + at);
    }
  }
}

void exact_product(const LoadedWeight& w, uint32_t expert, uint32_t first, uint32_t count, const ExactRows& x,
                   uint32_t rows, float* y, uint32_t y_stride) {
  if (w.packed != nullptr) {
    w.packed_kernels->product(w.strip(first), count, w.cols, x.integers, rows, y, y_stride);
    return;
  }
  for (uint32_t n = 0; n < rows; n += gemv_rows) {
    w.kernels->gemv(w.row(first, expert), w.row_bytes, count, w.cols, x.x + uint64_t{n} * x.stride, x.stride,
                    std::min(gemv_rows, rows - n), y + uint64_t{n} * y_stride, y_stride);
  }
}

const std::byte* round_exact(const Step& step, uint32_t thread, const float* x, uint32_t rows, uint32_t cols,
                             uint32_t together) {
  std::byte* out = step.exact_integers(thread);
  const size_t bytes = integer_row(cols).bytes;
  for (uint32_t r = 0; r < rows; ++r)
    step.device->table().round_row(x + uint64_t{r} * cols, cols, together, out + r * bytes);
  return out;
}

Projector::Projector(Step& step, uint32_t thread, const Input& in, std::initializer_list<Weight> weights)
    : step_(step), thread_(thread), cols_(in.act.cols) {
  bool rows = false;
  uint32_t together = 0;  // what suits blocks suits smaller ones too
  for (const Weight w : weights) {
    const LoadedWeight& loaded = step.device->weight(w);
    together = std::max(together, loaded.together());
    rows = rows || loaded.packed == nullptr || step.device->expands(loaded);
  }
  const float* x = step.act(in.act);
  exact_ = {x, cols_, nullptr};
  if (in.norm != nullptr && step.exact_rows > 0) {
    // Every thread norms the few rows for itself: cheaper than meeting once more.
    float* own = step.norm_rows(thread);
    for (uint32_t r = 0; r < step.exact_rows; ++r) {
      read_row(step, in.norm, x + uint64_t{r} * cols_, cols_, own + uint64_t{r} * cols_);
    }
    exact_.x = own;
  }
  if (together > 0) exact_.integers = round_exact(step, thread, exact_.x, step.exact_rows, cols_, together);
  if (step.prompt_rows() > 0) {
    pack_prompt(in, rows, together);
    if (thread == 0) step.next_unit.store(0, std::memory_order_relaxed);
    step.device->team().barrier();
    if (step.device->matmul().enter != nullptr) step.device->matmul().enter();
  }
}

Projector::~Projector() {
  if (step_.prompt_rows() > 0 && step_.device->matmul().leave != nullptr) step_.device->matmul().leave();
}

// The packed activations are cut along the columns: chunk after chunk [prompt rows][panel_cols], so that a
// panel meets a dense block.
// Packed weights want integers, the others panels' numbers; a stage may need both.
void Projector::pack_prompt(const Input& in, bool rows_wanted, uint32_t together) const {
  const MatmulKernels& k = step_.device->matmul();
  const uint32_t rows = step_.prompt_rows(), threads = step_.device->team().size();
  const float* x = step_.act(in.act) + uint64_t{step_.exact_rows} * cols_;
  float* row = reinterpret_cast<float*>(step_.panel(thread_));
  const uint32_t begin = static_cast<uint32_t>(uint64_t{rows} * thread_ / threads);
  const uint32_t end = static_cast<uint32_t>(uint64_t{rows} * (thread_ + 1) / threads);
  for (uint32_t r = begin; r < end; ++r) {
    const float* source = x + uint64_t{r} * cols_;
    if (in.norm != nullptr) {
      read_row(step_, in.norm, source, cols_, row);
      source = row;
    }
    if (together > 0) {
      const size_t bytes = integer_row(cols_).bytes;
      step_.device->table().round_row(source, cols_, together, step_.shared_integers() + r * bytes);
    }
    for (uint32_t c = 0; rows_wanted && c < cols_; c += panel_cols) {
      const uint32_t width = std::min(panel_cols, cols_ - c);
      std::byte* chunk = step_.shared_acts() + uint64_t{rows} * c * number_bytes(k.format);
      k.pack_acts(source + c, cols_, 1, width, chunk + uint64_t{r} * width * number_bytes(k.format));
    }
  }
}

void Projector::multiply(const LoadedWeight& w, uint32_t first, uint32_t count, float* y,
                         uint32_t y_stride) const {
  if (step_.exact_rows > 0) multiply_exact(w, first, count, y, y_stride);
  if (step_.prompt_rows() == 0) return;
  y += uint64_t{step_.exact_rows} * y_stride;
  if (w.packed != nullptr && !step_.device->expands(w)) {
    multiply_packed(w, first, count, y, y_stride);
  } else {
    multiply_prompt(w, first, count, y, y_stride);
  }
}

void Projector::multiply_packed(const LoadedWeight& w, uint32_t first, uint32_t count, float* y,
                                uint32_t y_stride) const {
  w.packed_kernels->product(w.strip(first), count, cols_, step_.shared_integers(), step_.prompt_rows(), y,
                            y_stride);
}

void Projector::multiply_exact(const LoadedWeight& w, uint32_t first, uint32_t count, float* y,
                               uint32_t y_stride) const {
  exact_product(w, 0, first, count, exact_, step_.exact_rows, y, y_stride);
}

void Projector::multiply_prompt(const LoadedWeight& w, uint32_t first, uint32_t count, float* y,
                                uint32_t y_stride) const {
  const MatmulKernels& k = step_.device->matmul();
  const uint32_t rows = step_.prompt_rows();
  const uint32_t bytes = number_bytes(k.format);
  std::byte* panels = step_.panel(thread_);
  const uint32_t block_values = type_info(static_cast<DType>(w.kernels->type)).block_values;
  const uint64_t block_bytes = type_info(static_cast<DType>(w.kernels->type)).block_bytes;
  // The decoded rows of one panel lie behind the panels themselves.
  float* decoded = reinterpret_cast<float*>(panels + uint64_t{unit_rows} * panel_cols * sizeof(float));
  for (uint32_t f = 0; f < count; f += unit_rows) {
    const uint32_t block = std::min(unit_rows, count - f);
    for (uint32_t c = 0; c < cols_; c += panel_cols) {
      const uint32_t width = std::min(panel_cols, cols_ - c);
      for (uint32_t r = 0; r < block; r += panel_rows) {
        const uint32_t some = std::min(panel_rows, block - r);
        if (w.packed != nullptr) {
          step_.device->expand(w)(w.strip(first + f + r), cols_, c, width,
                                  panels + uint64_t{r} * width * bytes);
          continue;
        }
        for (uint32_t i = 0; i < some; ++i) {
          w.kernels->decode(w.row(first + f + r + i) + c / block_values * block_bytes, width,
                            decoded + i * width);
        }
        k.pack_panel(decoded, width, some, width, panels + uint64_t{r} * width * bytes);
      }
      k.run(panels, block, step_.shared_acts() + uint64_t{rows} * c * bytes, rows, width, y + f, y_stride,
            c > 0);
    }
  }
}

}  // namespace hearth::cpu
