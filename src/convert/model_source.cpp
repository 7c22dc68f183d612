#include "convert/model_source.h"

#include <fmt/format.h>

#include <cstring>

#include "base/error.h"

namespace hearth {
namespace {

// Set by the writer for the file it makes, or true of the parts of a split model only.
bool is_of_the_file(std::string_view key) {
  return key == "general.file_type" || key == "general.quantization_version" || key.starts_with("split.");
}

constexpr uint64_t most_alignment = 1U << 20;

std::vector<uint64_t> dims_of(const TensorInfo& t) { return {t.dims.begin(), t.dims.begin() + t.n_dims}; }

}  // namespace

uint64_t SourceTensor::values() const {
  uint64_t n = 1;
  for (const uint64_t d : dims) n *= d;
  return n;
}

uint64_t SourceTensor::size_bytes() const {
  const TypeInfo& info = type_info(type);
  return values() / info.block_values * info.block_bytes;
}

ModelSource source_of(const Gguf& file, std::string name) {
  const uint64_t alignment = file.u64("general.alignment").value_or(32);
  if (alignment > most_alignment)
    throw Error(Code::corrupt_file, fmt::format("general.alignment is {}", alignment), "get the file again");
  ModelSource source{std::move(name), mixture_facts(file), GgufWriter(3, alignment), {}, {}, {}};
  if (const auto type = file.u64("general.file_type"); type && *type < 1U << 16)
    source.file_type = static_cast<uint32_t>(*type);
  for (const MetadataEntry& entry : file.metadata()) {
    if (!is_of_the_file(entry.key)) source.head.put(std::string(entry.key), entry.value);
  }
  for (const TensorInfo& t : file.tensors()) {
    source.tensors.push_back({std::string(t.name), t.type, dims_of(t),
                              [data = t.data](uint64_t first, std::span<std::byte> out) {
                                std::memcpy(out.data(), data.data() + first, out.size());
                              },
                              [&file, t](uint64_t first, uint64_t count) {
                                TensorInfo part = t;
                                part.data = t.data.subspan(first, count);
                                file.forget(part);
                              }});
  }
  return source;
}

ImportanceMatrix read_importance(const Gguf& file) {
  ImportanceMatrix all;
  constexpr std::string_view sums = ".in_sum2", counts = ".counts";
  for (const TensorInfo& t : file.tensors()) {
    if (!t.name.ends_with(sums) || t.type != DType::f32) continue;
    const std::string name(t.name.substr(0, t.name.size() - sums.size()));
    const TensorInfo* count = file.tensor(name + std::string(counts));
    const uint64_t groups = t.dims[1];
    if (count == nullptr || count->type != DType::f32 || count->data.size() < groups * sizeof(float)) {
      throw Error(Code::corrupt_file, fmt::format("the importance matrix has no counts for '{}'", name),
                  "make it again, or get it from another source");
    }
    std::vector<float> values(t.data.size() / sizeof(float)), n(groups);
    std::memcpy(values.data(), t.data.data(), t.data.size());
    std::memcpy(n.data(), count->data.data(), groups * sizeof(float));
    for (uint64_t i = 0; i < values.size(); ++i) {
      const float samples = n[i / t.dims[0]];
      values[i] = samples > 0 ? values[i] / samples : 1.0F;  // an expert that was never asked
    }
    all.emplace(name, std::move(values));
  }
  if (all.empty())
    throw Error(Code::corrupt_file, "the file holds no importance matrix", "name a GGUF of type imatrix");
  return all;
}

}  // namespace hearth
