// Turns the list of operations into stages and runs them: one barrier after each stage.
#include <algorithm>
#include <chrono>
#include <map>

#include "base/error.h"
#include "device/cpu/picture.h"
#include "device/cpu/stage.h"

namespace hearth::cpu {
namespace {

// How often each activation is read: a norm that has a single reader is fused into that reader.
std::vector<uint32_t> readers(const Program& program) {
  std::vector<uint32_t> count(program.acts.size(), 0);
  for (const Op& op : program.ops) {
    for (const Act& in : operands(op).in) {
      if (in) ++count[in.id - 1];
    }
  }
  return count;
}

bool takes_norm(const Op& op) {
  if (const auto* linear = std::get_if<Linear>(&op)) return linear->heads.heads == 0;
  return std::holds_alternative<Qkv>(op) || std::holds_alternative<QkvLatent>(op) ||
         std::holds_alternative<Gated>(op) || std::holds_alternative<Logits>(op) ||
         std::holds_alternative<Pool>(op);
}

struct StageMaker {
  Input in;
  std::unique_ptr<Stage> operator()(const Embed& o) const { return embed_stage(o); }
  std::unique_ptr<Stage> operator()(const Norm& o) const { return norm_stage(o); }
  std::unique_ptr<Stage> operator()(const Linear& o) const {
    return o.heads.heads != 0 ? head_linear_stage(o) : linear_stage(o, in);
  }
  std::unique_ptr<Stage> operator()(const Qkv& o) const { return qkv_stage(o, in); }
  std::unique_ptr<Stage> operator()(const QkvLatent& o) const { return qkv_latent_stage(o, in); }
  std::unique_ptr<Stage> operator()(const Attend& o) const { return attend_stage(o); }
  std::unique_ptr<Stage> operator()(const Gated& o) const { return gated_stage(o, in); }
  std::unique_ptr<Stage> operator()(const Route& o) const { return route_stage(o); }
  std::unique_ptr<Stage> operator()(const Experts& o) const { return experts_stage(o); }
  std::unique_ptr<Stage> operator()(const ShortConv& o) const { return short_conv_stage(o); }
  std::unique_ptr<Stage> operator()(const Scan& o) const { return scan_stage(o); }
  std::unique_ptr<Stage> operator()(const Delta& o) const { return delta_stage(o); }
  std::unique_ptr<Stage> operator()(const Shift& o) const { return shift_stage(o); }
  std::unique_ptr<Stage> operator()(const Combine& o) const { return combine_stage(o); }
  std::unique_ptr<Stage> operator()(const Patch& o) const { return patch_stage(o); }
  std::unique_ptr<Stage> operator()(const Resample& o) const { return resample_stage(o); }
  std::unique_ptr<Stage> operator()(const Logits& o) const { return logits_stage(o, in); }
  std::unique_ptr<Stage> operator()(const Pool& o) const { return pool_stage(o, in); }
  std::unique_ptr<Stage> operator()(const Transfer& o) const { return transfer_stage(o); }
};

class CpuExecutable final : public Executable {
 public:
  CpuExecutable(CpuDevice& device, const Program& program, const Layout& layout) : layout_(layout) {
    step_.device = &device;
    step_.program = &program;
    step_.layout = &layout_;
    step_.workspace = workspace_of(program, layout.rows, device);
    step_.shares = std::make_unique<Shares>(device.team().size());
    pictures_ = has_pictures(program);
    step_.slices.reserve(pictures_ ? layout.rows : 0);
    step_.pictures.reserve(pictures_ ? layout.rows : 0);
    build(program);
    work_ = [this](uint32_t thread) { run_thread(thread); };
  }

  void run(const StepInputs& inputs) override {
    step_.inputs = inputs;
    step_.rows = static_cast<uint32_t>(inputs.tokens.size());
    step_.exact_rows = inputs.exact_rows;
    if (pictures_) take_pictures(inputs, step_);
    wanted_ = step_.program->outputs == 0 ? 0 : program_rows(inputs);
    step_.device->team().run(work_);
  }

  std::span<const float> results() override {
    const std::span<float> all = step_.device->results();  // none where another device computes the head
    return all.first(std::min(all.size(), wanted_ * step_.program->outputs));
  }

  void trace(TraceSink* sink) override { sink_ = sink; }

 private:
  size_t program_rows(const StepInputs& inputs) const {
    const auto* pool = std::get_if<Pool>(&step_.program->ops.back());
    return pool != nullptr && pool->kind == PoolKind::mean ? inputs.slices.size() : inputs.result_rows.size();
  }

  bool overlap(Act a, Act b) const {
    if (!a || !b) return false;
    const uint64_t at = layout_.offset[a.id - 1], other = layout_.offset[b.id - 1];
    const auto bytes = [&](Act act) { return uint64_t{layout_.rows} * act.cols * sizeof(float); };
    return at < other + bytes(b) && other < at + bytes(a);
  }

  // A norm may be fused into its only reader. What it reads must still be there: for the layout its life ends
  // with the norm, and the reader's result may have taken its place.
  bool fuses(const Norm& norm, const Op& reader) const {
    const Operands o = operands(reader);
    return takes_norm(reader) && o.in[0] == norm.out && !overlap(norm.in, o.out);
  }

  void build(const Program& program) {
    const std::vector<uint32_t> count = readers(program);
    stages_.push_back(rope_stage());
    for (uint32_t i = 0; i < program.ops.size(); ++i) {
      const Norm* norm = nullptr;
      const auto* here = std::get_if<Norm>(&program.ops[i]);
      if (here != nullptr && count[here->out.id - 1] == 1 && i + 1 < program.ops.size() &&
          fuses(*here, program.ops[i + 1])) {
        norm = here;
        ++i;
      }
      const Input in{norm != nullptr ? norm->in : operands(program.ops[i]).in[0], norm};
      auto stage = std::visit(StageMaker{in}, program.ops[i]);
      stage->op = i;
      stages_.push_back(std::move(stage));
    }
  }

  void run_thread(uint32_t thread) {
    using clock = std::chrono::steady_clock;
    auto begin = clock::now();
    for (const auto& stage : stages_) {
      stage->run(step_, thread);
      step_.device->team().barrier();
      if (thread == 0 && sink_ != nullptr) {
        const auto end = clock::now();
        sink_->record({stage->op, std::chrono::duration<double>(end - begin).count()});
        begin = end;
      }
    }
  }

  Layout layout_;
  Step step_;
  bool pictures_ = false;
  size_t wanted_ = 0;
  std::vector<std::unique_ptr<Stage>> stages_;
  std::function<void(uint32_t)> work_;
  TraceSink* sink_ = nullptr;
};

}  // namespace

std::unique_ptr<Executable> CpuDevice::prepare(const Program& program, const Layout& layout) {
  return std::make_unique<CpuExecutable>(*this, program, layout);
}

}  // namespace hearth::cpu
