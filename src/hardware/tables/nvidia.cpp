// Sources: NVIDIA's lists of CUDA GPUs and legacy GPUs (capabilities), pci.ids (device ids). The blocks of
// ids per chip are the way NVIDIA has given them out so far: a hint.
#include <algorithm>
#include <array>

#include "hardware/device_tables.h"

namespace hearth {
namespace {

constexpr NvidiaDevice devices[] = {
    {0x102d, "Tesla K80", 37},
    {0x1023, "Tesla K40m", 35},
    {0x17fd, "Tesla M40", 52},
    {0x13f2, "Tesla M60", 52},
    {0x1bb3, "Tesla P4", 61},
    {0x1b38, "Tesla P40", 61},
    {0x15f8, "Tesla P100 16GB", 60},
    {0x1db1, "Tesla V100 SXM2 16GB", 70},
    {0x1db4, "Tesla V100 PCIe 16GB", 70},
    {0x1d81, "Titan V", 70},
    {0x1eb8, "Tesla T4", 75},
    {0x1b80, "GeForce GTX 1080", 61},
    {0x1b06, "GeForce GTX 1080 Ti", 61},
    {0x1c82, "GeForce GTX 1050 Ti", 61},
    {0x1c30, "Quadro P2000", 61},
    {0x20b0, "A100 SXM4 40GB", 80},
    {0x2204, "GeForce RTX 3090", 86},
    {0x2206, "GeForce RTX 3080", 86},
    {0x2231, "RTX A5000", 86},
    {0x2504, "GeForce RTX 3060", 86},
    {0x2330, "H100 SXM5 80GB", 90},
    {0x2331, "H100 PCIe", 90},
    {0x2335, "H200 SXM 141GB", 90},
    {0x2684, "GeForce RTX 4090", 89},
    {0x27b8, "L4", 89},
    {0x2b85, "GeForce RTX 5090", 120},
};

constexpr NvidiaChip chips[] = {
    {0x0fc0, 0x0fff, "GK107", 30},       {0x1000, 0x103f, "GK110", 35},
    {0x1180, 0x11bf, "GK104", 30},       {0x11c0, 0x11ff, "GK106", 30},
    {0x1280, 0x12bf, "GK208", 35},       {0x1340, 0x13bf, "GM107/GM108", 50},
    {0x13c0, 0x143f, "GM204/GM206", 52}, {0x15f0, 0x15ff, "GP100", 60},
    {0x1617, 0x161a, "GM204", 52},       {0x17c0, 0x17ff, "GM200", 52},
    {0x1b00, 0x1b7f, "GP102", 61},       {0x1b80, 0x1bff, "GP104", 61},
    {0x1c00, 0x1c7f, "GP106", 61},       {0x1c80, 0x1cff, "GP107", 61},
    {0x1d00, 0x1d7f, "GP108", 61},       {0x1d80, 0x1dff, "GV100", 70},
    {0x1e00, 0x1fff, "TU10x/TU117", 75}, {0x2080, 0x20ff, "GA100", 80},
    {0x2180, 0x21ff, "TU116", 75},       {0x2200, 0x22ff, "GA102", 86},
    {0x2300, 0x237f, "GH100", 90},       {0x2400, 0x24ff, "GA103/GA104", 86},
    {0x2500, 0x257f, "GA106", 86},       {0x2580, 0x25ff, "GA107", 86},
    {0x2680, 0x26ff, "AD102", 89},       {0x2700, 0x277f, "AD103", 89},
    {0x2780, 0x27ff, "AD104", 89},       {0x2800, 0x287f, "AD106", 89},
    {0x2880, 0x28ff, "AD107", 89},       {0x2900, 0x297f, "GB100", 100},
    {0x2b80, 0x2bff, "GB202", 120},      {0x2c00, 0x2cff, "GB203", 120},
    {0x2d00, 0x2d7f, "GB206", 120},      {0x2d80, 0x2dff, "GB207", 120},
    {0x2e00, 0x2e7f, "GB10", 121},       {0x2f00, 0x2f7f, "GB205", 120},
};

}  // namespace

const NvidiaDevice* find_nvidia(uint32_t device) noexcept {
  const auto* at = std::find_if(std::begin(devices), std::end(devices),
                                [&](const NvidiaDevice& d) { return d.device == device; });
  return at == std::end(devices) ? nullptr : at;
}

const NvidiaChip* find_nvidia_chip(uint32_t device) noexcept {
  const auto* at = std::find_if(std::begin(chips), std::end(chips),
                                [&](const NvidiaChip& c) { return c.first <= device && device <= c.last; });
  return at == std::end(chips) ? nullptr : at;
}

std::string_view nvidia_family(uint32_t compute) noexcept {
  if (compute == 0) return {};
  if (compute < 30) return "Fermi";
  if (compute < 50) return "Kepler";
  if (compute < 60) return "Maxwell";
  if (compute < 70) return "Pascal";
  if (compute < 75) return "Volta";
  if (compute < 80) return "Turing";
  if (compute < 89) return "Ampere";
  if (compute < 90) return "Ada";
  if (compute < 100) return "Hopper";
  return "Blackwell";
}

bool nvidia_datacenter(std::string_view model) noexcept {
  static constexpr std::array<std::string_view, 4> consumer{"GeForce", "Quadro", "RTX", "TITAN"};
  static constexpr std::array<std::string_view, 12> words{"Tesla", "A100", "A30",  "A40", "A10", "A16",
                                                          "A2",    "H100", "H200", "L4",  "L40", "B200"};
  const auto has = [&](std::string_view word) { return model.find(word) != std::string_view::npos; };
  return std::none_of(consumer.begin(), consumer.end(), has) && std::any_of(words.begin(), words.end(), has);
}

uint32_t last_nvidia_branch(uint32_t compute) noexcept {
  if (compute == 0 || compute >= 75) return 0;
  if (compute < 30) return 390;
  return compute < 50 ? 470 : 580;
}

}  // namespace hearth
