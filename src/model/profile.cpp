#include "model/profile.h"

#include "device/layout.h"

namespace hearth {

MemoryProfile profile(const BoundModel& model, const Gguf& file, const Device& device) {
  MemoryProfile p;
  p.name = std::string(file.string("general.name").value_or(model.architecture));
  for (const TensorInfo* tensor : model.tensors) p.weights += tensor->data.size();
  p.resident = device.resident(model.program);
  p.context = model.hyper.context;
  p.result_row = uint64_t{model.program.outputs} * sizeof(float);
  for (const CacheGroup& c : model.program.caches)
    p.caches.push_back({c.layers, c.kv_heads, c.k_size, c.v_size});
  for (const uint32_t rows : {32U, 64U, 128U, 256U, 512U}) {
    p.steps.push_back({rows, lay_out(model.program, rows).peak, device.workspace(model.program, rows)});
  }
  return p;
}

}  // namespace hearth
