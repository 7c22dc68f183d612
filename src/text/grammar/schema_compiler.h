#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/json.h"
#include "text/grammar/decimals.h"
#include "text/grammar/json_rules.h"
#include "text/grammar/tree.h"

namespace hearth::grammar {

// Where in the schema something stands: a JSON pointer behind '#', for messages.
using Place = std::string;

Place inside(const Place& place, std::string_view key);

// Keywords that say something about a value to people only.
bool is_annotation(std::string_view keyword);

// The type names of JSON Schema that values under the schema can have, as far as its keywords tell.
std::vector<std::string> types_of(const json::object& schema, const Place& place);
// The type of a value; whole numbers are "integer".
std::string_view type_of(const Json& value);

class SchemaCompiler {
 public:
  // Makes the tree's root of the nodes of several schemas.
  using Join = std::function<NodeId(Tree& tree, JsonRules& rules, const std::vector<NodeId>& parts)>;

  explicit SchemaCompiler(const Json& root) : root_(root), rules_(tree_) {}
  Tree compile();
  // `places` are pointers into the root, behind '#'.
  Tree join(const std::vector<Place>& places, const Join& put_together);

 private:
  void compile_waiting();
  NodeId value(const Json& schema, const Place& place, int depth);
  NodeId keywords(const json::object& schema, const Place& place, int depth);
  NodeId combined(const json::object& schema, const Place& place, int depth);
  NodeId alternatives(const json::object& schema, std::string_view keyword, const Place& place, int depth);
  NodeId constants(const json::object& schema, const Place& place);
  NodeId of_type(const json::object& schema, std::string_view type, const Place& place, int depth);

  // References.
  NodeId reference(std::string_view target, const Place& place);
  const Json& find(std::string_view target, const Place& place) const;
  json::object resolved(const Json& schema, const Place& place) const;
  // Both schemas in one; throws where that cannot be written down.
  json::object merged(const json::object& a, const json::object& b, const Place& place, int depth) const;
  void check_disjoint(const json::array& alternatives, const Place& place) const;
  bool disjoint(const Json& a, const Json& b, const Place& place, int depth) const;

  // Strings (with their quotes) and numbers.
  NodeId string(const json::object& schema, const Place& place);
  NodeId number(const json::object& schema, bool whole, const Place& place);

  // Objects and arrays.
  struct Member {
    std::string name;
    NodeId node = 0;
    bool required = false;
  };
  NodeId object(const json::object& schema, const Place& place, int depth);
  std::vector<Member> members(const json::object& schema, bool open, const Place& place, int depth);
  NodeId object_of(const std::vector<Member>& members, std::optional<NodeId> extra, const Place& place);
  NodeId map(const json::object& schema, const Place& place, int depth);
  std::optional<NodeId> extra_member(const json::object& schema, const std::vector<Member>& members,
                                     const Place& place, int depth);
  NodeId other_key(const std::vector<Member>& members);
  NodeId array(const json::object& schema, const Place& place, int depth);
  NodeId distinct(const json::object& schema, uint32_t min, uint32_t max, const Place& place);

  const Json& root_;
  Tree tree_;
  JsonRules rules_;
  std::unordered_map<std::string, RuleId> references_;
  std::vector<std::pair<std::string, RuleId>> waiting_;  // references whose targets are not compiled yet
};

// A keyword's value as a count; `otherwise` where it is absent. Throws Error(bad_request) for anything else.
uint32_t count_of(const json::object& schema, std::string_view keyword, uint32_t otherwise,
                  const Place& place);

}  // namespace hearth::grammar
