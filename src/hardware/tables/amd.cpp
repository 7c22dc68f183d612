// Sources: libdrm's amdgpu.ids (names), the amdgpu driver's list of ids and kfd_device.c (chip → gfx), LLVM's
// AMDGPUUsage. One id covers several products, which its revision tells apart.
#include <algorithm>
#include <array>

#include "hardware/device_tables.h"

namespace hearth {
namespace {

using enum AmdClass;
constexpr AmdDevice devices[] = {
    {0x67df, "Radeon RX 470/480/570/580/590", "gfx803", polaris},
    {0x6fdf, "Radeon RX 580 2048SP", "gfx803", polaris},
    {0x67ef, "Radeon RX 460/560", "gfx803", polaris},
    {0x67ff, "Radeon RX 550/560", "gfx803", polaris},
    {0x699f, "Radeon RX 540/550", "gfx803", polaris},
    {0x6987, "Radeon 540", "gfx803", polaris},
    {0x7300, "Radeon R9 Fury/Nano", "gfx803", fiji},
    {0x687f, "Radeon RX Vega 56/64", "gfx900", gcn5},
    {0x6860, "Radeon Instinct MI25", "gfx900", gcn5},
    {0x6861, "Radeon Pro WX 9100", "gfx900", gcn5},
    {0x6862, "Radeon Pro SSG", "gfx900", gcn5},
    {0x6863, "Radeon Vega Frontier Edition", "gfx900", gcn5},
    {0x6864, "Radeon Pro V340", "gfx900", gcn5},
    {0x6867, "Radeon Pro Vega 56", "gfx900", gcn5},
    {0x6868, "Radeon Pro WX 8200", "gfx900", gcn5},
    {0x686c, "Radeon Instinct MI25 MxGPU", "gfx900", gcn5},
    {0x15dd, "Radeon Vega 8/10/11 (Raven)", "gfx902", apu},
    {0x15d8, "Radeon Vega 3/8/10 (Picasso)", "gfx902", apu},
    {0x1636, "Radeon Vega 6/7/8 (Renoir)", "gfx90c", apu},
    {0x1638, "Radeon Vega 6/7/8 (Cezanne)", "gfx90c", apu},
    {0x164c, "Radeon Vega (Lucienne)", "gfx90c", apu},
    {0x15e7, "Radeon Vega (Barcelo)", "gfx90c", apu},
    {0x66a0, "Radeon Instinct MI50/MI60", "gfx906", gcn5},
    {0x66a1, "Radeon Instinct MI50/MI60, Pro VII", "gfx906", gcn5},
    {0x66af, "Radeon VII", "gfx906", gcn5},
    {0x738c, "Instinct MI100", "gfx908", cdna},
    {0x7408, "Instinct MI250X", "gfx90a", cdna},
    {0x740c, "Instinct MI250", "gfx90a", cdna},
    {0x740f, "Instinct MI210", "gfx90a", cdna},
    {0x74a0, "Instinct MI300A", "gfx942", cdna},
    {0x74a1, "Instinct MI300X", "gfx942", cdna},
    {0x74a2, "Instinct MI308X", "gfx942", cdna},
    {0x74a5, "Instinct MI325X", "gfx942", cdna},
    {0x74a9, "Instinct MI300X HF", "gfx942", cdna},
    {0x75a0, "Instinct MI350X", "gfx950", cdna},
    {0x75a3, "Instinct MI355X", "gfx950", cdna},
    {0x731f, "Radeon RX 5600 XT/5700/5700 XT", "gfx1010", rdna1},
    {0x7312, "Radeon Pro W5700", "gfx1010", rdna1},
    {0x731e, "Radeon RX 5700 XT", "gfx1010", rdna1},
    {0x7360, "Radeon Pro 5600M", "gfx1011", rdna1},
    {0x7362, "Radeon Pro V520/V540", "gfx1011", rdna1},
    {0x7340, "Radeon RX 5300/5500 XT", "gfx1012", rdna1},
    {0x7341, "Radeon Pro W5500", "gfx1012", rdna1},
    {0x7347, "Radeon Pro W5500M", "gfx1012", rdna1},
    {0x73bf, "Radeon RX 6800/6800 XT/6900 XT", "gfx1030", rdna2},
    {0x73a5, "Radeon RX 6950 XT", "gfx1030", rdna2},
    {0x73af, "Radeon RX 6900 XT", "gfx1030", rdna2},
    {0x73a3, "Radeon Pro W6800", "gfx1030", rdna2},
    {0x73a1, "Radeon Pro V620", "gfx1030", rdna2},
    {0x73ae, "Radeon Pro V620 MxGPU", "gfx1030", rdna2},
    {0x73df, "Radeon RX 6700/6700 XT/6750 XT", "gfx1031", rdna2},
    {0x73ff, "Radeon RX 6600/6600 XT", "gfx1032", rdna2},
    {0x73ef, "Radeon RX 6650 XT", "gfx1032", rdna2},
    {0x73e0, "Radeon RX 6600M", "gfx1032", rdna2},
    {0x73e1, "Radeon Pro W6600M", "gfx1032", rdna2},
    {0x73e3, "Radeon Pro W6600", "gfx1032", rdna2},
    {0x163f, "Steam Deck (Van Gogh)", "gfx1033", apu},
    {0x1435, "Steam Deck OLED (Sephiroth)", "gfx1033", apu},
    {0x743f, "Radeon RX 6300/6400/6500 XT", "gfx1034", rdna2},
    {0x7421, "Radeon Pro W6500M", "gfx1034", rdna2},
    {0x7422, "Radeon Pro W6400", "gfx1034", rdna2},
    {0x7423, "Radeon Pro W6300/W6300M", "gfx1034", rdna2},
    {0x7424, "Radeon RX 6300", "gfx1034", rdna2},
    {0x1681, "Radeon 660M/680M (Rembrandt)", "gfx1035", apu},
    {0x164e, "Radeon 610M (display part of Ryzen 7000)", "gfx1036", apu},
    {0x13c0, "Radeon 610M (display part of Ryzen 9000)", "gfx1036", apu},
    {0x1506, "Radeon 610M (Mendocino)", "gfx1036", apu},
    {0x744c, "Radeon RX 7900 GRE/XT/XTX", "gfx1100", rdna3},
    {0x7448, "Radeon Pro W7900", "gfx1100", rdna3},
    {0x7449, "Radeon Pro W7800 48GB", "gfx1100", rdna3},
    {0x744a, "Radeon Pro W7900 Dual Slot", "gfx1100", rdna3},
    {0x745e, "Radeon Pro W7800", "gfx1100", rdna3},
    {0x747e, "Radeon RX 7700 XT/7800 XT", "gfx1101", rdna3},
    {0x7470, "Radeon Pro W7700", "gfx1101", rdna3},
    {0x7460, "Radeon Pro V710", "gfx1101", rdna3},
    {0x7480, "Radeon RX 7600/7600 XT/7700S", "gfx1102", rdna3},
    {0x7483, "Radeon RX 7600M XT", "gfx1102", rdna3},
    {0x7489, "Radeon Pro W7500", "gfx1102", rdna3},
    {0x7499, "Radeon RX 7400", "gfx1102", rdna3},
    {0x15bf, "Radeon 740M/760M/780M (Phoenix)", "gfx1103", apu},
    {0x15c8, "Radeon 740M (Phoenix 2)", "gfx1103", apu},
    {0x1900, "Radeon 760M/780M (Hawk Point)", "gfx1103", apu},
    {0x1901, "Radeon 740M (Hawk Point 2)", "gfx1103", apu},
    {0x150e, "Radeon 880M/890M (Strix Point)", "gfx1150", apu},
    {0x1586, "Radeon 8040S/8050S/8060S (Strix Halo)", "gfx1151", apu},
    {0x1114, "Radeon 840M/860M (Krackan)", "gfx1152", apu},
    {0x1902, "Radeon 820M/840M (Krackan 2)", "gfx1153", apu},  // gfx seen in one place only
    {0x7590, "Radeon RX 9060/9060 XT", "gfx1200", rdna4},
    {0x7550, "Radeon RX 9070/9070 XT/9070 GRE", "gfx1201", rdna4},
    {0x7551, "Radeon AI PRO R9700", "gfx1201", rdna4},
};

struct Override {
  std::string_view gfx, value;
};
constexpr std::array overrides{
    Override{"gfx1031", "10.3.0"},
    Override{"gfx1032", "10.3.0"},
    Override{"gfx1033", "10.3.0"},
    Override{"gfx1034", "10.3.0"},
    Override{"gfx1035", "10.3.0"},
    Override{"gfx1036", "10.3.0"},
    // 11.0.0 asks for more vector registers than gfx1102 and gfx1103 have.
    Override{"gfx1103", "11.0.2"},
    Override{"gfx1152", "11.5.0"},
    Override{"gfx1153", "11.5.0"},
    Override{"gfx90c", "9.0.0"},
    Override{"gfx902", "9.0.0"},
};

}  // namespace

std::span<const AmdDevice> amd_devices() noexcept { return devices; }

const AmdDevice* find_amd(uint32_t device) noexcept {
  const auto* at = std::find_if(std::begin(devices), std::end(devices),
                                [&](const AmdDevice& d) { return d.device == device; });
  return at == std::end(devices) ? nullptr : at;
}

std::string override_value(std::string_view gfx) {
  constexpr std::string_view front = "gfx", hex = "0123456789abcdef";
  if (!gfx.starts_with(front) || gfx.size() < front.size() + 3) return {};
  const std::string_view digits = gfx.substr(front.size());
  const size_t stepping = hex.find(digits.back()), minor = hex.find(digits[digits.size() - 2]);
  const std::string_view major = digits.substr(0, digits.size() - 2);
  if (stepping == std::string_view::npos || minor == std::string_view::npos ||
      major.find_first_not_of("0123456789") != std::string_view::npos)
    return {};
  return std::string(major) + "." + std::to_string(minor) + "." + std::to_string(stepping);
}

std::string_view known_override(std::string_view gfx) noexcept {
  for (const Override& o : overrides) {
    if (o.gfx == gfx) return o.value;
  }
  return {};
}

}  // namespace hearth
