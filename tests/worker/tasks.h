#pragma once

#include <span>
#include <utility>
#include <vector>

#include "engine/engine.h"

// What the tests of the engine ask of it.
namespace hearth::test {

using Scores = std::vector<float>;

// Tokens that depend on the salt alone, of a vocabulary of 512.
inline std::vector<TokenId> tokens_of(uint32_t count, uint32_t salt) {
  std::vector<TokenId> t;
  for (uint32_t i = 0; i < count; ++i) t.push_back({static_cast<int32_t>((i * 37 + salt * 101 + 5) % 500)});
  return t;
}

// The scores behind the last token.
inline Task scoring(std::vector<TokenId> tokens, Scores& out) {
  Task task;
  task.tokens = std::move(tokens);
  task.scores = [&out](uint32_t, std::span<const float> s) { out.assign(s.begin(), s.end()); };
  return task;
}

// `most` tokens, greedily.
inline Task generating(TokenSink& sink, std::vector<TokenId> tokens, uint32_t most) {
  Task task;
  task.tokens = std::move(tokens);
  task.sink = &sink;
  task.max_tokens = most;
  task.sampling.temperature = 0;
  return task;
}

inline void drain(Engine& engine) {
  while (engine.step()) {
  }
}

}  // namespace hearth::test
