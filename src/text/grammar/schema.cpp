#include "text/grammar/schema.h"

#include "text/grammar/json_rules.h"

namespace hearth::grammar {

Tree json_object_tree() {
  Tree tree;
  JsonRules rules(tree);
  tree.root = tree.declare("root");
  tree.define(tree.root, rules.object());
  return tree;
}

Tree schema_tree(const Json&) { return json_object_tree(); }

}  // namespace hearth::grammar
