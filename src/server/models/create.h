#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "server/models/catalog.h"
#include "store/registry.h"

namespace hearth {

// Takes a line of progress, from any thread.
using Emit = std::function<void(json::object)>;

// What /api/create asks for.
struct CreateOrder {
  ModelName name;
  std::string from;  // a model's name; empty: the files
  std::vector<std::pair<std::string, Digest>> files, adapters;
  std::optional<std::string> source, system;  // template and system message
  std::vector<std::string> licenses;
  json::object parameters;
  json::array messages;
  std::string quantize, renderer, parser, requires_version;
  std::vector<std::string> capabilities;
};

// Throws Error(bad_request) in the reference's words.
CreateOrder parse_create(const Json& body);

struct CreateTools {
  Store& store;
  const Catalog& catalog;
  Registry& registry;
  Emit emit;
  std::stop_token stop;
};

// Writes the model; its last status is "success". Blocking. Throws Error, and leaves the store as it was
// then.
void create_model(const CreateTools& tools, const CreateOrder& order);

// The configuration that a GGUF file's own words make, asked of a child.
ModelConfig config_of_file(const Catalog& catalog, const std::string& path);

}  // namespace hearth
