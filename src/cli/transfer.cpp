// hearth pull, hearth push.
#include <fmt/format.h>
#include <unistd.h>

#include <memory>

#include "base/error.h"
#include "cli/api_client.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/transfer.h"

namespace hearth {

void follow_progress(ApiClient& client, const std::string& path, const Json& body) {
  ProgressView progress(STDERR_FILENO, ::isatty(STDERR_FILENO) != 0);
  bool success = false;
  client.stream(path, body, [&](const Json& line) {
    const json::object& o = line.as_object();
    const auto number = [&](const char* key) {
      const Json* at = o.if_contains(key);
      return at != nullptr && at->is_number() ? at->to_number<uint64_t>() : uint64_t{0};
    };
    const Json* status = o.if_contains("status");
    if (status == nullptr || !status->is_string()) return true;
    success = status->as_string() == "success";
    progress.update(std::string(status->as_string()), number("completed"), number("total"));
    return true;
  });
  progress.finish();
  if (!success) {
    throw Error(Code::io, "the server ended without saying that it is done",
                "look at its log, and try again");
  }
}

namespace {

struct TransferOptions {
  std::string model;
  bool insecure = false;
};

void pull(const TransferOptions& o) {
  ApiClient client = ApiClient::connect();
  follow_progress(client, "/api/pull", {{"model", o.model}, {"insecure", o.insecure}});
}

void push(const TransferOptions& o) {
  ApiClient client = ApiClient::connect();
  follow_progress(client, "/api/push", {{"model", o.model}, {"insecure", o.insecure}});
  fmt::print("\nYou can find your model at:\n\n\t{}\n", o.model);
}

template <class Run>
void add_transfer(Arguments app, Run run) {
  auto o = std::make_shared<TransferOptions>();
  app.option("MODEL", o->model, "name, host/namespace/name:tag, hf.co/OWNER/REPO:QUANT or https://….gguf")
      .required();
  app.flag("--insecure", o->insecure, "speak plain http to the registry");
  app.footer("Environment: OLLAMA_HOST");
  app.run([o, run] { run(*o); });
}

}  // namespace

void add_pull(Arguments app) { add_transfer(app, pull); }
void add_push(Arguments app) { add_transfer(app, push); }

}  // namespace hearth
