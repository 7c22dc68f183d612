// The built-in model answers questions it was not trained on, through hearth's own template, tokenizer and
// engine.
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <map>
#include <sstream>

#include "base/file.h"
#include "support/data.h"
#include "support/sanitized.h"
#include "text/detokenizer.h"
#include "worker/loaded_model.h"
#include "worker/prompt.h"

namespace hearth {
namespace {

// What models/ember/report.md states, less what another instruction set may change.
constexpr double least_accuracy = 0.9;

struct Question {
  std::string question, answer, kind;
};

std::vector<Question> held_out() {
  std::vector<Question> all;
  std::istringstream lines(read_file(test::source_dir() / "models/ember/heldout.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const Json j = json::parse(line);
    all.push_back({std::string(j.at("question").as_string()), std::string(j.at("answer").as_string()),
                   std::string(j.at("kind").as_string())});
  }
  return all;
}

std::string squeezed(const std::string& text) {
  std::istringstream words(text);
  std::string out;
  for (std::string word; words >> word;) out += (out.empty() ? "" : " ") + word;
  return out;
}

// Collects one answer.
class Collector final : public TokenSink {
 public:
  explicit Collector(const Tokenizer& tokenizer) : detokenizer_(tokenizer, {false, false}) {}
  bool token(TokenId token, std::span<const float>) override {
    text += detokenizer_.push(token);
    return true;
  }
  void finished(Finish) override { text += detokenizer_.flush(); }
  std::string text;

 private:
  Detokenizer detokenizer_;
};

// Answers a group of questions in one batch.
void answer(LoadedModel& model, std::span<const Question> questions, std::vector<std::string>& answers) {
  std::vector<std::unique_ptr<Collector>> collectors;
  std::vector<SeqId> ids;
  ChatTemplates templates(model.files());
  for (const Question& q : questions) {
    Request request;
    request.messages = {{"user", q.question}};
    Task task;
    task.tokens =
        make_prompt(request, templates.choose(request), model.files(), {model.engine().plan().context, 4})
            .tokens;
    task.sampling.temperature = 0;
    task.max_tokens = 100;
    collectors.push_back(std::make_unique<Collector>(*model.files().tokenizer));
    task.sink = collectors.back().get();
    ids.push_back(model.engine().add(std::move(task)));
  }
  while (model.engine().step()) {
  }
  for (size_t i = 0; i < ids.size(); ++i) {
    model.engine().remove(ids[i]);
    answers.push_back(collectors[i]->text);
  }
}

TEST(Ember, AnswersHeldOutQuestions) {
  std::vector<Question> questions = held_out();
  ASSERT_GE(questions.size(), 300U);
#ifdef HEARTH_SANITIZED
  questions.resize(24);  // the sanitizers look for faults, not for accuracy
#endif
  LoadRequest request;
  constexpr size_t together = 8;
  request.wish.parallel = together;
  LoadedModel model(OpenModel::open(""), request);
  std::vector<std::string> answers;
  for (size_t i = 0; i < questions.size(); i += together) {
    answer(model, std::span(questions).subspan(i, std::min(together, questions.size() - i)), answers);
  }
  std::map<std::string, std::pair<size_t, size_t>> by_kind;
  size_t right = 0;
  for (size_t i = 0; i < questions.size(); ++i) {
    const bool same = squeezed(answers[i]) == squeezed(questions[i].answer);
    right += same ? 1 : 0;
    by_kind[questions[i].kind].first += same ? 1 : 0;
    ++by_kind[questions[i].kind].second;
  }
  for (const auto& [kind, count] : by_kind)
    std::cout << kind << ": " << count.first << " of " << count.second << "\n";
  std::cout << "all: " << right << " of " << questions.size() << "\n";
  EXPECT_GE(static_cast<double>(right), least_accuracy * static_cast<double>(questions.size()));
}

TEST(Ember, AnswersTheDemoQuestion) {
  LoadRequest request;
  LoadedModel model(OpenModel::open(""), request);
  const Question demo{"How do I see which models are loaded?", "", ""};
  std::vector<std::string> answers;
  answer(model, std::span(&demo, 1), answers);
  EXPECT_NE(answers[0].find("hearth ps"), std::string::npos) << answers[0];
}

}  // namespace
}  // namespace hearth
