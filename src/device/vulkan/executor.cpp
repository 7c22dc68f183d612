#include "device/vulkan/executor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/checked.h"
#include "base/error.h"

namespace hearth::vulkan {
namespace {

uint32_t chunks_of(uint32_t position, uint32_t end, const MaskSpec& mask) {
  const uint32_t last = mask.causal ? position + 1 : end;
  const uint32_t begin = mask.window != 0 && position + 1 > mask.window ? position + 1 - mask.window : 0;
  const uint32_t pages = (last + page_tokens - 1) / page_tokens - begin / page_tokens;
  const uint32_t each = std::max(4U, (pages + most_chunks - 1) / most_chunks);
  return (pages + each - 1) / each;
}

class VulkanExecutable final : public Executable {
 public:
  VulkanExecutable(VulkanDevice& device, const Program& program, const Layout& layout)
      : device_(device),
        program_(program),
        rows_(layout.rows),
        maker_(device, program, layout),
        recorder_(device.driver().gpu, device.driver().pipelines.layout(), device.aim()),
        sizes_(block_sizes(program)),
        step_{recorder_, inputs_} {
    for (size_t i = 0; i < program.ops.size(); ++i) commands_.push_back(maker_.make(i));
    for (const Op& op : program.ops) {
      if (const auto* attend = std::get_if<Attend>(&op)) masks_.push_back(attend->mask);
    }
    uint64_t crossing = maker_.workspace().steps + maker_.workspace().embedded;
    for (const Op& op : program.ops) {
      const auto* transfer = std::get_if<Transfer>(&op);
      if (transfer == nullptr) continue;
      const uint32_t cols = transfer->to_host ? transfer->in.cols : transfer->out.cols;
      crossings_.push_back({crossing, cols, transfer->slot, transfer->to_host});
      crossing += align_up(uint64_t{rows_} * cols * sizeof(float), 256);
    }
    step_.prompt_blocks.resize(sizes_.size());
    step_.page_tables.resize(program.caches.size());
    device.driver().pipelines.keep();
  }

  void run(const StepInputs& inputs) override {
    recorder_.wait();  // the step's tables may be read until then
    inputs_ = inputs;
    step_.rows = static_cast<uint32_t>(inputs.tokens.size());
    step_.exact = std::min({inputs.exact_rows, step_.rows, most_exact_rows});
    step_.results = static_cast<uint32_t>(inputs.result_rows.size());
    step_.slices = static_cast<uint32_t>(inputs.slices.size());
    fill_rows();
    fill_lists();
    fill_ropes();
    fill_pages();
    bring_in();
    // A step like the last, as when one token follows the other, is the same commands: recording them would
    // take longer than many a small model computes.
    if (sink_ != nullptr || !like_recorded() || !recorder_.repeat()) record();
    fresh_ = true;
    if (std::any_of(crossings_.begin(), crossings_.end(), [](const Crossing& c) { return c.out; })) finish();
  }

  std::span<const float> results() override {
    finish();
    return {floats(device_.results().mapped()), wanted() * program_.outputs};
  }

  void trace(TraceSink* sink) override { sink_ = sink; }

 private:
  struct Crossing {
    uint64_t at = 0;  // in the staging buffer
    uint32_t cols = 0, slot = 0;
    bool out = false;
  };

  // What of a step its commands depend on, apart from where they are cut.
  struct Form {
    uint32_t rows = 0, exact = 0, results = 0, slices = 0, chunks = 0, page_words = 0;
    std::vector<uint32_t> prompt_blocks, page_tables;
  };
  bool like_recorded() const {
    const Form& f = recorded_;
    return f.rows == step_.rows && f.exact == step_.exact && f.results == step_.results &&
           f.slices == step_.slices && f.chunks == step_.chunks && f.page_words == page_words_ &&
           f.prompt_blocks == step_.prompt_blocks && f.page_tables == step_.page_tables;
  }
  void note_form() {
    Form& f = recorded_;
    f.rows = step_.rows;
    f.exact = step_.exact;
    f.results = step_.results;
    f.slices = step_.slices;
    f.chunks = step_.chunks;
    f.page_words = page_words_;
    f.prompt_blocks = step_.prompt_blocks;  // of one size always: nothing is allocated after the first time
    f.page_tables = step_.page_tables;
  }

  void record() {
    note_form();
    recorder_.begin(sink_ != nullptr);
    copy_tables();
    for (uint32_t i = 0; i < commands_.size(); ++i) {
      recorder_.barrier();
      commands_[i](step_);
      recorder_.mark(i);
    }
    recorder_.submit();
  }

  static float* floats(std::byte* at) { return reinterpret_cast<float*>(at); }
  uint32_t* words() const { return reinterpret_cast<uint32_t*>(device_.staging().mapped()); }

  size_t wanted() const {
    if (program_.outputs == 0 || program_.ops.empty()) return 0;
    const auto* pool = std::get_if<Pool>(&program_.ops.back());
    if (pool == nullptr && !std::holds_alternative<Logits>(program_.ops.back())) return 0;
    return pool != nullptr && pool->kind == PoolKind::mean ? step_.slices : step_.results;
  }

  // Once per step: what the GPU left in host memory.
  void finish() {
    if (!fresh_) return;
    fresh_ = false;
    recorder_.wait();
    device_.note_submissions(recorder_.submissions());
    for (const Crossing& c : crossings_) {
      if (!c.out) continue;
      std::memcpy(inputs_.host[c.slot].data(), device_.staging().mapped() + c.at,
                  uint64_t{step_.rows} * c.cols * sizeof(float));
    }
    if (sink_ != nullptr) {
      for (const Mark& m : recorder_.marks()) sink_->record({m.op, m.seconds});
    }
    const auto* pool = program_.ops.empty() ? nullptr : std::get_if<Pool>(&program_.ops.back());
    if (pool != nullptr && pool->classifier) soften(pool->outputs);
    expect_no_complaints();
  }

  // Softmax over a classifier's outputs.
  void soften(uint32_t outputs) {
    float* x = floats(device_.results().mapped());
    for (size_t row = 0; row < wanted(); ++row, x += outputs) {
      const float best = *std::max_element(x, x + outputs);
      double sum = 0;
      for (uint32_t i = 0; i < outputs; ++i) sum += x[i] = std::exp(x[i] - best);
      for (uint32_t i = 0; i < outputs; ++i) x[i] = static_cast<float>(x[i] / sum);
    }
  }

  // With the validation layer on, whatever it says is an error.
  void expect_no_complaints() const {
    const Instance& instance = device_.driver().gpu.instance();
    if (!instance.validating()) return;
    const auto said = instance.complaints();
    if (!said.empty()) throw Error(Code::bug, "the validation layer says: " + said.front(), "report this");
  }

  // Position, place of the page table and end of the sequence of each row; pages are counted as fill_pages
  // lays them.
  void fill_rows() {
    uint32_t* row = words() + maker_.tables().rows;
    uint32_t table = 0;
    double seen = 0;
    step_.chunks = 1;
    for (const Slice& s : inputs_.slices) {
      const uint32_t end = s.cached + s.rows;
      for (uint32_t i = 0; i < s.rows; ++i) {
        uint32_t* to = row + 3 * size_t{s.first_row + i};
        to[0] = s.cached + i;
        to[1] = table;
        to[2] = end;
        seen += s.cached + i + 1;
        if (s.first_row + i >= step_.exact) continue;
        for (const MaskSpec& mask : masks_)
          step_.chunks = std::max(step_.chunks, chunks_of(s.cached + i, end, mask));
      }
      table += (end + page_tokens - 1) / page_tokens;
    }
    step_.context = step_.rows == 0 ? 0 : seen / step_.rows;
  }

  void fill_lists() {
    const StepTables& t = maker_.tables();
    std::copy(inputs_.result_rows.begin(), inputs_.result_rows.end(), words() + t.results);
    uint32_t* slice = words() + t.slices;
    for (const Slice& s : inputs_.slices) {
      *slice++ = s.first_row;
      *slice++ = s.rows;
    }
    for (size_t i = 0; i < sizes_.size(); ++i) {
      uint32_t* block = words() + t.blocks[i];
      uint32_t count = 0;
      const auto push = [&](uint32_t first, uint32_t rows) {
        block[2 * count] = first;
        block[2 * count++ + 1] = rows;
      };
      for (uint32_t r = 0; r < step_.exact; ++r) push(r, 1);
      for (const Slice& s : inputs_.slices) {
        for (uint32_t r = std::max(s.first_row, step_.exact); r < s.first_row + s.rows; r += sizes_[i])
          push(r, std::min(sizes_[i], s.first_row + s.rows - r));
      }
      step_.prompt_blocks[i] = count - step_.exact;
    }
  }

  // In double: position · frequency loses digits that a cosine needs.
  void fill_ropes() {
    for (size_t n = 0; n < program_.ropes.size(); ++n) {
      const RopeTable& rope = program_.ropes[n];
      const size_t pairs = rope.inv_freq.size();
      float* out = reinterpret_cast<float*>(words() + maker_.tables().ropes[n]);
      for (uint32_t r = 0; r < step_.rows; ++r, out += 2 * pairs) {
        for (size_t i = 0; i < pairs; ++i) {
          const double angle =
              static_cast<double>(inputs_.positions[r]) * static_cast<double>(rope.inv_freq[i]);
          out[i] = static_cast<float>(std::cos(angle)) * rope.magnitude;
          out[pairs + i] = static_cast<float>(std::sin(angle)) * rope.magnitude;
        }
      }
    }
  }

  void fill_pages() {
    const StepTables& t = maker_.tables();
    uint32_t at = t.pages;
    for (size_t g = 0; g < inputs_.page_tables.size() && g < step_.page_tables.size(); ++g) {
      step_.page_tables[g] = at;
      for (size_t s = 0; s < inputs_.slices.size(); ++s) {
        const uint32_t tokens = inputs_.slices[s].cached + inputs_.slices[s].rows;
        const uint32_t pages = (tokens + page_tokens - 1) / page_tokens;
        if (at + pages > t.words) {
          throw Error(Code::unsupported, "the page tables of a step are larger than planned",
                      "run fewer sequences at once");
        }
        const PageId* from = inputs_.page_tables[g].data() + s * inputs_.table_stride;
        for (uint32_t p = 0; p < pages; ++p) words()[at++] = from[p].value;
      }
    }
    // In steps, so that a sequence that grows by a page seldom needs other commands.
    page_words_ = std::min<uint32_t>(static_cast<uint32_t>(align_up(at - t.pages, 64)), t.words - t.pages);
  }

  // Rows of embedding tables are decoded here, activations of other devices copied.
  void bring_in() {
    for (const Op& op : program_.ops) {
      const auto* embed = std::get_if<Embed>(&op);
      if (embed == nullptr) continue;
      const WeightView& table = device_.view(embed->table);
      const TypeInfo& type = type_info(table.type);
      const uint64_t bytes = row_bytes(table.type, table.shape.cols).value_or(0);
      float* out = floats(device_.staging().mapped() + maker_.workspace().steps);
      for (uint32_t r = 0; r < step_.rows; ++r, out += embed->out.cols) {
        const auto token = static_cast<uint64_t>(inputs_.tokens[r].value);
        type.decode(table.data.subspan(token * bytes, bytes), {out, embed->out.cols});
        if (embed->scale != 1.0F) {
          for (uint32_t i = 0; i < embed->out.cols; ++i) out[i] *= embed->scale;
        }
      }
    }
    for (const Crossing& c : crossings_) {
      if (c.out) continue;
      std::memcpy(device_.staging().mapped() + c.at, inputs_.host[c.slot].data(),
                  uint64_t{step_.rows} * c.cols * sizeof(float));
    }
  }

  // Only what this step filled in.
  void copy_tables() {
    const StepTables& t = maker_.tables();
    const auto copy = [&](uint32_t word, uint32_t count) {
      const uint64_t at = uint64_t{word} * sizeof(uint32_t), bytes = uint64_t{count} * sizeof(uint32_t);
      recorder_.copy({device_.staging().handle(), at, bytes},
                     {device_.scratch().handle(), maker_.scratch_steps() + at, bytes});
    };
    copy(t.rows, 3 * step_.rows);
    copy(t.results, step_.results);
    copy(t.slices, 2 * step_.slices);
    for (size_t n = 0; n < t.ropes.size(); ++n)
      copy(t.ropes[n], step_.rows * 2 * static_cast<uint32_t>(program_.ropes[n].inv_freq.size()));
    for (size_t i = 0; i < t.blocks.size(); ++i)
      copy(t.blocks[i], 2 * (step_.exact + step_.prompt_blocks[i]));
    copy(t.pages, page_words_);
  }

  VulkanDevice& device_;
  const Program& program_;
  uint32_t rows_;
  CommandMaker maker_;
  Recorder recorder_;
  std::vector<uint32_t> sizes_;  // of blocks of prompt rows
  StepInputs inputs_;
  StepState step_;
  std::vector<Command> commands_;  // [ops]
  std::vector<MaskSpec> masks_;
  std::vector<Crossing> crossings_;
  uint32_t page_words_ = 0;
  Form recorded_;
  bool fresh_ = false;  // a step was submitted whose results were not fetched
  TraceSink* sink_ = nullptr;
};

}  // namespace

std::unique_ptr<Executable> make_executable(VulkanDevice& device, const Program& program,
                                            const Layout& layout) {
  return std::make_unique<VulkanExecutable>(device, program, layout);
}

}  // namespace hearth::vulkan
