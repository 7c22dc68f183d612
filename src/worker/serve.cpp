#include "worker/serve.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>

#include "base/error.h"
#include "protocol/channel.h"
#include "protocol/messages.h"
#include "text/detokenizer.h"
#include "text/stop.h"
#include "worker/loaded_model.h"
#include "worker/prompt.h"
#include "worker/sampling.h"
#include "worker/sandbox.h"

namespace hearth {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// One request on its way out: tokens → characters → what stop strings leave → events.
class Reply final : public TokenSink {
 public:
  Reply(RequestId request, const Tokenizer& tokenizer, std::vector<std::string> stops, Channel& channel)
      : id(request), detokenizer_(tokenizer, {false, false}), stops_(std::move(stops)), channel_(channel) {}

  bool token(TokenId token) override {
    if (statistics.generated_tokens++ == 0) {
      statistics.prompt = seconds_since(begin);
      first_token_ = Clock::now();
    }
    const StopResult result = stops_.push(detokenizer_.push(token));
    const bool heard = send(result.text);
    return heard && !result.stop;
  }

  void finished(Finish why) override {
    if (statistics.generated_tokens == 0) {
      statistics.prompt = seconds_since(begin);
      first_token_ = Clock::now();
    }
    if (why != Finish::stopped) {
      StopResult rest = stops_.push(detokenizer_.flush());
      send(rest.text + stops_.flush());
    }
    statistics.generation = seconds_since(first_token_);
    statistics.total = seconds_since(begin);
    done = true;
    if (why == Finish::failed) {
      channel_.send(
          encode(FromChild(from_child::Failed{id, Code::busy, "the cache of keys and values is full",
                                              "wait for other requests or load with a larger context"})));
      return;
    }
    const char* reason = why == Finish::length ? "length" : "stop";
    channel_.send(encode(FromChild(from_child::Done{id, reason, statistics})));
  }

  RequestId id;
  SeqId sequence;
  Clock::time_point begin = Clock::now();
  Statistics statistics;
  bool done = false;

 private:
  bool send(const std::string& text) {
    return text.empty() || channel_.send(encode(FromChild(from_child::Text{id, text})));
  }

  Detokenizer detokenizer_;
  StopScanner stops_;
  Channel& channel_;
  Clock::time_point first_token_;
};

class Worker {
 public:
  explicit Worker(int fd) : channel_(fd) {}

  // Until the peer leaves: take messages, and compute while there is something to compute.
  void loop() {
    for (bool busy = false;;) {
      const Channel::Received got = channel_.receive(busy ? 0 : -1);
      if (got.state == Channel::State::closed) return;
      if (got.state == Channel::State::message && !on(decode_to_child(got.message))) return;
      if (got.state == Channel::State::message) {
        busy = model_ != nullptr;
        continue;
      }
      busy = model_ != nullptr && compute();
      sweep();
    }
  }

 private:
  bool on(const ToChild& message) {
    if (const auto* m = std::get_if<to_child::Load>(&message)) load(m->request);
    if (const auto* m = std::get_if<to_child::Start>(&message)) start(*m);
    if (const auto* m = std::get_if<to_child::Cancel>(&message)) cancel(m->id);
    if (std::holds_alternative<to_child::Ping>(message)) channel_.send(encode(FromChild(from_child::Pong{})));
    return !std::holds_alternative<to_child::Leave>(message);
  }

  void load(const LoadRequest& request) {
    try {
      model_ = std::make_unique<LoadedModel>(OpenModel::open(request.path), request);
      Engine& engine = model_->engine();
      channel_.send(encode(FromChild(from_child::Ready{model_->files().name, model_->device().info().name,
                                                       engine.plan().device, engine.plan().context,
                                                       model_->load_seconds(), engine.plan().notes})));
    } catch (const Error& e) {
      fail({0}, e);
    }
  }

  void start(const to_child::Start& m) {
    try {
      if (model_ == nullptr) throw Error(Code::bug, "a request came before a model", "report this");
      if (model_->engine().model().program.pooled) {
        throw Error(Code::unsupported,
                    fmt::format("{} is an embedding model: it makes no text", model_->files().name),
                    "use `hearth debug logits` to see its vectors");
      }
      begin(m);
    } catch (const Error& e) {
      fail(m.id, e);
    }
  }

  void begin(const to_child::Start& m) {
    Task task;
    task.tokens = tokens_of(m.request, model_->files());
    task.sampling = sampling_of(m.request.sampling);
    task.max_tokens = m.request.max_tokens;
    auto reply = std::make_unique<Reply>(m.id, *model_->files().tokenizer, m.request.stop, channel_);
    reply->statistics.prompt_tokens = static_cast<uint32_t>(task.tokens.size());
    reply->statistics.seed = *task.sampling.seed;
    reply->statistics.load = model_->load_seconds();
    task.sink = reply.get();
    reply->sequence = place_task(std::move(task), reply->statistics);
    replies_.push_back(std::move(reply));
  }

  // A conversation that goes on continues the kept sequence behind the tokens both share.
  SeqId place_task(Task task, Statistics& statistics) {
    Engine& engine = model_->engine();
    if (!kept_) return engine.add(std::move(task));
    const Sequence& old = engine.sequence(*kept_);
    const auto [mine, theirs] =
        std::mismatch(task.tokens.begin(), task.tokens.end(), old.tokens.begin(), old.tokens.end());
    const auto common = std::min(static_cast<uint32_t>(mine - task.tokens.begin()), old.computed);
    const SeqId id = *kept_;
    kept_.reset();
    if (common == 0) {
      engine.remove(id);
      return engine.add(std::move(task));
    }
    statistics.cached_tokens = common;
    task.tokens.erase(task.tokens.begin(), task.tokens.begin() + common);
    try {
      engine.cut(id, common, std::move(task));
    } catch (const Error&) {
      engine.remove(id);
      throw;
    }
    return id;
  }

  void cancel(RequestId id) {
    for (const auto& r : replies_) {
      if (r->id != id || r->done) continue;
      r->done = true;
      r->statistics.total = seconds_since(r->begin);
      channel_.send(encode(FromChild(from_child::Done{id, "cancelled", r->statistics})));
      model_->engine().remove(r->sequence);
    }
    std::erase_if(replies_, [](const auto& r) { return r->done; });
  }

  // Ended replies go; the last sequence stays for a conversation that continues.
  void sweep() {
    for (const auto& r : replies_) {
      if (!r->done) continue;
      if (kept_) model_->engine().remove(*kept_);
      kept_ = r->sequence;
    }
    std::erase_if(replies_, [](const auto& r) { return r->done; });
  }

  // One step. What goes wrong in it ends the requests that were running, not the worker.
  bool compute() {
    try {
      return model_->engine().step();
    } catch (const Error& e) {
      for (const auto& r : replies_) {
        if (!r->done) fail(r->id, e);
        model_->engine().remove(r->sequence);
      }
      replies_.clear();
      return false;
    }
  }

  void fail(RequestId id, const Error& e) {
    channel_.send(encode(FromChild(from_child::Failed{id, e.code, e.message, e.remedy})));
  }

  Channel channel_;
  std::unique_ptr<LoadedModel> model_;
  std::vector<std::unique_ptr<Reply>> replies_;
  std::optional<SeqId> kept_;
};

}  // namespace

int serve_worker(int fd) {
  const std::string open = enter_sandbox();
  if (!open.empty()) fmt::print(stderr, "the worker runs without a sandbox: {}\n", open);
  try {
    Worker(fd).loop();
    return 0;
  } catch (const std::exception& e) {
    fmt::print(stderr, "{}\n", e.what());
    return 1;
  }
}

}  // namespace hearth
