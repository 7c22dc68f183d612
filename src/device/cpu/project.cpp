#include "device/cpu/project.h"

#include <algorithm>
#include <cstring>

#include "device/cpu/packed.h"

namespace hearth::cpu {
namespace {

constexpr uint32_t gemv_rows = 8;  // activation rows that a generation kernel takes at once

uint32_t number_bytes(PanelFormat format) { return format == PanelFormat::f32 ? 4 : 2; }

// Of `cols` columns of packed activations.
uint64_t act_bytes(const MatmulKernels& k, uint32_t rows, uint32_t cols) {
  return (rows + k.act_rows - 1) / k.act_rows * k.act_rows * uint64_t{cols} * number_bytes(k.format);
}

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
  bool panels = false, integers = false;  // what prompt rows meet
  uint32_t together = 0;                  // what suits blocks suits smaller ones too
  for (const Weight w : weights) {
    const LoadedWeight& loaded = step.device->weight(w);
    together = std::max(together, loaded.together());
    const bool expands = loaded.packed == nullptr || step.device->expands(loaded);
    (expands ? panels : integers) = true;
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
    pack_prompt(in, panels, integers ? together : 0);
    if (thread == 0) step.next_unit.store(0, std::memory_order_relaxed);
    step.device->team().barrier();
    if (step.device->matmul().enter != nullptr) step.device->matmul().enter();
  }
}

Projector::~Projector() {
  if (step_.prompt_rows() > 0 && step_.device->matmul().leave != nullptr) step_.device->matmul().leave();
}

// The packed activations are cut along the columns: chunk after chunk of a panel's columns of all prompt
// rows, so that a panel meets a dense block. Packed weights want integers, the others panels' numbers; a
// stage may need both.
void Projector::pack_prompt(const Input& in, bool panels, uint32_t together) const {
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
    for (uint32_t c = 0; panels && c < cols_; c += k.cols) {
      const uint32_t width = std::min(k.cols, cols_ - c);
      k.pack_acts(source + c, r, width, step_.shared_acts() + act_bytes(k, rows, c));
    }
  }
}

void Projector::multiply(std::span<const Product> products, uint32_t y_stride) const {
  const CpuDevice& d = *step_.device;
  const auto integers = [&](const LoadedWeight& w) { return w.packed != nullptr && !d.expands(w); };
  for (const Product& p : products) {
    if (step_.exact_rows > 0)
      exact_product(*p.w, 0, p.first, p.count, exact_, step_.exact_rows, p.y, y_stride);
  }
  if (step_.prompt_rows() == 0) return;
  const uint64_t below = uint64_t{step_.exact_rows} * y_stride;
  for (const Product& p : products) {
    if (!integers(*p.w)) continue;
    p.w->packed_kernels->product(p.w->strip(p.first), p.count, cols_, step_.shared_integers(),
                                 step_.prompt_rows(), p.y + below, y_stride);
  }
  // Chunk by chunk, so that all meet the same activations while these are in the cache.
  for (uint32_t c = 0; c < cols_; c += d.matmul().cols) {
    for (const Product& p : products) {
      if (!integers(*p.w)) multiply_panels(p, c, p.y + below, y_stride);
    }
  }
}

void Projector::multiply_panels(const Product& p, uint32_t c, float* y, uint32_t y_stride) const {
  const MatmulKernels& k = step_.device->matmul();
  const uint32_t rows = step_.prompt_rows(), width = std::min(k.cols, cols_ - c);
  std::byte* panels = step_.panel(thread_);
  for (uint32_t f = 0; f < p.count; f += unit_rows) {
    const uint32_t block = std::min(unit_rows, p.count - f);
    fill_panels(*p.w, p.first + f, block, c, width);
    k.run(panels, block, step_.shared_acts() + act_bytes(k, rows, c), rows, width, y + f, y_stride, c > 0);
  }
}

// Columns [c, c + width) of `count` weight rows into the thread's panels.
void Projector::fill_panels(const LoadedWeight& w, uint32_t first, uint32_t count, uint32_t c,
                            uint32_t width) const {
  const MatmulKernels& k = step_.device->matmul();
  const uint32_t bytes = number_bytes(k.format);
  const TypeInfo& type = type_info(static_cast<DType>(w.kernels->type));
  const uint64_t begin = uint64_t{c} / type.block_values * type.block_bytes;
  std::byte* panels = step_.panel(thread_);
  // The decoded rows of one panel lie behind the panels themselves.
  float* decoded = reinterpret_cast<float*>(panels + uint64_t{unit_rows} * most_panel_cols * sizeof(float));
  for (uint32_t r = 0; r < count; r += panel_rows) {
    std::byte* panel = panels + uint64_t{r} * width * bytes;
    if (w.packed != nullptr) {
      step_.device->expand(w)(w.strip(first + r), cols_, c, width, panel);
      continue;
    }
    const uint32_t some = std::min(panel_rows, count - r);
    for (uint32_t i = 0; i < some; ++i)
      w.kernels->decode(w.row(first + r + i) + begin, width, decoded + i * width);
    k.pack_panel(decoded, width, some, width, panel);
  }
}

}  // namespace hearth::cpu
