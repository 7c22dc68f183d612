#pragma once

#include "engine/sampler.h"
#include "protocol/messages.h"

namespace hearth {

// Sampling options from a request's JSON (Ollama's names). A wrong type or value is an Error(bad_request)
// naming the option, and so is an unknown name. The seed is always set afterwards: what was asked for, or one
// drawn here.
SamplingOptions sampling_of(const SamplingChoice& choice);

}  // namespace hearth
