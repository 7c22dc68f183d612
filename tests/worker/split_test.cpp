// A model over two devices, cut inside its layers: attention and cache on one, experts on the other. Nothing
// but Transfer entries joins them, and the scores are those of one device.
#include <gtest/gtest.h>

#include "device/split.h"
#include "model/profile.h"
#include "reference.h"

namespace hearth::test {
namespace {

// One device with its part of the plan.
struct Place {
  std::unique_ptr<Device> device;
  std::vector<std::unique_ptr<Executable>> executables;  // of its segments, in order
  size_t next = 0;
};

void open_place(Place& place, const std::string& set, const BoundModel& model, const Gguf& file,
                const Program& program, uint32_t rows) {
  place.device = open_cpu_device({set, 2, true});
  DeviceBuffers plan;
  plan.kv = {KvType::f32, KvType::f32};
  plan.pages = {rows / page_tokens + 1};
  plan.buffers = {{BufferKind::arena, lay_out(model.program, rows).peak * 2, false},
                  {BufferKind::workspace, place.device->workspace(program, rows), false},
                  {BufferKind::results, uint64_t{model.program.outputs} * 4, false}};
  place.device->reserve(plan, program);
  for (uint32_t i = 0; i < model.tensors.size(); ++i)
    place.device->load({i + 1}, file.view(*model.tensors[i]));
}

TEST(Split, ExpertsElsewhereNeedNothingButTransfers) {
  const Reference r(fixture("mixtral"));
  const Gguf file = r.file();
  const BoundModel model = bind_model(file);
  const auto tokens = r.tokens();
  const auto rows = static_cast<uint32_t>(tokens.size());

  std::vector<uint32_t> device_of;
  for (const Op& op : model.program.ops) device_of.push_back(std::holds_alternative<Experts>(op) ? 1 : 0);
  const Split parts = split(model.program, device_of, 2);
  EXPECT_EQ(parts.segments.size(), 2U * model.hyper.layers + 1);
  size_t transfers = 0, others = 0;
  for (const Segment& s : parts.segments) {
    for (const Op& op : s.program.ops) (std::holds_alternative<Transfer>(op) ? transfers : others) += 1;
  }
  EXPECT_EQ(others, model.program.ops.size());
  // Residual, norm and route out, result back; the copies serve every layer anew.
  EXPECT_EQ(parts.slot_cols.size(), 4U);
  EXPECT_EQ(parts.devices[0].caches[0].layers, model.hyper.layers);
  EXPECT_EQ(parts.devices[1].caches[0].layers, 0U);
  EXPECT_EQ(transfers, 8U * model.hyper.layers);

  Place places[2];
  open_place(places[0], "", model, file, parts.devices[0], rows);
  open_place(places[1], "portable", model, file, parts.devices[1], rows);
  for (const Segment& s : parts.segments) {
    places[s.device].executables.push_back(
        places[s.device].device->prepare(s.program, lay_out(s.program, rows)));
  }
  std::vector<std::vector<float>> copies;
  std::vector<std::span<float>> host;
  for (const uint32_t cols : parts.slot_cols) copies.emplace_back(size_t{rows} * cols);
  for (auto& copy : copies) host.emplace_back(copy);

  std::vector<uint32_t> positions;
  std::vector<PageId> pages;
  for (uint32_t i = 0; i < rows; ++i) {
    positions.push_back(i);
    pages.push_back({i / page_tokens});
  }
  for (uint32_t i = 0; i < rows / page_tokens + 1; ++i) pages[i] = {i};
  const std::vector<Slice> slices{{0, rows, 0}};
  const std::vector<std::span<const PageId>> tables{pages};
  const std::vector<uint32_t> last{rows - 1};
  StepInputs in;
  in.tokens = tokens;
  in.positions = positions;
  in.slices = slices;
  in.page_tables = tables;
  in.table_stride = rows;
  in.result_rows = last;
  in.host = host;
  std::span<const float> scores;
  for (const Segment& s : parts.segments) {
    Executable& exe = *places[s.device].executables[places[s.device].next++];
    exe.run(in);
    scores = exe.results();
  }
  const Distance d = distance(r.data, {{scores.begin(), scores.end()}});
  EXPECT_LE(d.max_abs, 0.001);
}

}  // namespace
}  // namespace hearth::test
