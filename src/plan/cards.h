#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plan/profile.h"

// Cards that people own, for plans on machines that are not here. Data explain; what a device really does is
// measured on it.
namespace hearth {

struct Card {
  std::string_view name;  // without its maker: "RTX 3090"
  double gib = 0;         // memory of the common version
  double gbs = 0;         // bandwidth of its memory, 10^9 bytes/s
  double tflops = 0;      // single precision, as its maker states it
  bool unified = false;   // shares the host's memory: `gib` 0 = as much as is given
};

std::span<const Card> known_cards();

// By name, in any case, with or without "NVIDIA GeForce", "AMD Radeon", "Intel"; null if there is none.
const Card* find_card(std::string_view name);

// A device as a user writes it: "RTX 3090", "RTX 3060:12GiB", "some card:16GB", "cpu:64GiB". What the engine
// reaches is a share of what the maker states. Throws Error(bad_request): an unknown card without a size, a
// size that is none.
DeviceBudget described_device(const std::string& text);

// "24GiB", "24 GB", "24G", "800MiB". Throws Error(bad_request).
uint64_t memory_size(std::string_view text);

}  // namespace hearth
