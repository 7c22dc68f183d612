// Which kernel attends for rows that continue a sequence: both are tried behind some hundred tokens.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "device/vulkan/trial.h"

namespace hearth::vulkan {
namespace {

constexpr uint32_t width = 128, slice = 64, slices = 10, attend_op = 2;
constexpr int passes = 6;
// The sums are floats in another order.
constexpr double tolerance = 1e-3;

struct Setup {
  Program program;
  std::vector<std::vector<float>> data;
  DeviceBuffers plan;
  Layout layout;
};

struct Outcome {
  std::vector<float> row;
  double seconds = 0;
};

class AttendTime final : public TraceSink {
 public:
  void record(const TraceEntry& entry) override { seconds += entry.op == attend_op ? entry.seconds : 0; }
  double seconds = 0;
};

Setup make_setup(const HeadShape& heads) {
  Setup s;
  Program& p = s.program;
  const uint32_t q_cols = heads.q_heads * heads.k_size, kv_cols = heads.kv_heads * heads.k_size;
  const auto weight = [&](uint32_t rows) {
    std::vector<float> values(size_t{rows} * width);
    for (size_t i = 0; i < values.size(); ++i)  // a sequence without a period that rows would share
      values[i] = static_cast<float>(std::sin(0.7 * static_cast<double>(i % 99991 + s.data.size())));
    s.data.push_back(std::move(values));
    p.weights.push_back({"trial", DType::f32, {rows, width, 1}});
    return Weight{static_cast<uint32_t>(s.data.size())};
  };
  p.acts = {{width}, {q_cols}, {q_cols}};
  p.caches = {{1, heads.kv_heads, heads.k_size, heads.v_size, 0}};
  p.ropes = {RopeTable{}};
  p.ops.emplace_back(Embed{{1, width}, weight(slice), 0.1F});
  Qkv o;
  o.in = {1, width};
  o.q = {2, q_cols};
  o.wq = weight(q_cols);
  o.wk = weight(kv_cols);
  o.wv = weight(kv_cols);
  o.heads = heads;
  p.ops.emplace_back(o);
  p.ops.emplace_back(Attend{{2, q_cols}, {3, q_cols}, {0, 0}, {true, 0}, 0.1F, 0, heads, {}});
  p.ops.emplace_back(Pool{{3, q_cols}, PoolKind::none, {}, {}, q_cols});
  p.layer_of.assign(p.ops.size(), 0);
  p.outputs = q_cols;
  s.layout = lay_out(p, slice);
  s.plan.kv = {KvType::f16, KvType::f16};
  s.plan.pages = {slice * (slices + 1) / page_tokens};
  return s;
}

void step(Executable& executable, const Setup& s, uint32_t cached, uint32_t rows) {
  std::vector<TokenId> tokens;
  std::vector<uint32_t> positions;
  for (uint32_t r = 0; r < rows; ++r) {
    tokens.push_back({static_cast<int32_t>((cached + r) % slice)});
    positions.push_back(cached + r);
  }
  std::vector<PageId> pages;
  for (uint32_t n = 0; n < s.plan.pages.front(); ++n) pages.push_back({n});
  const std::vector<std::span<const PageId>> tables{pages};
  const std::vector<Slice> list{{0, rows, cached}};
  const std::vector<uint32_t> wanted{rows - 1};
  StepInputs in;
  in.tokens = tokens;
  in.positions = positions;
  in.slices = list;
  in.page_tables = tables;
  in.table_stride = s.plan.pages.front();
  in.result_rows = wanted;
  in.exact_rows = rows == 1 ? 1 : 0;
  executable.run(in);
}

Outcome try_one(const std::shared_ptr<Driver>& driver, const Variants& variants, Setup& s) {
  VulkanDevice device(driver, variants, Clock::usual_aim);
  const CacheGroup& c = s.program.caches.front();
  const uint64_t cache =
      s.plan.pages.front() * page_bytes({c.layers, c.kv_heads, c.k_size, c.v_size}, s.plan.kv);
  s.plan.buffers = {{BufferKind::weights, device.resident(s.program), false},
                    {BufferKind::kv, cache, false},
                    {BufferKind::arena, s.layout.peak, false},
                    {BufferKind::workspace, device.workspace(s.program, slice), false},
                    {BufferKind::results, uint64_t{slice} * s.program.outputs * sizeof(float), false}};
  device.reserve(s.plan, s.program);
  for (uint32_t i = 0; i < s.data.size(); ++i) {
    const WeightInfo& w = s.program.weights[i];
    device.load({i + 1}, {w.name, w.type, w.shape, std::as_bytes(std::span(s.data[i]))});
  }
  const auto executable = device.prepare(s.program, s.layout);
  for (uint32_t n = 0; n < slices; ++n) step(*executable, s, n * slice, slice);
  Outcome o;
  o.seconds = std::numeric_limits<double>::infinity();
  for (int pass = 0; pass <= passes; ++pass) {  // the first warms up
    AttendTime time;
    executable->trace(&time);
    const auto begin = std::chrono::steady_clock::now();
    step(*executable, s, slice * slices, 1);
    const auto row = executable->results();
    const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    executable->trace(nullptr);
    o.row.assign(row.begin(), row.end());
    if (pass > 0) o.seconds = std::min(o.seconds, time.seconds > 0 ? time.seconds : took);
  }
  return o;
}

}  // namespace

RowAttentionTrial try_row_attention(const std::shared_ptr<Driver>& driver, const Variants& variants,
                                    const HeadShape& heads) {
  Variants blocks = variants, rows = variants;
  blocks.row_attention = false;
  rows.row_attention = true;
  Setup setup = make_setup(heads);
  const Outcome before = try_one(driver, blocks, setup), after = try_one(driver, rows, setup);
  return {alike(before.row, after.row, tolerance), before.seconds, after.seconds};
}

}  // namespace hearth::vulkan
