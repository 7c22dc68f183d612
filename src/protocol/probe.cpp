#include "protocol/probe.h"

#include <fmt/format.h>

#include "base/error.h"

namespace hearth {
namespace {

std::string text(const Json& j, const char* key) { return json::value_to<std::string>(j.at(key)); }

}  // namespace

Json encode(const ProbeQuestion& q) {
  return json::object{{"backend", q.backend},
                      {"list", q.list},
                      {"device", q.device},
                      {"key", q.key},
                      {"folders", q.folders},
                      {"cpu_set", q.cpu_set},
                      {"threads", q.threads},
                      {"skip", json::value_from(q.skip)},
                      {"driver_folders", json::value_from(q.driver_folders)},
                      {"own_libraries_only", q.own_libraries_only},
                      {"sweep_bytes", q.sweep_bytes},
                      {"seconds", q.seconds},
                      {"rates_only", q.rates_only}};
}

ProbeQuestion decode_question(const Json& j) {
  try {
    ProbeQuestion q;
    q.backend = text(j, "backend");
    q.list = j.at("list").as_bool();
    q.device = text(j, "device");
    q.key = text(j, "key");
    q.folders = text(j, "folders");
    q.cpu_set = text(j, "cpu_set");
    q.threads = j.at("threads").to_number<uint32_t>();
    q.skip = json::value_to<std::vector<std::string>>(j.at("skip"));
    q.driver_folders = json::value_to<std::vector<std::string>>(j.at("driver_folders"));
    q.own_libraries_only = j.at("own_libraries_only").as_bool();
    q.sweep_bytes = j.at("sweep_bytes").to_number<uint64_t>();
    q.seconds = j.at("seconds").to_number<double>();
    q.rates_only = j.at("rates_only").as_bool();
    return q;
  } catch (const std::exception& e) {
    throw Error(Code::bug, fmt::format("a question to a probe does not decode: {}", e.what()),
                "parent and child must be the same build");
  }
}

Json encode(const ProbeReport& r) {
  json::object o{{"verdict", encode(r.verdict)}, {"done", r.done}};
  if (!r.devices.empty()) {
    json::array devices;
    for (const ProbeVerdict& d : r.devices) devices.push_back(encode(d));
    o["devices"] = std::move(devices);
  }
  return o;
}

ProbeReport decode_report(const Json& j) {
  try {
    ProbeReport r;
    r.verdict = decode_verdict(j.at("verdict"));
    r.done = j.at("done").as_bool();
    if (const Json* devices = j.as_object().if_contains("devices")) {
      for (const Json& d : devices->as_array()) r.devices.push_back(decode_verdict(d));
    }
    return r;
  } catch (const Error&) {
    throw;
  } catch (const std::exception& e) {
    throw Error(Code::corrupt_file, fmt::format("a probe's report does not decode: {}", e.what()),
                "probe again");
  }
}

}  // namespace hearth
