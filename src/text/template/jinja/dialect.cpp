#include "text/template/dialect.h"

#include <fmt/format.h>

#include "text/template/jinja/parser.h"
#include "text/template/jinja/python.h"

namespace hearth {
namespace {

namespace jj = tmpl::jinja;

tmpl::Value missing(tmpl::Evaluator& evaluator, const tmpl::TextRef& name) {
  return evaluator.undefined(nullptr, name);
}

tmpl::Value call(tmpl::Evaluator& evaluator, const tmpl::Value& callee, tmpl::Args& args) {
  jj::require_defined(callee);
  const auto* loop = callee.as<tmpl::Loop>();
  if (!loop) tmpl::fail_type(fmt::format("'{}' object is not callable", jj::type_name(callee)));
  if (args.positional.size() != 1) tmpl::fail_type("a recursive loop is called with what it goes through");
  return evaluator.repeat(*loop, args.positional[0]);
}

}  // namespace

const Dialect& jinja() noexcept {
  static const Dialect dialect{
      .parse = [](std::string_view source, tmpl::Tree& tree) { jj::Parser(source, tree).parse(); },
      .truth = jj::truth,
      .print = jj::print,
      .missing = missing,
      .attribute = jj::attribute,
      .item = jj::item,
      .slice = jj::slice,
      .elements = jj::elements,
      .unary = jj::unary,
      .binary = jj::binary,
      .compare = jj::compare,
      .call = call,
      .function = jj::function,
      .filter = jj::filter,
      .test = jj::test,
      .method = jj::method,
  };
  return dialect;
}

}  // namespace hearth
