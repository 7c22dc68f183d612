#pragma once

#include <memory>

#include "protocol/messages.h"
#include "worker/answer_writer.h"
#include "worker/chat.h"
#include "worker/formats.h"
#include "worker/open_model.h"
#include "worker/sampling.h"
#include "worker/sequences.h"

namespace hearth {

// One request while the worker has it.
class Work {
 public:
  explicit Work(RequestId request) : id(request) {}
  virtual ~Work() = default;

  // Brings work into the engine. Throws Error(busy) where it must wait for others; any other Error ends the
  // request.
  virtual void place(Sequences& sequences) = 0;
  // After a step: looks at what it gave. Jobs that need to be placed (again) say so in waiting().
  virtual void advance(Sequences& sequences) = 0;
  // Takes its work out of the engine and ends with Done("cancelled") or with the error.
  virtual void cancel(Sequences& sequences) = 0;
  virtual void fail(Sequences& sequences, const Error& error) = 0;

  virtual bool waiting() const = 0;
  virtual bool over() const = 0;

  RequestId id;
};

struct WorkContext {
  const OpenModel& model;
  ChatTemplates& templates;
  Formats& formats;
  BreakerTokens& breakers;
  Engine& engine;
  double load_seconds = 0;
  Outbox out;
};

// An answer in text, or only the rendered or counted prompt. Throws Error: what is wrong with the request.
std::unique_ptr<Work> make_generation(RequestId id, const Request& request, const WorkContext& context);
// Vectors of texts.
std::unique_ptr<Work> make_embedding(RequestId id, const Request& request, const WorkContext& context);

}  // namespace hearth
