#include "device/cpu/tables.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "tensor/types.h"

namespace hearth::cpu {
namespace {

// Best first. The sets of x86 include each other, so that a gap may be filled from any set further down.
const std::array<CpuSet, 6> sets = {{
    {&amx_table, &CpuFeatures::amx, "AMX tiles with bfloat16, and the system's permission to use them"},
    {&avx512bf16_table, &CpuFeatures::avx512bf16, "AVX-512 with VNNI and BF16"},
    {&avx512vnni_table, &CpuFeatures::avx512vnni, "AVX-512 with VNNI"},
    {&avx512_table, &CpuFeatures::avx512, "AVX-512 F, BW, DQ, VL and CD"},
    {&avx2_table, &CpuFeatures::avx2, "AVX2, FMA and F16C"},
    {&portable_table, nullptr, "nothing beyond the baseline"},
}};

bool has(const CpuFeatures& features, const CpuSet& set) {
  return set.needs == nullptr || features.*set.needs;
}

// Where the search for kernels begins.
std::span<const CpuSet> allowed(std::string_view wanted, const CpuFeatures& features) {
  const auto all = cpu_sets();
  if (wanted.empty()) {
    const auto best = std::find_if(all.begin(), all.end(), [&](const CpuSet& s) { return has(features, s); });
    return {best, all.end()};
  }
  const auto named =
      std::find_if(all.begin(), all.end(), [&](const CpuSet& s) { return wanted == s.table->name; });
  if (named == all.end()) {
    std::vector<std::string_view> names;
    for (const CpuSet& s : all) names.emplace_back(s.table->name);
    throw Error(Code::bad_request,
                fmt::format("HEARTH_CPU={} is not an instruction set hearth knows", wanted),
                fmt::format("use one of {}, or leave it unset", fmt::join(names, ", ")));
  }
  if (!has(features, *named)) {
    const std::string note =
        features.notes.empty() ? "" : fmt::format(" ({})", fmt::join(features.notes, "; "));
    const auto best = std::find_if(named, all.end(), [&](const CpuSet& s) { return has(features, s); });
    throw Error(Code::unsupported,
                fmt::format("HEARTH_CPU={} needs {}, which this processor lacks{}", wanted,
                            named->instructions, note),
                fmt::format("use {}, or leave HEARTH_CPU unset", best->table->name));
  }
  return {named, all.end()};
}

void fill_types(ResolvedTable& r, const CpuTable& table) {
  for (uint32_t i = 0; i < table.type_count; ++i) {
    const TypeKernels& kernels = table.types[i];
    auto at = std::find_if(r.types.begin(), r.types.end(),
                           [&](const ResolvedTable::Type& t) { return t.kernels.type == kernels.type; });
    if (at == r.types.end()) {
      ResolvedTable::Type added;
      added.kernels.type = kernels.type;
      at = r.types.insert(at, added);
    }
    if (at->kernels.decode == nullptr && kernels.decode != nullptr) {
      at->kernels.decode = kernels.decode;
      at->decode_set = table.name;
    }
    if (at->kernels.gemv == nullptr && kernels.gemv != nullptr) {
      at->kernels.gemv = kernels.gemv;
      at->gemv_set = table.name;
    }
  }
}

void fill_packed(ResolvedTable& r, const CpuTable& table) {
  for (uint32_t i = 0; i < table.packed_count; ++i) {
    for (ResolvedTable::Type& t : r.types) {
      if (t.kernels.type != table.packed[i].type || t.packed != nullptr) continue;
      t.packed = &table.packed[i];
      t.packed_set = table.name;
    }
  }
  if (r.round_row == nullptr) r.round_row = table.round_row;
}

template <class Kernels>
void fill(const Kernels*& entry, std::string_view& set, const Kernels* kernels, std::string_view name) {
  if (entry != nullptr || kernels == nullptr) return;
  entry = kernels;
  set = name;
}

}  // namespace

std::span<const CpuSet> cpu_sets() { return sets; }

ResolvedTable resolve(std::string_view wanted, const CpuFeatures& features) {
  const auto from = allowed(wanted, features);
  ResolvedTable r;
  r.set = from.front().table->name;
  for (const CpuSet& set : from) {
    const CpuTable& table = *set.table;
    fill_types(r, table);
    fill(r.matmul, r.matmul_set, table.matmul, table.name);
    if (table.matmul != nullptr && table.matmul->format == PanelFormat::f32) {
      fill(r.matmul_f32, r.matmul_f32_set, table.matmul, table.name);
    }
    for (size_t i = 0; i < std::size(r.kv); ++i) fill(r.kv[i], r.kv_set[i], table.kv[i], table.name);
    fill(r.rows, r.rows_set, table.rows, table.name);
    fill(r.attend, r.attend_set, table.attend, table.name);
    if (table.attend != nullptr && table.attend->pack_keys == nullptr) {
      fill(r.attend_f32, r.attend_f32_set, table.attend, table.name);
    }
    fill(r.state, r.state_set, table.state, table.name);
    fill(r.peak, r.peak_set, table.peak, table.name);
  }
  // All sets know their types by now: a packed type has row kernels too.
  for (const CpuSet& set : from) fill_packed(r, *set.table);
  std::sort(r.types.begin(), r.types.end(),
            [](const auto& a, const auto& b) { return a.kernels.type < b.kernels.type; });
  return r;
}

const TypeKernels* ResolvedTable::type(uint32_t number) const noexcept {
  for (const Type& t : types) {
    if (t.kernels.type == number) return &t.kernels;
  }
  return nullptr;
}

const PackedKernels* ResolvedTable::packed(uint32_t number) const noexcept {
  for (const Type& t : types) {
    if (t.kernels.type == number) return t.packed;
  }
  return nullptr;
}

std::string ResolvedTable::describe() const {
  std::string text = fmt::format("{}: matmul {}, attention {}, kv {}, rows {}", set, matmul_set, attend_set,
                                 kv_set[1], rows_set);
  for (const CpuSet& s : cpu_sets()) {
    std::vector<std::string_view> names, packed_names;
    for (const Type& t : types) {
      const std::string_view name = type_info(static_cast<DType>(t.kernels.type)).name;
      if (t.packed_set == s.table->name) packed_names.push_back(name);
      if (t.packed == nullptr && t.gemv_set == s.table->name) names.push_back(name);
    }
    if (!packed_names.empty())
      text += fmt::format("; {} packed: {}", s.table->name, fmt::join(packed_names, " "));
    if (!names.empty()) text += fmt::format("; {}: {}", s.table->name, fmt::join(names, " "));
  }
  return text;
}

}  // namespace hearth::cpu
