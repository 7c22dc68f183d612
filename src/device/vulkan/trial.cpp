#include "device/vulkan/trial.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "base/error.h"

namespace hearth::vulkan {
namespace {

constexpr uint32_t prompt_rows = 64, format = 3, product_op = 1;
constexpr int passes = 4;
// A product with one row shall take this long, so that starting it counts little.
constexpr double long_enough = 5e-5;  // seconds
// Rounding to bytes loses less than a fiftieth of the largest result; what is wrong loses much more.
constexpr double rounding_loss = 0.05;

// A product of one weight with some rows, and what it gave.
struct Setup {
  uint32_t rows = 0, cols = 0;  // of the weight
  Program program;
  std::vector<std::byte> weight, table;
  Layout layout;
};
struct Outcome {
  std::vector<float> row, prompt;
  double row_seconds = 0, prompt_seconds = 0;
};

class Total final : public TraceSink {
 public:
  void record(const TraceEntry& entry) override { seconds += entry.op == product_op ? entry.seconds : 0; }
  double seconds = 0;
};

// Rows that repeat after the first `different` ones: to make them takes longer than to multiply them.
std::vector<std::byte> normal_weights(DType type, uint32_t rows, uint32_t cols, float scale, uint32_t seed) {
  constexpr uint32_t different = 256;
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(size_t{std::min(rows, different)} * cols);
  for (float& v : values) v = normal(random) * scale;
  const size_t row = row_bytes(type, cols).value_or(0), made = row * std::min(rows, different);
  std::vector<std::byte> bytes(row * rows);
  type_info(type).round(values, std::span(bytes).first(made));
  for (size_t at = made; at < bytes.size(); at += made)
    std::memcpy(bytes.data() + at, bytes.data(), std::min(made, bytes.size() - at));
  return bytes;
}

Setup make_setup(uint32_t rows, uint32_t cols) {
  Setup w;
  w.rows = rows;
  w.cols = cols;
  w.weight = normal_weights(DType::q4_k, rows, cols, 0.05F, 1);
  w.table = normal_weights(DType::f32, prompt_rows, cols, 1, 2);
  Program& p = w.program;
  p.acts = {{cols}, {rows}};
  p.weights = {{"trial.table", DType::f32, {prompt_rows, cols, 1}},
               {"trial.weight", DType::q4_k, {rows, cols, 1}}};
  p.ops = {Embed{{1, cols}, {1}, 1}, Linear{{1, cols}, {2, rows}, {2}, {}, {}, Act1::none, 1},
           Pool{{2, rows}, PoolKind::none, {}, {}, rows}};
  p.layer_of.assign(p.ops.size(), 0);
  p.outputs = rows;
  w.layout = lay_out(p, prompt_rows);
  return w;
}

// Some equal steps with all of `rows`, after one that warms up; the fastest counts.
double run(Executable& executable, uint32_t rows, bool exact, std::vector<float>& results) {
  std::vector<TokenId> tokens;
  std::vector<uint32_t> numbers;
  for (uint32_t r = 0; r < rows; ++r) {
    tokens.push_back({static_cast<int32_t>(r)});
    numbers.push_back(r);
  }
  const std::vector<Slice> slices{{0, rows, 0}};
  StepInputs in;
  in.tokens = tokens;
  in.positions = in.result_rows = numbers;
  in.slices = slices;
  in.exact_rows = exact ? rows : 0;
  double best = std::numeric_limits<double>::infinity();
  for (int pass = 0; pass <= passes; ++pass) {
    Total total;
    executable.trace(&total);
    const auto begin = std::chrono::steady_clock::now();
    executable.run(in);
    const auto out = executable.results();
    const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    executable.trace(nullptr);
    results.assign(out.begin(), out.end());
    if (pass > 0) best = std::min(best, total.seconds > 0 ? total.seconds : took);
  }
  return best;
}

Outcome try_one(const std::shared_ptr<Driver>& driver, const Variants& variants, const Setup& work) {
  VulkanDevice device(driver, variants, Clock::usual_aim);
  DeviceBuffers plan;
  plan.buffers = {{BufferKind::weights, device.resident(work.program), false},
                  {BufferKind::arena, work.layout.peak, false},
                  {BufferKind::workspace, device.workspace(work.program, prompt_rows), false},
                  {BufferKind::results, uint64_t{prompt_rows} * work.rows * sizeof(float), false}};
  device.reserve(plan, work.program);
  const std::vector<std::byte>* data[] = {&work.table, &work.weight};
  for (uint32_t i = 0; i < 2; ++i) {
    const WeightInfo& w = work.program.weights[i];
    device.load({i + 1}, {w.name, w.type, w.shape, *data[i]});
  }
  const auto executable = device.prepare(work.program, work.layout);
  Outcome o;
  o.row_seconds = run(*executable, 1, true, o.row);
  o.prompt_seconds = run(*executable, prompt_rows, false, o.prompt);
  return o;
}

// Is attention of rows by subgroups right, and faster?
bool rows_attend_faster(const std::shared_ptr<Driver>& driver, const Variants& variants) {
  if (!row_attention_fits(driver->gpu.capabilities())) return false;
  try {
    const RowAttentionTrial trial = try_row_attention(driver, variants);
    return trial.alike && trial.rows < trial.blocks;
  } catch (const Error& e) {
    if (e.code != Code::unsupported) throw;
    return false;  // the driver's compiler does not take the kernel
  }
}

// Are prompts right with `variants`, and faster than `seconds`? A driver that offers matrices and has no
// compiler for them is left without.
bool better(const std::shared_ptr<Driver>& driver, const Variants& variants, const Setup& work,
            const Outcome& plain, double seconds) {
  try {
    const Outcome o = try_one(driver, variants, work);
    return alike(plain.prompt, o.prompt, rounding_loss) && o.prompt_seconds < seconds;
  } catch (const Error& e) {
    if (e.code != Code::unsupported) throw;
    return false;
  }
}

// The outcome on disk: a byte for the format, and one with a bit per variant.
std::vector<std::byte> packed(const Variants& v) {
  const unsigned bits = (v.subgroups ? 1U : 0U) | (v.integer_rows ? 2U : 0U) | (v.integer_prompts ? 4U : 0U) |
                        (v.matrix_prompts ? 8U : 0U) | (v.row_attention ? 16U : 0U);
  return {static_cast<std::byte>(format), static_cast<std::byte>(bits)};
}

}  // namespace

bool alike(std::span<const float> a, std::span<const float> b, double tolerance) {
  if (a.size() != b.size()) return false;
  double largest = 0;
  for (const float v : a) largest = std::max(largest, std::fabs(static_cast<double>(v)));
  // Written so that what is no number differs.
  return std::equal(a.begin(), a.end(), b.begin(), [&](float x, float y) {
    return std::fabs(static_cast<double>(x) - static_cast<double>(y)) <= tolerance * largest;
  });
}

Variants try_variants(const std::shared_ptr<Driver>& driver, const Variants& variants) {
  const bool gpu = driver->gpu.physical().description.kind != ModuleDeviceKind::cpu;
  Variants best = variants;
  best.subgroups = best.integer_rows = best.integer_prompts = best.matrix_prompts = false;
  best.row_attention = gpu && rows_attend_faster(driver, best);
  Setup work = make_setup(gpu ? 2048 : 256, gpu ? 2048 : 256);
  Outcome plain = try_one(driver, best, work);
  // A fast GPU gets more to do, as far as its memory goes.
  for (uint32_t rows = 16384; gpu && plain.row_seconds < long_enough && rows <= 131072; rows *= 8) {
    uint64_t room = 0;
    for (const MemoryHeap& heap : driver->gpu.heaps()) room += heap.device_local ? heap.free : 0;
    if (room < uint64_t{16} * rows * work.cols) break;
    work = make_setup(rows, 2048);
    plain = try_one(driver, best, work);
  }
  double row = plain.row_seconds, prompt = plain.prompt_seconds;
  if (variants.subgroups) {
    Variants v = best;
    v.subgroups = true;
    const Outcome o = try_one(driver, v, work);
    if (alike(plain.row, o.row, rounding_loss) && o.row_seconds <= row) {
      best.subgroups = true;
      row = o.row_seconds;
    }
  }
  if (driver->gpu.capabilities().int_dot) {
    Variants v = best;
    v.integer_rows = v.integer_prompts = true;
    const Outcome o = try_one(driver, v, work);
    best.integer_rows = alike(plain.row, o.row, rounding_loss) && o.row_seconds < row;
    best.integer_prompts = alike(plain.prompt, o.prompt, rounding_loss) && o.prompt_seconds < prompt;
    if (best.integer_prompts) prompt = o.prompt_seconds;
  }
  if (driver->gpu.capabilities().matrices) {
    Variants v = best;
    v.matrix_prompts = true;
    best.matrix_prompts = better(driver, v, work, plain, prompt);
    best.integer_prompts = best.integer_prompts && !best.matrix_prompts;
  }
  return best;
}

Variants measured_variants(const std::shared_ptr<Driver>& driver, const Variants& variants,
                           PipelineFile& kept) {
  const std::vector<std::byte> known = kept.read();
  if (known.size() != 2 || known[0] != static_cast<std::byte>(format)) {
    const Variants found = try_variants(driver, variants);
    kept.write(packed(found));
    return found;
  }
  const auto bits = static_cast<unsigned>(known[1]);
  const bool dots = driver->gpu.capabilities().int_dot;
  Variants v = variants;
  v.subgroups = variants.subgroups && (bits & 1U) != 0;
  v.integer_rows = dots && (bits & 2U) != 0;
  v.integer_prompts = dots && (bits & 4U) != 0;
  v.matrix_prompts = driver->gpu.capabilities().matrices && (bits & 8U) != 0;
  v.row_attention = row_attention_fits(driver->gpu.capabilities()) && (bits & 16U) != 0;
  return v;
}

}  // namespace hearth::vulkan
