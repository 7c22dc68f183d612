#include "device/layout.h"

#include <algorithm>
#include <limits>

#include "base/checked.h"

namespace hearth {
namespace {

constexpr uint32_t never = std::numeric_limits<uint32_t>::max();

// First-fit allocation of a byte range, kept as a sorted list of what is taken.
class Arena {
 public:
  uint64_t take(uint64_t bytes) {
    uint64_t at = 0;
    auto place = taken_.begin();
    for (; place != taken_.end() && place->begin - at < bytes; ++place) at = place->end;
    taken_.insert(place, {at, at + bytes});
    peak_ = std::max(peak_, at + bytes);
    return at;
  }
  void release(uint64_t at) {
    taken_.erase(std::find_if(taken_.begin(), taken_.end(), [at](const Range& r) { return r.begin == at; }));
  }
  uint64_t peak() const { return peak_; }

 private:
  struct Range {
    uint64_t begin, end;
  };
  std::vector<Range> taken_;
  uint64_t peak_ = 0;
};

std::vector<uint32_t> last_uses(const Program& program) {
  std::vector<uint32_t> last(program.acts.size(), never);
  for (uint32_t i = 0; i < program.ops.size(); ++i) {
    const Operands o = operands(program.ops[i]);
    for (const Act& in : o.in) {
      if (in) last[in.id - 1] = i;
    }
    if (o.out && last[o.out.id - 1] == never) last[o.out.id - 1] = i;  // written and never read
  }
  return last;
}

}  // namespace

Layout lay_out(const Program& program, uint32_t rows) {
  Layout layout{rows, std::vector<uint64_t>(program.acts.size(), 0), 0};
  const std::vector<uint32_t> last = last_uses(program);
  Arena arena;
  uint32_t here = rows;
  for (uint32_t i = 0; i < program.ops.size(); ++i) {
    const Operands o = operands(program.ops[i]);
    here = rows_behind(program.ops[i], here);
    uint32_t inherited = 0;
    if (o.out) {
      const bool moves = o.in_place && last[o.in_place.id - 1] == i && o.in_place.cols == o.out.cols;
      if (moves) inherited = o.in_place.id;
      layout.offset[o.out.id - 1] =
          moves ? layout.offset[o.in_place.id - 1]
                : arena.take(align_up(uint64_t{here} * o.out.cols * sizeof(float), 64));
    }
    for (uint32_t k = 0; k < most_inputs; ++k) {
      const Act in = o.in[k];
      const bool repeated = std::find(o.in, o.in + k, in) != o.in + k;
      if (in && !repeated && last[in.id - 1] == i && in.id != inherited)
        arena.release(layout.offset[in.id - 1]);
    }
    if (o.out && last[o.out.id - 1] == i) arena.release(layout.offset[o.out.id - 1]);
  }
  layout.peak = arena.peak();
  return layout;
}

}  // namespace hearth
