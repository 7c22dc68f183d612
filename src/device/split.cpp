#include "device/split.h"

#include <algorithm>
#include <map>
#include <optional>

#include "base/error.h"

namespace hearth {
namespace {

// The layers of each cache group that a device holds, numbered in the order in which it meets them.
class CacheLayers {
 public:
  explicit CacheLayers(const Program& program) : caches_(program.caches) {
    for (CacheGroup& c : caches_) c.layers = 0;
  }

  Op local(Op op) {
    std::visit(
        [this](auto& o) {
          if constexpr (requires { o.kv; }) o.kv.layer = number(o.kv);
          if constexpr (requires { o.state; }) o.state.layer = number(o.state);
        },
        op);
    return op;
  }
  const std::vector<CacheGroup>& caches() const noexcept { return caches_; }

 private:
  uint16_t number(KvRef kv) {
    const auto [at, fresh] =
        numbers_.try_emplace({kv.group, kv.layer}, static_cast<uint16_t>(caches_[kv.group].layers));
    if (fresh) ++caches_[kv.group].layers;
    return at->second;
  }

  std::vector<CacheGroup> caches_;
  std::map<std::pair<uint16_t, uint16_t>, uint16_t> numbers_;
};

Program without_ops(const Program& program) {
  Program empty = program;
  empty.ops.clear();
  empty.layer_of.clear();
  return empty;
}

class Splitter {
 public:
  Splitter(const Program& program, std::span<const uint32_t> device_of, uint32_t devices)
      : program_(program),
        made_in_(program.acts.size()),
        last_read_(program.acts.size()),
        slot_(program.acts.size()),
        caches_(devices, CacheLayers(program)) {
    bool fewer = false;
    for (size_t i = 0; i < program.ops.size(); ++i) {
      if (i == 0 || device_of[i] != device_of[i - 1]) {
        if (fewer)
          throw Error(Code::unsupported,
                      "rows cannot change their number on one device and be read on another",
                      "let one device compute the whole model");
        runs_.push_back({device_of[i], i, i});
      }
      runs_.back().end = i + 1;
      fewer = fewer || std::holds_alternative<Resample>(program.ops[i]);
    }
    out_.devices.assign(devices, without_ops(program));
  }

  Split run() {
    find_crossings();
    assign_slots();
    for (size_t r = 0; r < runs_.size(); ++r) emit(r);
    for (size_t d = 0; d < out_.devices.size(); ++d) out_.devices[d].caches = caches_[d].caches();
    for (Segment& s : out_.segments) s.program.caches = caches_[s.device].caches();
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
          if (!in) continue;
          if (made_in_[in.id - 1] != r &&
              std::find(crossing_.begin(), crossing_.end(), in) == crossing_.end())
            crossing_.push_back(in);
          last_read_[in.id - 1] = r;
        }
        if (o.out) made_in_[o.out.id - 1] = r;
      }
    }
  }

  // A host copy is used again for an activation that is made after the last run that read the one before.
  void assign_slots() {
    std::sort(crossing_.begin(), crossing_.end(), [&](const Act& a, const Act& b) {
      return std::pair(made_in_[a.id - 1], a.id) < std::pair(made_in_[b.id - 1], b.id);
    });
    std::vector<size_t> busy_until;  // [slot]
    for (const Act& act : crossing_) {
      size_t slot = 0;
      while (slot < busy_until.size() && busy_until[slot] >= made_in_[act.id - 1]) ++slot;
      if (slot == busy_until.size()) {
        busy_until.push_back(0);
        out_.slot_cols.push_back(0);
      }
      busy_until[slot] = last_read_[act.id - 1];
      out_.slot_cols[slot] = std::max(out_.slot_cols[slot], act.cols);
      slot_[act.id - 1] = static_cast<uint32_t>(slot);
    }
  }

  void emit(size_t r) {
    const uint32_t device = runs_[r].device;
    Segment segment{device, without_ops(program_), {}};
    Program& whole = out_.devices[device];
    const auto push = [&](const Op& op, size_t i) {
      for (Program* to : {&segment.program, &whole}) {
        to->ops.push_back(op);
        to->layer_of.push_back(program_.layer_of[i]);
      }
      segment.origin.push_back(static_cast<uint32_t>(i));
    };
    std::vector<uint32_t> here;  // activations brought in
    for (size_t i = runs_[r].begin; i < runs_[r].end; ++i) {
      const Operands o = operands(program_.ops[i]);
      for (const Act& in : o.in) {
        if (!in || made_in_[in.id - 1] == r || std::find(here.begin(), here.end(), in.id) != here.end())
          continue;
        here.push_back(in.id);
        push(Transfer{{}, in, false, *slot_[in.id - 1]}, i);
      }
      push(caches_[device].local(program_.ops[i]), i);
      if (o.out && slot_[o.out.id - 1]) push(Transfer{o.out, {}, true, *slot_[o.out.id - 1]}, i);
    }
    out_.segments.push_back(std::move(segment));
  }

  const Program& program_;
  std::vector<Run> runs_;
  std::vector<size_t> made_in_, last_read_;    // [act id − 1] runs
  std::vector<std::optional<uint32_t>> slot_;  // [act id − 1]
  std::vector<Act> crossing_;
  std::vector<CacheLayers> caches_;  // [device]
  Split out_;
};

}  // namespace

uint64_t Split::crossing_bytes(uint32_t rows) const noexcept {
  uint64_t sum = 0;
  for (const uint32_t cols : slot_cols) sum += uint64_t{rows} * cols * sizeof(float);
  return sum;
}

Split split(const Program& program, std::span<const uint32_t> device_of, uint32_t devices) {
  return Splitter(program, device_of, devices).run();
}

Program part_of(const Program& program, std::span<const uint8_t> wanted) {
  Program part = without_ops(program);
  CacheLayers layers(program);
  for (size_t i = 0; i < program.ops.size(); ++i) {
    if (wanted[i] == 0) continue;
    part.ops.push_back(layers.local(program.ops[i]));
    part.layer_of.push_back(program.layer_of[i]);
  }
  part.caches = layers.caches();
  return part;
}

}  // namespace hearth
