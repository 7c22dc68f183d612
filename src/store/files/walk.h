#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "store/name.h"

namespace hearth {

// The manifests below a folder, host/namespace/model/tag, sorted. Other depths, hidden files and what is no
// valid part of a name are passed over; links are followed.
struct Walk {
  std::vector<ModelName> names;
  std::vector<std::string> problems;  // folders that could not be read, one line each
};
Walk walk_manifests(const std::filesystem::path& manifests);

// The stored spelling of a name: itself if that very file is there, else the first that differs in case only.
std::optional<ModelName> find_manifest(const std::filesystem::path& manifests, const ModelName& name);

// Manifests being written lie beside their final place under names with this beginning, which no name has.
inline std::string temporary_manifest_prefix() { return ".hearth-"; }

}  // namespace hearth
