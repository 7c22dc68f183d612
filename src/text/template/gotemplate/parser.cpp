#include "text/template/gotemplate/parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>

#include "text/template/gotemplate/functions.h"
#include "text/template/gotemplate/lexer.h"
#include "text/template/gotemplate/literal.h"

namespace hearth::gotmpl {
namespace {

constexpr size_t deepest = 200;
constexpr size_t most_variables_known = 1'000;

class Parser {
 public:
  explicit Parser(std::string_view source) : lexer_(source) {}
  Tree parse();

 private:
  // What ended a body.
  enum class Ended : uint8_t { source, end, else_ };

  const Token& peek(size_t ahead = 0);
  Token take();
  bool peek_is(TokenKind kind) { return peek().kind == kind; }
  bool peek_word(std::string_view word) { return peek_is(TokenKind::word) && peek().text == word; }
  void close(std::string_view of);
  [[noreturn]] static void fail(std::string message, const Token& at) {
    tmpl::fail_syntax(std::move(message), at.at);
  }
  [[noreturn]] static void unexpected(const Token& token, std::string_view where);

  Ended body(Body& out);
  bool statement(Body& out, const Token& open);
  void action(Body& out, const Token& open);
  void branch(Body& out, const Token& open, std::string_view word);
  void range(Body& out, const Token& open);
  void call(Body& out, const Token& open);
  void block(Body& out, const Token& open);
  void jump(Body& out, const Token& open, bool leaves);
  void define(const Token& open);
  void finish_block(Ended ended, std::string_view of);
  void otherwise(Body& out, Ended ended, std::string_view of);
  std::string quoted_name(std::string_view of);
  Body definition_body(std::string_view of, size_t& slots);
  void keep(Definition definition, const Token& open);

  Pipeline pipeline(std::string_view of, size_t most_variables = 1);
  void left_side(Pipeline& out, size_t most_variables, std::vector<std::string>& names);
  Command command();
  Operand operand();
  Operand plain_operand(const Token& token);

  size_t slot_of(const Token& variable) const;
  size_t declare(std::string name);
  void forget(size_t count) { variables_.resize(count); }

  void resolve(Body& body) const;
  void resolve(Node& node) const;

  Lexer lexer_;
  std::deque<Token> ahead_;
  std::vector<Definition> definitions_;
  std::map<std::string, size_t> defined_;  // places in definitions_
  std::vector<std::string> variables_ = {"$"};
  size_t slots_ = 1;
  size_t ranges_ = 0;
  size_t depth_ = 0;
};

// One level of nesting while it lives.
class Nesting {
 public:
  Nesting(size_t& depth, const Token& at) : depth_(depth) {
    if (depth_ >= deepest) tmpl::fail_syntax(fmt::format("nested deeper than {} levels", deepest), at.at);
    ++depth_;
  }
  ~Nesting() { --depth_; }
  Nesting(const Nesting&) = delete;
  Nesting& operator=(const Nesting&) = delete;

 private:
  size_t& depth_;
};

const Token& Parser::peek(size_t ahead) {
  while (ahead_.size() <= ahead) ahead_.push_back(lexer_.next());
  return ahead_[ahead];
}

Token Parser::take() {
  const Token token = peek();
  ahead_.pop_front();
  return token;
}

void Parser::unexpected(const Token& token, std::string_view where) {
  if (token.kind == TokenKind::end) fail("unexpected end of the template", token);
  fail(fmt::format("unexpected {} in {}", token.text, where), token);
}

void Parser::close(std::string_view of) {
  const Token token = take();
  if (token.kind != TokenKind::close) unexpected(token, of);
}

Tree Parser::parse() {
  definitions_.emplace_back();
  Body root;
  const Ended ended = body(root);
  if (ended != Ended::source) unexpected(peek(), "the template: no block is open");
  definitions_[0].body = std::move(root);
  definitions_[0].slots = slots_;
  Tree tree;
  tree.definitions = std::move(definitions_);
  for (Definition& definition : tree.definitions) resolve(definition.body);
  return tree;
}

// Stops before the word `end` or `else`; their opening is taken.
Parser::Ended Parser::body(Body& out) {
  const Nesting level(depth_, peek());
  for (;;) {
    const Token token = take();
    if (token.kind == TokenKind::end) {
      ahead_.push_front(token);
      return Ended::source;
    }
    if (token.kind == TokenKind::text) {
      out.push_back({token.at, token.offset,
                     TextNode{TextRef(new Text(Marked(std::string(token.text), Origin::model), nullptr))}});
      continue;
    }
    if (peek_word("end")) return Ended::end;
    if (peek_word("else")) return Ended::else_;
    if (!statement(out, token)) action(out, token);
  }
}

bool Parser::statement(Body& out, const Token& open) {
  if (!peek_is(TokenKind::word)) return false;
  const std::string_view word = peek().text;
  if (word == "if" || word == "with") return branch(out, open, word), true;
  if (word == "range") return range(out, open), true;
  if (word == "template") return call(out, open), true;
  if (word == "block") return block(out, open), true;
  if (word == "define") return define(open), true;
  if (word == "break" || word == "continue") return jump(out, open, word == "break"), true;
  return false;
}

void Parser::action(Body& out, const Token& open) {
  Pipeline parsed = pipeline("command");
  close("an action");
  out.push_back({open.at, open.offset, ActionNode{std::move(parsed)}});
}

// The rest of {{ end }}.
void Parser::finish_block(Ended ended, std::string_view of) {
  if (ended == Ended::source) unexpected(peek(), of);
  const Token word = take();
  if (ended == Ended::else_) fail(fmt::format("expected end of {}, found else", of), word);
  close("end");
}

// The rest of a block whose first body has ended.
void Parser::otherwise(Body& out, Ended ended, std::string_view of) {
  if (ended == Ended::else_) {
    take();
    close("else");
    ended = body(out);
  }
  finish_block(ended, of);
}

void Parser::branch(Body& out, const Token& open, std::string_view word) {
  BranchNode node;
  node.with = word == "with";
  const size_t known = variables_.size();
  Ended ended = Ended::end;
  do {
    take();  // else, or the word
    if (!node.branches.empty()) take();
    auto& added = node.branches.emplace_back();
    added.pipeline = pipeline(word);
    close(word);
    const size_t inside = variables_.size();
    ended = body(added.body);
    forget(inside);
  } while (ended == Ended::else_ && peek(1).kind == TokenKind::word && peek(1).text == word);
  otherwise(node.otherwise, ended, word);
  forget(known);
  out.push_back({open.at, open.offset, std::move(node)});
}

void Parser::range(Body& out, const Token& open) {
  take();
  RangeNode node;
  const size_t known = variables_.size();
  node.pipeline = pipeline("range", 2);
  close("range");
  const size_t inside = variables_.size();
  ++ranges_;
  const Ended ended = body(node.body);
  --ranges_;
  forget(inside);
  otherwise(node.otherwise, ended, "range");
  forget(known);
  out.push_back({open.at, open.offset, std::move(node)});
}

void Parser::jump(Body& out, const Token& open, bool leaves) {
  const Token word = take();
  close(word.text);
  if (ranges_ == 0) fail(fmt::format("{} outside of range", word.text), word);
  out.push_back({open.at, open.offset, JumpNode{leaves}});
}

std::string Parser::quoted_name(std::string_view of) {
  const Token token = take();
  if (token.kind != TokenKind::quoted && token.kind != TokenKind::raw) unexpected(token, of);
  const auto name = unquoted(token.text);
  if (!name) fail("invalid syntax of a string", token);
  return *name;
}

void Parser::call(Body& out, const Token& open) {
  take();
  CallNode node;
  node.name = quoted_name("template clause");
  if (!peek_is(TokenKind::close)) node.argument = pipeline("template clause");
  node.argument.at = open.at;
  close("template clause");
  out.push_back({open.at, open.offset, std::move(node)});
}

// The body of a definition with variables of its own, up to its end.
Body Parser::definition_body(std::string_view of, size_t& slots) {
  std::vector<std::string> variables{"$"};
  size_t own_slots = 1;
  size_t own_ranges = 0;
  std::swap(variables, variables_);
  std::swap(own_slots, slots_);
  std::swap(own_ranges, ranges_);
  Body parsed;
  finish_block(body(parsed), of);
  std::swap(variables, variables_);
  std::swap(own_slots, slots_);
  std::swap(own_ranges, ranges_);
  slots = own_slots;
  return parsed;
}

// Whether a body is nothing but white space: such a definition gives way to another one.
bool is_blank(const Body& body) {
  return std::all_of(body.begin(), body.end(), [](const Node& node) {
    const auto* text = std::get_if<TextNode>(&node.what);
    return text && text->text->view().find_first_not_of(" \t\r\n") == std::string_view::npos;
  });
}

void Parser::keep(Definition definition, const Token& open) {
  const auto [same, added] = defined_.emplace(definition.name, definitions_.size());
  if (added) {
    definitions_.push_back(std::move(definition));
  } else if (is_blank(definitions_[same->second].body)) {
    definitions_[same->second] = std::move(definition);
  } else if (!is_blank(definition.body)) {
    fail(fmt::format("template \"{}\" is defined twice", definition.name), open);
  }
}

void Parser::define(const Token& open) {
  const Token word = take();
  if (depth_ > 1) unexpected(word, "a block");
  Definition definition;
  definition.name = quoted_name("define clause");
  close("define clause");
  definition.body = definition_body("define", definition.slots);
  if (definition.name.empty()) fail("a template cannot be named \"\"", open);
  keep(std::move(definition), open);
}

void Parser::block(Body& out, const Token& open) {
  take();
  CallNode node;
  node.name = quoted_name("block clause");
  node.argument = pipeline("block clause");
  close("block clause");
  Definition definition;
  definition.name = node.name;
  definition.body = definition_body("block", definition.slots);
  keep(std::move(definition), open);
  out.push_back({open.at, open.offset, std::move(node)});
}

// $x :=, $x =, $i, $v :=. Variables that are declared become known behind the pipeline.
void Parser::left_side(Pipeline& out, size_t most_variables, std::vector<std::string>& names) {
  size_t count = 0;
  size_t at = 0;
  for (;;) {
    if (peek(at).kind != TokenKind::variable) return;
    ++count;
    const TokenKind behind = peek(at + 1).kind;
    if (behind == TokenKind::assign || behind == TokenKind::declare) break;
    if (behind != TokenKind::comma) return;
    if (count >= most_variables) fail("too many variables before :=", peek(at));
    at += 2;
  }
  out.declares = peek(at + 1).kind == TokenKind::declare;
  for (size_t i = 0; i < count; ++i) {
    const Token variable = take();
    take();
    if (out.declares) {
      names.emplace_back(variable.text);
    } else {
      out.slots.push_back(slot_of(variable));
    }
  }
}

Pipeline Parser::pipeline(std::string_view of, size_t most_variables) {
  Pipeline out;
  out.at = peek().at;
  std::vector<std::string> names;
  left_side(out, most_variables, names);
  for (;;) {
    const Token& token = peek();
    if (token.kind == TokenKind::close || token.kind == TokenKind::right_paren) break;
    Command parsed = command();
    const auto what = parsed.words.front().what;
    const bool callable = what == Operand::What::function || what == Operand::What::dot ||
                          what == Operand::What::variable || what == Operand::What::pipeline;
    if (!out.commands.empty() && !callable)
      tmpl::fail_syntax("this stage of a pipeline cannot be called", parsed.at);
    out.commands.push_back(std::move(parsed));
    if (!peek_is(TokenKind::pipe)) break;
    take();  // a pipeline may end with |
  }
  if (out.commands.empty()) fail(fmt::format("missing value for {}", of), peek());
  for (std::string& name : names) {
    if (variables_.size() > most_variables_known)
      tmpl::fail_syntax(fmt::format("more than {} variables", most_variables_known), out.at);
    out.slots.push_back(declare(std::move(name)));
  }
  return out;
}

Command Parser::command() {
  Command out;
  out.at = peek().at;
  for (;;) {
    out.words.push_back(operand());
    const Token& next = peek();
    if (next.kind == TokenKind::close || next.kind == TokenKind::pipe || next.kind == TokenKind::right_paren)
      return out;
    if (!next.spaced) unexpected(next, "operand");
  }
}

Operand Parser::operand() {
  const Token token = take();
  Operand out = plain_operand(token);
  out.at = token.at;
  while (peek_is(TokenKind::field) && !peek().spaced) {
    const bool has_fields = out.what == Operand::What::dot || out.what == Operand::What::variable ||
                            out.what == Operand::What::pipeline || out.what == Operand::What::function;
    if (!has_fields || token.kind == TokenKind::dot) unexpected(peek(), "operand: it has no fields");
    out.fields.emplace_back(take().text.substr(1));
  }
  return out;
}

Operand Parser::plain_operand(const Token& token) {
  Operand out;
  switch (token.kind) {
    case TokenKind::dot: return out;
    case TokenKind::field: return out.fields.emplace_back(token.text.substr(1)), std::move(out);
    case TokenKind::variable:
      out.what = Operand::What::variable;
      out.slot = slot_of(token);
      return out;
    case TokenKind::left_paren: {
      const Nesting level(depth_, token);
      out.what = Operand::What::pipeline;
      out.pipeline = std::make_unique<Pipeline>(pipeline("parenthesized pipeline"));
      if (const Token end = take(); end.kind != TokenKind::right_paren) unexpected(end, "parentheses");
      return out;
    }
    case TokenKind::number:
    case TokenKind::quoted:
    case TokenKind::raw: break;
    case TokenKind::word:
      if (token.text == "nil") return out.what = Operand::What::nil, std::move(out);
      if (token.text == "true" || token.text == "false") break;
      out.what = Operand::What::function;
      out.function = find_builtin(token.text);
      if (!out.function) fail(fmt::format("function \"{}\" not defined", token.text), token);
      return out;
    default: unexpected(token, "command");
  }
  out.what = Operand::What::literal;
  if (token.kind == TokenKind::word) {
    out.literal = token.text == "true";
  } else if (token.kind == TokenKind::number) {
    const auto value = number_of(token.text);
    if (!value) fail(fmt::format("{} is no number or too large", token.text), token);
    out.literal = *value;
  } else {
    const auto text = unquoted(token.text);
    if (!text) fail("invalid syntax of a string", token);
    out.literal = Maker(nullptr).text(*text, Origin::model);
  }
  return out;
}

size_t Parser::slot_of(const Token& variable) const {
  for (size_t slot = variables_.size(); slot-- > 0;) {
    if (variables_[slot] == variable.text) return slot;
  }
  fail(fmt::format("undefined variable \"{}\"", variable.text), variable);
}

size_t Parser::declare(std::string name) {
  variables_.push_back(std::move(name));
  slots_ = std::max(slots_, variables_.size());
  return variables_.size() - 1;
}

void Parser::resolve(Body& body) const {
  for (Node& node : body) resolve(node);
}

void Parser::resolve(Node& node) const {
  if (auto* branch = std::get_if<BranchNode>(&node.what)) {
    for (auto& each : branch->branches) resolve(each.body);
    resolve(branch->otherwise);
  } else if (auto* range = std::get_if<RangeNode>(&node.what)) {
    resolve(range->body);
    resolve(range->otherwise);
  } else if (auto* call = std::get_if<CallNode>(&node.what)) {
    const auto found = defined_.find(call->name);
    if (found == defined_.end())
      tmpl::fail_syntax(fmt::format("template \"{}\" not defined", call->name), node.at);
    call->definition = found->second;
  }
}

}  // namespace

Tree parse(std::string_view source) {
  Tree tree = Parser(source).parse();
  tree.source_size = source.size();
  return tree;
}

}  // namespace hearth::gotmpl
