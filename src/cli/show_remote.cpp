#include "cli/show_remote.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "cli/api_client.h"
#include "cli/human.h"
#include "cli/wrap.h"

namespace hearth {
namespace {

using Rows = std::vector<std::pair<std::string, std::string>>;

const Json* at(const Json& j, std::string_view key) {
  const Json* found = j.is_object() ? j.as_object().if_contains({key.data(), key.size()}) : nullptr;
  return found == nullptr || found->is_null() ? nullptr : found;
}
std::string text(const Json& j, std::string_view key) {
  const Json* found = at(j, key);
  return found != nullptr && found->is_string() ? printable(found->as_string()) : std::string();
}

void print_section(const char* title, const Rows& rows) {
  if (rows.empty()) return;
  size_t width = 0;
  for (const auto& [key, value] : rows) width = std::max(width, key.size());
  fmt::print("  {}\n", title);
  for (const auto& [key, value] : rows) {
    fmt::print("{}\n", value.empty() ? "    " + key : fmt::format("    {:<{}}    {}", key, width, value));
  }
  fmt::print("\n");
}

// The first two lines that say something, then "..." if there is more.
Rows beginning(const std::string& whole) {
  Rows rows;
  for (size_t from = 0; from < whole.size();) {
    const size_t end = std::min(whole.find('\n', from), whole.size());
    const std::string line = whole.substr(from, end - from);
    from = end + 1;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    if (rows.size() == 2) {
      rows.emplace_back("...", "");
      break;
    }
    rows.emplace_back(line, "");
  }
  return rows;
}

std::string number(const Json& info, const std::string& key) {
  const Json* found = at(info, key);
  return found != nullptr && found->is_number() ? std::to_string(found->to_number<uint64_t>()) : "";
}

Rows model_rows(const Json& shown) {
  const Json empty = json::object();
  const auto part = [&](const char* name) -> const Json& {
    const Json* found = at(shown, name);
    return found != nullptr ? *found : empty;
  };
  const Json &info = part("model_info"), &details = part("details");
  const std::string arch = text(info, "general.architecture");
  Rows rows{{"architecture", arch.empty() ? text(details, "family") : arch}};
  const Json* count = at(info, "general.parameter_count");
  rows.emplace_back("parameters", count != nullptr && count->is_number()
                                      ? human_count(count->to_number<uint64_t>())
                                      : text(details, "parameter_size"));
  rows.emplace_back("context length", number(info, arch + ".context_length"));
  rows.emplace_back("embedding length", number(info, arch + ".embedding_length"));
  rows.emplace_back("quantization", text(details, "quantization_level"));
  rows.emplace_back("requires", text(shown, "requires"));
  std::erase_if(rows, [](const auto& row) { return row.second.empty(); });
  return rows;
}

Rows projector_rows(const Json& shown) {
  const Json* info = at(shown, "projector_info");
  if (info == nullptr) return {};
  const std::string arch = text(*info, "general.architecture");
  Rows rows{{"architecture", arch}};
  if (const Json* count = at(*info, "general.parameter_count"); count != nullptr && count->is_number())
    rows.emplace_back("parameters", human_count(count->to_number<uint64_t>()));
  rows.emplace_back("embedding length", number(*info, arch + ".vision.embedding_length"));
  rows.emplace_back("dimensions", number(*info, arch + ".vision.projection_dim"));
  std::erase_if(rows, [](const auto& row) { return row.second.empty(); });
  return rows;
}

Rows parameter_rows(const std::string& lines) {
  Rows rows;
  for (size_t from = 0; from < lines.size();) {
    const size_t end = std::min(lines.find('\n', from), lines.size());
    const std::string line = lines.substr(from, end - from);
    from = end + 1;
    const size_t blank = line.find(' ');
    const size_t value = blank == std::string::npos ? blank : line.find_first_not_of(' ', blank);
    if (value != std::string::npos) rows.emplace_back(line.substr(0, blank), line.substr(value));
  }
  return rows;
}

// "[a b ...+N more]": as many of a list's values as a line takes, at least one.
std::string shortened(const json::array& list) {
  constexpr size_t most = 60;
  std::string line = "[";
  for (size_t i = 0; i < list.size(); ++i) {
    const Json& v = list[i];
    const std::string value = v.is_string() ? std::string(v.as_string()) : json::serialize(v);
    if (i > 0 && line.size() + value.size() > most)
      return line + fmt::format(" ...+{} more]", list.size() - i);
    line += (i > 0 ? " " : "") + value;
  }
  return line + "]";
}

Rows metadata_rows(const Json& info) {
  Rows rows;
  for (const auto& [key, value] : info.as_object()) {
    std::string shown = value.is_string()  ? std::string(value.as_string())
                        : value.is_array() ? shortened(value.as_array())
                                           : json::serialize(value);
    constexpr size_t most = 80;
    if (shown.size() > most && !value.is_array()) shown = shown.substr(0, most) + " ...";
    rows.emplace_back(key, printable(shown));
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}

Rows tensor_rows(const Json& tensors) {
  Rows rows;
  for (const Json& t : tensors.as_array()) {
    rows.emplace_back(text(t, "name"),
                      fmt::format("{:<8} {}", text(t, "type"), json::serialize(t.at("shape"))));
  }
  return rows;
}

}  // namespace

void show_remote(const std::string& model, const std::string& part, bool verbose) {
  const Json shown = ApiClient::connect().call("POST", "/api/show", {{"model", model}, {"verbose", verbose}});
  if (part == "system" || part == "template") return fmt::print("{}", text(shown, part));
  if (!part.empty()) return fmt::print("{}\n", text(shown, part));
  print_section("Model", model_rows(shown));
  Rows abilities;
  if (const Json* list = at(shown, "capabilities"); list != nullptr && list->is_array()) {
    for (const Json& c : list->as_array()) abilities.emplace_back(std::string(c.as_string()), "");
  }
  print_section("Capabilities", abilities);
  print_section("Projector", projector_rows(shown));
  print_section("Parameters", parameter_rows(text(shown, "parameters")));
  if (verbose && at(shown, "model_info") != nullptr)
    print_section("Metadata", metadata_rows(*at(shown, "model_info")));
  if (verbose && at(shown, "tensors") != nullptr)
    print_section("Tensors", tensor_rows(*at(shown, "tensors")));
  print_section("System", beginning(text(shown, "system")));
  print_section("License", beginning(text(shown, "license")));
}

}  // namespace hearth
