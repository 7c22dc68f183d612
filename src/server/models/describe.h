#pragma once

#include <string>

#include "base/json.h"
#include "server/models/catalog.h"

namespace hearth {

// What /api/tags, /api/show and /api/ps say of models. Blocking: files are read, a child may be asked.
json::object tag_json(const InstalledModel& model);
json::object builtin_tag_json(const Catalog& catalog);
json::object details_json(const ResolvedModel& model, const Catalog& catalog, bool lengths);
json::object show_json(const ResolvedModel& model, const Catalog& catalog, const Json& request);
// The model's abilities by the reference's rules: of its configuration, its file and its template.
json::array capabilities_of(const ResolvedModel& model, const Catalog& catalog);

// "8.0B", "133.70M".
std::string parameter_size(uint64_t count);
// "2026-08-21T10:20:30.123456789+02:00".
std::string local_time(std::chrono::system_clock::time_point when);

}  // namespace hearth
