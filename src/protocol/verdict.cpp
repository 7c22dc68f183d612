#include "protocol/verdict.h"

#include <fmt/format.h>

#include <array>

#include "base/error.h"

namespace hearth {
namespace {

constexpr std::array<std::string_view, 6> outcome_words{"passed",    "failed",    "not_built",
                                                        "no_loader", "timed_out", "crashed"};

ProbeOutcome outcome_of(std::string_view word) {
  for (size_t i = 0; i < outcome_words.size(); ++i) {
    if (outcome_words[i] == word) return static_cast<ProbeOutcome>(i);
  }
  throw Error(Code::corrupt_file, fmt::format("a verdict has the unknown outcome '{}'", word),
              "it is from another version: probe again");
}

// Puts what is set; a verdict in a file shows what there is to say and nothing else.
class Writer {
 public:
  template <class T>
  void put(const char* key, const T& value) {
    if (value != T{}) object_[key] = json::value_from(value);
  }
  void list(const char* key, json::array values) {
    if (!values.empty()) object_[key] = std::move(values);
  }
  json::object object_;
};

class Reader {
 public:
  explicit Reader(const Json& json) : object_(json.as_object()) {}
  template <class T>
  void get(const char* key, T& to) const {
    if (const Json* at = object_.if_contains(key)) to = json::value_to<T>(*at);
  }
  // Calls `each` with every element.
  template <class F>
  void list(const char* key, F&& each) const {
    const Json* at = object_.if_contains(key);
    if (at == nullptr) return;
    for (const Json& element : at->as_array()) each(Reader(element));
  }

 private:
  const json::object& object_;
};

json::object reply_json(const DriverReply& r) {
  Writer w;
  w.put("call", r.call);
  w.object_["code"] = r.code;
  w.put("text", r.text);
  return w.object_;
}

json::object variant_json(const VariantVerdict& v) {
  Writer w;
  w.put("kernel", v.kernel);
  w.put("head_size", v.head_size);
  w.put("k", v.k);
  w.put("v", v.v);
  w.object_["passed"] = v.passed;
  w.put("cause", v.cause);
  return w.object_;
}

json::object memory_json(const VerdictMemory& m) {
  Writer w;
  w.put("total", m.total);
  w.put("usable", m.usable);
  w.put("largest_allocation", m.largest_allocation);
  w.put("cache_piece", m.layer_cache.bytes);
  w.put("cache_pieces", m.layer_cache.pieces);
  json::array heaps;
  for (const VerdictHeap& h : m.heaps) {
    Writer heap;
    heap.object_["bytes"] = h.bytes;
    heap.put("free", h.free);
    heap.put("device_local", h.device_local);
    heap.put("host_visible", h.host_visible);
    heaps.push_back(std::move(heap.object_));
  }
  w.list("heaps", std::move(heaps));
  return w.object_;
}

json::object rates_json(const MeasuredRates& r) {
  Writer w;
  w.put("memory_gbs", r.memory_gbs);
  w.put("prompt_gflops", r.prompt_gflops);
  w.put("generation_gflops", r.generation_gflops);
  w.put("others", r.load.others);
  w.put("stolen", r.load.stolen);
  return w.object_;
}

void read_memory(const Json& json, VerdictMemory& m) {
  const Reader r(json);
  r.get("total", m.total);
  r.get("usable", m.usable);
  r.get("largest_allocation", m.largest_allocation);
  r.get("cache_piece", m.layer_cache.bytes);
  r.get("cache_pieces", m.layer_cache.pieces);
  r.list("heaps", [&](const Reader& h) {
    VerdictHeap heap;
    h.get("bytes", heap.bytes);
    h.get("free", heap.free);
    h.get("device_local", heap.device_local);
    h.get("host_visible", heap.host_visible);
    m.heaps.push_back(heap);
  });
}

void read_rates(const Json& json, MeasuredRates& rates) {
  const Reader r(json);
  r.get("memory_gbs", rates.memory_gbs);
  r.get("prompt_gflops", rates.prompt_gflops);
  r.get("generation_gflops", rates.generation_gflops);
  r.get("others", rates.load.others);
  r.get("stolen", rates.load.stolen);
}

void read_lists(const Reader& r, ProbeVerdict& v) {
  r.list("replies", [&](const Reader& e) {
    DriverReply reply;
    e.get("call", reply.call);
    e.get("code", reply.code);
    e.get("text", reply.text);
    v.replies.push_back(std::move(reply));
  });
  r.list("variants", [&](const Reader& e) {
    VariantVerdict variant;
    e.get("kernel", variant.kernel);
    e.get("head_size", variant.head_size);
    e.get("k", variant.k);
    e.get("v", variant.v);
    e.get("passed", variant.passed);
    e.get("cause", variant.cause);
    v.variants.push_back(std::move(variant));
  });
}

ProbeVerdict read_verdict(const Json& json) {
  const Reader r(json);
  ProbeVerdict v;
  std::string outcome = "failed";
  r.get("outcome", outcome);
  v.outcome = outcome_of(outcome);
  r.get("backend", v.backend);
  r.get("device", v.device);
  r.get("key", v.key);
  r.get("name", v.name);
  r.get("kind", v.kind);
  r.get("driver", v.driver);
  r.get("library", v.library);
  r.get("phase", v.phase);
  r.get("cause", v.cause);
  r.get("signal", v.signal);
  r.get("exit_code", v.exit_code);
  r.get("stderr_tail", v.stderr_tail);
  r.get("features", v.features);
  r.get("overrides", v.overrides);
  r.get("kernel", v.kernel);
  r.get("build", v.build);
  r.get("taken", v.taken);
  read_lists(r, v);
  if (const Json* memory = json.as_object().if_contains("memory")) read_memory(*memory, v.memory);
  if (const Json* rates = json.as_object().if_contains("rates")) read_rates(*rates, v.rates);
  return v;
}

}  // namespace

std::string_view to_string(ProbeOutcome outcome) noexcept {
  return outcome_words[static_cast<size_t>(outcome)];
}

Json encode(const ProbeVerdict& v) {
  Writer w;
  w.put("backend", v.backend);
  w.put("device", v.device);
  w.put("key", v.key);
  w.put("name", v.name);
  w.put("kind", v.kind);
  w.put("driver", v.driver);
  w.put("library", v.library);
  w.object_["outcome"] = to_string(v.outcome);
  w.put("phase", v.phase);
  w.put("cause", v.cause);
  w.put("signal", v.signal);
  w.put("exit_code", v.exit_code);
  w.put("stderr_tail", v.stderr_tail);
  json::array replies, variants;
  for (const DriverReply& r : v.replies) replies.push_back(reply_json(r));
  for (const VariantVerdict& variant : v.variants) variants.push_back(variant_json(variant));
  w.list("replies", std::move(replies));
  w.list("variants", std::move(variants));
  if (json::object rates = rates_json(v.rates); !rates.empty()) w.object_["rates"] = std::move(rates);
  if (json::object memory = memory_json(v.memory); !memory.empty()) w.object_["memory"] = std::move(memory);
  w.put("features", v.features);
  w.put("overrides", v.overrides);
  w.put("kernel", v.kernel);
  w.put("build", v.build);
  w.put("taken", v.taken);
  return w.object_;
}

ProbeVerdict decode_verdict(const Json& json) {
  try {
    return read_verdict(json);
  } catch (const Error&) {
    throw;
  } catch (const std::exception& e) {
    throw Error(Code::corrupt_file, fmt::format("a probe's verdict does not decode: {}", e.what()),
                "probe again");
  }
}

}  // namespace hearth
