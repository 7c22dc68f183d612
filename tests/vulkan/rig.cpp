#include "rig.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "plan/plan.h"

namespace hearth::vulkan {

VulkanModule& module() {
  static auto* one = new VulkanModule;  // never destroyed: the driver's own threads may outlive statics
  return *one;
}

std::unique_ptr<Device> open_first() { return module().open(0, {true}); }

bool runs_on_first(const test::Reference& reference, KvTypes kv) {
  const Gguf file = reference.file();
  const BoundModel model = bind_model(file);
  const auto gpu = open_first();
  return std::none_of(model.program.ops.begin(), model.program.ops.end(),
                      [&](const Op& op) { return gpu->refuse(op, model.program, kv).has_value(); });
}

Variants float_variants() {
  const auto driver = module().driver(0);
  Variants v = variants_of(driver->gpu.physical(), wished_variants());
  v.matrix_prompts = false;
  return v;
}

Variants integer_variants() {
  Variants v = float_variants();
  v.integer_rows = v.integer_prompts = true;
  return v;
}

std::unique_ptr<VulkanDevice> open_variants(const Variants& variants, double aim) {
  return std::make_unique<VulkanDevice>(module().driver(0), variants, aim);
}

Act Rig::act(uint32_t cols) {
  program.acts.push_back({cols});
  return {static_cast<uint32_t>(program.acts.size()), cols};
}

void Rig::push(Op op) {
  program.ops.push_back(std::move(op));
  program.layer_of.push_back(0);
}

Weight Rig::weight(uint32_t rows, uint32_t cols, DType type, float scale, float offset, uint32_t stack) {
  std::normal_distribution<float> normal;
  const TypeInfo& info = type_info(type);
  std::vector<float> values(size_t{rows} * cols * stack);
  for (float& v : values) v = normal(random_) * scale + offset;
  std::vector<std::byte> bytes(values.size() / info.block_values * info.block_bytes);
  if (info.round != nullptr) {
    info.round(values, bytes);
  } else {
    // Types that hearth cannot write: any bytes are a block; those with immodest scales are drawn again.
    std::vector<float> decoded(info.block_values);
    for (size_t at = 0; at < bytes.size();) {
      const std::span<std::byte> block(bytes.data() + at, info.block_bytes);
      for (std::byte& b : block) b = static_cast<std::byte>(random_());
      info.decode(block, decoded);
      const bool modest =
          std::all_of(decoded.begin(), decoded.end(), [](float v) { return std::fabs(v) < 100; });
      if (modest) at += info.block_bytes;
    }
  }
  data_.push_back(std::move(bytes));
  program.weights.push_back({"w" + std::to_string(data_.size()), type, {rows, cols, stack}});
  return {static_cast<uint32_t>(data_.size())};
}

Weight Rig::grid(uint32_t rows, uint32_t cols) {
  const Weight made = weight(rows, cols);
  auto* values = reinterpret_cast<float*>(data_.back().data());
  for (size_t i = 0; i < size_t{rows} * cols; ++i) {
    const int level = i % 32 == i / 32 % 32 ? 127 : static_cast<int>(random_() % 255) - 127;
    values[i] = static_cast<float>(level) / 32;
  }
  return made;
}

std::vector<float> Rig::values_of(Weight w) const {
  const WeightInfo& info = program.weights[w.id - 1];
  std::vector<float> values(info.shape.values());
  type_info(info.type).decode(data_[w.id - 1], values);
  return values;
}

namespace {

struct Laid {
  std::vector<TokenId> tokens;
  std::vector<uint32_t> positions, wanted;
  std::vector<PageId> pages;
  StepInputs inputs;
  std::vector<std::span<const PageId>> tables;
};

// Pages of slice s: every second one, from the end, so that a mistake in the table shows.
void lay(const Steps& s, uint32_t sequences, uint32_t stride, uint32_t groups, uint32_t vocabulary,
         Laid& out) {
  uint32_t rows = 0;
  for (const Slice& slice : s.slices) {
    for (uint32_t i = 0; i < slice.rows; ++i) {
      out.positions.push_back(slice.cached + i);
      out.tokens.push_back({static_cast<int32_t>((slice.cached + i + 3 * slice.first_row) % vocabulary)});
    }
    rows += slice.rows;
  }
  for (uint32_t q = 0; q < sequences; ++q) {
    for (uint32_t p = 0; p < stride; ++p) out.pages.push_back({sequences * (stride - 1 - p) + q});
  }
  out.wanted = s.wanted;
  if (s.wanted.empty()) {
    for (uint32_t r = 0; r < rows; ++r) out.wanted.push_back(r);
  }
  out.tables.assign(groups, out.pages);
  out.inputs.tokens = out.tokens;
  out.inputs.positions = out.positions;
  out.inputs.slices = s.slices;
  out.inputs.page_tables = out.tables;
  out.inputs.table_stride = stride;
  out.inputs.result_rows = out.wanted;
  out.inputs.exact_rows = s.exact;
}

}  // namespace

std::vector<std::vector<float>> Rig::run(Device& device, const std::vector<Steps>& steps, KvTypes kv) {
  if (const auto* pool = std::get_if<Pool>(&program.ops.back())) program.outputs = pool->outputs;
  if (const auto* head = std::get_if<Logits>(&program.ops.back()))
    program.outputs = static_cast<uint32_t>(program.weights[head->weight.id - 1].shape.rows);
  uint32_t rows = 1, stride = 1, sequences = 1;
  for (const Steps& s : steps) {
    uint32_t count = 0;
    for (const Slice& slice : s.slices) {
      count += slice.rows;
      stride = std::max(stride, (slice.cached + slice.rows + page_tokens - 1) / page_tokens);
    }
    rows = std::max(rows, count);
    sequences = std::max(sequences, static_cast<uint32_t>(s.slices.size()));
  }
  DeviceBuffers plan;
  plan.kv = kv;
  uint64_t cache = 0;
  for (const CacheGroup& c : program.caches) {
    plan.pages.push_back(stride * sequences);
    cache += plan.pages.back() * page_bytes({c.layers, c.kv_heads, c.k_size, c.v_size}, kv);
  }
  const Layout layout = lay_out(program, rows);
  plan.buffers = {{BufferKind::weights, device.resident(program), false},
                  {BufferKind::kv, cache, false},
                  {BufferKind::arena, layout.peak, false},
                  {BufferKind::workspace, device.workspace(program, rows), false},
                  {BufferKind::results, uint64_t{rows} * program.outputs * sizeof(float), false}};
  for (const Op& op : program.ops) {
    const auto refusal = device.refuse(op, program, kv);
    EXPECT_FALSE(refusal) << (refusal ? refusal->detail : "");
    if (refusal) return {};
  }
  device.reserve(plan, program);
  for (uint32_t i = 0; i < data_.size(); ++i)
    device.load({i + 1},
                {program.weights[i].name, program.weights[i].type, program.weights[i].shape, data_[i]});
  const auto executable = device.prepare(program, layout);
  std::vector<std::vector<float>> out;
  for (const Steps& s : steps) {
    Laid laid;
    lay(s, sequences, stride, static_cast<uint32_t>(program.caches.size()), 64, laid);
    executable->run(laid.inputs);
    const auto results = executable->results();
    out.clear();
    for (size_t at = 0; at + program.outputs <= results.size(); at += program.outputs)
      out.emplace_back(results.begin() + static_cast<long>(at),
                       results.begin() + static_cast<long>(at + program.outputs));
  }
  if (device.info().name != "cpu") {
    EXPECT_EQ(device.reserved(), plan.anonymous());
  }
  return out;
}

void push_mixture(Rig& rig, DType type, bool before) {
  constexpr uint32_t width = 256, hidden = 256, experts = 9, used = 3;
  const Act x = rig.act(width), route = rig.act(2 * used), y = rig.act(width);
  rig.push(Embed{x, rig.weight(64, width), 1});
  rig.push(Route{x, route, rig.weight(experts, width, DType::f32, 0.2F), experts, used,
                 before ? RouteScores::softmax : RouteScores::softmax_of_chosen, true, 1.5F});
  rig.push(Experts{x, route, y, x, rig.weight(hidden, width, type, 0.1F, 0, experts),
                   rig.weight(hidden, width, type, 0.1F, 0, experts),
                   rig.weight(width, hidden, type, 0.1F, 0, experts), 0.5F, 2, 0.25F, used, hidden,
                   Act1::silu});
  rig.push(Pool{y, PoolKind::none, {}, {}, width});
}

void expect_same(Rig& rig, const std::vector<Steps>& steps, double tolerance, KvTypes kv) {
  const auto gpu = open_first();
  expect_same(rig, *gpu, steps, tolerance, kv);
}

void expect_same(Rig& rig, Device& gpu, const std::vector<Steps>& steps, double tolerance, KvTypes kv) {
  const auto cpu = open_cpu_device({"", 1, true});
  const auto wanted = rig.run(*cpu, steps, kv), got = rig.run(gpu, steps, kv);
  ASSERT_EQ(got.size(), wanted.size());
  for (size_t r = 0; r < wanted.size(); ++r) {
    double largest = 0;
    for (const float v : wanted[r]) largest = std::max(largest, std::fabs(static_cast<double>(v)));
    for (size_t c = 0; c < wanted[r].size(); ++c) {
      ASSERT_NEAR(got[r][c], wanted[r][c], tolerance * largest + 1e-30) << "row " << r << " column " << c;
    }
  }
}

Steps one_sequence(uint32_t rows, uint32_t exact, uint32_t cached) {
  return {{{0, rows, cached}}, exact, {}, 0};
}

}  // namespace hearth::vulkan
