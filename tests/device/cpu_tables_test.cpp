#include "device/cpu/tables.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "tensor/types.h"

namespace hearth::cpu {
namespace {

using testing::HasSubstr;

CpuFeatures everything() {
  CpuFeatures f;
  f.avx2 = f.avx512 = f.avx512vnni = f.avx512bf16 = f.amx = true;
  return f;
}

Error error_of(std::string_view wanted, const CpuFeatures& features) {
  try {
    resolve(wanted, features);
  } catch (const Error& e) {
    return e;
  }
  return {Code::bug, "nothing was thrown", ""};
}

TEST(CpuTables, TheBestSetOfTheMachineIsChosen) {
  CpuFeatures f;
  EXPECT_EQ(resolve("", f).set, "portable");
  f.avx2 = true;
  EXPECT_EQ(resolve("", f).set, "avx2");
  f.avx512 = true;
  EXPECT_EQ(resolve("", f).set, "avx512");
  EXPECT_EQ(resolve("", everything()).set, "amx");
}

TEST(CpuTables, ANamedSetIsAnUpperBound) {
  for (const CpuSet& s : cpu_sets()) {
    const ResolvedTable r = resolve(s.table->name, everything());
    EXPECT_EQ(r.set, s.table->name);
    // Nothing comes from a set above the one that was asked for.
    bool below = false;
    for (const CpuSet& other : cpu_sets()) {
      below = below || other.table == s.table;
      if (below) continue;
      EXPECT_THAT(r.describe(), testing::Not(HasSubstr(std::string(other.table->name) + ":")));
      EXPECT_NE(r.matmul_set, other.table->name);
    }
  }
}

TEST(CpuTables, EveryEntryIsFilled) {
  for (const CpuSet& s : cpu_sets()) {
    const ResolvedTable r = resolve(s.table->name, everything());
    ASSERT_NE(r.matmul, nullptr);
    ASSERT_NE(r.matmul_f32, nullptr);
    EXPECT_EQ(r.matmul_f32->format, PanelFormat::f32);
    ASSERT_NE(r.rows, nullptr);
    for (const KvKernels* kv : r.kv) ASSERT_NE(kv, nullptr);
    for (const TypeInfo* t : all_types()) {
      const TypeKernels* k = r.type(static_cast<uint32_t>(t->type));
      ASSERT_EQ(k != nullptr, t->decode != nullptr) << t->name;
      if (k == nullptr) continue;
      EXPECT_NE(k->decode, nullptr) << t->name;
      EXPECT_NE(k->gemv, nullptr) << t->name;
    }
  }
}

TEST(CpuTables, GapsSayWhereTheyWereFilledFrom) {
  const ResolvedTable r = resolve("avx512bf16", everything());
  EXPECT_EQ(r.matmul_set, "avx512bf16");
  EXPECT_EQ(r.matmul_f32_set, "avx512");
  EXPECT_EQ(r.rows_set, "avx512");
  const auto set_of = [&](DType type) {
    for (const ResolvedTable::Type& t : r.types) {
      if (t.kernels.type == static_cast<uint32_t>(type)) return t.gemv_set;
    }
    return std::string_view("absent");
  };
  EXPECT_EQ(set_of(DType::q4_k), "avx512");
  EXPECT_EQ(set_of(DType::iq2_xxs), "avx512");
  EXPECT_THAT(r.describe(), HasSubstr("avx512bf16: matmul avx512bf16"));
  EXPECT_THAT(r.describe(), testing::ContainsRegex("avx512vnni packed:.* IQ2_XXS"));
  EXPECT_THAT(resolve("portable", everything()).describe(), testing::ContainsRegex("portable:.* IQ2_XXS"));
}

TEST(CpuTables, AnUnknownNameListsTheNames) {
  const Error e = error_of("avx1024", everything());
  EXPECT_EQ(e.code, Code::bad_request);
  EXPECT_THAT(e.message, HasSubstr("avx1024"));
  EXPECT_THAT(e.remedy, HasSubstr("amx, avx512bf16, avx512vnni, avx512, avx2, portable"));
}

TEST(CpuTables, AMissingSetIsNamedWithWhatItNeedsAndWhatWouldWork) {
  CpuFeatures f;
  f.avx2 = true;
  f.notes = {"AVX-512 is present, but the system does not save its registers (XCR0)"};
  const Error e = error_of("avx512", f);
  EXPECT_EQ(e.code, Code::unsupported);
  EXPECT_THAT(e.message, HasSubstr("AVX-512 F, BW, DQ, VL and CD"));
  EXPECT_THAT(e.message, HasSubstr("XCR0"));
  EXPECT_THAT(e.remedy, HasSubstr("avx2"));
}

TEST(CpuTables, UnknownTypesHaveNoKernels) {
  const ResolvedTable r = resolve("", cpu_features());
  EXPECT_EQ(r.type(4), nullptr);
  EXPECT_EQ(r.type(4000000000U), nullptr);
  EXPECT_EQ(r.type(static_cast<uint32_t>(DType::i32)), nullptr);
}

}  // namespace
}  // namespace hearth::cpu
