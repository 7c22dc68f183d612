#pragma once

#include "engine/sampler.h"
#include "protocol/messages.h"

namespace hearth {

// A request's options that the worker looks at.
struct RequestOptions {
  SamplingOptions sampling;
  int32_t num_keep = 4;     // tokens at the front of the context that a shift spares; negative = all
  bool ignore_eos = false;  // tokens that end a text are never drawn
};

// From a request's JSON (Ollama's names). A wrong type or value is an Error(bad_request) naming the option,
// and so is an unknown name. The seed is always set afterwards: what was asked for, or one drawn here.
RequestOptions options_of(const SamplingChoice& choice);

}  // namespace hearth
