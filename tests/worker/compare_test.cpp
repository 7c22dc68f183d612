// Two devices, operation by operation: those that agree, and one that is wrong in one place.
#include "worker/compare.h"

#include <gtest/gtest.h>

#include "reference.h"

namespace hearth::test {
namespace {

// A CPU whose operations of one kind are wrong by one part in a hundred.
class WrongDevice final : public Device {
 public:
  explicit WrongDevice(std::string kind)
      : inner_(open_cpu_device({"portable", 1, true})), kind_(std::move(kind)) {}

  const DeviceInfo& info() const noexcept override { return inner_->info(); }
  std::optional<Refusal> refuse(const Op& op, const Program& p, KvTypes kv) const override {
    return inner_->refuse(op, p, kv);
  }
  uint64_t workspace(const Program& p, uint32_t rows) const override { return inner_->workspace(p, rows); }
  uint64_t resident(const Program& p) const override { return inner_->resident(p); }
  void reserve(const DeviceBuffers& plan, const Program& p) override { inner_->reserve(plan, p); }
  uint64_t reserved() const noexcept override { return inner_->reserved(); }
  void load(Weight weight, const WeightView& view) override { inner_->load(weight, view); }
  void copy_page(uint32_t group, PageId from, PageId to) override { inner_->copy_page(group, from, to); }
  std::unique_ptr<Executable> prepare(const Program& p, const Layout& layout) override {
    for (const Op& op : p.ops) {
      if (kind_name(op) == kind_) return std::make_unique<Wrong>(inner_->prepare(p, layout));
    }
    return inner_->prepare(p, layout);
  }

 private:
  class Wrong final : public Executable {
   public:
    explicit Wrong(std::unique_ptr<Executable> inner) : inner_(std::move(inner)) {}
    void run(const StepInputs& inputs) override {
      inner_->run(inputs);
      for (float& v : inputs.host.back()) v *= 1.01F;
    }
    std::span<const float> results() override { return inner_->results(); }
    void trace(TraceSink* sink) override { inner_->trace(sink); }

   private:
    std::unique_ptr<Executable> inner_;
  };

  std::unique_ptr<Device> inner_;
  std::string kind_;
};

std::optional<OpDifference> compare(Device& other, uint32_t& seen) {
  const Reference r(fixture("mixtral"));
  const Gguf file = r.file();
  const auto reference = open_cpu_device({"", 2, true});
  return compare_devices(bind_model(file), file, *reference, other, {KvType::f32, KvType::f32}, 40,
                         [&](const OpDifference&) { ++seen; });
}

TEST(Compare, DevicesThatAgree) {
  const auto other = open_cpu_device({"portable", 1, true});
  uint32_t seen = 0;
  const auto found = compare(*other, seen);
  EXPECT_FALSE(found) << found->kind << " " << found->difference << " > " << found->tolerance;
  EXPECT_GT(seen, 10U);
}

TEST(Compare, NamesTheFirstOperationThatIsWrong) {
  for (const char* kind : {"Attend", "Experts"}) {
    WrongDevice other(kind);
    uint32_t seen = 0;
    const auto found = compare(other, seen);
    ASSERT_TRUE(found) << kind;
    EXPECT_EQ(found->kind, kind);
    EXPECT_EQ(found->layer, 0U);
    EXPECT_GT(found->difference, found->tolerance);
  }
}

}  // namespace
}  // namespace hearth::test
