#pragma once

#include <cstdint>
#include <vector>

#include "device/program.h"
#include "plan/plan.h"

namespace hearth {

// A program as placement sees it: which of its operations belong to which part.
struct Parts {
  struct Part {
    PartKind kind = PartKind::layer;
    uint16_t layer = 0;
  };
  std::vector<Part> list;    // in the order of their first operation
  std::vector<uint32_t> of;  // [operation] number in the list

  // 1 for each operation of the part: what part_of() takes.
  std::vector<uint8_t> operations(uint32_t part) const;
};
Parts parts_of(const Program& program);

// The device of each operation under a plan for this program.
std::vector<uint32_t> devices_of(const Parts& parts, const Plan& plan);

}  // namespace hearth
