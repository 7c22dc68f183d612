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

// Of a row, up to a column that begins a block.
uint64_t bytes_before(const LoadedWeight& w, uint32_t column) {
  const TypeInfo& type = type_info(static_cast<DType>(w.kernels->type));
  return uint64_t{column} / type.block_values * type.block_bytes;
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
    w.product(w.strip(first), count, w.cols, x.integers, rows, y, y_stride);
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
    (takes_integers(loaded) ? integers : panels) = true;
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

bool Projector::takes_integers(const LoadedWeight& w) const {
  return w.packed != nullptr && !step_.device->expands(w);
}

void Projector::multiply(std::span<const Product> products, uint32_t y_stride) const {
  for (const Product& p : products) {
    if (step_.exact_rows > 0)
      exact_product(*p.w, 0, p.first, p.count, exact_, step_.exact_rows, p.y, y_stride);
  }
  if (step_.prompt_rows() == 0) return;
  const uint64_t below = uint64_t{step_.exact_rows} * y_stride;
  for (const Product& p : products) {
    if (!takes_integers(*p.w)) continue;
    p.w->product(p.w->strip(p.first), p.count, cols_, step_.shared_integers(), step_.prompt_rows(),
                 p.y + below, y_stride);
  }
  Panels next(*this, products, below, y_stride);
  next.finish();
  while (next.left()) {
    const Panels now = next;
    next.advance();
    now.multiply(next);
    next.finish();
  }
}

Projector::Panels::Panels(const Projector& projector, std::span<const Product> products, uint64_t below,
                          uint32_t y_stride)
    : projector_(&projector),
      kernels_(&projector.step_.device->matmul()),
      products_(products),
      below_(below),
      y_stride_(y_stride) {
  skip_integers();
  if (left()) begin();
}

bool Projector::Panels::left() const { return column_ < projector_->cols_; }

// Products of integers need no panels. Chunk by chunk, so that all products meet the same activations while
// these are in the cache.
void Projector::Panels::skip_integers() {
  while (left()) {
    for (; product_ < products_.size(); ++product_) {
      if (!projector_->takes_integers(*products_[product_].w)) return;
    }
    product_ = 0;
    column_ += kernels_->cols;
  }
}

void Projector::Panels::advance() {
  row_ += unit_rows;
  if (row_ >= products_[product_].count) {
    row_ = 0;
    ++product_;
    skip_integers();
  }
  if (left()) begin();
}

void Projector::Panels::begin() {
  const Product& p = products_[product_];
  rows_ = std::min(unit_rows, p.count - row_);
  width_ = std::min(kernels_->cols, projector_->cols_ - column_);
  const bool in_columns = p.w->packed != nullptr || converter() != nullptr;
  pieces_ = (rows_ + panel_rows - 1) / panel_rows * (in_columns ? width_ / piece_cols : 1);
  piece_ = 0;
  // The panels that are multiplied meanwhile are the other ones.
  second_ = kernels_->act_rows > 1 && !second_;
  if (row_ > 0 || product_ > 0) return;
  // With a new chunk: the activations of the one after it, or of the next unit's first.
  const uint32_t rows = projector_->step_.prompt_rows(), cols = projector_->cols_;
  const uint32_t after = column_ + width_ < cols ? column_ + width_ : 0;
  ahead_ = act_bytes(*kernels_, rows, after);
  ahead_end_ = act_bytes(*kernels_, rows, std::min(after + kernels_->cols, cols));
}

std::byte* Projector::Panels::memory() const {
  const uint64_t other = second_ ? uint64_t{unit_rows} * kernels_->cols * number_bytes(kernels_->format) : 0;
  return projector_->step_.panel(projector_->thread_) + other;
}

void Projector::Panels::finish() {
  if (!left()) return;
  while (piece_ < pieces_) fill_piece();
}

ConvertRows Projector::Panels::converter() const {
  return kernels_->convert != nullptr ? kernels_->convert[products_[product_].w->kernels->type] : nullptr;
}

// A piece is a few columns of a panel, or a whole one where rows are decoded.
void Projector::Panels::fill_piece() {
  const LoadedWeight& w = *products_[product_].w;
  const ConvertRows convert = converter();
  const uint32_t number = piece_++, bytes = number_bytes(kernels_->format);
  const uint32_t each = w.packed != nullptr || convert != nullptr ? width_ / piece_cols : 1;
  const uint32_t r = number / each * panel_rows, c = number % each * piece_cols;
  const uint32_t first = products_[product_].first + row_ + r, count = std::min(panel_rows, rows_ - r);
  std::byte* to = memory() + (uint64_t{r} * width_ + uint64_t{c} * panel_rows) * bytes;
  if (w.packed != nullptr) {
    projector_->step_.device->expand(w)(w.strip(first), w.cols, column_ + c, piece_cols, to);
  } else if (convert != nullptr) {
    convert(w.row(first) + bytes_before(w, column_ + c), w.row_bytes, count, piece_cols, to);
  } else {
    fill_rows(w, first, count, to);
  }
}

void Projector::Panels::fill_rows(const LoadedWeight& w, uint32_t first, uint32_t count,
                                  std::byte* panel) const {
  const uint64_t begin = bytes_before(w, column_);
  // The decoded rows of one panel lie behind the panels themselves.
  std::byte* panels = projector_->step_.panel(projector_->thread_);
  float* decoded = reinterpret_cast<float*>(panels + uint64_t{unit_rows} * most_panel_cols * sizeof(float));
  for (uint32_t i = 0; i < count; ++i)
    w.kernels->decode(w.row(first + i) + begin, width_, decoded + i * width_);
  kernels_->pack_panel(decoded, width_, count, width_, panel);
}

// Into the second level of the cache, piece by piece: most of what a chunk waits for is in the third.
void Projector::Panels::ask_ahead() {
  constexpr uint64_t at_once = 2048, line = 64;
  const std::byte* acts = projector_->step_.shared_acts();
  const uint64_t end = std::min(ahead_ + at_once, ahead_end_);
  for (; ahead_ < end; ahead_ += line) __builtin_prefetch(acts + ahead_, 0, 2);
}

void Projector::Panels::multiply(Panels& next) const {
  const Step& step = projector_->step_;
  const auto some = [](void* work) {
    auto& panels = *static_cast<Panels*>(work);
    panels.ask_ahead();
    if (panels.left() && panels.piece_ < panels.pieces_) panels.fill_piece();
  };
  const Meanwhile meanwhile = {some, &next};
  const uint32_t rows = step.prompt_rows();
  kernels_->run(memory(), rows_, step.shared_acts() + act_bytes(*kernels_, rows, column_), rows, width_,
                products_[product_].y + below_ + row_, y_stride_, column_ > 0, &meanwhile);
}

}  // namespace hearth::cpu
