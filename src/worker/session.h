#pragma once

#include <memory>
#include <vector>

#include "protocol/messages.h"
#include "worker/chat.h"
#include "worker/formats.h"
#include "worker/loaded_model.h"
#include "worker/sampling.h"
#include "worker/sequences.h"
#include "worker/work.h"

namespace hearth {

// A loaded model and the requests it is busy with. All of them run in one batch; each is answered by exactly
// one Done or Failed.
class Session {
 public:
  // Throws Error where the model cannot be loaded.
  Session(const LoadRequest& request, Outbox out);

  from_child::Ready ready();
  void start(const to_child::Start& message);
  void cancel(RequestId id);
  // Places what waits, in order, and computes one step. False: nothing to do. Throws Error(device_lost) where
  // a device is gone and no request can be answered any more.
  bool step();

 private:
  void place();
  void forget();

  LoadedModel model_;
  ChatTemplates templates_;
  Formats formats_;
  BreakerTokens breakers_;
  Sequences sequences_;
  Outbox out_;
  std::vector<std::unique_ptr<Work>> jobs_;  // as they came
};

}  // namespace hearth
