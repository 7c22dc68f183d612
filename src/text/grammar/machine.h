#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/grammar.h"
#include "text/grammar/matcher.h"
#include "text/grammar/token_tree.h"

namespace hearth::grammar {

// A grammar over the tokens of one vocabulary: where several texts stand in it, and which tokens may come
// next in each of their configurations. The masks found are kept, the ones not used for long forgotten.
//
// A mask is found in up to two steps. First with the lower part of the stacks hidden: most tokens are decided
// by what lies on top (a word inside a string, say), and that part serves every configuration with the same
// top. The few tokens that reach what is hidden (those that close a string and go on) are then followed one
// by one with the real stacks. Thread-safe.
class Machine {
 public:
  Machine(std::shared_ptr<const Automaton> automaton, std::shared_ptr<const TokenTable> tokens);

  const TokenTable* tokens() const { return tokens_.get(); }

  size_t enter();  // a new text; gives its place
  void leave(size_t place);
  void mask(size_t place, std::span<uint64_t> allowed);
  void accept(size_t place, TokenId token);
  void follow(size_t place, std::string_view bytes);
  bool may_end(size_t place);
  bool must_end(size_t place);
  bool begins(std::string_view text);  // a text of the grammar can begin so

 private:
  struct Mask {
    uint64_t key = 0;
    bool usable = true;          // false: too much is open
    std::vector<uint64_t> bits;  // [size of the vocabulary / 64, rounded up]
    std::vector<uint32_t> open;  // ranks of tokens that depend on what is hidden
    size_t bytes() const { return sizeof(Mask) + bits.size() * 8 + open.size() * 4; }
  };

  const Mask& allowed_after(ConfigId config);
  Mask* find(uint64_t key);
  Mask& keep(Mask mask);
  const Mask& partial(uint32_t levels, bool& whole);
  bool combine(const Mask& part, Mask& out);
  Mask walk(ConfigId from, size_t most_open);
  void decide(std::span<const uint32_t> ranks, ConfigId from, Mask& out);
  void set(Mask& mask, uint32_t rank) const {
    const uint32_t token = tree_.token(rank);
    mask.bits[token / 64] |= uint64_t{1} << (token % 64);
  }
  void make_room();

  std::mutex mutex_;
  std::shared_ptr<const TokenTable> tokens_;
  const TokenTree& tree_;
  Matcher matcher_;
  std::vector<ConfigId> places_;
  std::vector<size_t> free_places_;
  ConfigId current_ = 0;        // whose mask is being made
  std::vector<ConfigId> path_;  // of the walk through the tree, by depth
  size_t path_depth_ = 0;       // entries of it that count
  std::list<Mask> masks_;       // used last first
  std::unordered_map<uint64_t, std::list<Mask>::iterator> by_key_;
  size_t bytes_ = 0;
};

}  // namespace hearth::grammar
