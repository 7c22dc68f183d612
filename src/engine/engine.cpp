#include "engine/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

#include "base/error.h"
#include "device/layout.h"
#include "device/parts.h"
#include "device/split.h"
#include "model/profile.h"

namespace hearth {
namespace {

bool is_mean(const Program& program) {
  const auto* pool = std::get_if<Pool>(&program.ops.back());
  return pool != nullptr && pool->kind == PoolKind::mean;
}

void refuse_loudly(const Program& program, const Device& device, KvTypes kv) {
  for (const Op& op : program.ops) {
    if (const auto refusal = device.refuse(op, program, kv)) {
      throw Error(Code::unsupported,
                  fmt::format("device {} cannot compute {} of this model: {}", device.info().name,
                              kind_name(op), refusal->detail),
                  refusal->cause == "head_size" ? "use an f16 cache" : "use another file of this model");
    }
  }
}

class Renumber final : public TraceSink {
 public:
  Renumber(TraceSink& to, const std::vector<uint32_t>& origin) : to_(to), origin_(origin) {}
  void record(const TraceEntry& entry) override { to_.record({origin_[entry.op], entry.seconds}); }

 private:
  TraceSink& to_;
  const std::vector<uint32_t>& origin_;
};

}  // namespace

Engine::Engine(BoundModel model, const Gguf& file, std::vector<Device*> devices, Plan plan,
               EngineOptions options)
    : model_(std::move(model)),
      devices_(std::move(devices)),
      plan_(std::move(plan)),
      options_(std::move(options)),
      file_(&file),
      cached_on_(model_.program.caches.size()),
      batcher_({plan_.rows, plan_.results, most_exact_rows}) {
  divide(file);
  for (const uint32_t pages : plan_.pages) {
    pools_.emplace_back(pages);
    found_.emplace_back(pages);
  }
  size_inputs();
}

void Engine::divide(const Gguf& file) {
  const auto device_of = devices_of(parts_of(model_.program), plan_);
  Split parts = split(model_.program, device_of, static_cast<uint32_t>(devices_.size()));
  settle(plan_, parts, devices_);
  for (uint32_t d = 0; d < devices_.size(); ++d) {
    if (!plan_.uses(d)) continue;
    refuse_loudly(parts.devices[d], *devices_[d], plan_.kv);
    load(file, d, parts.devices[d]);
    for (size_t g = 0; g < cached_on_.size(); ++g) {
      if (parts.devices[d].caches[g].layers > 0) cached_on_[g].push_back(d);
    }
  }
  for (Segment& s : parts.segments) {
    auto program = std::make_unique<Program>(std::move(s.program));
    const Layout layout = lay_out(*program, plan_.rows);
    auto executable = devices_[s.device]->prepare(*program, layout);
    stretches_.push_back({std::move(program), nullptr, std::move(s.origin), std::move(executable)});
  }
  for (const uint32_t cols : parts.slot_cols) crossing_.emplace_back(size_t{plan_.rows} * cols);
  for (auto& copy : crossing_) crossing_spans_.emplace_back(copy);
}

void Engine::load(const Gguf& file, uint32_t device, const Program& program) {
  devices_[device]->reserve(plan_.devices[device], program);
  std::vector<bool> wanted(model_.tensors.size()), embeds(wanted), multiplies(wanted);
  for (const Op& op : program.ops) {
    for (const Weight w : weights_of(op)) {
      wanted[w.id - 1] = true;
      (std::holds_alternative<Embed>(op) ? embeds : multiplies)[w.id - 1] = true;
    }
  }
  const bool copied = plan_.devices[device].copies_weights();
  for (uint32_t i = 0; i < model_.tensors.size(); ++i) {
    if (!wanted[i]) continue;
    devices_[device]->load({i + 1}, file.view(*model_.tensors[i]));
    if (copied) file.forget(*model_.tensors[i]);
    if (copied && embeds[i] && multiplies[i]) tied_tables_.push_back(model_.tensors[i]);
  }
}

// The step's inputs; sizing for the most there can be keeps step() free of allocation.
void Engine::size_inputs() {
  tables_.resize(pools_.size());
  table_spans_.resize(pools_.size());
  tokens_.reserve(plan_.rows);
  positions_.reserve(plan_.rows);
  result_rows_.reserve(plan_.results);
  const size_t most_slices = std::min<size_t>(plan_.rows, 2 * size_t{plan_.parallel} + 16);
  slices_.reserve(most_slices);
  draws_.reserve(most_slices);
  for (auto& table : tables_) table.reserve(most_slices * pages_of(plan_.context));
}

void Engine::trace(TraceSink* sink) {
  for (Stretch& s : stretches_) {
    auto renumber = sink != nullptr ? std::make_unique<Renumber>(*sink, s.origin) : nullptr;
    s.executable->trace(renumber.get());
    s.renumber = std::move(renumber);
  }
}

template <class F>
void Engine::on_devices(F&& use) {
  try {
    use();
  } catch (const Error& e) {
    lost_ = lost_ || e.code == Code::device_lost;
    throw;
  }
}

// One stretch after the other: what crosses lies in the host copies when the next one begins.
std::span<const float> Engine::compute(const StepInputs& inputs) {
  std::span<const float> results;
  on_devices([&] {
    for (Stretch& s : stretches_) {
      s.executable->run(inputs);
      results = s.executable->results();
    }
  });
  return results;
}

void Engine::validate(const Task& task, size_t tokens) const {
  if (tokens == 0) throw Error(Code::bad_request, "the prompt has no tokens", "give at least one character");
  if (tokens > plan_.context || (tokens == plan_.context && task.sink != nullptr)) {
    throw Error(Code::bad_request,
                fmt::format("the prompt has {} tokens, the context takes {}", tokens, plan_.context),
                "shorten the prompt or ask for a larger context: --context, num_ctx");
  }
  for (const TokenId t : task.tokens) {
    if (t.value < 0 || static_cast<uint32_t>(t.value) >= model_.hyper.vocabulary) {
      throw Error(Code::bad_request,
                  fmt::format("token {} is outside the vocabulary of {}", t.value, model_.hyper.vocabulary),
                  "use ids that this model's tokenizer gives");
    }
  }
}

// The sequence's tokens are complete; the task says what becomes of them. Until it is adopted and has its
// pages the sequence rests, so that a task that fails here is never computed.
void Engine::adopt(Sequence& s, Task task) {
  s.done = true;
  s.prompt = static_cast<uint32_t>(s.tokens.size());
  s.generated = 0;
  s.pooled.clear();
  s.limit =
      task.max_tokens == 0 || task.sink == nullptr
          ? plan_.context
          : static_cast<uint32_t>(std::min<uint64_t>(plan_.context, uint64_t{s.prompt} + task.max_tokens));
  s.sampler = std::exchange(task.sampler, std::nullopt);
  if (task.sink != nullptr && !s.sampler) {
    SamplingOptions sampling = task.sampling;
    // A window longer than the context sees everything and needs no ring.
    if (sampling.repeat_last_n > 0 && static_cast<uint32_t>(sampling.repeat_last_n) >= plan_.context)
      sampling.repeat_last_n = -1;
    s.sampler.emplace(std::move(sampling), model_.hyper.vocabulary);
    for (const TokenId t : s.tokens) s.sampler->accept(t);
  }
  s.task = std::move(task);
  s.tokens.reserve(s.limit + 1);
  for (auto& pages : s.pages) pages.reserve(pages_of(s.limit));
  take_pages(s, s.prompt);
  if (s.computed % page_tokens != 0) own_page(s, s.computed / page_tokens);
  s.done = false;
}

SeqId Engine::add(Task task) {
  validate(task, task.tokens.size());
  auto s = std::make_unique<Sequence>();
  s->id = {next_id_++};
  s->tokens = task.tokens;
  s->pages.resize(pools_.size());
  adopt(*s, std::move(task));
  sequences_.push_back(std::move(s));
  return sequences_.back()->id;
}

SeqId Engine::fork(SeqId from, uint32_t keep, Task task) {
  const Sequence& origin = find(from);
  if (keep > origin.tokens.size()) {
    throw Error(Code::bad_request,
                fmt::format("cannot fork a sequence of {} tokens at {}", origin.tokens.size(), keep),
                "fork within the sequence");
  }
  auto s = std::make_unique<Sequence>();
  s->tokens.assign(origin.tokens.begin(), origin.tokens.begin() + keep);
  s->tokens.insert(s->tokens.end(), task.tokens.begin(), task.tokens.end());
  validate(task, s->tokens.size());
  s->id = {next_id_++};
  s->computed = kept_of(origin, keep, s->tokens.size());
  s->pages.resize(pools_.size());
  for (size_t g = 0; g < pools_.size(); ++g) {
    if (is_state(g)) continue;  // it is written to at once: a copy of its own, below
    s->pages[g].assign(origin.pages[g].begin(), origin.pages[g].begin() + pages_of(s->computed));
    for (const PageId page : s->pages[g]) pools_[g].share(page);
  }
  try {
    adopt(*s, std::move(task));
    for (size_t g = 0; g < pools_.size(); ++g) {
      if (is_state(g) && s->computed > 0) copy_page(g, origin.pages[g].front(), s->pages[g].front());
    }
  } catch (...) {
    release_pages(*s, 0);
    throw;
  }
  sequences_.push_back(std::move(s));
  return sequences_.back()->id;
}

void Engine::cut(SeqId id, uint32_t keep, Task task) {
  Sequence& s = find(id);
  if (keep > s.tokens.size()) {
    throw Error(Code::bad_request,
                fmt::format("cannot cut a sequence of {} tokens at {}", s.tokens.size(), keep),
                "cut within the sequence");
  }
  validate(task, keep + task.tokens.size());
  s.tokens.resize(keep);
  s.tokens.insert(s.tokens.end(), task.tokens.begin(), task.tokens.end());
  s.computed = kept_of(s, keep, s.tokens.size());
  release_pages(s, s.computed);
  adopt(s, std::move(task));
}

void Engine::remove(SeqId id) {
  const auto at =
      std::find_if(sequences_.begin(), sequences_.end(), [&](const auto& s) { return s->id == id; });
  if (at == sequences_.end()) return;
  release_pages(**at, 0);
  sequences_.erase(at);
}

Sequence& Engine::find(SeqId id) {
  for (const auto& s : sequences_) {
    if (s->id == id) return *s;
  }
  throw Error(Code::not_found, fmt::format("no sequence {}", id.value), "it has been removed");
}

const Sequence& Engine::sequence(SeqId id) const { return const_cast<Engine*>(this)->find(id); }

uint32_t Engine::free_pages() const noexcept {
  uint32_t least = std::numeric_limits<uint32_t>::max();
  for (size_t g = 0; g < pools_.size(); ++g)
    least = is_state(g) ? least : std::min(least, pools_[g].free_pages());
  return least;
}

bool Engine::carries_state() const noexcept {
  const auto& caches = model_.program.caches;
  return std::any_of(caches.begin(), caches.end(), [](const CacheGroup& c) { return c.state != 0; });
}

// Of a group, for the first `tokens` tokens of a sequence.
uint32_t Engine::pages_wanted(size_t group, uint32_t tokens) const {
  return is_state(group) ? std::min(tokens, 1U) : pages_of(tokens);
}

// How much of what is computed of a sequence serves another `tokens` tokens that begin with `keep` of its
// own. The last token is computed again when nothing follows: its scores are wanted.
uint32_t Engine::kept_of(const Sequence& s, uint32_t keep, size_t tokens) const {
  const uint32_t kept = std::min({s.computed, keep, static_cast<uint32_t>(tokens) - 1});
  return carries_state() && kept != s.computed ? 0 : kept;
}

// Pages for the first `tokens` tokens, all or none.
void Engine::take_pages(Sequence& s, uint32_t tokens) {
  for (size_t g = 0; g < pools_.size(); ++g) {
    const auto have = static_cast<uint32_t>(s.pages[g].size());
    const uint32_t wanted = pages_wanted(g, tokens), free = pools_[g].free_pages();
    if (wanted <= have || wanted - have <= free) continue;
    if (is_state(g)) {
      throw Error(Code::busy, fmt::format("all {} states of sequences are taken", pools_[g].pages()),
                  "wait for running requests to end, or load the model for more requests at once");
    }
    throw Error(Code::busy, fmt::format("{} pages of the cache are wanted, {} are free", wanted - have, free),
                "wait for running requests to end, or load the model with a larger context");
  }
  for (size_t g = 0; g < pools_.size(); ++g) {
    while (s.pages[g].size() < pages_wanted(g, tokens)) s.pages[g].push_back(*pools_[g].take());
  }
}

void Engine::copy_page(size_t group, PageId from, PageId to) {
  on_devices([&] {
    for (const uint32_t d : cached_on_[group]) devices_[d]->copy_page(static_cast<uint32_t>(group), from, to);
  });
}

// A page that others hold too is copied before this sequence writes to it.
void Engine::own_page(Sequence& s, uint32_t index) {
  for (size_t g = 0; g < pools_.size(); ++g) {
    if (is_state(g)) continue;  // nobody shares it
    PageId& page = s.pages[g][index];
    if (pools_[g].holders(page) == 1) continue;
    const auto own = pools_[g].take();
    if (!own) {
      throw Error(Code::busy, "no free page of the cache for a forked sequence",
                  "wait for running requests to end, or load the model with a larger context");
    }
    copy_page(g, page, *own);
    pools_[g].release(page);
    page = *own;
  }
}

void Engine::release_pages(Sequence& s, uint32_t keep_tokens) {
  for (size_t g = 0; g < s.pages.size(); ++g) {
    while (s.pages[g].size() > pages_wanted(g, keep_tokens)) {
      pools_[g].release(s.pages[g].back());
      s.pages[g].pop_back();
    }
  }
}

bool Engine::step() {
  make_present();
  const auto begin = std::chrono::steady_clock::now();
  batcher_.next(sequences_, batch_, pace_.room());
  if (batch_.slices.empty()) {
    check_pages();
    return false;
  }
  fill_inputs();
  StepInputs inputs;
  inputs.tokens = tokens_;
  inputs.positions = positions_;
  inputs.slices = slices_;
  inputs.page_tables = table_spans_;
  inputs.table_stride = pages_of(plan_.context);
  inputs.result_rows = result_rows_;
  inputs.exact_rows = batch_.exact_rows;
  inputs.host = crossing_spans_;
  const std::span<const float> results = compute(inputs);
  pace_.note(batch_, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  forget_tables(tokens_.size());
  deliver(results);
  return true;
}

void Engine::fill_inputs() {
  tokens_.clear();
  positions_.clear();
  slices_.clear();
  result_rows_.clear();
  const uint32_t stride = pages_of(plan_.context);
  for (auto& table : tables_) table.clear();
  for (const BatchSlice& slice : batch_.slices) {
    Sequence& s = *slice.sequence;
    slices_.push_back({slice.first_row, slice.rows, slice.start});
    for (uint32_t i = 0; i < slice.rows; ++i) {
      tokens_.push_back(s.tokens[slice.start + i]);
      positions_.push_back(slice.start + i);
      const bool every = s.task.scores && s.task.every_position;
      if (every || (slice.results && i + 1 == slice.rows)) result_rows_.push_back(slice.first_row + i);
    }
    for (size_t g = 0; g < tables_.size(); ++g) {
      tables_[g].insert(tables_[g].end(), s.pages[g].begin(), s.pages[g].end());
      tables_[g].resize(slices_.size() * stride);
    }
  }
  for (size_t g = 0; g < tables_.size(); ++g) table_spans_[g] = tables_[g];
}

void Engine::deliver(std::span<const float> results) {
  for (const BatchSlice& slice : batch_.slices) slice.sequence->computed = slice.start + slice.rows;
  draw(results);
  for (const BatchSlice& slice : batch_.slices) {
    const size_t size = size_t{result_rows(slice)} * model_.program.outputs;
    deliver_slice(slice, results.first(size));
    results = results.subspan(size);
  }
}

// Rows of results that the step has of a slice.
uint32_t Engine::result_rows(const BatchSlice& slice) const {
  if (is_mean(model_.program)) return 1;
  if (!slice.results) return 0;
  const Task& task = slice.sequence->task;
  return task.scores && task.every_position ? slice.rows : 1;
}

// The next tokens of all sequences at once, on all threads: they are independent of each other. Those with a
// filter come later, one after the other, since filters share what they know.
void Engine::draw(std::span<const float> results) {
  draws_.clear();
  const uint32_t width = model_.program.outputs;
  for (const BatchSlice& slice : batch_.slices) {
    const size_t size = size_t{result_rows(slice)} * width;
    const Task& task = slice.sequence->task;
    slice.sequence->drawn.reset();
    slice.sequence->not_drawn = nullptr;
    if (size != 0 && !task.scores && task.filter == nullptr)
      draws_.push_back({slice.sequence, results.first(width)});
    results = results.subspan(size);
  }
  if (draws_.size() < 2) return;
  devices_.back()->share_out(static_cast<uint32_t>(draws_.size()), [this](uint32_t i) {
    Sequence& s = *draws_[i].sequence;
    try {
      s.drawn = s.sampler->choose(draws_[i].logits, nullptr);
    } catch (...) {
      s.not_drawn = std::current_exception();
    }
  });
}

void Engine::deliver_slice(const BatchSlice& slice, std::span<const float> rows) {
  Sequence& s = *slice.sequence;
  const bool last = slice.start + slice.rows == s.tokens.size();
  if (is_mean(model_.program)) {
    s.pooled.resize(rows.size(), 0.0F);
    for (size_t i = 0; i < rows.size(); ++i) s.pooled[i] += rows[i];
    if (!last) return;
    for (float& value : s.pooled) value /= static_cast<float>(s.tokens.size());
    s.task.scores(slice.start + slice.rows - 1, s.pooled);
    s.done = true;
    return;
  }
  if (!slice.results) return;
  if (!s.task.scores) return continue_with(s, rows);
  const uint32_t first = s.task.every_position ? 0 : slice.rows - 1;
  const size_t width = model_.program.outputs;
  for (uint32_t i = first; i < slice.rows; ++i)
    s.task.scores(slice.start + i, rows.subspan((i - first) * width, width));
  if (last) s.done = true;
}

TokenId Engine::drawn_token(Sequence& s, std::span<const float> logits) {
  if (s.not_drawn) std::rethrow_exception(s.not_drawn);
  const TokenId token = s.drawn ? *s.drawn : s.sampler->choose(logits, s.task.filter);
  s.sampler->accept(token);
  if (s.task.filter != nullptr) s.task.filter->accept(token);
  return token;
}

void Engine::continue_with(Sequence& s, std::span<const float> logits) {
  try {
    const TokenId token = drawn_token(s, logits);
    if (options_.ends && options_.ends(token)) return end(s, Finish::end_of_text);
    s.tokens.push_back(token);
    ++s.generated;
    if (!s.task.sink->token(token, logits)) return end(s, Finish::stopped);
  } catch (const Error& e) {
    s.done = true;
    return s.task.sink->failed(e);
  }
  if (s.task.max_tokens != 0 && s.generated >= s.task.max_tokens) return end(s, Finish::length);
  if (s.tokens.size() >= s.limit) return end(s, Finish::full);
  try {
    take_pages(s, static_cast<uint32_t>(s.tokens.size()));
  } catch (const Error&) {
    end(s, Finish::failed);
  }
}

void Engine::end(Sequence& s, Finish why) {
  s.done = true;
  s.task.sink->finished(why);
}

void Engine::check_pages() const {
  for (size_t g = 0; g < pools_.size(); ++g) {
    uint64_t held = 0;
    for (const auto& s : sequences_) held += s->pages[g].size();
    pools_[g].check(held);
  }
}

}  // namespace hearth
