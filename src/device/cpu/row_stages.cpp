// Stages without a weight matrix: Embed, Norm, Combine, Transfer.
#include <algorithm>
#include <cmath>

#include "device/cpu/stage.h"

namespace hearth::cpu {
namespace {

// The thread's share of the step's rows.
struct Share {
  uint32_t begin, end;
};
Share share(const Step& step, uint32_t thread) {
  const uint64_t threads = step.device->team().size();
  return {static_cast<uint32_t>(uint64_t{step.rows} * thread / threads),
          static_cast<uint32_t>(uint64_t{step.rows} * (thread + 1) / threads)};
}

class EmbedStage final : public Stage {
 public:
  explicit EmbedStage(const Embed& o) : op_(o) {}
  void run(Step& step, uint32_t thread) const override {
    const LoadedWeight& table = step.device->weight(op_.table);
    const Share rows = share(step, thread);
    for (uint32_t r = rows.begin; r < rows.end; ++r) {
      float* out = step.act(op_.out) + uint64_t{r} * op_.out.cols;
      const auto token = static_cast<uint64_t>(step.inputs.tokens[r].value);
      table.kernels->decode(table.data + token * table.row_bytes, table.cols, out);
      if (op_.scale != 1.0F) step.device->table().rows->scale(out, op_.scale, op_.out.cols, out);
    }
  }

 private:
  Embed op_;
};

// Sines and cosines of the step's positions, once for all layers and heads. In double: position · frequency
// loses digits that a cosine needs.
class RopeStage final : public Stage {
 public:
  void run(Step& step, uint32_t thread) const override {
    const Share rows = share(step, thread);
    for (uint32_t t = 0; t < step.program->ropes.size(); ++t) {
      const RopeTable& rope = step.program->ropes[t];
      const size_t pairs = rope.inv_freq.size();
      for (uint32_t r = rows.begin; r < rows.end; ++r) {
        float* out = step.rope_row(t, r);
        for (size_t i = 0; i < pairs; ++i) {
          const double angle =
              static_cast<double>(step.inputs.positions[r]) * static_cast<double>(rope.inv_freq[i]);
          out[i] = static_cast<float>(std::cos(angle)) * rope.magnitude;
          out[pairs + i] = static_cast<float>(std::sin(angle)) * rope.magnitude;
        }
      }
    }
  }
};

class NormStage final : public Stage {
 public:
  explicit NormStage(const Norm& o) : op_(o) {}
  void run(Step& step, uint32_t thread) const override {
    const Share rows = share(step, thread);
    for (uint32_t r = rows.begin; r < rows.end; ++r) {
      read_row(step, &op_, step.act(op_.in) + uint64_t{r} * op_.in.cols, op_.in.cols,
               step.act(op_.out) + uint64_t{r} * op_.out.cols);
    }
  }

 private:
  Norm op_;
};

class CombineStage final : public Stage {
 public:
  explicit CombineStage(const Combine& o) : op_(o) {}
  void run(Step& step, uint32_t thread) const override {
    const RowKernels& k = *step.device->table().rows;
    const Share rows = share(step, thread);
    const uint32_t cols = op_.out.cols;
    for (uint32_t r = rows.begin; r < rows.end; ++r) {
      float* out = step.act(op_.out) + uint64_t{r} * cols;
      k.scale(step.act(op_.in) + uint64_t{r} * cols, op_.a, cols, out);
      if (!op_.other) continue;
      const float* other = step.act(op_.other) + uint64_t{r} * cols;
      for (uint32_t i = 0; i < cols; ++i) out[i] += op_.b * other[i];
    }
  }

 private:
  Combine op_;
};

// To or from the host's copy of an activation, [rows × cols] without gaps.
class TransferStage final : public Stage {
 public:
  explicit TransferStage(const Transfer& o) : op_(o) {}
  void run(Step& step, uint32_t thread) const override {
    const Share rows = share(step, thread);
    const Act act = op_.to_host ? op_.in : op_.out;
    const size_t first = size_t{rows.begin} * act.cols, count = size_t{rows.end - rows.begin} * act.cols;
    float* mine = step.act(act) + first;
    float* host = step.inputs.host[op_.slot].data() + first;
    std::copy_n(op_.to_host ? mine : host, count, op_.to_host ? host : mine);
  }

 private:
  Transfer op_;
};

}  // namespace

std::unique_ptr<Stage> embed_stage(const Embed& op) { return std::make_unique<EmbedStage>(op); }
std::unique_ptr<Stage> rope_stage() { return std::make_unique<RopeStage>(); }
std::unique_ptr<Stage> norm_stage(const Norm& op) { return std::make_unique<NormStage>(op); }
std::unique_ptr<Stage> transfer_stage(const Transfer& op) { return std::make_unique<TransferStage>(op); }
std::unique_ptr<Stage> combine_stage(const Combine& op) { return std::make_unique<CombineStage>(op); }

}  // namespace hearth::cpu
