#include "device/parts.h"

#include <map>

namespace hearth {
namespace {

constexpr uint16_t no_layer = 0xffff;

}  // namespace

std::vector<uint8_t> Parts::operations(uint32_t part) const {
  std::vector<uint8_t> wanted(of.size());
  for (size_t i = 0; i < of.size(); ++i) wanted[i] = of[i] == part ? 1 : 0;
  return wanted;
}

Parts parts_of(const Program& program) {
  Parts parts;
  std::map<std::pair<PartKind, uint16_t>, uint32_t> known;
  bool layers_begun = false;
  for (size_t i = 0; i < program.ops.size(); ++i) {
    Parts::Part part{PartKind::layer, program.layer_of[i]};
    if (part.layer == no_layer) {
      part = {layers_begun ? PartKind::head : PartKind::embed, 0};
    } else {
      layers_begun = true;
      if (std::holds_alternative<Experts>(program.ops[i])) part.kind = PartKind::experts;
    }
    const auto [at, fresh] =
        known.try_emplace({part.kind, part.layer}, static_cast<uint32_t>(parts.list.size()));
    if (fresh) parts.list.push_back(part);
    parts.of.push_back(at->second);
  }
  return parts;
}

std::vector<uint32_t> devices_of(const Parts& parts, const Plan& plan) {
  std::vector<uint32_t> devices;
  devices.reserve(parts.of.size());
  for (const uint32_t part : parts.of) devices.push_back(plan.parts[part].device);
  return devices;
}

}  // namespace hearth
