#include "server/page.h"

namespace hearth {

std::string_view page() noexcept {
  return "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>hearth</title><p>hearth is "
         "running.</p></html>";
}

}  // namespace hearth
