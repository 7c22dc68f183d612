// Names for the cards that are met most; other devices of Intel are shown by their ids. Source: pci.ids.
#include <algorithm>
#include <iterator>

#include "hardware/device_tables.h"

namespace hearth {
namespace {

constexpr IntelDevice devices[] = {
    {0x56a0, "Arc A770"},
    {0x56a1, "Arc A750"},
    {0x56a5, "Arc A380"},
    {0x56a6, "Arc A310"},
    {0xe20b, "Arc B580"},
    {0xe20c, "Arc B570"},
    {0x64a0, "Arc Graphics 130V/140V (Lunar Lake)"},
    {0x7d55, "Arc Graphics (Meteor Lake)"},
    {0x46a6, "Iris Xe Graphics (Alder Lake)"},
    {0xa7a0, "Iris Xe Graphics (Raptor Lake)"},
    {0x9a49, "Iris Xe Graphics (Tiger Lake)"},
    {0x3e92, "UHD Graphics 630"},
    {0x5912, "HD Graphics 630"},
};

}  // namespace

const IntelDevice* find_intel(uint32_t device) noexcept {
  const auto* at = std::find_if(std::begin(devices), std::end(devices),
                                [&](const IntelDevice& d) { return d.device == device; });
  return at == std::end(devices) ? nullptr : at;
}

}  // namespace hearth
