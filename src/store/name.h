#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace hearth {

// The name of a model, `[scheme://][host/][namespace/]model[:tag]`, with every missing part filled in. Each
// part is checked: it begins with a letter, digit or `_`, so that neither `..` nor a hidden file can be
// written, and holds no separator. A ModelName that came out of parse() is therefore safe as a path.
struct ModelName {
  static constexpr std::string_view default_scheme = "https";
  static constexpr std::string_view default_host = "registry.ollama.ai";
  static constexpr std::string_view default_space = "library";
  static constexpr std::string_view default_tag = "latest";

  std::string scheme{default_scheme};
  std::string host{default_host};
  std::string space{default_space};  // the namespace
  std::string model;
  std::string tag{default_tag};

  // None if the text is not a name. Blanks are not trimmed.
  static std::optional<ModelName> parse(std::string_view text);

  // As above. Throws Error(bad_request): "invalid model name".
  static ModelName parse_or_throw(std::string_view text);

  // From the four folders of a manifest below `manifests`; none if one is not a valid part.
  static std::optional<ModelName> from_path(const std::filesystem::path& relative);

  // "m:latest", "me/m:v1", "host/library/m:latest": the default host is left out, the default namespace only
  // with it; the tag is always there.
  std::string short_display() const;

  // "registry.ollama.ai/library/m:latest".
  std::string full_display() const;

  // host/namespace/model/tag, the path of the manifest below `manifests`.
  std::filesystem::path path() const;

  // The same name without regard to case (the scheme does not count).
  bool matches(const ModelName& other) const noexcept;
};

// ASCII letters compared without regard to case, as names are.
bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept;

}  // namespace hearth
