#include "model/profile.h"

#include <algorithm>
#include <set>

#include "device/layout.h"
#include "device/parts.h"

namespace hearth {
namespace {

// The weights that operations name, each once.
std::set<uint32_t> weights_of(const Program& program) {
  std::set<uint32_t> ids;
  for (const Op& op : program.ops) {
    for (const Weight w : weights_of(op)) ids.insert(w.id);
  }
  return ids;
}

PartProfile part_profile(const Program& part, const Parts::Part& name) {
  PartProfile p{name.kind, name.layer};
  for (const uint32_t id : weights_of(part)) {
    const WeightInfo& w = part.weights[id - 1];
    const uint64_t rows = w.shape.rows * w.shape.stack;
    p.weights += row_bytes(w.type, w.shape.cols).value_or(0) * rows;
    p.values += w.shape.cols * rows;
  }
  for (size_t g = 0; g < part.caches.size(); ++g)
    p.caches.insert(p.caches.end(), part.caches[g].layers, static_cast<uint16_t>(g));
  StepShape step;
  step.sequences = 0;  // without what a sequence carries: the plan counts that itself
  const Cost one = cost(part, step);
  step.context = 1;
  const Cost next = cost(part, step);
  p.token_bytes = one.bytes;
  p.row_flops = one.flops;
  p.attend_flops = next.flops - one.flops;
  return p;
}

void set_buffer(DeviceBuffers& held, BufferKind kind, uint64_t bytes) {
  for (Buffer& b : held.buffers) {
    if (b.kind == kind && !b.mapped) b.bytes = bytes;
  }
}

}  // namespace

MemoryProfile profile(const BoundModel& model, const Gguf& file, const Device& device) {
  const Program& program = model.program;
  MemoryProfile p;
  p.name = std::string(file.string("general.name").value_or(model.architecture));
  p.context = model.hyper.context;
  p.result_row = uint64_t{program.outputs} * sizeof(float);
  p.width = model.hyper.width;
  for (const CacheGroup& c : program.caches) p.caches.push_back(profile_of(c));
  for (const uint32_t rows : {32U, 64U, 128U, 256U, 512U})
    p.steps.push_back({rows, lay_out(program, rows).peak, device.workspace(program, rows)});
  const Parts parts = parts_of(program);
  std::vector<std::set<uint32_t>> weights;
  for (uint32_t i = 0; i < parts.list.size(); ++i) {
    const Program part = part_of(program, parts.operations(i));
    p.parts.push_back(part_profile(part, parts.list[i]));
    if (i == 0 || i + 1 == parts.list.size()) weights.push_back(weights_of(part));
  }
  p.tied = p.parts.front().kind == PartKind::embed && weights.size() == 2 &&
           std::includes(weights[1].begin(), weights[1].end(), weights[0].begin(), weights[0].end());
  return p;
}

void measure(DeviceBudget& budget, const BoundModel& model, const MemoryProfile& profile,
             const Device& device, KvTypes kv) {
  const Program& program = model.program;
  const Parts parts = parts_of(program);
  budget.resident.clear();
  budget.refusals.clear();
  budget.workspace.clear();
  for (uint32_t i = 0; i < parts.list.size(); ++i) {
    const Program part = part_of(program, parts.operations(i));
    budget.resident.push_back(device.resident(part));
    std::string refusal;
    for (const Op& op : part.ops) {
      const auto no = device.refuse(op, part, kv);
      if (no && refusal.empty()) refusal = no->detail;
    }
    budget.refusals.push_back(std::move(refusal));
  }
  for (const RowClass& step : profile.steps) budget.workspace.push_back(device.workspace(program, step.rows));
  const bool own = std::any_of(budget.resident.begin(), budget.resident.end(), [](uint64_t b) { return b; });
  if (!own) budget.resident.clear();
}

void settle(Plan& plan, const Split& split, std::span<Device* const> devices) {
  for (uint32_t d = 0; d < devices.size(); ++d) {
    if (!plan.uses(d)) continue;
    uint64_t arena = 0;
    for (const Segment& s : split.segments)
      arena = s.device == d ? std::max(arena, lay_out(s.program, plan.rows).peak) : arena;
    if (plan.devices[d].copies_weights()) {
      if (const uint64_t own = devices[d]->resident(split.devices[d]); own != 0)
        set_buffer(plan.devices[d], BufferKind::weights, own);
    }
    set_buffer(plan.devices[d], BufferKind::arena, arena);
    set_buffer(plan.devices[d], BufferKind::workspace, devices[d]->workspace(split.devices[d], plan.rows));
  }
  plan.crossing = split.crossing_bytes(plan.rows);
}

}  // namespace hearth
