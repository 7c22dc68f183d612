#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"

namespace hearth::test {

// tests/cases/NAME, the data that travels with the project.
std::filesystem::path case_file(const std::string& name);

// The source tree.
std::filesystem::path source_dir();

// The build tree, where the binary `hearth` and the objects lie.
std::filesystem::path build_dir();

// The acceptance reference data. Empty where it is absent: such a test calls GTEST_SKIP with no_reference().
std::filesystem::path reference_dir();
std::string no_reference();

Json read_json(const std::filesystem::path& path);

// All files NAME.EXT in a folder, sorted.
std::vector<std::filesystem::path> files_in(const std::filesystem::path& folder,
                                            const std::string& extension);

// "0a1b" -> two bytes.
std::string from_hex(std::string_view hex);

}  // namespace hearth::test
