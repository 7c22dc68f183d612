// Operations as dispatches: those without attention and experts. Bindings and descriptor sets.
#include <fmt/format.h>

#include <algorithm>

#include "base/checked.h"
#include "base/error.h"
#include "device/vulkan/product.h"

namespace hearth::vulkan {
namespace {

constexpr uint32_t sets_of_pool = 256;

struct NormPush {
  uint32_t cols = 0, x_at = 0, y_at = 0, gain_at = 0, bias_at = 0, flags = 0;
  float eps = 0;
  uint32_t to_round = 0, rounded_at = 0;
};
struct CombinePush {
  uint32_t count = 0, x_at = 0, y_at = 0, other_at = 0;
  float a = 1, b = 0;
};
struct GatherPush {
  uint32_t cols = 0, x_at = 0, y_at = 0, list_at = 0, sum = 0;
};

[[noreturn]] void refused(const char* what) {
  throw Error(Code::bug, fmt::format("{} was given to a device that refuses it", what), "report this model");
}

}  // namespace

CommandMaker::CommandMaker(VulkanDevice& device, const Program& program, const Layout& layout)
    : device_(device),
      program_(program),
      layout_(layout),
      workspace_(workspace_of(program, layout.rows)),
      tables_(step_tables(program, layout.rows)),
      sizes_(block_sizes(program)) {}

CommandMaker::~CommandMaker() {
  const Gpu& gpu = device_.driver().gpu;
  for (const VkDescriptorPool pool : pools_) gpu.api().vkDestroyDescriptorPool(gpu.handle(), pool, nullptr);
}

Command CommandMaker::make(size_t i) {
  made_ = i;
  return std::visit(
      [this]<class O>(const O& o) -> Command {
        if constexpr (Carries<O>)
          refused(kind_name(o).data());
        else
          return make_op(o);
      },
      program_.ops[i]);
}

// refuse() keeps these from coming here.
Command CommandMaker::make_op(const QkvLatent&) { refused("latent attention"); }
Command CommandMaker::make_op(const Patch&) { refused("a patch"); }
Command CommandMaker::make_op(const Resample&) { refused("a change of rows"); }

Bound CommandMaker::bound(const Buffer& buffer, uint64_t at, uint64_t bytes) const {
  const uint64_t align = device_.driver().gpu.capabilities().offset_alignment;
  const uint64_t begin = at / align * align;
  const uint64_t size = at - begin + std::max<uint64_t>(bytes, 4);
  if (begin + size > buffer.size() || size > device_.driver().gpu.capabilities().largest_binding) {
    throw Error(Code::out_of_memory, fmt::format("{} bytes of activations cannot be bound", bytes),
                "use fewer rows per step");
  }
  return {{buffer.handle(), begin, size}, static_cast<uint32_t>((at - begin) / sizeof(float))};
}

Bound CommandMaker::act(Act a) const {
  return bound(device_.arena(), layout_.offset[a.id - 1], uint64_t{layout_.rows} * a.cols * sizeof(float));
}

Bound CommandMaker::scratch(uint64_t at, uint64_t bytes) const { return bound(device_.scratch(), at, bytes); }

Bound CommandMaker::vector(Weight w) const {
  if (!w) return {};
  return {part(device_.residence().weights[w.id - 1].parts.front()), 0};
}

Range CommandMaker::part(const WeightPart& p) const {
  return device_.weights().range(p.at, align_up(p.bytes, 4));
}

Range CommandMaker::staging(uint64_t at, uint64_t bytes) const {
  return {device_.staging().handle(), at, bytes};
}

uint64_t CommandMaker::next_crossing(uint64_t bytes) {
  const uint64_t at = workspace_.steps + workspace_.embedded + crossed_;
  crossed_ += align_up(bytes, 256);
  if (at + bytes > device_.staging().size()) {
    throw Error(Code::bug, "the plan has no room for activations that cross between devices",
                "report this with the devices that were named");
  }
  return at;
}

// Bindings that are not in the list get the step's tables: a shader may name a binding that it does not read.
VkDescriptorSet CommandMaker::set(const std::vector<std::pair<uint32_t, Range>>& list, const KvGroup* kv,
                                  uint32_t layer) {
  const Gpu& gpu = device_.driver().gpu;
  const DeviceApi& api = gpu.api();
  if (left_ == 0) {
    const VkDescriptorPoolSize size{VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                    sets_of_pool * (bindings - 1 + cache_bindings)};
    VkDescriptorPoolCreateInfo info{VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO};
    info.maxSets = left_ = sets_of_pool;
    info.poolSizeCount = 1;
    info.pPoolSizes = &size;
    check(api.vkCreateDescriptorPool(gpu.handle(), &info, nullptr, &pools_.emplace_back()),
          "vkCreateDescriptorPool");
  }
  --left_;
  const VkDescriptorSetLayout layout = device_.driver().pipelines.set_layout();
  VkDescriptorSetAllocateInfo info{VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO};
  info.descriptorPool = pools_.back();
  info.descriptorSetCount = 1;
  info.pSetLayouts = &layout;
  VkDescriptorSet made = nullptr;
  check(api.vkAllocateDescriptorSets(gpu.handle(), &info, &made), "vkAllocateDescriptorSets");

  const Bound step = scratch(scratch_steps(), uint64_t{tables_.words} * sizeof(uint32_t));
  std::array<VkDescriptorBufferInfo, bindings - 1 + cache_bindings> infos;
  infos.fill({step.range.buffer, step.range.offset, step.range.bytes});
  const auto slot = [](uint32_t binding) {
    return binding > cache_at ? binding - 1 + cache_bindings : binding;
  };
  for (const auto& [binding, range] : list) infos[slot(binding)] = {range.buffer, range.offset, range.bytes};
  if (const auto books = device_.residence().codebooks; books) {
    const Range range = device_.weights().range(*books, align_up(codebooks().size() * sizeof(uint16_t), 4));
    infos[slot(codebooks_at)] = {range.buffer, range.offset, range.bytes};
  }
  if (kv != nullptr && !kv->layers[layer].empty()) {
    const auto& buffers = kv->layers[layer];
    for (uint32_t i = 0; i < cache_bindings; ++i) {
      const Buffer& b = buffers[std::min<size_t>(i, buffers.size() - 1)];
      infos[cache_at + i] = {b.handle(), 0, b.size()};
    }
  }
  std::array<VkWriteDescriptorSet, bindings> writes{};
  for (uint32_t b = 0; b < bindings; ++b) {
    writes[b].sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET;
    writes[b].dstSet = made;
    writes[b].dstBinding = b;
    writes[b].descriptorCount = b == cache_at ? cache_bindings : 1;
    writes[b].descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
    writes[b].pBufferInfo = &infos[slot(b)];
  }
  api.vkUpdateDescriptorSets(gpu.handle(), bindings, writes.data(), 0, nullptr);
  return made;
}

// The executable has decoded the rows into the staging buffer.
Command CommandMaker::make_op(const Embed& o) {
  const Range to{device_.arena().handle(), layout_.offset[o.out.id - 1], 0};
  const Range from = staging(workspace_.steps, 0);
  return [to, from, cols = o.out.cols](StepState& step) {
    const uint64_t bytes = uint64_t{step.rows} * cols * sizeof(float);
    step.recorder.copy({from.buffer, from.offset, bytes}, {to.buffer, to.offset, bytes});
  };
}

Command CommandMaker::make_op(const Transfer& o) {
  const Act a = o.to_host ? o.in : o.out;
  const Range arena{device_.arena().handle(), layout_.offset[a.id - 1], 0};
  const uint64_t at = next_crossing(uint64_t{layout_.rows} * a.cols * sizeof(float));
  const Range copy = staging(at, 0);
  return [arena, copy, cols = a.cols, out = o.to_host](StepState& step) {
    const uint64_t bytes = uint64_t{step.rows} * cols * sizeof(float);
    const Range here{arena.buffer, arena.offset, bytes}, there{copy.buffer, copy.offset, bytes};
    step.recorder.copy(out ? here : there, out ? there : here);
  };
}

Command CommandMaker::make_op(const Norm& o) {
  const Bound in = act(o.in), out = act(o.out), gain = vector(o.gain), bias = vector(o.bias);
  std::vector<std::pair<uint32_t, Range>> list{{input_at, in.range}, {output_at, out.range}};
  if (o.gain) list.emplace_back(vector_at, gain.range);
  if (o.bias) list.emplace_back(second_at, bias.range);
  const uint32_t flags = (o.gain ? 1U : 0U) | (o.bias ? 2U : 0U) | (o.kind == NormKind::layer ? 4U : 0U);
  NormPush push{o.in.cols, in.at, out.at, gain.at, bias.at, flags, o.eps, 0, 0};
  const bool rounds = takes_bytes_of_norm(made_ + 1);
  if (rounds) {
    const Bound bytes = rounded();
    list.emplace_back(weights_at, bytes.range);
    push.rounded_at = bytes.at;
  }
  const uint32_t most = std::min(512U, device_.driver().gpu.capabilities().most_invocations);
  uint32_t threads = 64;
  while (threads * 8 < o.in.cols && threads * 2 <= most) threads *= 2;
  return [push, rounds, s = set(list), p = pipeline("norm", {threads})](StepState& step) {
    NormPush mine = push;
    mine.to_round = rounds ? step.exact : 0;
    step.recorder.dispatch(p, s, &mine, sizeof mine, step.rows, 1, 1,
                           {Pace::other, 6.0 * step.rows * push.cols});
  };
}

bool CommandMaker::takes_bytes_of_norm(size_t op) const {
  if (op == 0 || op >= program_.ops.size()) return false;
  const auto* norm = std::get_if<Norm>(&program_.ops[op - 1]);
  if (norm == nullptr || norm->out.cols % 32 != 0) return false;
  const auto wants = [&](Act in, std::initializer_list<Weight> weights) {
    return in.id == norm->out.id && std::any_of(weights.begin(), weights.end(),
                                                [&](Weight w) { return narrow_rows(w) == Narrow::bytes; });
  };
  const Op& next = program_.ops[op];
  if (const auto* o = std::get_if<Linear>(&next)) return wants(o->in, {o->weight});
  if (const auto* o = std::get_if<Qkv>(&next)) return wants(o->in, {o->wq, o->wk, o->wv});
  if (const auto* o = std::get_if<Gated>(&next)) return wants(o->in, {o->gate, o->up});
  return false;
}

Command CommandMaker::make_op(const Linear& o) {
  const Sources s{act(o.in), act(o.out), vector(o.bias), o.residual ? act(o.residual) : Bound{}};
  ProductOptions options{o.out.cols, o.scale, 0, o.act, 0, 0, {}};
  options.flags = (o.bias ? with_bias : 0U) | (o.residual ? add_second : 0U);
  return [r = rounding(s.input, o.in.cols, {o.weight}), p = product(o.weight, s, options)](StepState& step) {
    r->record(step);
    p->record(step);
  };
}

// The gate goes to where the result will be, and the other product is multiplied with it there. A single row
// that continues a sequence takes both at once.
Command CommandMaker::make_op(const Gated& o) {
  const Bound in = act(o.in), out = act(o.out);
  ProductOptions gate{o.out.cols, o.scale_gate, 0, Act1::none, o.gate_bias ? with_bias : 0U, 0, {}};
  ProductOptions up{o.out.cols, o.scale_up, 0, o.act, gate_second | (o.up_bias ? with_bias : 0U), 0, {}};
  return [r = rounding(in, o.in.cols, {o.gate, o.up}), both = gated_pair(o),
          g = product(o.gate, {in, out, vector(o.gate_bias), {}}, gate),
          u = product(o.up, {in, out, vector(o.up_bias), out}, up)](StepState& step) {
    r->record(step);
    if (both && step.rows == 1 && step.exact == 1) return both->record(step);
    g->record(step);
    step.recorder.barrier();
    u->record(step);
  };
}

Command CommandMaker::make_op(const Combine& o) {
  const Bound in = act(o.in), out = act(o.out), other = o.other ? act(o.other) : in;
  const VkDescriptorSet s = set({{input_at, in.range}, {output_at, out.range}, {second_at, other.range}});
  const CombinePush push{0, in.at, out.at, other.at, o.a, o.other ? o.b : 0.0F};
  return [push, s, cols = o.out.cols, p = pipeline("combine", {})](StepState& step) {
    CombinePush mine = push;
    mine.count = step.rows * cols;
    const uint32_t groups = (mine.count + 127) / 128, x = std::min(groups, 32768U);
    step.recorder.dispatch(p, s, &mine, sizeof mine, x, (groups + x - 1) / x, 1,
                           {Pace::other, 3.0 * mine.count});
  };
}

Command CommandMaker::make_op(const Logits& o) {
  const Bound in = act(o.in);
  const Bound rows = scratch(scratch_gathered(), uint64_t{layout_.rows} * o.in.cols * sizeof(float));
  const Buffer& results = device_.results();
  const Bound out = bound(results, 0, results.size());
  const WeightHome& home = device_.residence().weights[o.weight.id - 1];
  ProductOptions options{home.rows, o.scale, o.soft_cap, Act1::none, o.bias ? with_bias : 0U, 0, {}, false};
  const GatherPush push{o.in.cols, in.at, rows.at, tables_.results, 0};
  return [push, s = set({{input_at, in.range}, {output_at, rows.range}}), p = pipeline("gather", {}),
          r = rounding(rows, o.in.cols, {o.weight}, false),
          head = product(o.weight, {rows, out, vector(o.bias), {}}, options)](StepState& step) {
    if (step.results == 0) return;
    step.recorder.dispatch(p, s, &push, sizeof push, (push.cols + 127) / 128, step.results, 1,
                           {Pace::other, 1.0 * step.results * push.cols});
    step.recorder.barrier();
    r->record(step, 0, step.results, RowKind::exact);
    head->exact(step, 0, step.results);
  };
}

// Softmax over the outputs of a classifier is left to the executable: they are few.
Command CommandMaker::make_op(const Pool& o) {
  const Bound in = act(o.in);
  const Buffer& results = device_.results();
  const Bound out = bound(results, 0, results.size());
  const bool mean = o.kind == PoolKind::mean;
  GatherPush push{o.in.cols, in.at, out.at, mean ? tables_.slices : tables_.results, mean ? 1U : 0U};
  std::shared_ptr<Product> classifier;
  std::shared_ptr<Rounding> bytes;
  Bound to = out;
  if (o.classifier && !mean) {
    to = scratch(scratch_gathered(), uint64_t{layout_.rows} * o.in.cols * sizeof(float));
    push.y_at = to.at;
    classifier = product(o.classifier, {to, out, vector(o.bias), {}},
                         {o.outputs, 1, 0, Act1::none, o.bias ? with_bias : 0U, 0, {}, false});
    bytes = rounding(to, o.in.cols, {o.classifier}, false);
  }
  return [push, mean, classifier, bytes, s = set({{input_at, in.range}, {output_at, to.range}}),
          p = pipeline("gather", {})](StepState& step) {
    const uint32_t count = mean ? step.slices : step.results;
    if (count == 0) return;
    step.recorder.dispatch(p, s, &push, sizeof push, (push.cols + 127) / 128, count, 1,
                           {Pace::other, 1.0 * step.rows * push.cols});
    if (classifier == nullptr) return;
    step.recorder.barrier();
    bytes->record(step, 0, count, RowKind::exact);
    classifier->exact(step, 0, count);
  };
}

}  // namespace hearth::vulkan
