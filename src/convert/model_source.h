#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "convert/mixture.h"
#include "formats/gguf_writer.h"

// A model on its way into a GGUF file, wherever it comes from: its metadata and its tensors, whose data are
// read piece by piece.
namespace hearth {

struct SourceTensor {
  std::string name;
  DType type{};
  std::vector<uint64_t> dims;  // fastest first
  // Writes bytes [first, first + out.size()), whole blocks of `type`. Called by several threads at once.
  GgufWriter::Fill bytes;
  // `count` bytes from byte `first` are done with: the memory that reading them has taken may go. May be
  // empty.
  std::function<void(uint64_t first, uint64_t count)> forget;

  uint64_t values() const;
  uint64_t size_bytes() const;
};

struct ModelSource {
  std::string name;  // used in messages
  MixtureFacts facts;
  // Metadata without general.file_type and general.quantization_version, no tensors.
  GgufWriter head;
  std::vector<SourceTensor> tensors;
  // general.file_type where every tensor keeps its type; none: what most weights are in.
  std::optional<uint32_t> file_type;
  // What is unusual about the model and what was done about it, a sentence each.
  std::vector<std::string> notes;
};

// The model in a GGUF file, which must outlive the result; parts of a split one are joined.
ModelSource source_of(const Gguf& file, std::string name);

// For each tensor the weight of each column's squared error (for stacks: of each expert's columns in turn).
using ImportanceMatrix = std::unordered_map<std::string, std::vector<float>>;

// From a GGUF of type "imatrix": mean squares of what each matrix is multiplied with. Throws
// Error(corrupt_file).
ImportanceMatrix read_importance(const Gguf& file);

struct WriteOptions {
  const Mixture* mixture = nullptr;  // null: every tensor keeps its type
  uint32_t threads = 0;              // 0: what the machine allows
  const ImportanceMatrix* importance = nullptr;
  bool allow_requantize = false;  // also from types that have lost already
};

// Bytes of the source done and to do; called by the writing thread after each piece of a few MiB. What it
// throws ends the writing.
using ProgressFn = std::function<void(uint64_t completed, uint64_t total)>;

struct Written {
  uint32_t file_type = 0;  // general.file_type
  uint64_t bytes = 0;
};

// general.file_type of a model that keeps its types: what it says itself, or what most weights are in.
uint32_t file_type_of(const ModelSource& source);

// The size of the file that write_model makes. Throws as it does for what is refused.
uint64_t planned_bytes(const ModelSource& source, const WriteOptions& options);

// Writes the model from front to back into an open file; never holds more than a few MiB of it. The bytes do
// not depend on the number of threads. Throws Error: bad_request (quantizing what is quantized already),
// corrupt_file (weights that are no numbers), io.
Written write_model(const ModelSource& source, int fd, const WriteOptions& options,
                    const ProgressFn& progress);

}  // namespace hearth
