#include "plan/cards.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <optional>

#include "base/error.h"

namespace hearth {
namespace {

// Memory in GiB, its bandwidth in GB/s and single-precision TFLOP/s from the makers' data sheets.
constexpr auto cards = std::to_array<Card>({
    // NVIDIA
    {"GTX 1050 Ti", 4, 112, 2.1},
    {"GTX 1060", 6, 192, 4.4},
    {"GTX 1070", 8, 256, 6.5},
    {"GTX 1070 Ti", 8, 256, 8.2},
    {"GTX 1080", 8, 320, 8.9},
    {"GTX 1080 Ti", 11, 484, 11.3},
    {"GTX 1650", 4, 128, 3.0},
    {"GTX 1660", 6, 192, 5.0},
    {"GTX 1660 Super", 6, 336, 5.0},
    {"GTX 1660 Ti", 6, 288, 5.4},
    {"RTX 2060", 6, 336, 6.5},
    {"RTX 2070", 8, 448, 7.5},
    {"RTX 2080", 8, 448, 10.1},
    {"RTX 2080 Ti", 11, 616, 13.4},
    {"RTX 3050", 8, 224, 9.1},
    {"RTX 3060", 12, 360, 12.7},
    {"RTX 3060 Ti", 8, 448, 16.2},
    {"RTX 3070", 8, 448, 20.3},
    {"RTX 3070 Ti", 8, 608, 21.7},
    {"RTX 3080", 10, 760, 29.8},
    {"RTX 3080 Ti", 12, 912, 34.1},
    {"RTX 3090", 24, 936, 35.6},
    {"RTX 3090 Ti", 24, 1008, 40.0},
    {"RTX 4060", 8, 272, 15.1},
    {"RTX 4060 Ti", 8, 288, 22.1},
    {"RTX 4070", 12, 504, 29.1},
    {"RTX 4070 Super", 12, 504, 35.5},
    {"RTX 4070 Ti", 12, 504, 40.1},
    {"RTX 4070 Ti Super", 16, 672, 44.1},
    {"RTX 4080", 16, 717, 48.7},
    {"RTX 4080 Super", 16, 736, 52.2},
    {"RTX 4090", 24, 1008, 82.6},
    {"RTX 5060", 8, 448, 19.2},
    {"RTX 5060 Ti", 16, 448, 23.7},
    {"RTX 5070", 12, 672, 30.9},
    {"RTX 5070 Ti", 16, 896, 43.9},
    {"RTX 5080", 16, 960, 56.3},
    {"RTX 5090", 32, 1792, 104.8},
    {"RTX A2000", 6, 288, 8.0},
    {"RTX A4000", 16, 448, 19.2},
    {"RTX A5000", 24, 768, 27.8},
    {"RTX A6000", 48, 768, 38.7},
    {"RTX 6000 Ada", 48, 960, 91.1},
    {"RTX PRO 6000", 96, 1792, 125.0},
    {"Tesla K80", 12, 240, 4.1},
    {"Tesla M40", 24, 288, 6.8},
    {"Tesla P4", 8, 192, 5.5},
    {"Tesla P40", 24, 347, 11.8},
    {"Tesla P100", 16, 732, 9.3},
    {"V100", 16, 900, 14.0},
    {"T4", 16, 320, 8.1},
    {"A2", 16, 200, 4.5},
    {"A10", 24, 600, 31.2},
    {"A30", 24, 933, 10.3},
    {"A40", 48, 696, 37.4},
    {"A100", 40, 1555, 19.5},
    {"L4", 24, 300, 30.3},
    {"L40", 48, 864, 90.5},
    {"L40S", 48, 864, 91.6},
    {"H100", 80, 3350, 66.9},
    {"H200", 141, 4800, 66.9},
    {"DGX Spark", 128, 273, 31.0, true},
    // AMD
    {"RX 470", 8, 211, 4.9},
    {"RX 480", 8, 256, 5.8},
    {"RX 570", 8, 224, 5.1},
    {"RX 580", 8, 256, 6.2},
    {"RX 590", 8, 256, 7.1},
    {"Vega 56", 8, 410, 10.5},
    {"Vega 64", 8, 484, 12.7},
    {"Radeon VII", 16, 1024, 13.4},
    {"MI50", 16, 1024, 13.3},
    {"MI60", 32, 1024, 14.7},
    {"MI100", 32, 1229, 23.1},
    {"MI210", 64, 1638, 22.6},
    {"MI300X", 192, 5300, 163.4},
    {"RX 5600 XT", 6, 288, 7.2},
    {"RX 5700", 8, 448, 7.9},
    {"RX 5700 XT", 8, 448, 9.8},
    {"RX 6600", 8, 224, 8.9},
    {"RX 6600 XT", 8, 256, 10.6},
    {"RX 6650 XT", 8, 280, 10.8},
    {"RX 6700 XT", 12, 384, 13.2},
    {"RX 6750 XT", 12, 432, 13.3},
    {"RX 6800", 16, 512, 16.2},
    {"RX 6800 XT", 16, 512, 20.7},
    {"RX 6900 XT", 16, 512, 23.0},
    {"RX 6950 XT", 16, 576, 23.7},
    {"RX 7600", 8, 288, 21.8},
    {"RX 7600 XT", 16, 288, 22.6},
    {"RX 7700 XT", 12, 432, 35.2},
    {"RX 7800 XT", 16, 624, 37.3},
    {"RX 7900 GRE", 16, 576, 46.0},
    {"RX 7900 XT", 20, 800, 51.5},
    {"RX 7900 XTX", 24, 960, 61.4},
    {"RX 9060 XT", 16, 320, 25.6},
    {"RX 9070", 16, 640, 36.1},
    {"RX 9070 XT", 16, 640, 48.7},
    {"AI PRO R9700", 32, 640, 47.8},
    {"PRO W6800", 32, 512, 17.8},
    {"PRO W7900", 48, 864, 61.3},
    {"680M", 0, 77, 3.4, true},
    {"780M", 0, 90, 8.3, true},
    {"890M", 0, 120, 11.9, true},
    {"8060S", 0, 256, 29.7, true},
    // Intel
    {"Arc A380", 6, 186, 4.1},
    {"Arc A580", 8, 512, 12.3},
    {"Arc A750", 8, 512, 17.2},
    {"Arc A770", 16, 560, 19.7},
    {"Arc B570", 10, 380, 11.5},
    {"Arc B580", 12, 456, 13.7},
    {"Arc Pro B50", 16, 224, 10.7},
    {"Arc Pro B60", 24, 456, 12.3},
});

// What is reached of the stated figures, rounded down from what well-tuned kernels do.
constexpr double memory_share = 0.7, flops_share = 0.4;
constexpr double transfer = 12e9;                // bytes/s, PCIe 3.0 ×16
constexpr uint64_t driver_bytes = 500ULL << 20;  // what driver and desktop hold of a card
constexpr double host_memory_rate = 45e9;        // two channels of DDR4

std::string lower(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '-' || c == '_' || std::isspace(static_cast<unsigned char>(c)) != 0) {
      if (!out.empty() && out.back() != ' ') out += ' ';
    } else {
      out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

Error no_size(std::string_view text) {
  return Error(Code::bad_request, fmt::format("'{}' is no size of a memory", text), "write it as in 24GiB");
}

}  // namespace

std::span<const Card> known_cards() { return cards; }

const Card* find_card(std::string_view name) {
  std::string wanted = lower(name);
  for (const std::string_view maker :
       {"nvidia ", "amd ", "intel ", "geforce ", "radeon ", "instinct ", "quadro "}) {
    if (wanted.starts_with(maker) && lower("radeon vii") != wanted) wanted.erase(0, maker.size());
  }
  for (const Card& card : cards) {
    const std::string known = lower(card.name);
    if (known == wanted) return &card;
    for (const std::string_view line : {"rtx ", "gtx ", "rx ", "tesla ", "arc ", "pro "}) {
      if (known.starts_with(line) && std::string_view(known).substr(line.size()) == wanted) return &card;
    }
  }
  return nullptr;
}

uint64_t memory_size(std::string_view text) {
  double value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  std::string unit = lower(text.substr(static_cast<size_t>(end - text.data())));
  if (!unit.empty() && unit.front() == ' ') unit.erase(0, 1);
  const double factor = unit == "gib" || unit == "g"   ? 1ULL << 30
                        : unit == "mib" || unit == "m" ? 1ULL << 20
                        : unit == "gb"                 ? 1e9
                        : unit == "mb"                 ? 1e6
                        : unit == "tib" || unit == "t" ? static_cast<double>(1ULL << 40)
                                                       : 0;
  if (failure != std::errc{} || factor == 0 || !(value > 0) || value * factor > 1e15) throw no_size(text);
  return static_cast<uint64_t>(value * factor);
}

DeviceBudget described_device(const std::string& text) {
  const size_t colon = text.rfind(':');
  const std::string name = text.substr(0, colon);
  std::optional<uint64_t> size;
  if (colon != std::string::npos) size = memory_size(std::string_view(text).substr(colon + 1));
  DeviceBudget b;
  b.device = name;
  if (lower(name) == "cpu") {
    if (!size) throw Error(Code::bad_request, "how much memory has the cpu?", "write it as in cpu:32GiB");
    b.device = "cpu";
    b.usable = *size;
    b.rates = {host_memory_rate, 0, transfer, false};
    return b;
  }
  const Card* card = find_card(name);
  if (card == nullptr && !size) {
    throw Error(Code::bad_request, fmt::format("the card '{}' is not known here", name),
                fmt::format("say how much memory it has: \"{}:16GiB\"", name));
  }
  if (card != nullptr && !size && card->gib == 0) {
    throw Error(Code::bad_request, fmt::format("{} uses the memory of its host", card->name),
                fmt::format("say how much it may use: \"{}:16GiB\"", card->name));
  }
  b.maps_weights = false;
  b.usable = size.value_or(card != nullptr ? static_cast<uint64_t>(card->gib * (1ULL << 30)) : 0);
  b.overhead = std::min(b.usable / 10, driver_bytes);
  b.host_memory = card != nullptr && card->unified;
  if (card == nullptr) return b;
  b.device = card->name;
  b.rates = {card->gbs * 1e9 * memory_share, card->tflops * 1e12 * flops_share, transfer, false};
  return b;
}

}  // namespace hearth
