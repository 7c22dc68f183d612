// Storing, scores and mixing of KV pages: every set against portable for bytes, and against double for sums.
#include <gtest/gtest.h>

#include "cpu_kernels.h"
#include "device/cpu/portable/kernels.h"

namespace hearth::test {
namespace {

struct PageType {
  DType type;
  const char* name;
};
constexpr PageType page_types[4] = {
    {DType::f32, "f32"}, {DType::f16, "f16"}, {DType::q8_0, "q8_0"}, {DType::q4_0, "q4_0"}};

std::vector<uint32_t> heads_of(size_t page_type) {
  if (page_type >= 2) return {32, 64, 96, 128, 256, 288, 576};
  return {8, 16, 24, 40, 64, 80, 128, 264, 576};
}

size_t row_bytes_of(DType type, uint32_t head) { return *row_bytes(type, head); }

TEST(CpuKernelsKv, StoredBytesAreThoseOfPortable) {
  Random random(8);
  for (const cpu::CpuTable* table : runnable_sets()) {
    for (size_t t = 0; t < 4; ++t) {
      if (table->kv[t] == nullptr) continue;
      for (const uint32_t head : heads_of(t)) {
        for (int round = 0; round < 6; ++round) {
          Guarded<float> x(head);
          // Also rows of zeros, of tiny values, and of equal ones with both signs, where rounding decides.
          const float size = round == 0 ? 0.0F : round == 1 ? 1e-7F : round == 2 ? 3e5F : 4.0F;
          random.fill(x, -size, size);
          if (round == 3) {
            for (float& v : x) v = random.below(2) == 0 ? 1.5F : -1.5F;
          }
          Guarded<std::byte> out(row_bytes_of(page_types[t].type, head)), expected(out.size());
          table->kv[t]->store(x.data(), head, out.data());
          cpu::portable::kv[t].store(x.data(), head, expected.data());
          ASSERT_EQ(std::memcmp(out.data(), expected.data(), out.size()), 0)
              << table->name << " " << page_types[t].name << " head " << head << " round " << round;
        }
      }
    }
  }
}

TEST(CpuKernelsKv, StoredValuesComeBackWithinHalfAStep) {
  Random random(9);
  constexpr uint32_t head = 64;
  // The scale is rounded to half precision (2⁻¹¹); an end of q4_0's range lies a whole step inside.
  constexpr double allowed[4] = {0.0, 0x1p-11, 0.5 / 127 * 1.01, 1.0 / 8 * 1.01};
  for (size_t t = 0; t < 4; ++t) {
    Guarded<float> x(head);
    random.fill(x, -3.0F, 3.0F);
    Guarded<std::byte> row(row_bytes_of(page_types[t].type, head));
    cpu::portable::kv[t].store(x.data(), head, row.data());
    std::vector<float> back(head);
    type_info(page_types[t].type).decode({row.data(), row.size()}, back);
    for (uint32_t i = 0; i < head; ++i)
      EXPECT_NEAR(back[i], x[i], 3.0 * allowed[t]) << page_types[t].name << " " << i;
  }
}

// `tokens` head rows of random values in a page's type, a little apart, with what they decode to.
struct Page {
  Page(size_t page_type, uint32_t token_count, uint32_t head_size, Random& random)
      : tokens(token_count),
        head(head_size),
        stride(row_bytes_of(page_types[page_type].type, head_size) + (page_type == 0 ? 8 : 6)),
        bytes((token_count - 1) * stride + row_bytes_of(page_types[page_type].type, head_size)),
        values(size_t{token_count} * head_size) {
    const size_t whole = row_bytes_of(page_types[page_type].type, head);
    std::vector<float> x(head);
    for (uint32_t t = 0; t < tokens; ++t) {
      random.fill(x);
      cpu::portable::kv[page_type].store(x.data(), head, bytes.data() + t * stride);
      type_info(page_types[page_type].type)
          .decode({bytes.data() + t * stride, whole}, std::span(values).subspan(size_t{t} * head, head));
    }
  }
  uint32_t tokens, head;
  size_t stride;
  Guarded<std::byte> bytes;
  std::vector<float> values;
};

// What a product may be off by: the rounding of floats, or of queries and weights to integers of fifteen
// bits.
double slack(const cpu::CpuTable& table, size_t type, double roundings) {
  const bool integers = &table == &cpu::avx512vnni_table && page_types[type].type == DType::q8_0;
  return integers ? 0x1p-13 : roundings * unit;
}

void expect_score(const cpu::CpuTable& table, size_t type, const Page& page, uint32_t queries,
                  Random& random) {
  const size_t q_stride = page.head + 3, s_stride = page.tokens + 1;
  Guarded<float> q((queries - 1) * q_stride + page.head), s((queries - 1) * s_stride + page.tokens);
  random.fill(q);
  table.kv[type]->score(page.bytes.data(), page.stride, page.tokens, page.head, q.data(), q_stride, queries,
                        s.data(), s_stride);
  for (uint32_t i = 0; i < queries; ++i) {
    for (uint32_t t = 0; t < page.tokens; ++t) {
      double sum = 0.0, magnitude = 0.0;
      for (uint32_t d = 0; d < page.head; ++d) {
        const double term = static_cast<double>(page.values[size_t{t} * page.head + d]) * q[i * q_stride + d];
        sum += term;
        magnitude += std::fabs(term);
      }
      ASSERT_NEAR(s[i * s_stride + t], sum,
                  slack(table, type, page.head / 8.0 + 10.0) * magnitude + 1e-4 * slack(table, type, 0))
          << table.name << " " << page_types[type].name << " head " << page.head << " token " << t
          << " query " << i;
    }
  }
}

void expect_mix(const cpu::CpuTable& table, size_t type, const Page& page, uint32_t queries, Random& random) {
  const size_t p_stride = page.tokens + 2, acc_stride = page.head + 1;
  Guarded<float> p((queries - 1) * p_stride + page.tokens), acc((queries - 1) * acc_stride + page.head);
  random.fill(p, 0.0F, 1.0F);
  random.fill(acc);
  const std::vector<float> before(acc.begin(), acc.end());
  table.kv[type]->mix(page.bytes.data(), page.stride, page.tokens, page.head, p.data(), p_stride, queries,
                      acc.data(), acc_stride);
  for (uint32_t i = 0; i < queries; ++i) {
    for (uint32_t d = 0; d < page.head; ++d) {
      double sum = before[i * acc_stride + d], magnitude = std::fabs(sum);
      for (uint32_t t = 0; t < page.tokens; ++t) {
        const double term = static_cast<double>(page.values[size_t{t} * page.head + d]) * p[i * p_stride + t];
        sum += term;
        magnitude += std::fabs(term);
      }
      ASSERT_NEAR(acc[i * acc_stride + d], sum, slack(table, type, (page.tokens + 1.0) * 2) * magnitude)
          << table.name << " " << page_types[type].name << " head " << page.head << " value " << d
          << " query " << i;
    }
  }
}

TEST(CpuKernelsKv, ScoresAndMixturesOfAllShapes) {
  Random random(10);
  for (const cpu::CpuTable* table : runnable_sets()) {
    for (size_t t = 0; t < 4; ++t) {
      if (table->kv[t] == nullptr) continue;
      for (const uint32_t head : heads_of(t)) {
        for (const uint32_t tokens : {1U, 3U, 4U, 5U, 16U, 33U}) {
          const Page page(t, tokens, head, random);
          for (const uint32_t queries : {1U, 2U, 3U, 5U, 16U}) {
            expect_score(*table, t, page, queries, random);
            expect_mix(*table, t, page, queries, random);
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace hearth::test
