#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "base/file.h"
#include "store/store.h"

namespace hearth::test {

// A folder of its own, gone with the object.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "hearth-store-XXXXXX").string();
    if (!::mkdtemp(pattern.data())) throw std::runtime_error("no temporary folder");
    path_ = pattern;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline void write_file(const std::filesystem::path& path, std::string_view content) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << content;
}

inline void make_old(const std::filesystem::path& path, int seconds) {
  const time_t then = ::time(nullptr) - seconds;
  const timespec times[2] = {{then, 0}, {then, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW), 0) << path;
}

// A model of the given weights with a template and a configuration.
inline Manifest install(Store& store, std::string_view name, std::string_view weights,
                        std::string_view system = "Be brief.") {
  ModelConfig config;
  config.model_format = "gguf";
  config.model_family = "llama";
  config.families = {"llama"};
  std::vector<Layer> layers{store.add_blob(weights, media::model), store.add_blob(system, media::system)};
  const Manifest manifest = Manifest::make(store.add_blob(config.print(layers), media::config), layers);
  store.write_manifest(ModelName::parse_or_throw(name), manifest);
  return manifest;
}

inline size_t files_below(const std::filesystem::path& folder) {
  size_t count = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    count += entry.is_regular_file();
  return count;
}

// Every manifest parses, every blob it names is there, and every blob holds what its name says.
inline void expect_invariants(const Store& store) {
  for (const InstalledModel& model : store.list()) {
    model.manifest.for_each_blob([&](const Layer& layer) {
      EXPECT_EQ(store.blob_size(layer.digest), layer.size) << model.name.full_display();
    });
  }
  if (!std::filesystem::exists(store.blobs_folder())) return;
  for (const auto& entry : std::filesystem::directory_iterator(store.blobs_folder())) {
    const auto digest = Digest::parse(entry.path().filename().string());
    if (!digest) continue;
    EXPECT_EQ(digest_of_file(entry.path()), *digest);
  }
}

}  // namespace hearth::test
