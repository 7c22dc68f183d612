#include "cli/plan_report.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/human.h"
#include "cli/table.h"
#include "plan/json.h"

namespace hearth {
namespace {

std::string gib(uint64_t bytes) {
  return fmt::format("{:.2f} GiB", static_cast<double>(bytes) / (1ULL << 30));
}
std::string rate(double per_second) {
  return per_second >= 100 ? fmt::format("{:.0f}", per_second) : fmt::format("{:.2g}", per_second);
}
std::string cache_name(KvTypes kv) {
  return kv.k == kv.v ? std::string(to_string(kv.k)) : fmt::format("{}/{}", to_string(kv.k), to_string(kv.v));
}
uint64_t room(const DeviceBudget& d) { return d.usable - std::min(d.usable, d.overhead); }

std::string word(const Json& facts, const char* key) { return json::value_to<std::string>(facts.at(key)); }
uint64_t count(const Json& facts, const char* key) { return facts.at(key).to_number<uint64_t>(); }

std::string headline(const PlanQuestion& q) {
  const Json& f = q.surveyed.facts;
  std::string line = fmt::format("{}: {}, {} parameters, {}, {}", q.model, word(f, "architecture"),
                                 human_count(count(f, "parameter_count")), word(f, "file_type"),
                                 gib(count(f, "file_bytes")));
  if (count(f, "experts") > 0)
    line += fmt::format(", {} of {} experts per token", count(f, "experts_used"), count(f, "experts"));
  return line + "\n";
}

std::string wish_line(const Plan& p) {
  return fmt::format("a context of {} tokens, {} at once, {} cache", p.context,
                     p.parallel == 1 ? "one request" : fmt::format("{} requests", p.parallel),
                     cache_name(p.kv));
}

std::string speed_line(const PlanQuestion& q, const Speed& s) {
  if (s.generation <= 0) return "  How fast it will be is unknown: nobody measured these devices.\n";
  std::string line = fmt::format("  About {} tokens/s", rate(s.generation));
  if (s.generation_full > 0 && s.generation_full < 0.97 * s.generation)
    line += fmt::format(", {} with the context full", rate(s.generation_full));
  if (s.prompt > 0) line += fmt::format("; prompts at about {} tokens/s", rate(s.prompt));
  return line + fmt::format(" (from {}).\n", q.source);
}

// Device, layers, what it holds.
std::string device_table(const PlanQuestion& q, const Plan& p) {
  Table table({"DEVICE", "LAYERS", "WEIGHTS", "CACHE", "COMPUTE", "TOGETHER", "OF"});
  uint32_t layers = 0;
  for (uint32_t d = 0; d < p.devices.size(); ++d) layers += p.layers_on(d);
  for (uint32_t d = 0; d < p.devices.size(); ++d) {
    if (!p.uses(d)) continue;
    const DeviceBuffers& held = p.devices[d];
    const uint64_t compute =
        held.of(BufferKind::arena) + held.of(BufferKind::workspace) + held.of(BufferKind::results);
    const uint64_t weights = held.of(BufferKind::weights);
    std::string in_all = gib(held.anonymous());
    if (held.mapped() > 0) in_all += " + file";
    table.add({held.device, fmt::format("{}/{}", p.layers_on(d), layers), gib(weights),
               gib(held.of(BufferKind::kv)), gib(compute), in_all, gib(room(q.devices[d]))});
  }
  std::string text = "\n", line;
  for (const char c : table.text()) {
    line += c;
    if (c != '\n') continue;
    text += "  " + line;
    line.clear();
  }
  return text;
}

std::string list(const std::string& title, const std::vector<std::string>& lines) {
  if (lines.empty()) return {};
  std::string text = fmt::format("\n  {}\n", title);
  for (const std::string& line : lines) text += fmt::format("  - {}\n", line);
  return text;
}

// The option that makes a change.
std::string option_of(const Change& c, const Wish& wish) {
  if (c.bits > 0 || c.usable > 0) return c.text;
  if (!(c.wish.kv == wish.kv)) return fmt::format("{}: --kv-type {}", c.text, cache_name(c.wish.kv));
  if (c.wish.context != wish.context) return fmt::format("{}: --context {}", c.text, c.wish.context);
  if (c.wish.parallel != wish.parallel) return fmt::format("{}: --parallel {}", c.text, c.wish.parallel);
  if (c.wish.gpu_layers != wish.gpu_layers && c.wish.gpu_layers)
    return fmt::format("{}: --gpu-layers {}", c.text, *c.wish.gpu_layers);
  return c.text;
}

bool on_host(const PlanQuestion& q, const Plan& p) {
  for (uint32_t d = 0; d < q.devices.size(); ++d) {
    if (q.devices[d].maps_weights && p.uses(d)) return true;
  }
  return false;
}

// What would make a model that fits clearly faster: everything on the cards.
std::vector<std::string> improvements(const PlanQuestion& q, const Plan& p) {
  const bool card =
      std::any_of(q.devices.begin(), q.devices.end(), [](const auto& d) { return !d.maps_weights; });
  std::vector<std::string> lines;
  if (!card || !on_host(q, p)) return lines;
  std::vector<DeviceBudget> cards;
  std::copy_if(q.devices.begin(), q.devices.end(), std::back_inserter(cards),
               [](const DeviceBudget& d) { return !d.maps_weights; });
  Wish wish = q.wish;
  wish.context = p.context;
  wish.gpu_layers = std::nullopt;
  const auto alone = place(q.surveyed.profile, cards, wish);
  const auto* shortfall = std::get_if<Shortfall>(&alone);
  if (shortfall == nullptr) return lines;
  for (const Change& c : shortfall->would_fit) lines.push_back(option_of(c, wish));
  return lines;
}

std::string fits_text(const PlanQuestion& q, const PlanAnswer& a, const Plan& p) {
  std::string text = fmt::format("  It fits, with {}.", wish_line(p));
  if (a.largest_context > p.context) text += fmt::format(" The largest context is {}.", a.largest_context);
  text += "\n" + speed_line(q, p.expected) + device_table(q, p);
  text += list("Notes", p.notes);
  return text + list("Faster, all on the accelerators, with one of these", improvements(q, p));
}

std::string misses_text(const PlanQuestion& q, const PlanAnswer& a, const Shortfall& s) {
  std::string text =
      !s.cause.empty() ? fmt::format("  It does not fit: it would take {}.\n", s.cause)
      : s.mapped
          ? fmt::format("  It does not fit: {} with its file, the memory limit leaves {}.\n", gib(s.needed),
                        gib(s.usable))
          : fmt::format("  It does not fit: {} are needed, {} are there.\n", gib(s.needed), gib(s.usable));
  if (a.largest_context > 0)
    text += fmt::format("  The largest context that fits is {}.\n", a.largest_context);
  std::vector<std::string> lines;
  for (const Change& c : s.would_fit) lines.push_back(option_of(c, q.wish));
  if (lines.empty()) lines.emplace_back("no single change is enough: use a smaller model or add a device");
  return text + list("It would fit with one of these", lines);
}

// Runs of layers that lie together: "layers 0–11".
std::vector<std::string> layer_runs(const Plan& p) {
  std::vector<std::string> lines;
  for (size_t i = 0; i < p.parts.size();) {
    size_t end = i + 1;
    const Placement& first = p.parts[i];
    const auto same = [&](const Placement& o) {
      const bool both_layers = first.kind == PartKind::layer && o.kind == PartKind::layer;
      return o.device == first.device && both_layers;
    };
    while (end < p.parts.size() && same(p.parts[end])) ++end;
    const std::string what = first.kind == PartKind::layer && end > i + 1
                                 ? fmt::format("layers {} to {}", first.layer, p.parts[end - 1].layer)
                             : first.kind == PartKind::layer || first.kind == PartKind::experts
                                 ? fmt::format("{} {}", to_string(first.kind), first.layer)
                                 : std::string(to_string(first.kind));
    lines.push_back(fmt::format("{} on {}", what, p.devices[first.device].device));
    i = end;
  }
  return lines;
}

std::vector<std::string> reasons(const PlanQuestion& q, const Wish& wish, uint32_t rows) {
  const MemoryProfile& m = q.surveyed.profile;
  std::vector<std::string> lines;
  uint64_t layers = 0, experts = 0, read = 0;
  for (const PartProfile& p : m.parts) {
    layers += p.kind == PartKind::layer ? p.weights : 0;
    experts += p.kind == PartKind::experts ? p.weights : 0;
    read += p.token_bytes;
  }
  lines.push_back(fmt::format("weights in the file: embeddings {}{}, layers {}{}, head {}",
                              gib(m.parts.front().weights), m.tied ? " (the head reads the same)" : "",
                              gib(layers), experts > 0 ? ", experts " + gib(experts) : "",
                              gib(m.parts.back().weights)));
  for (const CacheProfile& c : m.caches) {
    if (c.state != 0) {
      lines.push_back(fmt::format(
          "states: {} layers × {} bytes = {} bytes per sequence, × {} sequences, half "
          "of them at rest; they do not grow with the context",
          c.layers, c.state, page_bytes(c, wish.kv), pages_for(c, wish.context, wish.requests())));
      continue;
    }
    const uint64_t token = page_bytes(c, wish.kv) / page_tokens;
    const std::string values = c.v_size == 0 ? fmt::format("{} shared values", c.k_size)
                                             : fmt::format("({} + {}) values", c.k_size, c.v_size);
    const std::string types = c.v_size == 0 ? std::string(to_string(wish.kv.k)) : cache_name(wish.kv);
    lines.push_back(
        fmt::format("cache: {} layers × {} heads × {} as {} = {} bytes per token, × {} tokens × {}", c.layers,
                    c.kv_heads, values, types, token, wish.context, wish.requests()));
  }
  for (const RowClass& s : m.steps) {
    if (s.rows == rows)
      lines.push_back(fmt::format(
          "compute, {} rows per step: {:.1f} MiB activations, {:.1f} MiB scratch, as a dry run of the "
          "model's operations lays them out",
          s.rows, static_cast<double>(s.arena) / (1 << 20), static_cast<double>(s.workspace) / (1 << 20)));
  }
  lines.push_back(fmt::format("a token reads {} of weights, and the cache behind it", gib(read)));
  for (const DeviceBudget& d : q.devices) {
    std::string line = fmt::format("{}: {} can be used", d.device, gib(d.usable));
    if (d.overhead > 0) line += fmt::format(", {} of them stay free for driver and desktop", gib(d.overhead));
    if (d.mapped_limit > 0)
      line += fmt::format("; a memory limit leaves {}, the file counted", gib(d.mapped_limit));
    if (d.rates.memory > 0) line += fmt::format("; {:.0f} GB/s", d.rates.memory / 1e9);
    if (d.rates.flops > 0) line += fmt::format(", {:.1f} TFLOP/s", d.rates.flops / 1e12);
    lines.push_back(line + (d.rates.memory > 0 ? (d.rates.measured ? " measured" : " from a table") : ""));
  }
  return lines;
}

}  // namespace

PlanAnswer answer_of(const PlanQuestion& q) {
  return {place(q.surveyed.profile, q.devices, q.wish),
          largest_context(q.surveyed.profile, q.devices, q.wish)};
}

std::string plan_text(const PlanQuestion& q, const PlanAnswer& a, bool why) {
  std::string text = headline(q) + "\n";
  Wish wish = q.wish;
  uint32_t rows = q.wish.rows;
  if (const auto* plan = std::get_if<Plan>(&a.result)) {
    text += fits_text(q, a, *plan);
    wish.context = plan->context;
    wish.parallel = plan->parallel;
    rows = plan->rows;
    if (why) text += list("What lies where", layer_runs(*plan));
  } else {
    text += misses_text(q, a, std::get<Shortfall>(a.result));
  }
  if (why) text += list("Where the figures come from", reasons(q, wish, rows));
  return text;
}

Json plan_json(const PlanQuestion& q, const PlanAnswer& a) {
  json::object o{{"model", q.model}, {"facts", q.surveyed.facts}, {"wish", to_json(q.wish)}};
  json::array devices;
  for (const DeviceBudget& d : q.devices) {
    json::object device = to_json(d).as_object();
    for (const char* key : {"resident", "workspace", "refusals", "kv"}) device.erase(key);
    devices.push_back(std::move(device));
  }
  o["devices"] = std::move(devices);
  o["largest_context"] = a.largest_context;
  const auto* plan = std::get_if<Plan>(&a.result);
  o["fits"] = plan != nullptr;
  if (plan != nullptr) {
    o["plan"] = to_json(*plan);
    return o;
  }
  const Shortfall& s = std::get<Shortfall>(a.result);
  json::array changes;
  for (const Change& c : s.would_fit) {
    json::object change{{"text", c.text}, {"wish", to_json(c.wish)}};
    if (c.bits > 0) change["bits"] = c.bits;
    if (c.usable > 0) change["usable"] = c.usable;
    changes.push_back(std::move(change));
  }
  o["shortfall"] = json::object{{"needed", s.needed},
                                {"usable", s.usable},
                                {"file_counts", s.mapped},
                                {"cause", s.cause},
                                {"would_fit", std::move(changes)}};
  return o;
}

}  // namespace hearth
