#include "text/template/meter.h"

#include <fmt/format.h>

namespace hearth::tmpl {

void Meter::fail_limit(const char* what, uint64_t limit) {
  throw Failure{
      TemplateError::Kind::limit, fmt::format("the template needs more than {} {}", limit, what), {}};
}

}  // namespace hearth::tmpl
