#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "device/device.h"
#include "engine/batcher.h"
#include "engine/pace.h"
#include "engine/pages.h"
#include "engine/sequence.h"
#include "formats/gguf.h"
#include "model/model.h"

namespace hearth {

struct EngineOptions {
  // Ends generation when true: the ids of the vocabulary's end tokens.
  std::function<bool(TokenId)> ends;
};

// Computes many sequences of one model at once, on the devices between which the plan has divided it. All
// memory is taken at construction, exactly as the plan lists it; step() does not allocate on a device. Not
// thread-safe: one thread owns an engine.
class Engine {
 public:
  // `file` and `devices` (those of the plan, in its order) must outlive the engine. Throws Error(unsupported)
  // where a device refuses an operation (naming the tensor and why), Error(out_of_memory).
  Engine(BoundModel model, const Gguf& file, std::vector<Device*> devices, Plan plan, EngineOptions options);

  // Starts a task. Throws Error(bad_request): no tokens, a token outside the vocabulary, a prompt longer than
  // the context, more pages than there are at all; Error(busy) when the pages are held by others now.
  SeqId add(Task task);
  // A second sequence that continues a copy of the first `keep` tokens of another one; what is computed of
  // them is shared.
  SeqId fork(SeqId from, uint32_t keep, Task task);
  // Forgets all tokens from number `keep` on and goes on with the new task's tokens behind them. Where this
  // throws the sequence rests: remove it or cut it again.
  void cut(SeqId id, uint32_t keep, Task task);
  // Ends and frees a sequence at once; finished() is not called.
  void remove(SeqId id);

  // Computes one batch. False: there was nothing to compute (and the page accounting was proven).
  bool step();

  const Sequence& sequence(SeqId id) const;
  const BoundModel& model() const noexcept { return model_; }
  // As it was carried out: compute memory is that of each device's own part.
  const Plan& plan() const noexcept { return plan_; }
  const std::vector<Device*>& devices() const noexcept { return devices_; }
  // Time per operation of the model's program in the steps that follow; null ends it.
  void trace(TraceSink* sink);
  // A device has thrown Error(device_lost): nothing can be computed any more.
  bool lost() const noexcept { return lost_; }
  // Pages that any sequence can grow into; without a limit where none are needed.
  uint32_t free_pages() const noexcept;
  // Layers carry a state from token to token, which cannot go back: a sequence that is cut, or forked, before
  // the last of the tokens that were computed is computed again from its beginning.
  bool carries_state() const noexcept;
  const Batch& last_batch() const noexcept { return batch_; }

 private:
  // A run of operations on one device.
  struct Stretch {
    std::unique_ptr<Program> program;
    std::unique_ptr<TraceSink> renumber;  // to the operations of the whole, while there is a trace
    std::vector<uint32_t> origin;
    std::unique_ptr<Executable> executable;
  };

  void divide(const Gguf& file);
  void load(const Gguf& file, uint32_t device, const Program& program);
  // After a step of `rows`: lets go of what reading rows of tables has mapped, where devices have copies.
  void forget_tables(size_t rows) const;
  void size_inputs();
  std::span<const float> compute(const StepInputs& inputs);
  // Calls what uses a device, and takes note where that is lost.
  template <class F>
  void on_devices(F&& use);
  Sequence& find(SeqId id);
  void validate(const Task& task, size_t tokens) const;
  void adopt(Sequence& s, Task task);
  bool is_state(size_t group) const { return model_.program.caches[group].state != 0; }
  uint32_t pages_wanted(size_t group, uint32_t tokens) const;
  uint32_t kept_of(const Sequence& s, uint32_t keep, size_t tokens) const;
  void take_pages(Sequence& s, uint32_t tokens);
  void own_page(Sequence& s, uint32_t index);
  void copy_page(size_t group, PageId from, PageId to);
  void release_pages(Sequence& s, uint32_t keep_tokens);
  void make_present();
  bool make_present(Sequence& s, std::chrono::steady_clock::time_point until);
  void fill_inputs();
  void deliver(std::span<const float> results);
  void deliver_slice(const BatchSlice& slice, std::span<const float> rows);
  uint32_t result_rows(const BatchSlice& slice) const;
  void draw(std::span<const float> results);
  static TokenId drawn_token(Sequence& s, std::span<const float> logits);
  void continue_with(Sequence& s, std::span<const float> logits);
  void end(Sequence& s, Finish why);
  void check_pages() const;

  BoundModel model_;
  std::vector<Device*> devices_;
  Plan plan_;
  EngineOptions options_;
  const Gguf* file_ = nullptr;
  std::vector<const TensorInfo*> tied_tables_;  // of embeddings, of which a device has a copy for another use
  std::vector<Stretch> stretches_;              // in the order in which they run
  std::vector<std::vector<uint32_t>> cached_on_;  // [cache group] devices that hold layers of it
  std::vector<std::vector<float>> crossing_;      // host copies of activations, by Transfer::slot
  std::vector<std::span<float>> crossing_spans_;
  std::vector<PagePool> pools_;           // [cache group]
  std::vector<std::vector<bool>> found_;  // [cache group][page] whether its memory is known to be there
  std::vector<std::unique_ptr<Sequence>> sequences_;
  uint32_t next_id_ = 1;
  Batcher batcher_;
  Pace pace_;
  bool lost_ = false;
  Batch batch_;
  // The step's flat inputs; sized once.
  std::vector<TokenId> tokens_;
  std::vector<uint32_t> positions_, result_rows_;
  std::vector<Slice> slices_;
  std::vector<std::vector<PageId>> tables_;
  std::vector<std::span<const PageId>> table_spans_;
  struct Draw {
    Sequence* sequence = nullptr;
    std::span<const float> logits;
  };
  std::vector<Draw> draws_;
};

}  // namespace hearth
