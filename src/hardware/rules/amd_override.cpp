// HSA_OVERRIDE_GFX_VERSION and HSA_OVERRIDE_GFX_VERSION_<n>, where n is the number of a KFD node: processors
// count.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "hardware/device_tables.h"
#include "hardware/rules/list.h"
#include "hardware/sysfs_text.h"

namespace hearth {
namespace {

constexpr std::string_view plain = "HSA_OVERRIDE_GFX_VERSION";

struct Override {
  std::string variable, value;
  std::optional<uint32_t> node;    // none: all of them
  std::optional<std::string> gfx;  // what it says; none = not in the format
};

// "10.3.0": three decimal numbers, the first ≤ 63, the others ≤ 255, nothing behind.
std::optional<std::string> parse_gfx(std::string_view value) {
  std::array<uint64_t, 3> parts{};
  for (size_t i = 0; i < 3; ++i) {
    const size_t end = i == 2 ? value.size() : value.find('.');
    if (end == std::string_view::npos || end == 0 || end > 3) return std::nullopt;
    const std::string_view digits = value.substr(0, end);
    if (digits.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
    parts[i] = *parse_number(digits);
    value.remove_prefix(std::min(end + 1, value.size()));
  }
  if (parts[0] > 63 || parts[1] > 255 || parts[2] > 255) return std::nullopt;
  return fmt::format("gfx{}{:x}{:x}", parts[0], parts[1], parts[2]);
}

std::vector<Override> read_overrides(const Inventory& machine) {
  std::vector<Override> out;
  for (const auto& [name, value] : machine.environment) {
    if (!name.starts_with(plain) || value.empty()) continue;
    Override o{name, value, std::nullopt, parse_gfx(value)};
    if (name != plain) {
      const auto node = parse_number(std::string_view(name).substr(std::min(plain.size() + 1, name.size())));
      if (name[plain.size()] != '_' || !node || *node > 4096) continue;
      o.node = static_cast<uint32_t>(*node);
    }
    out.push_back(std::move(o));
  }
  return out;
}

const Override* override_of(const std::vector<Override>& all, const Gpu& gpu) {
  const Override* found = nullptr;
  for (const Override& o : all) {
    if (gpu.kfd && o.node == gpu.kfd->number) return &o;
    if (!o.node) found = &o;
  }
  return found;
}

std::string numbered(const Gpu& gpu) { return fmt::format("{}_{}", plain, gpu.kfd ? gpu.kfd->number : 0); }

// The value that is known to work for the chip, as a line for other programs; empty where there is none.
std::string for_others(const Gpu& gpu, bool by_number) {
  const std::string_view value = known_override(gpu.gfx);
  if (value.empty()) return {};
  return fmt::format("if another program needs it: `{}={}`", by_number ? numbered(gpu) : std::string(plain),
                     value);
}

Fix without(const Case& c, const Override& o, const std::string& others) {
  Fix fix = c.remedies.drop_variable(o.variable);
  if (!others.empty()) fix.text = others + ". " + fix.text;
  return fix;
}

void bad_format(Case& c, const Override& o, const Gpu& gpu) {
  c.add({.code = "amd.override.bad-format",
         .device = gpu.address,
         .sentence =
             fmt::format("{}={} must be three numbers such as 10.3.0; as it stands ROCm finds no GPU at all.",
                         o.variable, o.value),
         .fix = without(c, o,
                        fmt::format("remove the variable (hearth needs none for {})", gpu.gfx) +
                            (for_others(gpu, false).empty() ? "" : "; " + for_others(gpu, false)))});
}

// gfx1102 and gfx1103 have fewer vector registers than the chips that they would pretend to be.
void register_risk(Case& c, const Override& o, const Gpu& gpu) {
  const bool few = gpu.gfx == "gfx1102" || gpu.gfx == "gfx1103";
  if (!few || (o.gfx != "gfx1100" && o.gfx != "gfx1101")) return;
  c.add(
      {.code = "amd.override.register-risk",
       .device = gpu.address,
       .severity = Severity::warning,
       .sentence =
           fmt::format("{}={} makes the {} pretend to be {}, which has more vector registers; kernels may "
                       "hang the machine.",
                       o.variable, o.value, gpu.gfx, *o.gfx),
       .fix = without(c, o, fmt::format("hearth needs none for {}; for other programs use 11.0.2", gpu.gfx)),
       .result = "the probe tries as set and, if it dies or times out, again without the variable"});
}

// RDNA1 lacks instructions of RDNA2.
void lacks_instructions(Case& c, const Override& o, const Gpu& gpu) {
  const bool rdna1 = gpu.gfx == "gfx1010" || gpu.gfx == "gfx1011" || gpu.gfx == "gfx1012";
  if (!rdna1 || !o.gfx || !o.gfx->starts_with("gfx103")) return;
  c.add({.code = "amd.override.lacks-instructions",
         .device = gpu.address,
         .severity = Severity::warning,
         .sentence = fmt::format(
             "{}={} makes the {} pretend to be {}, whose dot products it lacks: results may be wrong "
             "or the program dies.",
             o.variable, o.value, gpu.gfx, *o.gfx),
         .fix = without(c, o, "")});
}

bool needs(const Gpu& gpu, const Override& o) { return known_override(gpu.gfx) == o.value; }

// A number that hits a GPU which has no use for it, or no GPU, while another one goes without.
void wrong_node(Case& c, const std::vector<Override>& all, const Override& o) {
  const std::vector<const Gpu*> gpus = c.gpus(Vendor::amd);
  const auto at = [&](auto&& fits) -> const Gpu* {
    const auto found = std::find_if(gpus.begin(), gpus.end(), fits);
    return found == gpus.end() ? nullptr : *found;
  };
  const Gpu* hit = at([&](const Gpu* g) { return g->kfd && g->kfd->number == *o.node; });
  const Gpu* meant =
      at([&](const Gpu* g) { return g->kfd && needs(*g, o) && override_of(all, *g) == nullptr; });
  if (meant == nullptr || (hit != nullptr && needs(*hit, o))) return;
  const std::string target = hit == nullptr ? fmt::format("no GPU (node {} is none)", *o.node)
                                            : fmt::format("the {} (node {})", hit->name, *o.node);
  c.add({.code = "amd.override.wrong-node",
         .device = hit == nullptr ? meant->address : hit->address,
         .severity = Severity::warning,
         .sentence = fmt::format(
             "The number in {} is the KFD node, not the device index: it hits {}, and the {} (node "
             "{}) gets none.",
             o.variable, target, meant->name, meant->kfd->number),
         .fix = without(c, o, fmt::format("unset it; {}", for_others(*meant, true)))});
}

// The plain variable, meant for one GPU, turns another into what it is not.
void hits_good(Case& c, const Override& o) {
  const std::vector<const Gpu*> gpus = c.gpus(Vendor::amd);
  const auto meant =
      std::find_if(gpus.begin(), gpus.end(), [&](const Gpu* g) { return g->kfd && needs(*g, o); });
  if (o.node || !o.gfx || meant == gpus.end()) return;
  for (const Gpu* gpu : gpus) {
    if (!gpu->kfd || needs(*gpu, o) || gpu->gfx == *o.gfx) continue;
    c.add({.code = "amd.override.hits-good-gpu",
           .device = gpu->address,
           .severity = Severity::warning,
           .sentence = fmt::format("The override meant for the {} also turns the {} into {}.", (*meant)->name,
                                   gpu->name, *o.gfx),
           .fix = without(
               c, o, fmt::format("remove it (or `{}={}` for other programs)", numbered(**meant), o.value))});
  }
}

}  // namespace

void amd_override(Case& c) {
  const std::vector<Override> all = read_overrides(c.machine);
  for (const Override& o : all) {
    for (const Gpu* gpu : c.gpus(Vendor::amd)) {
      if (!o.gfx && gpu->driver == "amdgpu") bad_format(c, o, *gpu);
    }
    if (o.gfx && o.node) wrong_node(c, all, o);
    if (o.gfx && !o.node) hits_good(c, o);
  }
  for (const Gpu* gpu : c.gpus(Vendor::amd)) {
    const Override* o = override_of(all, *gpu);
    if (o == nullptr || !o->gfx || !gpu->kfd) continue;
    register_risk(c, *o, *gpu);
    lacks_instructions(c, *o, *gpu);
  }
}

}  // namespace hearth
