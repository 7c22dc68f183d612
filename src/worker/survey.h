#pragma once

#include "protocol/messages.h"

namespace hearth {

// The dry run of a model for the devices of a request, from its file or from the beginnings of its files. The
// devices are opened; nothing is loaded. Throws Error as loading would: a file that is damaged, an
// architecture that is unknown, a device that is not there.
from_child::Surveyed survey_model(const to_child::Survey& survey);

}  // namespace hearth
