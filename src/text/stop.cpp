#include "text/stop.h"

#include <algorithm>
#include <utility>

namespace hearth {

StopScanner::StopScanner(std::vector<std::string> stops) {
  for (auto& text : stops) {
    Pattern pattern{std::move(text), {}, 0};
    const std::string& t = pattern.text;
    pattern.fallback.assign(t.size(), 0);
    for (size_t i = 1; i < t.size(); ++i) {
      uint32_t length = pattern.fallback[i - 1];
      while (length > 0 && t[length] != t[i]) length = pattern.fallback[length - 1];
      pattern.fallback[i] = length + (t[length] == t[i] ? 1 : 0);
    }
    patterns_.push_back(std::move(pattern));
  }
}

StopResult StopScanner::push(std::string_view text) {
  StopResult result;
  if (stopped_) return result;
  for (size_t at = 0; at < text.size(); ++at) {
    size_t longest = 0;
    for (size_t i = 0; i < patterns_.size(); ++i) {
      Pattern& p = patterns_[i];
      if (p.text.empty()) continue;
      while (p.matched > 0 && p.text[p.matched] != text[at]) p.matched = p.fallback[p.matched - 1];
      if (p.text[p.matched] == text[at]) ++p.matched;
      if (p.matched < p.text.size()) continue;
      p.matched = 0;
      if (p.text.size() <= longest) continue;
      longest = p.text.size();
      result.stop = i;
    }
    if (result.stop) {
      held_.append(text.substr(0, at + 1));
      result.text = held_.substr(0, held_.size() - longest);
      held_.clear();
      stopped_ = true;
      return result;
    }
  }
  held_.append(text);
  size_t keep = 0;
  for (const Pattern& p : patterns_) keep = std::max<size_t>(keep, p.matched);
  result.text = held_.substr(0, held_.size() - keep);
  held_.erase(0, held_.size() - keep);
  return result;
}

std::string StopScanner::flush() {
  for (Pattern& p : patterns_) p.matched = 0;
  stopped_ = false;
  return std::exchange(held_, {});
}

}  // namespace hearth
