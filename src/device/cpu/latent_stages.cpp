// What latent attention needs beside the common stages: QkvLatent, and Linear with one matrix per head.
#include <algorithm>

#include "device/cpu/latent.h"
#include "device/cpu/project.h"

namespace hearth::cpu {
namespace {

// A unit is a head's queries, or the slices' latent rows.
class QkvLatentStage final : public Stage {
 public:
  QkvLatentStage(const QkvLatent& o, Input in) : op_(o), in_(in) {}

  void run(Step& step, uint32_t thread) const override {
    const Projector projector(step, thread, in_, {op_.wq});
    const auto slices = static_cast<uint32_t>(step.inputs.slices.size());
    for_units(step, thread, op_.shape.heads + slices, [&](uint32_t u) {
      if (u < op_.shape.heads) {
        query(step, thread, projector, u);
      } else {
        remember(step, thread, step.inputs.slices[u - op_.shape.heads]);
      }
    });
  }

 private:
  // Norms, rotates and stores the slice's rows.
  void remember(const Step& step, uint32_t thread, const Slice& slice) const {
    const CpuDevice& d = *step.device;
    const KvGroup& kv = d.kv(op_.kv.group);
    const KvKernels& k = *d.table().kv[static_cast<size_t>(kv.types.k)];
    const LatentShape& s = op_.shape;
    float* row = step.block(thread);
    each_token(step, op_.kv.group, slice, [&](uint32_t r, PageId page, uint32_t slot) {
      const float* x = step.act(op_.latent) + uint64_t{r} * op_.latent.cols;
      d.table().rows->rms_norm(x, d.weight(op_.gain).values(), s.latent, op_.eps, row);
      std::copy_n(x + s.latent, s.rotated, row + s.latent);
      rotate(step, op_.rope, row + s.latent, r);
      k.store(row, s.key(), kv.k(op_.kv.layer, page, 0) + slot * kv.k_row);
    });
  }

  void query(const Step& step, uint32_t thread, const Projector& projector, uint32_t head) const {
    const CpuDevice& d = *step.device;
    const LatentShape& s = op_.shape;
    const uint32_t size = s.plain + s.rotated;
    float* block = step.block(thread);
    projector.multiply({&d.weight(op_.wq), head * size, size, block}, size);
    float* out = step.act(op_.q) + uint64_t{head} * s.key();
    for (uint32_t r = 0; r < step.rows; ++r) {
      float* x = block + uint64_t{r} * size;
      finish_block(*d.table().rows, op_.scale_q, d.maybe(op_.bq), head * size, size, x);
      float* rotated = out + uint64_t{r} * op_.q.cols + s.latent;
      std::copy_n(x + s.plain, s.rotated, rotated);
      rotate(step, op_.rope, rotated, r);
    }
    const uint32_t first = head * op_.keys.pitch + op_.keys.first;
    if (op_.upright) {
      absorb_upright(step, first, block, block + uint64_t{step.rows} * size, out);
    } else {
      exact_product(d.weight(op_.wk), 0, first, s.latent, {block, size, nullptr}, step.rows, out, op_.q.cols);
    }
    for (uint32_t r = 0; op_.scale_k != 1.0F && r < step.rows; ++r) {
      float* y = out + uint64_t{r} * op_.q.cols;
      d.table().rows->scale(y, op_.scale_k, s.latent, y);
    }
  }

  // out += Σ over the plain part of q[p] · row p of the matrix: the sum that attention makes of values. Rows
  // are decoded once for all queries.
  void absorb_upright(const Step& step, uint32_t first, const float* q, float* decoded, float* out) const {
    const LoadedWeight& w = step.device->weight(op_.wk);
    const KvKernels& k = *step.device->table().kv[static_cast<size_t>(KvType::f32)];
    const LatentShape& s = op_.shape;
    for (uint32_t r = 0; r < step.rows; ++r) std::fill_n(out + uint64_t{r} * op_.q.cols, s.latent, 0.0F);
    for (uint32_t p = 0; p < s.plain; p += upright_rows) {
      const uint32_t some = std::min(upright_rows, s.plain - p);
      for (uint32_t i = 0; i < some; ++i)
        w.kernels->decode(w.row(first + p + i), s.latent, decoded + uint64_t{i} * s.latent);
      for (uint32_t r = 0; r < step.rows; r += mixed_rows) {
        k.mix(decoded, s.latent * sizeof(float), some, s.latent, q + uint64_t{r} * (s.plain + s.rotated) + p,
              s.plain + s.rotated, std::min(mixed_rows, step.rows - r), out + uint64_t{r} * op_.q.cols,
              op_.q.cols);
      }
    }
  }

  static constexpr uint32_t mixed_rows = 16;  // that the kernel takes at once

  QkvLatent op_;
  Input in_;
};

// A unit is a head × 64 rows of the step. The matrices are small and stay in the caches, so that products row
// by row, as for generation, serve prompts too.
class HeadLinearStage final : public Stage {
 public:
  explicit HeadLinearStage(const Linear& o) : op_(o) {}

  void run(Step& step, uint32_t thread) const override {
    const uint32_t threads = step.device->team().size();
    const uint32_t blocks = (step.rows + head_rows - 1) / head_rows;
    for (uint32_t u = thread; u < op_.heads.heads * blocks; u += threads) {
      const uint32_t row = u % blocks * head_rows;
      multiply(step, step.block(thread), u / blocks, row, std::min(head_rows, step.rows - row));
    }
  }

 private:
  void multiply(const Step& step, float* block, uint32_t head, uint32_t row, uint32_t rows) const {
    const CpuDevice& d = *step.device;
    const RowKernels& k = *d.table().rows;
    const LoadedWeight& w = d.weight(op_.weight);
    const uint32_t count = op_.heads.rows, at = head * count;
    const float* x = step.act(op_.in) + uint64_t{row} * op_.in.cols + uint64_t{head} * w.cols;
    exact_product(w, 0, head * op_.heads.pitch + op_.heads.first, count, {x, op_.in.cols, nullptr}, rows,
                  block, count);
    for (uint32_t r = row; r < row + rows; ++r, block += count) {
      float* out = step.act(op_.out) + uint64_t{r} * op_.out.cols + at;
      finish_block(k, op_.scale, d.maybe(op_.bias), at, count, block);
      if (op_.act != Act1::none) k.gated(static_cast<Activation>(op_.act), block, nullptr, count, block);
      if (op_.residual) {
        k.add(block, step.act(op_.residual) + uint64_t{r} * op_.out.cols + at, count, out);
      } else {
        std::copy_n(block, count, out);
      }
    }
  }

  Linear op_;
};

}  // namespace

uint64_t latent_floats(const QkvLatent& op, uint64_t rows) noexcept {
  const LatentShape& s = op.shape;
  const uint64_t queries =
      rows * (s.plain + s.rotated) + (op.upright ? uint64_t{upright_rows} * s.latent : 0);
  return std::max<uint64_t>(queries, s.key());
}

uint64_t head_linear_floats(const Linear& op, uint64_t rows) noexcept {
  return std::min<uint64_t>(rows, head_rows) * op.heads.rows;
}

std::unique_ptr<Stage> qkv_latent_stage(const QkvLatent& op, Input in) {
  return std::make_unique<QkvLatentStage>(op, in);
}
std::unique_ptr<Stage> head_linear_stage(const Linear& op) { return std::make_unique<HeadLinearStage>(op); }

}  // namespace hearth::cpu
