#include "worker/probe/trial.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace hearth::probe {

Bytes::Bytes(uint64_t size) : size_(size) {
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    throw Error(Code::out_of_memory, fmt::format("no memory for a probe ({} MiB)", size >> 20),
                "free memory and probe again");
  ::madvise(memory, size, MADV_HUGEPAGE);
  data_ = static_cast<std::byte*>(memory);
}

Bytes::Bytes(Bytes&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Bytes::~Bytes() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

Act Trial::act(uint32_t cols) {
  program.acts.push_back({cols});
  return {static_cast<uint32_t>(program.acts.size()), cols};
}

void Trial::push(Op op) {
  program.ops.push_back(op);
  program.layer_of.push_back(0);
}

Weight Trial::weight(DType type, uint32_t rows, uint32_t cols, std::span<const float> values) {
  Bytes bytes(row_bytes(type, cols).value_or(0) * rows);
  type_info(type).round(values, bytes.span());
  program.weights.push_back({fmt::format("probe.{}", values_.size()), type, {rows, cols, 1}});
  values_.push_back(std::move(bytes));
  return {static_cast<uint32_t>(values_.size())};
}

Weight Trial::repeated_weight(DType type, uint32_t rows, uint32_t cols, std::span<const float> row) {
  const uint64_t size = row_bytes(type, cols).value_or(0);
  Bytes bytes(size * rows);
  type_info(type).round(row, bytes.span().first(size));
  for (uint32_t r = 1; r < rows; ++r) std::memcpy(&bytes.span()[r * size], bytes.span().data(), size);
  program.weights.push_back({fmt::format("probe.{}", values_.size()), type, {rows, cols, 1}});
  values_.push_back(std::move(bytes));
  return {static_cast<uint32_t>(values_.size())};
}

std::vector<float> Trial::decoded(Weight weight) const {
  const WeightInfo& w = program.weights[weight.id - 1];
  std::vector<float> out(w.shape.values());
  type_info(w.type).decode(values_[weight.id - 1].span(), out);
  return out;
}

std::string Trial::refused_by(const Device& device, KvTypes kv) const {
  for (const Op& op : program.ops) {
    if (const auto refusal = device.refuse(op, program, kv)) return refusal->detail;
  }
  return {};
}

void Trial::make_ready(const OpenDevice& open, uint32_t rows, uint32_t tokens, KvTypes kv) {
  device_ = open();
  if (device_ == nullptr)
    throw Error(Code::device_lost, "the module opened no device and said nothing", "report it");
  const std::string refused = refused_by(*device_, kv);
  if (!refused.empty()) throw Error(Code::unsupported, refused, "");
  reserve(rows, tokens, kv);
  for (uint32_t i = 0; i < values_.size(); ++i) {
    const WeightInfo& w = program.weights[i];
    device_->load({i + 1}, {w.name, w.type, w.shape, values_[i].span()});
  }
  executable_ = device_->prepare(program, lay_out(program, rows));
  if (executable_ == nullptr)
    throw Error(Code::device_lost, "the module prepared no program and said nothing", "report it");
}

void Trial::reserve(uint32_t rows, uint32_t tokens, KvTypes kv) {
  const uint32_t pages = (tokens + page_tokens - 1) / page_tokens;
  DeviceBuffers plan;
  plan.device = device_->info().name;
  plan.kv = kv;
  auto& buffers = plan.buffers;
  if (const uint64_t resident = device_->resident(program); resident != 0)
    buffers.push_back({BufferKind::weights, resident, false});
  uint64_t cache = 0;
  for (const CacheGroup& c : program.caches) {
    plan.pages.push_back(pages);
    cache += pages * page_bytes(profile_of(c), kv);
  }
  if (cache != 0) buffers.push_back({BufferKind::kv, cache, false});
  buffers.push_back({BufferKind::arena, lay_out(program, rows).peak, false});
  buffers.push_back({BufferKind::workspace, device_->workspace(program, rows), false});
  buffers.push_back({BufferKind::results, uint64_t{rows} * program.outputs * sizeof(float), false});
  device_->reserve(plan, program);
  pages_.clear();
  for (uint32_t p = 0; p < pages; ++p) pages_.push_back({p});
  // The bound that the planner promises: 2 % or 64 MiB.
  const uint64_t held = device_->reserved(), planned = plan.anonymous();
  const uint64_t apart = held > planned ? held - planned : planned - held;
  if (apart > std::max<uint64_t>(planned / 50, 64ULL << 20))
    throw Error(Code::device_lost,
                fmt::format("the module holds {} MiB where {} MiB were planned", held >> 20, planned >> 20),
                "report it");
}

std::span<const float> Trial::step(uint32_t cached, uint32_t rows, bool exact, bool all_results) {
  std::vector<TokenId> tokens;
  std::vector<uint32_t> positions, wanted;
  for (uint32_t r = 0; r < rows; ++r) {
    tokens.push_back({static_cast<int32_t>(cached + r)});
    positions.push_back(cached + r);
    if (all_results || r + 1 == rows) wanted.push_back(r);
  }
  const std::vector<Slice> slices{{0, rows, cached}};
  const std::vector<std::span<const PageId>> tables(program.caches.size(), pages_);
  StepInputs in;
  in.tokens = tokens;
  in.positions = positions;
  in.slices = slices;
  in.page_tables = tables;
  in.table_stride = static_cast<uint32_t>(pages_.size());
  in.result_rows = wanted;
  in.exact_rows = exact ? rows : 0;
  executable_->run(in);
  const auto results = executable_->results();
  const size_t expected = wanted.size() * program.outputs;
  if (results.size() != expected)
    throw Error(Code::device_lost,
                fmt::format("the device gave {} numbers instead of {}", results.size(), expected),
                "report it");
  return results;
}

}  // namespace hearth::probe
