#pragma once

#include <functional>
#include <memory>

#include "device/vulkan/recorder.h"
#include "device/vulkan/vulkan_device.h"

namespace hearth::vulkan {

std::unique_ptr<Executable> make_executable(VulkanDevice& device, const Program& program,
                                            const Layout& layout);

// A step under way, as the commands see it.
struct StepState {
  Recorder& recorder;
  const StepInputs& inputs;
  uint32_t rows = 0, exact = 0, results = 0, slices = 0;
  uint32_t chunks = 1;                  // of the exact rows' pages at most
  std::vector<uint32_t> prompt_blocks;  // [block size]
  std::vector<uint32_t> page_tables;    // [cache group] words
  double context = 0;                   // tokens that a row sees, on average
};

// Records the dispatches of one operation.
using Command = std::function<void(StepState&)>;

// A binding with an offset that the alignment rule leaves to the shader, in floats.
struct Bound {
  Range range;
  uint32_t at = 0;
};

// What makes commands of operations: bindings, descriptor sets and pipelines, all made before the first step.
class CommandMaker {
 public:
  CommandMaker(VulkanDevice& device, const Program& program, const Layout& layout);
  ~CommandMaker();
  CommandMaker(const CommandMaker&) = delete;
  CommandMaker& operator=(const CommandMaker&) = delete;

  // The command of operation `i`. Those of a program are made in their order.
  Command make(size_t i);
  const Workspace& workspace() const { return workspace_; }
  const StepTables& tables() const { return tables_; }
  Bound act(Act a) const;
  Range staging(uint64_t at, uint64_t bytes) const;
  // Where the crossing copy of the n-th Transfer lies in the staging buffer.
  uint64_t next_crossing(uint64_t bytes);

 private:
  struct Sources {
    Bound input, output, vector, second;
  };
  // A product with all rows of the step or some of them.
  struct Product;
  struct ProductOptions;
  // Makes bytes of activations for products in integers.
  struct Rounding;
  struct ExpertSteps;
  struct GatedPair;

  Command make_op(const Embed& o);
  Command make_op(const Norm& o);
  Command make_op(const Linear& o);
  Command make_op(const Qkv& o);
  Command make_op(const QkvLatent& o);
  Command make_op(const Attend& o);
  Command make_op(const Gated& o);
  Command make_op(const Route& o);
  Command make_op(const Experts& o);
  Command make_op(const Combine& o);
  Command make_op(const Patch& o);
  Command make_op(const Resample& o);
  Command make_op(const Logits& o);
  Command make_op(const Pool& o);
  Command make_op(const Transfer& o);

  Bound bound(const Buffer& buffer, uint64_t at, uint64_t bytes) const;
  Bound scratch(uint64_t at, uint64_t bytes) const;
  Bound vector(Weight w) const;
  Range part(const WeightPart& p) const;
  VkDescriptorSet set(const std::vector<std::pair<uint32_t, Range>>& list, const KvGroup* kv = nullptr,
                      uint32_t layer = 0);
  std::shared_ptr<Product> product(Weight w, const Sources& sources, const ProductOptions& options);
  // For products of these weights with `input`; one that does nothing where all of them are in floats.
  // `halves`: as in ProductOptions.
  std::shared_ptr<Rounding> rounding(const Bound& input, uint32_t cols, std::initializer_list<Weight> weights,
                                     bool halves = true);
  // Is operation `op` one whose input a norm has just made, of which it wants bytes where rows continue
  // sequences? Then the norm makes them.
  bool takes_bytes_of_norm(size_t op) const;
  // None where one kernel cannot read both matrices.
  std::shared_ptr<GatedPair> gated_pair(const Gated& o);
  Bound rounded() const { return scratch(scratch_rounded(), workspace_.rounded); }
  bool integers_for(Weight w) const;
  // What products of this weight read: for rows that continue sequences, for rows of prompts.
  enum class Narrow : uint8_t { none, bytes, halves };
  Narrow narrow_rows(Weight w) const;
  Narrow narrow_prompts(Weight w, bool halves) const;
  VkPipeline tile(Narrow form, const std::string& type, uint32_t experts);
  VkPipeline pipeline(const std::string& name, std::initializer_list<uint32_t> constants) {
    return device_.driver().pipelines.get(name, constants);
  }
  uint64_t scratch_keys() const { return 0; }
  uint64_t scratch_values() const { return workspace_.keys; }
  uint64_t scratch_scores() const { return scratch_values() + workspace_.values; }
  uint64_t scratch_hidden() const { return scratch_scores() + workspace_.scores; }
  uint64_t scratch_mixed() const { return scratch_hidden() + workspace_.hidden; }
  uint64_t scratch_gathered() const { return scratch_mixed() + workspace_.mixed; }
  uint64_t scratch_parts() const { return scratch_gathered() + workspace_.gathered; }
  uint64_t scratch_rounded() const { return scratch_parts() + workspace_.parts; }
  uint64_t scratch_groups() const { return scratch_rounded() + workspace_.rounded; }

 public:
  uint64_t scratch_steps() const { return scratch_groups() + workspace_.groups; }

 private:
  VulkanDevice& device_;
  const Program& program_;
  Layout layout_;
  Workspace workspace_;
  StepTables tables_;
  std::vector<uint32_t> sizes_;  // of blocks
  size_t made_ = 0;              // number of the operation whose command is being made
  uint64_t crossed_ = 0;
  std::vector<VkDescriptorPool> pools_;
  uint32_t left_ = 0;  // sets left in the last pool
};

}  // namespace hearth::vulkan
