#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "device/cpu/cpu_device.h"
#include "device/cpu/shares.h"
#include "device/layout.h"

namespace hearth::cpu {

// What all stages of a step share. Written by thread 0 before the step, read by all.
struct Step {
  CpuDevice* device = nullptr;
  const Program* program = nullptr;
  const Layout* layout = nullptr;
  Workspace workspace;
  StepInputs inputs;
  uint32_t rows = 0, exact_rows = 0;
  // Of pictures, whose shapes change within the step: what inputs.slices and inputs.pictures refer to.
  std::vector<Slice> slices;
  std::vector<Picture> pictures;
  std::atomic<uint32_t> next_unit{0};  // dealt out within the running stage
  std::unique_ptr<Shares> shares;      // of generated rows

  uint32_t prompt_rows() const { return rows - exact_rows; }
  float* act(Act a) const { return reinterpret_cast<float*>(device->arena() + layout->offset[a.id - 1]); }
  std::byte* shared_acts() const { return device->scratch(); }
  // Prompt rows as integers, [prompt rows][integer_row(cols)].
  std::byte* shared_integers() const { return device->scratch() + workspace.acts; }
  float* shared_experts() const {
    return reinterpret_cast<float*>(device->scratch() + workspace.acts + workspace.integers);
  }
  // Cosines, then sines, of a row's position for one of the program's rope tables.
  float* rope_row(uint32_t table, uint32_t row) const {
    const uint64_t before = workspace.rope_offset[table];
    return reinterpret_cast<float*>(device->scratch() + workspace.acts + workspace.integers +
                                    workspace.experts + before) +
           2 * uint64_t{row} * program->ropes[table].inv_freq.size();
  }
  std::byte* thread_part(uint32_t thread) const {
    return device->scratch() + workspace.shared() + thread * workspace.per_thread();
  }
  float* block(uint32_t thread) const { return reinterpret_cast<float*>(thread_part(thread)); }
  std::byte* panel(uint32_t thread) const { return thread_part(thread) + workspace.block; }
  float* norm_rows(uint32_t thread) const {
    return reinterpret_cast<float*>(thread_part(thread) + workspace.block + workspace.panel);
  }
  // Exact rows as integers, [rows][integer_row(cols)].
  std::byte* exact_integers(uint32_t thread) const {
    return thread_part(thread) + workspace.block + workspace.panel + workspace.norm;
  }
};

// A part of a step that all threads work on; the executor puts one barrier after it. A stage that multiplies
// rows of a prompt uses one more inside, between packing the activations and using them; Experts and Resample
// have their own.
class Stage {
 public:
  virtual ~Stage() = default;
  virtual void run(Step& step, uint32_t thread) const = 0;
  uint32_t op = 0;  // of the program, for traces: the last one fused into this stage
};

// The rows a projection reads: an activation, with the norm that was fused into reading it.
struct Input {
  Act act;
  const Norm* norm = nullptr;
};

std::unique_ptr<Stage> embed_stage(const Embed& op);
std::unique_ptr<Stage> rope_stage();
std::unique_ptr<Stage> norm_stage(const Norm& op);
std::unique_ptr<Stage> linear_stage(const Linear& op, Input in);
std::unique_ptr<Stage> head_linear_stage(const Linear& op);  // with one matrix per head
std::unique_ptr<Stage> qkv_stage(const Qkv& op, Input in);
std::unique_ptr<Stage> qkv_latent_stage(const QkvLatent& op, Input in);
std::unique_ptr<Stage> attend_stage(const Attend& op);
std::unique_ptr<Stage> gated_stage(const Gated& op, Input in);
std::unique_ptr<Stage> route_stage(const Route& op);
uint64_t route_floats(const Route& op) noexcept;  // of scratch memory, per thread
std::unique_ptr<Stage> experts_stage(const Experts& op);
std::unique_ptr<Stage> short_conv_stage(const ShortConv& op);
std::unique_ptr<Stage> scan_stage(const Scan& op);
std::unique_ptr<Stage> delta_stage(const Delta& op);
std::unique_ptr<Stage> shift_stage(const Shift& op);
std::unique_ptr<Stage> combine_stage(const Combine& op);
std::unique_ptr<Stage> transfer_stage(const Transfer& op);
std::unique_ptr<Stage> patch_stage(const Patch& op);
std::unique_ptr<Stage> resample_stage(const Resample& op);
std::unique_ptr<Stage> logits_stage(const Logits& op, Input in);
std::unique_ptr<Stage> pool_stage(const Pool& op, Input in);

// f(row, page, slot in the page) for every row of a slice.
template <class F>
void each_token(const Step& step, uint32_t group, const Slice& slice, F&& f) {
  const size_t s = static_cast<size_t>(&slice - step.inputs.slices.data());
  const auto pages = step.inputs.page_tables[group].subspan(s * step.inputs.table_stride);
  for (uint32_t i = 0; i < slice.rows; ++i) {
    const uint32_t at = slice.cached + i;
    f(slice.first_row + i, pages[at / page_tokens], at % page_tokens);
  }
}

// Norms `row` values of x into out, or copies where there is no norm.
void read_row(const Step& step, const Norm* norm, const float* x, uint32_t cols, float* out);

}  // namespace hearth::cpu
