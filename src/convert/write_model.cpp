// A model's tensors, decoded, weighed and encoded by several threads, piece by piece.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <exception>
#include <limits>
#include <mutex>
#include <numeric>

#include "base/error.h"
#include "base/threads.h"
#include "convert/model_source.h"

namespace hearth {
namespace {

// What one thread takes at a time: a multiple of every block.
constexpr uint64_t unit_values = 4096;

bool lossless(DType type) { return type == DType::f32 || type == DType::f16 || type == DType::bf16; }

// The largest magnitude that the type's scales (halves, in all but a few types) can reach.
float largest(DType type) {
  const bool wide = type == DType::f32 || type == DType::bf16 || type == DType::mxfp4;
  return wide ? std::numeric_limits<float>::max() : 65504.0F;
}

// Each group of columns scaled to a mean of 1, and no weight so small that its values would not be looked at.
std::vector<float> balanced(const std::vector<float>& raw, uint64_t cols) {
  std::vector<float> out(raw.size());
  for (uint64_t first = 0; first < raw.size(); first += cols) {
    double total = 0;
    for (uint64_t i = 0; i < cols; ++i) {
      const float w = raw[first + i];
      if (w > 0 && std::isfinite(w)) total += static_cast<double>(w);
    }
    const double mean = total / static_cast<double>(cols);
    for (uint64_t i = 0; i < cols; ++i) {
      const float w = raw[first + i];
      const bool counts = mean > 0 && w > 0 && std::isfinite(w);
      out[first + i] =
          mean > 0 ? std::max(counts ? static_cast<float>(static_cast<double>(w) / mean) : 0.0F, 1e-3F)
                   : 1.0F;
    }
  }
  return out;
}

// Turns one tensor into another type.
class Recoder {
 public:
  Recoder(const ModelSource& source, const SourceTensor& tensor, DType to, const ImportanceMatrix* importance)
      : source_(source), tensor_(tensor), from_(type_info(tensor.type)), to_(type_info(to)) {
    if (importance == nullptr || to_.block_values == 1) return;
    const auto found = importance->find(tensor.name);
    if (found == importance->end()) return;
    const uint64_t cols = tensor.dims[0];
    const uint64_t stack = tensor.dims.size() > 2 ? tensor.dims[2] : 1;
    if (found->second.size() != cols && found->second.size() != cols * stack) {
      throw Error(Code::bad_request,
                  fmt::format("the importance matrix has {} columns for '{}', the model {}",
                              found->second.size(), tensor.name, cols),
                  "use the importance matrix of this model");
    }
    importance_ = balanced(found->second, cols);
  }

  // Encodes `out`, which begins at byte `first` of the tensor in its new type.
  void run(ThreadTeam& team, uint64_t first, std::span<std::byte> out) const {
    const uint64_t begin = first / to_.block_bytes * to_.block_values;
    const uint64_t count = out.size() / to_.block_bytes * to_.block_values;
    std::atomic<uint64_t> next{0};
    std::exception_ptr failure;
    std::mutex mutex;
    team.run([&](uint32_t) {
      try {
        for (uint64_t at = unit_values * next++; at < count; at = unit_values * next++) {
          const uint64_t n = std::min(unit_values, count - at);
          unit(begin + at, n, out.subspan(bytes_of(to_, at), bytes_of(to_, n)));
        }
      } catch (...) {
        next = count;  // the others need not go on
        const std::lock_guard lock(mutex);
        failure = std::current_exception();
      }
    });
    if (failure != nullptr) std::rethrow_exception(failure);
  }

 private:
  static uint64_t bytes_of(const TypeInfo& type, uint64_t values) {
    return values / type.block_values * type.block_bytes;
  }

  void unit(uint64_t first, uint64_t n, std::span<std::byte> out) const {
    std::array<std::byte, unit_values * sizeof(float)> raw;
    std::array<float, unit_values> values, weights;
    const auto bytes = std::span(raw).first(bytes_of(from_, n));
    tensor_.bytes(bytes_of(from_, first), bytes);
    from_.decode(bytes, std::span(values).first(n));
    check(std::span(values).first(n));
    if (!importance_.empty()) {
      const uint64_t cols = tensor_.dims[0], matrix = cols * tensor_.dims[1],
                     groups = importance_.size() / cols;
      for (uint64_t i = 0; i < n; ++i) {
        const uint64_t group = groups > 1 ? (first + i) / matrix : 0;
        weights[i] = importance_[group * cols + (first + i) % cols];
      }
    }
    to_.encode(std::span(values).first(n), std::span(weights).first(importance_.empty() ? 0 : n), out);
  }

  void check(std::span<const float> values) const {
    const auto limit = std::bit_cast<int32_t>(largest(to_.type));
    int32_t bad = 0;
    for (const float v : values) bad |= limit - (std::bit_cast<int32_t>(v) & 0x7fffffff);
    if (bad >= 0) return;
    const bool numbers = std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
    if (numbers) {
      throw Error(Code::bad_request,
                  fmt::format("tensor '{}' of {} has weights beyond 65504, too large for {}", tensor_.name,
                              source_.name, to_.name),
                  "choose BF16 or F32");
    }
    throw Error(Code::corrupt_file,
                fmt::format("tensor '{}' of {} has weights that are no numbers", tensor_.name, source_.name),
                "the model is damaged: get it again or from another source");
  }

  const ModelSource& source_;
  const SourceTensor& tensor_;
  const TypeInfo& from_;
  const TypeInfo& to_;
  std::vector<float> importance_;
};

DType target_of(const ModelSource& source, const SourceTensor& tensor, const WriteOptions& o) {
  if (o.mixture == nullptr || !is_quantizable(tensor.name, static_cast<uint32_t>(tensor.dims.size())))
    return tensor.type;
  const DType target = type_for(*o.mixture, source.facts, tensor.name, tensor.dims[0]);
  if (target == tensor.type || type_info(tensor.type).decode == nullptr) return tensor.type;
  if (!lossless(tensor.type) && !o.allow_requantize) {
    throw Error(Code::bad_request,
                fmt::format("{} is quantized already: tensor '{}' is {}", source.name, tensor.name,
                            type_info(tensor.type).name),
                "quantize from the original in F16, BF16 or F32: rounding twice loses more than once");
  }
  return target;
}

// The writer of the file, its tensors without data: `fill` makes them.
GgufWriter lay_out(const ModelSource& source, const WriteOptions& o, uint32_t file_type,
                   const std::function<GgufWriter::Fill(const SourceTensor&, DType)>& fill) {
  GgufWriter writer = source.head;
  constexpr uint64_t quantization_version = 2;
  writer.put("general.file_type", GgufType::u32, file_type);
  writer.put("general.quantization_version", GgufType::u32, quantization_version);
  for (const SourceTensor& t : source.tensors) {
    const DType target = target_of(source, t, o);
    writer.add(t.name, target, t.dims, fill(t, target));
  }
  return writer;
}

}  // namespace

uint32_t file_type_of(const ModelSource& source) {
  if (source.file_type) return *source.file_type;
  constexpr size_t types = 64;
  std::array<uint64_t, types> values{};
  for (const SourceTensor& t : source.tensors) {
    if (t.dims.size() > 1) values[static_cast<size_t>(t.type) % types] += t.values();
  }
  const auto most = static_cast<DType>(std::max_element(values.begin(), values.end()) - values.begin());
  for (const Mixture& m : known_mixtures()) {
    if (m.most == most) return m.file_type;  // of several with one name (Q4_K_M, Q4_K_S) the larger
  }
  return 0;
}

uint64_t planned_bytes(const ModelSource& source, const WriteOptions& options) {
  return lay_out(source, options, 0, [](const SourceTensor&, DType) { return GgufWriter::Fill(); })
      .file_bytes();
}

Written write_model(const ModelSource& source, int fd, const WriteOptions& o, const ProgressFn& progress) {
  ThreadTeam team(o.threads != 0 ? o.threads : thread_budget().threads, false);
  uint64_t completed = 0, total = 0;
  for (const SourceTensor& t : source.tensors) total += t.size_bytes();
  const uint32_t file_type = o.mixture != nullptr ? o.mixture->file_type : file_type_of(source);
  const auto fill = [&](const SourceTensor& t, DType target) -> GgufWriter::Fill {
    const TypeInfo& from = type_info(t.type);
    const TypeInfo& to = type_info(target);
    // Called with what was written; the same values lie elsewhere in the source.
    const auto report = [&](uint64_t first, uint64_t bytes) {
      const auto in_source = [&](uint64_t n) {
        return n / to.block_bytes * to.block_values / from.block_values * from.block_bytes;
      };
      completed += in_source(bytes);
      if (t.forget) t.forget(in_source(first), in_source(bytes));
      if (progress) progress(completed, total);
    };
    if (target == t.type) {
      return [&t, report](uint64_t first, std::span<std::byte> out) {
        t.bytes(first, out);
        report(first, out.size());
      };
    }
    return [&team, report, recoder = Recoder(source, t, target, o.importance)](uint64_t first,
                                                                               std::span<std::byte> out) {
      recoder.run(team, first, out);
      report(first, out.size());
    };
  };
  const GgufWriter writer = lay_out(source, o, file_type, fill);
  writer.write(fd, source.name);
  return {file_type, writer.file_bytes()};
}

}  // namespace hearth
