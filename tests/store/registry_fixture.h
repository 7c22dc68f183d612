#pragma once

#include <gtest/gtest.h>

#include "base/error.h"
#include "fake_registry.h"

namespace hearth::test {

// A store, and pulls into it from a registry of the test.
class RegistryFixture : public testing::Test {
 protected:
  RegistryFixture() : store({folder.path() / "models", true, std::chrono::hours(1), {}}) {}

  void pull(const FakeRegistry& from, RegistryOptions options, const std::stop_token& stop = {}) {
    lines.clear();
    Registry registry(store, std::move(options));
    registry.pull(
        from.name(), true, [this](const TransferProgress& line) { lines.push_back(line); }, stop);
  }
  void pull(const FakeRegistry& from) { pull(from, quick_options(key_file())); }

  Error error_of(const FakeRegistry& from, const RegistryOptions& options) {
    try {
      pull(from, options);
    } catch (const Error& error) {
      return error;
    }
    return {Code::bug, "no error", ""};
  }
  Error error_of(const FakeRegistry& from) { return error_of(from, quick_options(key_file())); }

  std::vector<std::string> statuses() const {  // without repetitions
    std::vector<std::string> found;
    for (const auto& line : lines) {
      if (found.empty() || found.back() != line.status) found.push_back(line.status);
    }
    return found;
  }
  void expect_pulled(const FakeRegistry& from) {
    const auto model = store.get(from.name());
    EXPECT_EQ(model.manifest.bytes, from.manifest);
    EXPECT_EQ(read_file(read_parts(store, model).model), from.weights);
    EXPECT_EQ(files_below(store.blobs_folder()), 2U);  // nothing temporary is left
  }
  std::filesystem::path key_file() const { return folder.path() / "id_ed25519"; }

  TemporaryFolder folder;
  Store store;
  std::vector<TransferProgress> lines;
};

}  // namespace hearth::test
