#include "cli/parameters.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/error.h"
#include "worker/sampling.h"

namespace hearth {
namespace {

enum class Kind { whole, real, text };

struct Known {
  const char* name;
  Kind kind;
};
constexpr std::array known{
    Known{"temperature", Kind::real},
    Known{"top_k", Kind::whole},
    Known{"top_p", Kind::real},
    Known{"min_p", Kind::real},
    Known{"typical_p", Kind::real},
    Known{"repeat_last_n", Kind::whole},
    Known{"repeat_penalty", Kind::real},
    Known{"presence_penalty", Kind::real},
    Known{"frequency_penalty", Kind::real},
    Known{"mirostat", Kind::whole},
    Known{"mirostat_tau", Kind::real},
    Known{"mirostat_eta", Kind::real},
    Known{"seed", Kind::whole},
    Known{"num_predict", Kind::whole},
    Known{"stop", Kind::text},
};

// Parameters of the reference that are decided when a model is loaded.
constexpr std::array<std::pair<const char*, const char*>, 3> decided_at_load{{
    {"num_ctx", "start hearth run with --context"},
    {"num_thread", "start hearth run with HEARTH_THREADS set"},
    {"num_gpu", "this version computes on the CPU"},
}};

Kind kind_of(const std::string& name) {
  for (const Known& k : known)
    if (name == k.name) return k.kind;
  for (const auto& [other, remedy] : decided_at_load) {
    if (name == other)
      throw Error(Code::bad_request, fmt::format("'{}' is decided when the model is loaded", name), remedy);
  }
  throw Error(Code::bad_request, fmt::format("unknown parameter '{}'", name), "type /? set for the names");
}

template <typename Number>
Number number_of(const std::string& name, const std::string& word, const char* wanted) {
  Number value{};
  const char* end = word.data() + word.size();
  const auto [stopped, problem] = std::from_chars(word.data(), end, value);
  if (problem != std::errc() || stopped != end || value - value != Number{}) {  // infinities and NaN too
    throw Error(Code::bad_request, fmt::format("'{}' is not {}: '{}'", name, wanted, word),
                fmt::format("give /set parameter {} a number", name));
  }
  return value;
}

Json json_of(const std::string& name, Kind kind, const std::string& word) {
  if (kind == Kind::whole) return number_of<int64_t>(name, word, "a whole number");
  return number_of<double>(name, word, "a number");
}

void apply_one(Request& request, const std::string& name, const std::vector<std::string>& words) {
  if (name == "stop") {
    request.stop = words;
    return;
  }
  const Json value = json_of(name, kind_of(name), words.front());
  if (name == "num_predict") {
    constexpr int64_t most = UINT32_MAX;
    request.max_tokens = static_cast<uint32_t>(std::clamp<int64_t>(value.as_int64(), 0, most));
  } else {
    request.sampling.options.as_object()[name] = value;
  }
}

}  // namespace

std::string Parameters::set(const std::string& name, const std::vector<std::string>& words) {
  const Kind kind = kind_of(name);
  if (words.empty() || (kind != Kind::text && words.size() > 1)) {
    throw Error(Code::bad_request,
                fmt::format("'{}' takes {}", name, kind == Kind::text ? "one or more texts" : "one number"),
                fmt::format("type /set parameter {} {}", name, kind == Kind::text ? "TEXT" : "NUMBER"));
  }
  if (std::find(words.begin(), words.end(), "") != words.end()) {
    throw Error(Code::bad_request, fmt::format("'{}' cannot be empty", name), "give it a text");
  }
  Request trial;
  apply_one(trial, name, words);
  options_of(trial.sampling);  // the worker would refuse what this refuses
  const auto old =
      std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.name == name; });
  if (old == entries_.end()) {
    entries_.push_back({name, words});
  } else {
    old->words = words;
  }
  return fmt::format("{}", fmt::join(words, ", "));
}

void Parameters::apply(Request& request) const {
  for (const Entry& e : entries_) apply_one(request, e.name, e.words);
}

bool Parameters::is_set(const std::string& name) const {
  return std::any_of(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.name == name; });
}

std::string Parameters::rows() const {
  std::string out;
  for (const Entry& e : entries_) {
    for (const std::string& word : e.words) {
      out += fmt::format("{:<30} {}\n", e.name, e.name == "stop" ? json::serialize(Json(word)) : word);
    }
  }
  return out;
}

std::vector<std::string> words_of(const std::string& line) {
  std::vector<std::string> words;
  bool inside = false, quoted = false;
  for (size_t i = 0; i < line.size(); ++i) {
    char c = line[i];
    if (!quoted && (c == ' ' || c == '\t' || c == '\n')) {
      inside = false;
      continue;
    }
    if (!inside) words.emplace_back();
    inside = true;
    if (c == '"') {
      quoted = !quoted;
      continue;
    }
    if (quoted && c == '\\' && i + 1 < line.size()) {
      const char next = line[i + 1];
      const size_t which = std::string_view("nt\"\\").find(next);
      if (which != std::string_view::npos) {
        c = "\n\t\"\\"[which];
        ++i;
      }
    }
    words.back() += c;
  }
  return words;
}

}  // namespace hearth
