#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "device/vulkan/memory.h"
#include "device/vulkan/pipelines.h"

namespace hearth::vulkan {

// Kinds of work whose speed is measured apart.
enum class Pace : uint8_t { product, prompt, attention, other };
struct Work {
  Pace pace = Pace::other;
  double units = 0;  // floating-point operations
};

// How long work takes here, learned from finished submissions. Drivers end jobs that run for seconds, and a
// desktop wants its turn: submissions aim at 100 ms, or at less after a device was lost.
class Clock {
 public:
  static constexpr double usual_aim = 0.1;  // seconds

  explicit Clock(double aim = usual_aim) : aim_(aim) {}
  double aim() const noexcept { return aim_; }
  double seconds(Work work) const { return work.units * per_unit_[static_cast<size_t>(work.pace)]; }
  double seconds(const std::array<double, 4>& units) const;
  // `units`: of each kind, in a submission that took `measured` seconds.
  void learn(const std::array<double, 4>& units, double measured);
  // Units of a kind that fill the aim.
  double units_of_aim(Pace pace) const { return aim_ / per_unit_[static_cast<size_t>(pace)]; }

 private:
  double aim_;
  // The first guess is a slow GPU: 20 and 50 GFLOP/s.
  std::array<double, 4> per_unit_{5e-11, 2e-11, 5e-11, 5e-11};
};

struct Mark {
  uint32_t op = 0;
  double seconds = 0;
};

// Command buffers of a step, submitted one after the other whenever the work in one reaches the aim.
class Recorder {
 public:
  // `aim`: seconds that a submission may take.
  Recorder(const Gpu& gpu, VkPipelineLayout layout, double aim);
  ~Recorder();
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  // Begins a step; waits for the last one.
  void begin(bool trace);
  void dispatch(VkPipeline pipeline, VkDescriptorSet set, const void* push, uint32_t push_bytes, uint32_t x,
                uint32_t y, uint32_t z, Work work);
  // Sees what came before the last barrier.
  void copy(const Range& from, const Range& to);
  // What follows sees what came before. A place where a submission may end.
  void barrier();
  // The commands since the last mark belong to operation `op` (traced steps).
  void mark(uint32_t op);
  void submit();
  // The step that was recorded last, once more: what changes between the two lies in memory. False, and
  // nothing is done, if there is none to repeat: it was traced, or cut into several submissions, or would be
  // by what has been learned since.
  bool repeat();
  // Throws Error(device_lost).
  void wait();

  const std::vector<Mark>& marks() const noexcept { return marks_; }
  uint32_t submissions() const noexcept { return used_; }
  double longest() const noexcept {
    return longest_;
  }  // seconds of the step's longest submission, where measured
  Clock& clock() noexcept { return clock_; }

 private:
  struct Submission {
    VkCommandBuffer commands = nullptr;
    std::array<double, 4> units{};
    double estimate = 0;
  };

  void open();
  void wait_for(VkPipelineStageFlags before, VkPipelineStageFlags after);
  void close(bool last);
  void hand_in(const Submission& submission, bool last);
  void timestamp();
  void learn();

  const Gpu& gpu_;
  VkPipelineLayout layout_;
  VkCommandPool pool_ = nullptr;
  VkQueryPool queries_ = nullptr;
  VkFence fence_ = nullptr;
  Clock clock_;
  std::vector<Submission> submissions_;
  uint32_t used_ = 0;
  bool recording_ = false, pending_ = false, trace_ = false;
  bool behind_ = false, copied_ = false;  // the step has had a barrier; there were copies since the last one
  uint32_t stamps_ = 0;
  std::vector<uint32_t> first_stamp_;               // [submission]
  std::vector<std::pair<uint32_t, uint32_t>> ops_;  // stamp, operation
  std::vector<Mark> marks_;
  double longest_ = 0;
};

}  // namespace hearth::vulkan
