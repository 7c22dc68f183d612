// A backend module that computes on the CPU and misbehaves as HEARTH_FAKE says: "phase=fault", several
// separated by commas. Its devices carry the name of its file: libhearth-rocm.so has rocm0.
#include <dlfcn.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <limits>
#include <stdexcept>

#include "base/error.h"
#include "device/modules.h"
#include "tensor/types.h"

namespace hearth {
namespace {

std::string setting(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

std::string fault_of(const std::string& phase) {
  const std::string all = "," + setting("HEARTH_FAKE") + ",";
  const size_t at = all.find("," + phase + "=");
  if (at == std::string::npos) return {};
  const size_t begin = at + phase.size() + 2;
  return all.substr(begin, all.find(',', begin) - begin);
}

void die(int signal) {
  ::signal(signal, SIG_DFL);  // not into a sanitizer's handler
  ::raise(signal);
}

void take_memory(size_t bytes) {
  auto* memory = static_cast<char*>(std::malloc(bytes));
  std::memset(memory, 1, bytes);
  asm volatile("" : : "r"(memory) : "memory");
}

void print_garbage(bool without_end) {
  std::string noise(without_end ? 65536 : 4096, '\0');
  for (size_t i = 0; i < noise.size(); ++i) noise[i] = static_cast<char>(i * 2654435761U >> 13);
  do {
    for (const int to : {STDOUT_FILENO, STDERR_FILENO}) {
      if (::write(to, noise.data(), noise.size()) < 0) return;
    }
  } while (without_end);
}

// True: the caller is to give a wrong answer.
bool misbehave(const std::string& phase) {
  const std::string fault = fault_of(phase);
  if (fault == "crash") die(SIGSEGV);
  if (fault == "abort") die(SIGABRT);
  if (fault == "exit") ::_exit(3);
  if (fault == "leave") ::_exit(0);
  if (fault == "hang") {
    for (;;) ::pause();
  }
  if (fault == "throw") throw Error(Code::device_lost, "the fake device is lost", "none");
  if (fault == "standard") throw std::runtime_error("a standard exception");
  if (fault == "odd") throw 7;
  if (fault == "memory") throw std::bad_alloc();
  if (fault == "print") print_garbage(false);
  if (fault == "flood") print_garbage(true);
  if (fault == "babble" && ::write(3, "\1\0\0\0{", 5) < 0) std::abort();
  if (fault == "drip") take_memory(24 << 20);
  while (fault == "leak") take_memory(16 << 20);
  return fault == "wrong";
}

class FakeExecutable final : public Executable {
 public:
  FakeExecutable(std::unique_ptr<Executable> real, std::string stage)
      : real_(std::move(real)), stage_(std::move(stage)) {}

  void run(const StepInputs& inputs) override {
    misbehave("run");
    // "rows=300": a driver that ends jobs which take too long.
    const std::string most = fault_of("rows");
    if (!most.empty() && inputs.tokens.size() > std::stoul(most))
      throw Error(Code::device_lost, "the fake device is lost", "none");
    wrong_ = misbehave(stage_);
    real_->run(inputs);
  }
  std::span<const float> results() override {
    const auto right = real_->results();
    wrong_ = misbehave("results") || wrong_;
    const std::string fault = fault_of("results") + fault_of(stage_);
    if (fault == "short") return right.first(1);
    if (fault == "nan") {
      changed_.assign(right.size(), std::numeric_limits<float>::quiet_NaN());
      return changed_;
    }
    if (!wrong_) return right;
    changed_.assign(right.begin(), right.end());
    for (float& v : changed_) v = v * 1.3F + 0.1F;
    return changed_;
  }
  void trace(TraceSink* sink) override { real_->trace(sink); }

 private:
  std::unique_ptr<Executable> real_;
  std::string stage_;  // "attend_d128_q8_0"
  bool wrong_ = false;
  std::vector<float> changed_;
};

class FakeDevice final : public Device {
 public:
  explicit FakeDevice(std::string name) : real_(open_cpu_device({{}, 1, false})), info_(real_->info()) {
    info_.name = std::move(name);
  }

  const DeviceInfo& info() const noexcept override { return info_; }
  std::optional<Refusal> refuse(const Op& op, const Program& program, KvTypes kv) const override {
    if (misbehave("refuse")) return Refusal{"type", "the fake device refuses everything"};
    return real_->refuse(op, program, kv);
  }
  uint64_t workspace(const Program& program, uint32_t rows) const override {
    misbehave("workspace");
    return real_->workspace(program, rows);
  }
  uint64_t resident(const Program& program) const override {
    misbehave("resident");
    return real_->resident(program);
  }
  void reserve(const DeviceBuffers& plan, const Program& program) override {
    lies_ = misbehave("reserve");
    kv_ = plan.kv.k;
    real_->reserve(plan, program);
  }
  uint64_t reserved() const noexcept override { return real_->reserved() + (lies_ ? 1ULL << 30 : 0); }
  void load(Weight weight, const WeightView& view) override {
    misbehave("load");
    real_->load(weight, view);
  }
  std::unique_ptr<Executable> prepare(const Program& program, const Layout& layout) override {
    if (misbehave("prepare")) return nullptr;
    return std::make_unique<FakeExecutable>(real_->prepare(program, layout), stage_of(program, layout));
  }
  void copy_page(uint32_t group, PageId from, PageId to) override { real_->copy_page(group, from, to); }

 private:
  // Which phase of the probe a program belongs to, by what it computes: phases as the probe calls them, with
  // '_' for blanks. A model's own program is "model".
  std::string stage_of(const Program& program, const Layout& layout) const {
    if (!program.caches.empty()) {
      if (program.ops.size() > 4) return "model";
      const bool two_pass = std::any_of(program.ops.begin(), program.ops.end(), [](const Op& op) {
        const auto* attend = std::get_if<Attend>(&op);
        return attend != nullptr && attend->two_pass;
      });
      return fmt::format("attend{}_d{}_{}", two_pass ? "-two-pass" : "", program.caches[0].k_size,
                         to_string(kv_));
    }
    const auto is_product = [](const Op& op) { return std::holds_alternative<Linear>(op); };
    const auto product = std::find_if(program.ops.begin(), program.ops.end(), is_product);
    if (product == program.ops.end()) return "allocate";
    const WeightInfo& w = program.weights[std::get<Linear>(*product).weight.id - 1];
    if (w.shape.rows != w.shape.cols) return fmt::format("matmul_{}", type_info(w.type).name);
    if (w.type == DType::f16) return "sweep";
    return layout.rows == 1 ? "timing_of_generation" : "timing_of_prompts";
  }

  std::unique_ptr<Device> real_;
  DeviceInfo info_;
  KvType kv_ = KvType::f16;
  bool lies_ = false;
};

std::string own_backend() {
  Dl_info info{};
  ::dladdr(reinterpret_cast<void*>(&fault_of), &info);
  const std::string file = std::filesystem::path(info.dli_fname).stem().string();
  return file.substr(file.find('-') + 1);
}

// HEARTH_FAKE_OVERRIDE: what ROCm's override has to be for the device to work, by devices ("none;10.3.0"), of
// each the values that will do ("none|11.0.0"). Device 0 is KFD node 1.
bool has_override(uint32_t index) {
  std::string wanted = setting("HEARTH_FAKE_OVERRIDE");
  for (uint32_t i = 0; i < index && wanted.find(';') != std::string::npos; ++i)
    wanted = wanted.substr(wanted.find(';') + 1);
  wanted = wanted.substr(0, wanted.find(';'));
  const std::string of_node = setting(fmt::format("HSA_OVERRIDE_GFX_VERSION_{}", index + 1).c_str());
  const std::string value = of_node.empty() ? setting("HSA_OVERRIDE_GFX_VERSION") : of_node;
  const std::string list = "|" + wanted + "|";
  return wanted.empty() || list.find("|" + (value.empty() ? "none" : value) + "|") != std::string::npos;
}

class FakeModule final : public Module {
 public:
  std::vector<ModuleDevice> devices() override {
    if (misbehave("devices")) return {};
    const std::string backend = own_backend(), kinds = setting("HEARTH_FAKE_KINDS");
    std::vector<ModuleDevice> all;
    for (const char kind : kinds.empty() ? "d" : kinds) {
      if (kind == '\0') break;
      ModuleDevice d;
      d.name = fmt::format("{}{}", backend, all.size());
      d.description = "Fake \xff device";  // no UTF-8
      d.key = fmt::format("0000:{:02x}:00.0", all.size() + 3);
      d.driver = "fake 1.0";
      d.kind = kind == 'd'   ? ModuleDeviceKind::discrete
               : kind == 'i' ? ModuleDeviceKind::integrated
                             : ModuleDeviceKind::cpu;
      d.heaps = {{8ULL << 30, 7ULL << 30, true, false}, {16ULL << 30, 12ULL << 30, false, true}};
      d.largest_allocation = 2ULL << 30;
      d.features = {"int_dot"};
      if (kind == 'l') d.lacks = "16-bit storage";
      all.push_back(d);
    }
    return all;
  }
  std::unique_ptr<Device> open(uint32_t index, const OpenOptions&) override {
    if (misbehave("open")) return nullptr;
    if (!has_override(index)) die(SIGSEGV);
    if (!setting("HEARTH_FAKE_NO_FILTER").empty() && !setting("CUDA_VISIBLE_DEVICES").empty()) die(SIGSEGV);
    return std::make_unique<FakeDevice>(fmt::format("{}{}", own_backend(), index));
  }
};

Module* create() {
  if (fault_of("create") == "missing") throw Error(Code::not_found, "the fake driver is not there", "none");
  misbehave("create");
  return new FakeModule;
}

}  // namespace
}  // namespace hearth

extern "C" __attribute__((visibility("default"))) const hearth::ModuleEntry* hearth_module_v1() {
  static const std::string backend = hearth::own_backend();
  static const hearth::ModuleEntry entry{hearth::module_abi, hearth::module_build(), backend.c_str(),
                                         &hearth::create};
  return &entry;
}
