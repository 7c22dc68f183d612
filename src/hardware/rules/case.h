#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "hardware/finding.h"
#include "hardware/inventory.h"
#include "hardware/remedies.h"
#include "hardware/wanted.h"
#include "protocol/verdict.h"

namespace hearth {

// What a rule looks at, and where it puts what it finds.
class Case {
 public:
  Case(const Inventory& machine_in, const std::vector<ProbeVerdict>& verdicts_in, const Wanted& wanted_in)
      : machine(machine_in), verdicts(verdicts_in), wanted(wanted_in), remedies(machine_in) {}

  const Inventory& machine;
  const std::vector<ProbeVerdict>& verdicts;
  const Wanted& wanted;
  const Remedies remedies;
  std::vector<Finding> findings = {};

  void add(Finding finding);
  bool found(std::string_view code, std::string_view device) const noexcept;
  // Something already stands in the way of this device.
  bool blocked(std::string_view device) const noexcept;

  // Verdicts about a device; `backend` empty: all of them. Those of a whole backend (no key) count for every
  // device of its vendor.
  std::vector<const ProbeVerdict*> about(const Gpu& gpu, std::string_view backend = {}) const;
  // A probe of this backend was made, whatever came of it.
  bool probed(std::string_view backend) const noexcept;
  bool passed(const Gpu& gpu, std::string_view backend = {}) const;
  // A verdict about a device that is no processor and in no list of the kernel's.
  bool unlisted(const ProbeVerdict& verdict) const;
  // A driver's answer to a call, in any verdict about the device.
  bool replied(const Gpu& gpu, std::string_view call, int64_t code) const;

  std::vector<const Gpu*> gpus(Vendor vendor) const;
  // The card that models run on, or would: one that passed its probe before one that no one tried; null =
  // there is none.
  const Gpu* card() const;
  // A part that only drives a screen, beside such a card: nobody wants it for models, so nothing is wrong
  // with it.
  bool only_for_a_screen(const Gpu& gpu) const;

  // The first line of the kernel's log that has all the words; empty = none.
  std::string log_line(std::initializer_list<std::string_view> words) const;
  // All messages with this word, their times and prefixes cut off, as one text: drivers break sentences.
  std::string joined_log(std::string_view prefix) const;
};

using Rule = void (*)(Case&);

// GiB with two digits: "15.14 GiB"; less than one as MiB.
std::string gib(uint64_t bytes);
// "RX 7900 XTX (0000:03:00.0)"
std::string described(const Gpu& gpu);

}  // namespace hearth
