#include "plan/json.h"

#include <fmt/format.h>

#include "base/error.h"

namespace hearth {
namespace {

template <class T>
T number(const Json& j, const char* key) {
  return j.at(key).to_number<T>();
}
std::string text(const Json& j, const char* key) { return json::value_to<std::string>(j.at(key)); }

json::object kv_json(KvTypes kv) { return {{"k", to_string(kv.k)}, {"v", to_string(kv.v)}}; }
KvTypes kv_of(const Json& j) { return {find_kv_type(text(j, "k")), find_kv_type(text(j, "v"))}; }

// Names as enumerators, in their order.
template <class E>
E named(const Json& j, const char* key, E last) {
  const std::string name = text(j, key);
  for (int i = 0; i <= static_cast<int>(last); ++i) {
    if (to_string(static_cast<E>(i)) == name) return static_cast<E>(i);
  }
  throw Error(Code::bad_request, fmt::format("'{}' is unknown as {}", name, key), "use one build throughout");
}

template <class T>
std::vector<T> list_of(const Json& j, const char* key) {
  return json::value_to<std::vector<T>>(j.at(key));
}

json::object part_json(const PartProfile& p) {
  return {{"kind", to_string(p.kind)},
          {"layer", p.layer},
          {"weights", p.weights},
          {"values", p.values},
          {"caches", json::value_from(p.caches)},
          {"token_bytes", p.token_bytes},
          {"row_flops", p.row_flops},
          {"attend_flops", p.attend_flops}};
}
PartProfile part_of(const Json& j) {
  return {named(j, "kind", PartKind::head), number<uint16_t>(j, "layer"),
          number<uint64_t>(j, "weights"),   number<uint64_t>(j, "values"),
          list_of<uint16_t>(j, "caches"),   number<uint64_t>(j, "token_bytes"),
          number<uint64_t>(j, "row_flops"), number<uint64_t>(j, "attend_flops")};
}

}  // namespace

Json to_json(const Wish& w) {
  json::object o{{"context", w.context}, {"parallel", w.parallel}, {"rows", w.rows},
                 {"kv", kv_json(w.kv)},  {"main_gpu", w.main_gpu}, {"spread", w.spread}};
  if (w.gpu_layers) o["gpu_layers"] = *w.gpu_layers;
  return o;
}

Wish wish_of(const Json& j) {
  Wish w;
  w.context = number<uint32_t>(j, "context");
  w.parallel = number<uint32_t>(j, "parallel");
  w.rows = number<uint32_t>(j, "rows");
  w.kv = kv_of(j.at("kv"));
  w.main_gpu = number<uint32_t>(j, "main_gpu");
  w.spread = j.at("spread").as_bool();
  if (j.as_object().contains("gpu_layers")) w.gpu_layers = number<uint32_t>(j, "gpu_layers");
  return w;
}

Json to_json(const MemoryProfile& p) {
  json::array caches, steps, parts;
  for (const CacheProfile& c : p.caches)
    caches.push_back({{"layers", c.layers},
                      {"kv_heads", c.kv_heads},
                      {"k", c.k_size},
                      {"v", c.v_size},
                      {"state", c.state}});
  for (const RowClass& s : p.steps)
    steps.push_back({{"rows", s.rows}, {"arena", s.arena}, {"workspace", s.workspace}});
  for (const PartProfile& part : p.parts) parts.push_back(part_json(part));
  return json::object{{"name", p.name},
                      {"context", p.context},
                      {"result_row", p.result_row},
                      {"width", p.width},
                      {"tied", p.tied},
                      {"caches", std::move(caches)},
                      {"steps", std::move(steps)},
                      {"parts", std::move(parts)}};
}

MemoryProfile profile_of(const Json& j) {
  MemoryProfile p;
  p.name = text(j, "name");
  p.context = number<uint32_t>(j, "context");
  p.result_row = number<uint64_t>(j, "result_row");
  p.width = number<uint32_t>(j, "width");
  p.tied = j.at("tied").as_bool();
  for (const Json& c : j.at("caches").as_array())
    p.caches.push_back({number<uint32_t>(c, "layers"), number<uint32_t>(c, "kv_heads"),
                        number<uint32_t>(c, "k"), number<uint32_t>(c, "v"), number<uint64_t>(c, "state")});
  for (const Json& s : j.at("steps").as_array())
    p.steps.push_back(
        {number<uint32_t>(s, "rows"), number<uint64_t>(s, "arena"), number<uint64_t>(s, "workspace")});
  for (const Json& part : j.at("parts").as_array()) p.parts.push_back(part_of(part));
  for (const PartProfile& part : p.parts) {
    for (const uint16_t group : part.caches) {
      if (group >= p.caches.size())
        throw Error(Code::bad_request, fmt::format("a part keeps its cache in group {}", group),
                    "use one build throughout");
    }
  }
  if (p.steps.empty() || p.parts.empty())
    throw Error(Code::bad_request, "a profile without parts", "use one build throughout");
  return p;
}

Json to_json(const DeviceBudget& b) {
  json::array kv;
  for (const KvTypes& types : b.kv) kv.push_back(kv_json(types));
  return json::object{{"device", b.device},
                      {"usable", b.usable},
                      {"maps_weights", b.maps_weights},
                      {"overhead", b.overhead},
                      {"mapped_limit", b.mapped_limit},
                      {"host_memory", b.host_memory},
                      {"largest_allocation", b.largest_allocation},
                      {"layer_cache", {{"bytes", b.layer_cache.bytes}, {"pieces", b.layer_cache.pieces}}},
                      {"rates",
                       {{"memory", b.rates.memory},
                        {"flops", b.rates.flops},
                        {"transfer", b.rates.transfer},
                        {"measured", b.rates.measured}}},
                      {"kv", std::move(kv)},
                      {"resident", json::value_from(b.resident)},
                      {"workspace", json::value_from(b.workspace)},
                      {"refusals", json::value_from(b.refusals)}};
}

DeviceBudget budget_of(const Json& j) {
  DeviceBudget b;
  b.device = text(j, "device");
  b.usable = number<uint64_t>(j, "usable");
  b.maps_weights = j.at("maps_weights").as_bool();
  b.overhead = number<uint64_t>(j, "overhead");
  b.mapped_limit = number<uint64_t>(j, "mapped_limit");
  b.host_memory = j.at("host_memory").as_bool();
  b.largest_allocation = number<uint64_t>(j, "largest_allocation");
  const Json& cache = j.at("layer_cache");
  b.layer_cache = {number<uint64_t>(cache, "bytes"), number<uint32_t>(cache, "pieces")};
  const Json& rates = j.at("rates");
  b.rates = {number<double>(rates, "memory"), number<double>(rates, "flops"),
             number<double>(rates, "transfer"), rates.at("measured").as_bool()};
  for (const Json& types : j.at("kv").as_array()) b.kv.push_back(kv_of(types));
  b.resident = list_of<uint64_t>(j, "resident");
  b.workspace = list_of<uint64_t>(j, "workspace");
  b.refusals = list_of<std::string>(j, "refusals");
  return b;
}

Json to_json(const DeviceBuffers& held) {
  json::array buffers;
  for (const Buffer& b : held.buffers)
    buffers.push_back({{"kind", to_string(b.kind)}, {"bytes", b.bytes}, {"mapped", b.mapped}});
  return json::object{{"device", held.device},
                      {"buffers", std::move(buffers)},
                      {"pages", json::value_from(held.pages)},
                      {"kv", kv_json(held.kv)}};
}

DeviceBuffers buffers_of(const Json& j) {
  DeviceBuffers held;
  held.device = text(j, "device");
  for (const Json& b : j.at("buffers").as_array())
    held.buffers.push_back(
        {named(b, "kind", BufferKind::results), number<uint64_t>(b, "bytes"), b.at("mapped").as_bool()});
  held.pages = list_of<uint32_t>(j, "pages");
  held.kv = kv_of(j.at("kv"));
  return held;
}

Json to_json(const Plan& p) {
  json::array devices, parts;
  for (uint32_t d = 0; d < p.devices.size(); ++d) {
    json::object device = to_json(p.devices[d]).as_object();
    device["layers"] = p.layers_on(d);
    devices.push_back(std::move(device));
  }
  for (const Placement& part : p.parts)
    parts.push_back(
        {{"kind", to_string(part.kind)}, {"layer", part.layer}, {"device", p.devices[part.device].device}});
  return json::object{{"context", p.context},
                      {"parallel", p.parallel},
                      {"rows", p.rows},
                      {"kv", kv_json(p.kv)},
                      {"devices", std::move(devices)},
                      {"parts", std::move(parts)},
                      {"crossing", p.crossing},
                      {"expected",
                       {{"prompt", p.expected.prompt},
                        {"generation", p.expected.generation},
                        {"generation_full", p.expected.generation_full},
                        {"measured", p.expected.measured}}},
                      {"notes", json::value_from(p.notes)}};
}

}  // namespace hearth
