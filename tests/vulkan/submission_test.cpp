// Submissions are cut by the time that work is known to take, and what is cut gives the same results.
#include "rig.h"

namespace hearth::vulkan {
namespace {

TEST(VulkanClock, LearnsWhatWorkTakes) {
  Clock clock(0.1);
  const Work work{Pace::prompt, 1e9};
  const double guess = clock.seconds(work);
  EXPECT_DOUBLE_EQ(clock.units_of_aim(Pace::prompt), 0.1 / guess * 1e9);
  // Slower is believed at once, up to the factor that one step may be wrong by.
  clock.learn({0, 1e9, 0, 0}, 8 * guess);
  EXPECT_NEAR(clock.seconds(work), 8 * guess, 1e-9 * guess);
  // Faster by halves.
  clock.learn({0, 1e9, 0, 0}, guess);
  EXPECT_NEAR(clock.seconds(work), 4 * guess, 1e-9 * guess);
  // Others are not concerned.
  EXPECT_DOUBLE_EQ(clock.seconds({Pace::attention, 1e9}), Clock().seconds({Pace::attention, 1e9}));
  // Of a submission with several kinds each bears its share.
  Clock mixed(0.1);
  const double each = mixed.seconds({Pace::attention, 1e9});
  mixed.learn({1e9, 0, 1e9, 0}, 8 * each);
  EXPECT_NEAR(mixed.seconds({Pace::attention, 1e9}), 2 * each, 1e-9 * each);
  EXPECT_NEAR(mixed.seconds({Pace::product, 1e9}), 2 * each, 1e-9 * each);
}

Rig work() {
  Rig rig;
  constexpr uint32_t width = 96, hidden = 32, experts = 5, used = 2;
  const HeadShape h{4, 2, 32, 32};
  rig.program.caches = {{1, h.kv_heads, h.k_size, h.v_size, 0}};
  rig.program.ropes = {RopeTable{}};
  const Act x = rig.act(width), q = rig.act(128), a = rig.act(128), y = rig.act(width),
            route = rig.act(2 * used), z = rig.act(width);
  rig.push(Embed{x, rig.weight(64, width), 1});
  Qkv o;
  o.in = x;
  o.q = q;
  o.wq = rig.weight(128, width, DType::f32, 0.2F);
  o.wk = rig.weight(64, width, DType::f32, 0.2F);
  o.wv = rig.weight(64, width, DType::f32, 0.2F);
  o.heads = h;
  rig.push(o);
  rig.push(Attend{q, a, {0, 0}, {true, 0}, 0.3F, 0, h, {}});
  rig.push(Linear{a, y, rig.weight(width, 128, DType::f32, 0.1F), {}, x, Act1::none, 1});
  rig.push(Route{y, route, rig.weight(experts, width, DType::f32, 0.2F), experts, used, RouteScores::softmax,
                 true, 1});
  rig.push(Experts{y, route, z, y, rig.weight(hidden, width, DType::f32, 0.1F, 0, experts),
                   rig.weight(hidden, width, DType::f32, 0.1F, 0, experts),
                   rig.weight(width, hidden, DType::f32, 0.1F, 0, experts), 1, 1, 1, used, hidden,
                   Act1::silu});
  rig.push(Pool{z, PoolKind::none, {}, {}, width});
  return rig;
}

TEST(VulkanSubmissions, AreCutWhereTheAimIsReached) {
  Rig rig = work();
  const std::vector<Steps> steps{one_sequence(150, 6)};
  const KvTypes floats{KvType::f32, KvType::f32};
  const auto usual = open_variants(float_variants()), hasty = open_variants(float_variants(), 1e-6);
  const auto whole = rig.run(*usual, steps, floats), cut = rig.run(*hasty, steps, floats);
  EXPECT_EQ(usual->submissions(), 1U);
  // Every operation is more than a microsecond, and products of prompts are cut by rows besides.
  EXPECT_GT(hasty->submissions(), 12U);
  EXPECT_EQ(whole, cut) << "to the bit";
}

// The first guess takes this device for much faster than it is: the second step knows better.
TEST(VulkanSubmissions, FollowWhatWasMeasured) {
  // An aim that the step's estimate does not reach at the clock's first guess.
  const auto first = open_variants(float_variants(), 2e-3);
  const PhysicalDevice& d = first->driver().gpu.physical();
  if (!d.capabilities.timestamps || d.description.kind != ModuleDeviceKind::cpu)
    GTEST_SKIP() << d.description.description << " has no timestamps, or may be as fast as the guess";
  Rig rig = work();
  const KvTypes floats{KvType::f32, KvType::f32};
  rig.run(*first, {one_sequence(150, 6)}, floats);
  const uint32_t guessed = first->submissions();
  rig.run(*first, {one_sequence(150, 6), one_sequence(150, 6)}, floats);
  EXPECT_GT(first->submissions(), guessed) << "a driver that computes on the CPU is slower than the guess";
}

}  // namespace
}  // namespace hearth::vulkan
