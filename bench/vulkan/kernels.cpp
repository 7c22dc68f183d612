// The Vulkan kernels of one device: products with one row and with a prompt's rows for every type and
// variant, norms, what a stage costs that does nothing, and a copy by a kernel, which is no limit: products
// read faster.
//
//   bench_vulkan [DEVICE NUMBER] [MiB of weights] [type] [variant]
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <random>

#include "device/vulkan/vulkan_module.h"
#include "device/vulkan/weights.h"

namespace hearth::vulkan {
namespace {

constexpr uint32_t cols = 4096, repeats = 6;

// Rows of half-precision numbers near 0.1, which are sane scales in every type.
std::vector<std::byte> weight_bytes(uint64_t bytes) {
  std::vector<std::byte> data(bytes);
  std::mt19937 random(1);
  const size_t made = std::min<size_t>(bytes, 1U << 20);
  for (size_t i = 0; i + 1 < made; i += 2) {
    const auto half = static_cast<uint16_t>(0x2c00U + (random() & 0x3ffU));
    std::memcpy(&data[i], &half, sizeof half);
  }
  for (size_t at = made; at < bytes; at += made)
    std::memcpy(&data[at], data.data(), std::min(made, bytes - at));
  return data;
}

class Times final : public TraceSink {
 public:
  void record(const TraceEntry& entry) override { seconds[entry.op].push_back(entry.seconds); }
  double median(uint32_t op) {
    auto& s = seconds[op];
    if (s.empty()) return 0;
    std::nth_element(s.begin(), s.begin() + static_cast<long>(s.size() / 2), s.end());
    return s[s.size() / 2];
  }
  std::map<uint32_t, std::vector<double>> seconds;
};

// A program that starts with rows of a table.
struct Work {
  Program program;
  std::vector<std::vector<std::byte>> data;
  uint32_t rows = 1, width = 0;
  double wall = 0;  // seconds of an untraced step, the fastest

  explicit Work(uint32_t with_rows, uint32_t of_width = cols) : rows(with_rows), width(of_width) {
    const Act x = act(width);
    program.ops.push_back(Embed{x, weight(DType::f32, 64, width), 1});
  }
  Act act(uint32_t values) {
    program.acts.push_back({values});
    return {static_cast<uint32_t>(program.acts.size()), values};
  }
  Weight weight(DType type, uint32_t count, uint32_t values) {
    data.push_back(weight_bytes(row_bytes(type, values).value_or(0) * count));
    program.weights.push_back({fmt::format("w{}", data.size()), type, {count, values, 1}});
    return {static_cast<uint32_t>(data.size())};
  }
  Act first() const { return {1, width}; }

  Times run(VulkanDevice& device) {
    program.ops.push_back(Pool{first(), PoolKind::none, {}, {}, width});
    program.layer_of.assign(program.ops.size(), 0);
    program.outputs = width;
    const Layout layout = lay_out(program, rows);
    DeviceBuffers plan;
    plan.buffers = {{BufferKind::weights, device.resident(program), false},
                    {BufferKind::arena, layout.peak, false},
                    {BufferKind::workspace, device.workspace(program, rows), false},
                    {BufferKind::results, uint64_t{rows} * width * sizeof(float), false}};
    device.reserve(plan, program);
    for (uint32_t i = 0; i < data.size(); ++i)
      device.load({i + 1},
                  {program.weights[i].name, program.weights[i].type, program.weights[i].shape, data[i]});
    const auto executable = device.prepare(program, layout);
    std::vector<TokenId> tokens;
    std::vector<uint32_t> positions;
    for (uint32_t r = 0; r < rows; ++r) {
      tokens.push_back({static_cast<int32_t>(r % 64)});
      positions.push_back(r);
    }
    const std::vector<Slice> slices{{0, rows, 0}};
    const std::vector<uint32_t> wanted{0};
    StepInputs in;
    in.tokens = tokens;
    in.positions = positions;
    in.result_rows = wanted;
    in.slices = slices;
    in.exact_rows = rows <= 16 ? rows : 0;
    Times times;
    for (uint32_t i = 0; i < 2 * repeats; ++i) {
      executable->trace(i >= 2 && i < repeats + 2 ? &times : nullptr);
      const auto begin = std::chrono::steady_clock::now();
      executable->run(in);
      executable->results();
      const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
      if (i > repeats + 2) wall = wall == 0 ? took : std::min(wall, took);
    }
    return times;
  }
};

std::vector<std::pair<std::string, Variants>> choices(const Driver& driver) {
  const Variants plain = variants_of(driver.gpu.physical(), parse_variants("plain"));
  std::vector<std::pair<std::string, Variants>> all{{"float", plain}};
  const auto add = [&](const char* name, auto change) {
    Variants v = plain;
    change(v);
    all.emplace_back(name, v);
  };
  const Capabilities& c = driver.gpu.capabilities();
  if (c.subgroup_arithmetic) add("float sub", [](Variants& v) { v.subgroups = true; });
  if (c.int_dot) add("int", [](Variants& v) { v.integer_rows = v.integer_prompts = true; });
  if (c.int_dot && c.subgroup_arithmetic)
    add("int sub", [](Variants& v) { v.subgroups = v.integer_rows = v.integer_prompts = true; });
  if (c.matrices) add("matrix", [](Variants& v) { v.matrix_prompts = true; });
  return all;
}

void products(const std::shared_ptr<Driver>& driver, uint64_t mib, const std::string& only,
              const std::string& only_variant) {
  for (const char* name : {"Q4_K", "Q8_0", "Q6_K", "Q5_K", "Q4_0", "F16", "IQ4_XS", "MXFP4", "Q3_K"}) {
    if (!only.empty() && only != name) continue;
    const TypeInfo* type = find_type(name);
    if (type == nullptr) continue;
    const uint64_t row = row_bytes(type->type, cols).value_or(1);
    const auto count = static_cast<uint32_t>((mib << 20) / row / 256 * 256);
    for (const auto& [variant, v] : choices(*driver)) {
      if (!only_variant.empty() && only_variant != variant) continue;
      if (v.integer_rows && !multiplies_integers(type->type)) continue;
      std::string line = fmt::format("{:8} {:10}", name, variant);
      if (!v.matrix_prompts) {
        Work w(1);
        w.program.ops.push_back(
            Linear{w.first(), w.act(count), w.weight(type->type, count, cols), {}, {}, Act1::none, 1});
        VulkanDevice device(driver, v, Clock::usual_aim);
        const double s = w.run(device).median(1);
        line += fmt::format("  1 row {:8.1f} us {:7.0f} GB/s", s * 1e6,
                            static_cast<double>(row) * count / s / 1e9);
      } else {
        line += fmt::format("{:35}", "");
      }
      for (const uint32_t outs : {4096U, 12288U}) {
        Work w(512);
        w.program.ops.push_back(
            Linear{w.first(), w.act(outs), w.weight(type->type, outs, cols), {}, {}, Act1::none, 1});
        VulkanDevice device(driver, v, Clock::usual_aim);
        const double s = w.run(device).median(1);
        line += fmt::format("  512 x {:5} {:8.1f} us {:6.1f} TFLOP/s", outs, s * 1e6,
                            2.0 * 512 * outs * cols / s / 1e12);
      }
      fmt::print("{}\n", line);
      std::fflush(stdout);
    }
  }
}

// Programs of one kind of operation, many times one after the other: what it costs with the barrier before
// it.
template <class Make>
void chain(const std::shared_ptr<Driver>& driver, const Variants& v, const char* name, Make make) {
  constexpr uint32_t many = 400, few = 100;
  double wall[2] = {0, 0};
  for (const uint32_t n : {few, many}) {
    Work w(1);
    for (uint32_t i = 0; i < n; ++i) make(w);
    VulkanDevice device(driver, v, Clock::usual_aim);
    w.run(device);
    wall[n == many] = w.wall;
  }
  fmt::print("{:24} {:6.2f} us each, {:6.1f} us around\n", name, (wall[1] - wall[0]) / (many - few) * 1e6,
             (wall[0] - few * (wall[1] - wall[0]) / (many - few)) * 1e6);
  std::fflush(stdout);
}

void small(const std::shared_ptr<Driver>& driver) {
  Variants v = choices(*driver).back().second;
  v.matrix_prompts = false;
  v.subgroups = driver->gpu.capabilities().subgroup_arithmetic;
  v.integer_rows = driver->gpu.capabilities().int_dot;
  chain(driver, v, "combine 4096", [](Work& w) {
    w.program.ops.push_back(Combine{w.first(), {}, w.first(), 1, 0});
  });
  chain(driver, v, "norm 4096", [](Work& w) {
    w.program.ops.push_back(Norm{w.first(),
                                 w.first(),
                                 w.data.size() < 2 ? w.weight(DType::f32, 1, cols) : Weight{2},
                                 {},
                                 NormKind::rms,
                                 1e-5F});
  });
  chain(driver, v, "linear 4096x4096 Q4_K", [](Work& w) {
    w.program.ops.push_back(Linear{w.first(),
                                   w.first(),
                                   w.data.size() < 2 ? w.weight(DType::q4_k, cols, cols) : Weight{2},
                                   {},
                                   {},
                                   Act1::none,
                                   1});
  });
}

void copies(const std::shared_ptr<Driver>& driver, uint64_t mib) {
  const auto width = static_cast<uint32_t>((mib << 20) / 4 / 64);
  Work w(64, 32);
  const Act a = w.act(width), b = w.act(width);
  w.program.ops.push_back(Linear{w.first(), a, w.weight(DType::q8_0, width, 32), {}, {}, Act1::none, 1});
  w.program.ops.push_back(Combine{a, {}, b, 1, 0});
  VulkanDevice device(driver, choices(*driver).front().second, Clock::usual_aim);
  const double s = w.run(device).median(2);
  fmt::print("copy of {} MiB: {:.1f} us, {:.0f} GB/s read and written\n", mib, s * 1e6,
             2.0 * static_cast<double>(mib << 20) / s / 1e9);
}

}  // namespace
}  // namespace hearth::vulkan

int main(int argc, char** argv) {
  using namespace hearth::vulkan;
  static auto* module = new VulkanModule;  // never destroyed, as in modules.cpp
  const auto driver = module->driver(argc > 1 ? static_cast<uint32_t>(std::atoi(argv[1])) : 0);
  const uint64_t mib = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 256;
  fmt::print("{}\n", driver->gpu.physical().description.description);
  const std::string type = argc > 3 ? argv[3] : "", variant = argc > 4 ? argv[4] : "";
  if (variant.empty()) {
    copies(driver, mib);
    small(driver);
  }
  products(driver, mib, type, variant);
}
