#include "protocol/verdict.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace hearth {
namespace {

ProbeVerdict full() {
  ProbeVerdict v;
  v.backend = "rocm";
  v.device = "rocm1";
  v.key = "0000:03:00.0";
  v.name = "AMD Radeon RX 6700 XT";
  v.kind = "discrete";
  v.driver = "ROCm 7.1";
  v.library = "/opt/rocm/lib/libamdhip64.so.7";
  v.outcome = ProbeOutcome::crashed;
  v.phase = "launch attend d256 q8_0";
  v.cause = "died by signal 11";
  v.signal = 11;
  v.exit_code = 3;
  v.stderr_tail = "Memory access fault\n";
  v.replies = {{"hipInit", 100, "no device"}, {"hipFree", 0, ""}};
  v.variants = {{"tile", 256, "q8_0", "q8_0", false, "occupancy 0"},
                {"small_tile", 256, "q8_0", "q5_1", true, ""}};
  v.rates = {384.5, 9000, 300.25, {0.5, 0.125}};
  v.memory = {uint64_t{12} << 30,
              uint64_t{11} << 30,
              0xfffffffc,
              {{uint64_t{12} << 30, 5, true, false}},
              {1 << 30, 4}};
  v.features = {"int_dot"};
  v.overrides = {{"HSA_OVERRIDE_GFX_VERSION", "10.3.0"}};
  v.kernel = "6.14.0";
  v.build = "0.1.0";
  v.taken = 1'790'000'000;
  return v;
}

TEST(Verdict, SurvivesEncoding) {
  const Json encoded = encode(full());
  const ProbeVerdict v = decode_verdict(json::parse(json::serialize(encoded)));
  EXPECT_EQ(encode(v), encoded);
  EXPECT_EQ(v.variants.at(1).v, "q5_1");
  EXPECT_EQ(v.memory.largest_allocation, 0xfffffffc);
  EXPECT_EQ(v.overrides.at(0).second, "10.3.0");
  EXPECT_EQ(v.replies.at(0).code, 100);
  EXPECT_DOUBLE_EQ(v.rates.generation_gflops, 300.25);
  EXPECT_DOUBLE_EQ(v.rates.load.others, 0.5);
  EXPECT_DOUBLE_EQ(v.rates.load.stolen, 0.125);
  EXPECT_EQ(v.memory.layer_cache, (PieceLimit{1 << 30, 4}));
}

TEST(Verdict, EveryOutcomeHasAWord) {
  for (const char* word : {"passed", "failed", "not_built", "no_loader", "timed_out", "crashed"}) {
    EXPECT_EQ(to_string(decode_verdict({{"outcome", word}}).outcome), word);
  }
}

TEST(Verdict, SaysNothingOfWhatIsNotKnown) {
  ProbeVerdict v;
  v.backend = "cuda";
  v.outcome = ProbeOutcome::not_built;
  EXPECT_EQ(json::serialize(encode(v)), R"({"backend":"cuda","outcome":"not_built"})");
}

TEST(Verdict, FieldsOfOtherVersionsAreSkippedAndDefaulted) {
  const ProbeVerdict v = decode_verdict({{"outcome", "passed"}, {"colour", "red"}});
  EXPECT_TRUE(v.passed());
  EXPECT_EQ(v.taken, 0);
}

TEST(Verdict, NonsenseIsRefusedAsACorruptFile) {
  for (const char* text : {"[]", "7", R"({"outcome":"maybe"})", R"({"outcome":"passed","signal":"x"})",
                           R"({"variants":3})", R"({"memory":[1]})", R"({"taken":1.5})"}) {
    try {
      decode_verdict(json::parse(text));
      FAIL() << text;
    } catch (const Error& e) {
      EXPECT_EQ(e.code, Code::corrupt_file) << text;
    }
  }
}

}  // namespace
}  // namespace hearth
