#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.h"
#include "worker/session.h"

namespace hearth {

// What a parent would hear.
struct Heard {
  std::string text, reason, thought;
  std::vector<from_child::PromptProgress> progress;
  std::vector<from_child::TokenProbability> tokens;
  std::vector<std::vector<float>> vectors;
  std::vector<int32_t> context;
  Statistics statistics;
  std::optional<Error> error;
  int ends = 0;
};

class Driver {
 public:
  explicit Driver(LoadRequest request = {})
      : session_(request, [this](const FromChild& m) {
          hear(m);
          return true;
        }) {}

  RequestId start(Request request) {
    if (!request.sampling.options.as_object().contains("temperature"))
      request.sampling.options.as_object()["temperature"] = 0;
    const RequestId id{++last_};
    session_.start({id, std::move(request)});
    return id;
  }
  void drain() {
    while (session_.step()) {
    }
  }
  Heard run(Request request) {
    const RequestId id = start(std::move(request));
    drain();
    return heard[id.value];
  }

  std::map<uint64_t, Heard> heard;
  Session& session() { return session_; }

 private:
  void hear(const FromChild& m) {
    std::visit([this](const auto& event) { take(event); }, m);
  }
  void take(const from_child::Ready&) {}
  void take(const from_child::Pong&) {}
  void take(const from_child::Inspected&) {}
  void take(const from_child::Surveyed&) {}
  void take(const from_child::Thinking& m) { heard[m.id.value].thought += m.text; }
  void take(const from_child::PromptProgress& m) {
    EXPECT_TRUE(heard[m.id.value].text.empty()) << "told after the answer had begun";
    heard[m.id.value].progress.push_back(m);
  }
  void take(const from_child::Called&) {}
  void take(const from_child::Vectors& m) { heard[m.id.value].vectors = m.vectors; }
  void take(const from_child::Text& m) {
    Heard& h = heard[m.id.value];
    h.text += m.text;
    h.tokens.insert(h.tokens.end(), m.tokens.begin(), m.tokens.end());
  }
  void take(const from_child::Done& m) {
    Heard& h = heard[m.id.value];
    h.reason = m.reason;
    h.statistics = m.statistics;
    h.context = m.context;
    ++h.ends;
  }
  void take(const from_child::Failed& m) {
    Heard& h = heard[m.id.value];
    h.error.emplace(m.code, m.message, m.remedy);
    ++h.ends;
  }

  uint64_t last_ = 0;
  Session session_;
};

inline Request question(const std::string& text, uint32_t max_tokens = 40) {
  Request r;
  r.messages = {{"user", text}};
  r.max_tokens = max_tokens;
  return r;
}

inline LoadRequest small_context(uint32_t context, uint32_t parallel = 1) {
  LoadRequest load;
  load.wish.context = context;
  load.wish.parallel = parallel;
  return load;
}

}  // namespace hearth
