// Stages of vision models: Patch cuts pictures into rows, Resample joins rows that are neighbours in them.
#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "base/error.h"
#include "device/cpu/picture.h"
#include "device/cpu/project.h"

namespace hearth::cpu {
namespace {

// A unit is 16 rows. The matrix is small and read once for all of them, as by the rows of generation.
class PatchStage final : public Stage {
 public:
  explicit PatchStage(const Patch& o) : op_(o) {}

  void run(Step& step, uint32_t thread) const override {
    const uint32_t threads = step.device->team().size();
    for (uint32_t r = thread * patch_rows; r < step.rows; r += threads * patch_rows)
      project(step, step.block(thread), r, std::min(patch_rows, step.rows - r));
  }

 private:
  void project(const Step& step, float* patches, uint32_t first, uint32_t rows) const {
    const CpuDevice& d = *step.device;
    const LoadedWeight& w = d.weight(op_.weight);
    const LoadedWeight* positions = d.maybe(op_.positions);
    float* position = patches + uint64_t{patch_rows} * w.cols;
    float* out = step.act(op_.out) + uint64_t{first} * op_.out.cols;
    gather(step, first, rows, patches);
    exact_product(w, 0, 0, w.rows, {patches, w.cols, nullptr}, rows, out, op_.out.cols);
    for (uint32_t r = first; r < first + rows; ++r, out += op_.out.cols) {
      finish_block(*d.table().rows, op_.scale, d.maybe(op_.bias), 0, w.rows, out);
      if (positions == nullptr) continue;
      const uint64_t at = r - slice_of(step, r).first_row;
      positions->kernels->decode(positions->data + at * positions->row_bytes, positions->cols, position);
      d.table().rows->add(out, position, w.rows, out);
    }
  }

  static const Slice& slice_of(const Step& step, uint32_t row) {
    const auto slices = step.inputs.slices;
    return *std::find_if(slices.begin(), slices.end(),
                         [row](const Slice& s) { return row < s.first_row + s.rows; });
  }

  // Pixels of each row's patch, channel by channel.
  void gather(const Step& step, uint32_t first, uint32_t rows, float* out) const {
    for (uint32_t r = first; r < first + rows; ++r) {
      const Slice& slice = slice_of(step, r);
      const Picture& picture = step.inputs.pictures[static_cast<size_t>(&slice - step.inputs.slices.data())];
      const uint32_t at = r - slice.first_row;
      const uint64_t line = uint64_t{picture.across} * op_.size * op_.channels;
      const float* corner = picture.pixels.data() + at / picture.across * op_.size * line +
                            uint64_t{at % picture.across} * op_.size * op_.channels;
      for (uint32_t c = 0; c < op_.channels; ++c) {
        for (uint32_t y = 0; y < op_.size; ++y) {
          const float* pixel = corner + y * line + c;
          for (uint32_t x = 0; x < op_.size; ++x) *out++ = pixel[uint64_t{x} * op_.channels];
        }
      }
    }
  }

  Patch op_;
};

class ResampleStage final : public Stage {
 public:
  explicit ResampleStage(const Resample& o) : op_(o) {}

  void run(Step& step, uint32_t thread) const override {
    const uint32_t threads = step.device->team().size(), f = op_.factor;
    uint32_t to = 0;
    for (size_t s = 0; s < step.inputs.slices.size(); ++s) {
      const Picture& picture = step.inputs.pictures[s];
      const uint32_t across = picture.across / f, rows = picture.down / f * across;
      for (uint32_t r = 0; r < rows; ++r) {
        if ((to + r) % threads != thread) continue;
        const uint32_t corner = r / across * f * picture.across + r % across * f;
        join(step, step.inputs.slices[s].first_row + corner, picture.across, to + r);
      }
      to += rows;
    }
    // Nobody reads the grid as it was any more; the barrier behind the stage shows everybody the new one.
    step.device->team().barrier();
    if (thread == 0) shrink(step);
  }

 private:
  void join(const Step& step, uint32_t corner, uint32_t across, uint32_t to) const {
    const RowKernels& k = *step.device->table().rows;
    const uint32_t cols = op_.in.cols, f = op_.factor;
    float* out = step.act(op_.out) + uint64_t{to} * op_.out.cols;
    for (uint32_t i = 0; i < f * f; ++i) {
      const float* x = step.act(op_.in) + uint64_t{corner + i / f * across + i % f} * cols;
      if (op_.kind == ResampleKind::merge) {
        std::copy_n(x, cols, out + uint64_t{i} * cols);
      } else if (i == 0) {
        std::copy_n(x, cols, out);
      } else {
        k.add(out, x, cols, out);
      }
    }
    if (op_.kind == ResampleKind::average) k.scale(out, 1.0F / static_cast<float>(f * f), cols, out);
  }

  // The step as the stages behind this one see it.
  void shrink(Step& step) const {
    const uint32_t f = op_.factor;
    uint32_t rows = 0, exact = 0;
    for (size_t s = 0; s < step.slices.size(); ++s) {
      Slice& slice = step.slices[s];
      const bool is_exact = slice.first_row + slice.rows <= step.exact_rows;
      slice.first_row = rows;
      slice.rows = slice.rows / f / f;
      step.pictures[s].down /= f;
      step.pictures[s].across /= f;
      rows += slice.rows;
      exact = is_exact ? rows : exact;
    }
    step.rows = rows;
    step.exact_rows = exact;
  }

  Resample op_;
};

[[noreturn]] void unfitting(const std::string& what) {
  throw Error(Code::bad_request, what, "give a picture of a size that the model takes");
}

void check_picture(const Program& program, const Picture& picture, const Slice& slice) {
  uint32_t down = picture.down, across = picture.across;
  if (uint64_t{down} * across != slice.rows || slice.rows == 0)
    unfitting(fmt::format("a picture of {} × {} patches has {} rows", down, across, slice.rows));
  for (const Op& op : program.ops) {
    if (const auto* o = std::get_if<Patch>(&op)) {
      const uint64_t pixels = uint64_t{slice.rows} * o->size * o->size * o->channels;
      if (picture.pixels.size() != pixels)
        unfitting(fmt::format("a picture of {} × {} patches has {} values, expected {}", down, across,
                              picture.pixels.size(), pixels));
      if (o->positions && slice.rows > program.weights[o->positions.id - 1].shape.rows)
        unfitting(fmt::format("a picture has {} patches, the model knows {} positions", slice.rows,
                              program.weights[o->positions.id - 1].shape.rows));
    }
    if (const auto* o = std::get_if<Resample>(&op)) {
      if (down % o->factor != 0 || across % o->factor != 0)
        unfitting(fmt::format("{} × {} rows cannot be joined {} × {}", down, across, o->factor, o->factor));
      down /= o->factor;
      across /= o->factor;
    }
  }
}

}  // namespace

uint64_t patch_floats(const Patch& op) noexcept {
  return uint64_t{patch_rows} * op.size * op.size * op.channels + op.out.cols;
}

bool has_pictures(const Program& program) noexcept {
  return std::any_of(program.ops.begin(), program.ops.end(), [](const Op& op) {
    return std::holds_alternative<Patch>(op) || std::holds_alternative<Resample>(op);
  });
}

void take_pictures(const StepInputs& inputs, Step& step) {
  if (inputs.pictures.size() != inputs.slices.size())
    unfitting(fmt::format("{} pictures for {} slices", inputs.pictures.size(), inputs.slices.size()));
  for (size_t s = 0; s < inputs.slices.size(); ++s)
    check_picture(*step.program, inputs.pictures[s], inputs.slices[s]);
  step.slices.assign(inputs.slices.begin(), inputs.slices.end());
  step.pictures.assign(inputs.pictures.begin(), inputs.pictures.end());
  step.inputs.slices = step.slices;
  step.inputs.pictures = step.pictures;
  step.rows = step.slices.empty() ? 0 : step.slices.back().first_row + step.slices.back().rows;
  if (step.rows > step.layout->rows)
    unfitting(fmt::format("pictures of {} patches, a step takes {}", step.rows, step.layout->rows));
}

std::unique_ptr<Stage> patch_stage(const Patch& op) { return std::make_unique<PatchStage>(op); }
std::unique_ptr<Stage> resample_stage(const Resample& op) { return std::make_unique<ResampleStage>(op); }

}  // namespace hearth::cpu
