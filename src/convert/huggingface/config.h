#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"

namespace hearth::huggingface {

// A JSON object of a model's folder, read with types checked. A null counts as absent. Errors are
// Error(corrupt_file) naming file and key.
class Config {
 public:
  // The object must outlive this.
  Config(const Json& content, std::string file);

  const Json* find(std::string_view key) const;
  std::optional<uint32_t> number(std::string_view key) const;
  uint32_t require(std::string_view key) const;
  std::optional<double> real(std::string_view key) const;
  std::optional<bool> boolean(std::string_view key) const;
  std::optional<std::string> text(std::string_view key) const;
  // The object under a key.
  std::optional<Config> object(std::string_view key) const;
  const json::object& content() const { return object_; }
  const std::string& file() const { return file_; }

  [[noreturn]] void wrong(std::string_view key, const char* expected) const;

 private:
  const json::object& object_;
  std::string file_;
};

}  // namespace hearth::huggingface
