#include "device/split.h"

#include <algorithm>
#include <optional>

namespace hearth {
namespace {

class Splitter {
 public:
  Splitter(const Program& program, std::span<const uint32_t> device_of)
      : program_(program), made_in_(program.acts.size()), slot_(program.acts.size()) {
    for (size_t i = 0; i < program.ops.size(); ++i) {
      if (i == 0 || device_of[i] != device_of[i - 1]) runs_.push_back({device_of[i], i, i});
      runs_.back().end = i + 1;
    }
  }

  Split run() {
    find_crossings();
    for (size_t r = 0; r < runs_.size(); ++r) emit(r);
    return std::move(out_);
  }

 private:
  struct Run {
    uint32_t device;
    size_t begin, end;
  };

  // Each activation that is read in a later run than the one that makes it gets a host copy.
  void find_crossings() {
    for (size_t r = 0; r < runs_.size(); ++r) {
      for (size_t i = runs_[r].begin; i < runs_[r].end; ++i) {
        const Operands o = operands(program_.ops[i]);
        for (const Act& in : o.in) {
          if (in && made_in_[in.id - 1] != r && !slot_[in.id - 1]) {
            slot_[in.id - 1] = static_cast<uint32_t>(out_.slot_cols.size());
            out_.slot_cols.push_back(in.cols);
          }
        }
        if (o.out) made_in_[o.out.id - 1] = r;
      }
    }
  }

  void emit(size_t r) {
    Segment segment{runs_[r].device, program_};
    segment.program.ops.clear();
    segment.program.layer_of.clear();
    const auto push = [&](const Op& op, uint16_t layer) {
      segment.program.ops.push_back(op);
      segment.program.layer_of.push_back(layer);
    };
    std::vector<uint32_t> here;  // activations brought in
    for (size_t i = runs_[r].begin; i < runs_[r].end; ++i) {
      const uint16_t layer = program_.layer_of[i];
      const Operands o = operands(program_.ops[i]);
      for (const Act& in : o.in) {
        if (!in || made_in_[in.id - 1] == r || std::find(here.begin(), here.end(), in.id) != here.end())
          continue;
        here.push_back(in.id);
        push(Transfer{{}, in, false, *slot_[in.id - 1]}, layer);
      }
      push(program_.ops[i], layer);
      if (o.out && slot_[o.out.id - 1]) push(Transfer{o.out, {}, true, *slot_[o.out.id - 1]}, layer);
    }
    out_.segments.push_back(std::move(segment));
  }

  const Program& program_;
  std::vector<Run> runs_;
  std::vector<size_t> made_in_;                // [act id − 1]
  std::vector<std::optional<uint32_t>> slot_;  // [act id − 1]
  Split out_;
};

}  // namespace

Split split(const Program& program, std::span<const uint32_t> device_of) {
  return Splitter(program, device_of).run();
}

}  // namespace hearth
