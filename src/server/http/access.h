#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hearth {

// What decides whether a request is let in: where it comes from (CORS), what it calls this machine (a guard
// against DNS rebinding), and a token if one is asked for. Pure functions of the headers.
class AccessRules {
 public:
  // `extra` origins as OLLAMA_ORIGINS lists them, each with at most one `*`. What is wrong among them is
  // skipped and told in `warnings`. `loopback`: the server listens on loopback only, so names are checked.
  AccessRules(const std::string& extra, bool loopback, std::string token, std::vector<std::string>& warnings);

  struct Verdict {
    int status = 0;                                            // 0: let in; otherwise the whole answer
    std::vector<std::pair<std::string, std::string>> headers;  // to be added to the answer
  };
  Verdict judge(std::string_view method, std::string_view host, std::string_view origin,
                std::string_view authorization, std::string_view api_key) const;

  bool allows_origin(std::string_view origin) const;
  bool allows_host(std::string_view host) const;

 private:
  std::vector<std::string> patterns_;
  bool any_ = false, loopback_;
  std::string token_, machine_;
};

}  // namespace hearth
