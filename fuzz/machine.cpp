// Any bytes as a recorded machine: refused, or examined; and what is written of it reads the same.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/error.h"
#include "hardware/record.h"
#include "hardware/report.h"

namespace hearth {
namespace {

void run(std::string_view bytes) {
  Record record;
  try {
    record = Record::parse(bytes);
  } catch (const Error& error) {
    if (error.code != Code::corrupt_file) std::abort();
    return;
  }
  const std::string printed = record.print();
  if (Record::parse(printed).print() != printed) std::abort();
  (void)Record::parse(record.anonymised(1).print());
  const auto system = recorded_system(record);
  const Report report = examine(take_inventory(*system), record.verdicts, record.wanted);
  (void)to_text(report, {.colour = true, .columns = 60, .now = 1});
  (void)json::serialize(to_json(report));
  (void)fix_script(report);
  (void)idle_gpu_lines(report);
}

}  // namespace
}  // namespace hearth

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  hearth::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
