#include <fmt/format.h>

#include <algorithm>

#include "hardware/policy.h"
#include "hardware/sysfs_text.h"

namespace hearth {
namespace {

// One passed verdict per card, or why there is none to use.
struct Candidate {
  const ProbeVerdict* verdict = nullptr;
  const Gpu* gpu = nullptr;  // null where only the driver knows the device
  bool integrated = false;
};

const Gpu* card_of(const Inventory& machine, const ProbeVerdict& v) {
  for (const Gpu& gpu : machine.gpus) {
    if (gpu.address == v.key || (gpu.nvidia && !v.key.empty() && gpu.nvidia->uuid == v.key)) return &gpu;
  }
  return nullptr;
}

bool software(const ProbeVerdict& v) { return v.backend != "cpu" && v.kind == "cpu"; }

int backend_rank(const ProbeVerdict& v) { return v.backend == "cuda" ? 0 : v.backend == "rocm" ? 1 : 2; }

// Several Vulkan drivers may reach one card.
int driver_rank(const ProbeVerdict& v) {
  const auto has = [&](const char* word) { return v.driver.find(word) != std::string::npos; };
  if (has("ozen")) return 3;  // Vulkan over Direct3D
  if (has("AMDVLK") || has("amdvlk") || has("AMD proprietary") || has("NVK") || has("nvk")) return 2;
  return 1;
}

bool better(const Candidate& a, const Candidate& b) {
  const auto rank = [](const Candidate& c) { return backend_rank(*c.verdict) * 4 + driver_rank(*c.verdict); };
  return rank(a) < rank(b);
}

double speed(const Candidate& c) {
  const double rate = c.verdict->rates.memory_gbs;
  return rate > 0 ? rate : static_cast<double>(c.verdict->memory.total) / 1e12;
}

std::string measured(const MeasuredRates& r) {
  if (r.memory_gbs <= 0) return "its probe passed; not measured";
  return fmt::format("measured{}: {:.0f} GB/s, prompts {:.0f} GFLOP/s",
                     r.load.busy() ? " on a busy machine" : "", r.memory_gbs, r.prompt_gflops);
}

class Chooser {
 public:
  Chooser(const Inventory& machine, const std::vector<ProbeVerdict>& verdicts, const Environment& environment)
      : machine_(machine), verdicts_(verdicts), environment_(environment) {
    for (const ProbeVerdict& v : verdicts) {
      if (v.backend == "cpu" && v.passed()) cpu_ = &v;
    }
  }

  DeviceChoice choose() {
    const std::string named = setting_in(environment_, "DEVICES");
    if (!named.empty()) {
      take_named(named);
      return std::move(out_);
    }
    std::vector<Candidate> candidates = allowed();
    candidates = one_per_card(std::move(candidates));
    std::stable_sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
      return a.integrated != b.integrated ? b.integrated : speed(a) > speed(b);
    });
    for (const Candidate& c : candidates) take(c);
    use_cpu();
    return std::move(out_);
  }

 private:
  ChosenDevice entry(const ProbeVerdict& v, std::string reason, std::string cause = {}) const {
    return {v.device, v.key, v.backend, std::move(reason), std::move(cause)};
  }
  void leave(const ProbeVerdict& v, std::string reason, std::string cause) {
    out_.left.push_back(entry(v, std::move(reason), std::move(cause)));
  }

  Candidate candidate(const ProbeVerdict& v) const {
    Candidate c{&v, card_of(machine_, v), v.kind == "integrated"};
    // The tables know parts of processors better than a driver's word, where they know the chip.
    if (c.gpu != nullptr && c.gpu->known && c.gpu->vendor == Vendor::amd) c.integrated = c.gpu->integrated;
    return c;
  }

  std::vector<Candidate> allowed() {
    std::vector<Candidate> out;
    for (const ProbeVerdict& v : verdicts_) {
      if (!v.passed() || v.device.empty() || v.backend == "cpu") continue;
      if (software(v)) {
        leave(v, "it is the CPU behind a Vulkan driver: used only where HEARTH_DEVICES names it",
              "vk.software");
      } else if (!allowed_backend(v)) {
        continue;
      } else if (const Candidate c = candidate(v); c.gpu != nullptr && hidden(*c.gpu, v)) {
        continue;
      } else {
        out.push_back(c);
      }
    }
    return out;
  }

  bool allowed_backend(const ProbeVerdict& v) {
    const std::string forced = forced_backend(environment_);
    if (!forced.empty() && forced != v.backend) {
      leave(v,
            fmt::format("OLLAMA_LLM_LIBRARY={} allows only {}", setting_in(environment_, "LLM_LIBRARY"),
                        forced),
            "env.llm-library");
      return false;
    }
    if (v.backend != "vulkan") return true;
    if (!bool_in(environment_, "VULKAN", true)) {
      leave(v, "OLLAMA_VULKAN switches Vulkan off", "env.vulkan-off");
      return false;
    }
    return allowed_number(v);
  }

  // GGML_VK_VISIBLE_DEVICES counts as the names do: "vulkan1".
  bool allowed_number(const ProbeVerdict& v) {
    const auto list = environment_.find("GGML_VK_VISIBLE_DEVICES");
    if (list == environment_.end() || trimmed(list->second).empty()) return true;
    for (const std::string& word : words_in(list->second, ", ")) {
      if ("vulkan" + word == v.device) return true;
    }
    leave(v, fmt::format("GGML_VK_VISIBLE_DEVICES={} does not name it", list->second), "env.visible-devices");
    return false;
  }

  bool hidden(const Gpu& gpu, const ProbeVerdict& v) {
    const std::string variable = hidden_by(machine_, environment_, gpu);
    if (variable.empty()) return false;
    leave(v, fmt::format("{}={} hides it", variable, environment_.at(variable)), "env.visible-devices");
    return true;
  }

  std::vector<Candidate> one_per_card(std::vector<Candidate> all) {
    std::stable_sort(all.begin(), all.end(), better);
    std::vector<Candidate> out;
    for (const Candidate& c : all) {
      const auto same = std::find_if(out.begin(), out.end(), [&](const Candidate& o) {
        return !c.verdict->key.empty() &&
               (o.verdict->key == c.verdict->key || (c.gpu != nullptr && o.gpu == c.gpu));
      });
      if (same == out.end())
        out.push_back(c);
      else
        leave(*c.verdict, fmt::format("the same card as {}", same->verdict->device), "device.duplicate");
    }
    return out;
  }

  void take(const Candidate& c) {
    const ProbeVerdict& v = *c.verdict;
    if (!c.integrated) {
      out_.use.push_back(entry(v, measured(v.rates)));
      return;
    }
    const std::string wish = setting_in(environment_, "IGPU_ENABLE");
    if (!wish.empty() && !bool_in(environment_, "IGPU_ENABLE", true)) {
      leave(v, "OLLAMA_IGPU_ENABLE=0 leaves integrated GPUs out", "env.igpu-off");
    } else if (!wish.empty() && bool_in(environment_, "IGPU_ENABLE", false)) {
      out_.use.push_back(entry(v, "OLLAMA_IGPU_ENABLE asks for it"));
    } else if (c.gpu != nullptr && c.gpu->display_only() && !out_.use.empty()) {
      leave(v, "it is there to drive a screen (two compute units), and would only slow the other GPU down",
            "igpu.display-only");
    } else {
      take_if_faster(v);
    }
  }

  // A tenth is within what two runs differ by.
  void take_if_faster(const ProbeVerdict& v) {
    const MeasuredRates& g = v.rates;
    if (cpu_ == nullptr || g.memory_gbs <= 0 || cpu_->rates.memory_gbs <= 0) {
      leave(v, "not measured against the CPU", "igpu.not-measured");
      return;
    }
    const MeasuredRates& p = cpu_->rates;
    const bool prompts = g.prompt_gflops > 1.1 * p.prompt_gflops,
               generation = g.memory_gbs > 1.1 * p.memory_gbs;
    const std::string figures =
        fmt::format("{:.0f} against {:.0f} GFLOP/s in prompts, {:.0f} against {:.0f} GB/s", g.prompt_gflops,
                    p.prompt_gflops, g.memory_gbs, p.memory_gbs);
    if (prompts || generation) {
      const char* in = prompts && generation ? "prompts and generation" : prompts ? "prompts" : "generation";
      out_.use.push_back(entry(v, fmt::format("faster than the CPU in {}: {}", in, figures)));
    } else {
      leave(v, "not faster than the CPU: " + figures, "igpu.slower");
    }
  }

  void use_cpu() {
    ChosenDevice cpu{"cpu", "", "cpu", "for what no GPU takes", ""};
    const std::string forced = forced_backend(environment_);
    if (out_.use.empty()) cpu.reason = forced == "cpu" ? "OLLAMA_LLM_LIBRARY asks for it" : "no GPU is used";
    out_.use.push_back(std::move(cpu));
  }

  bool names(const std::string& word, const ProbeVerdict& v) const {
    if (word == v.device || word == v.key) return true;
    const Gpu* gpu = card_of(machine_, v);
    return gpu != nullptr && (gpu->address == word || gpu->address == "0000:" + word);
  }

  void take_named(const std::string& list) {
    for (const std::string& word : words_in(list, ", \t")) {
      if (word == "cpu") {
        out_.use.push_back({"cpu", "", "cpu", "HEARTH_DEVICES names it", ""});
        continue;
      }
      std::vector<Candidate> fits;
      for (const ProbeVerdict& v : verdicts_) {
        if (v.passed() && !v.device.empty() && names(word, v)) fits.push_back(candidate(v));
      }
      const auto best = std::min_element(fits.begin(), fits.end(), better);
      if (best == fits.end())
        out_.unknown.push_back(word);
      else
        out_.use.push_back(entry(*best->verdict, "HEARTH_DEVICES names it"));
    }
    for (const ProbeVerdict& v : verdicts_) {
      const auto is_used = [&](const ChosenDevice& d) { return d.device == v.device; };
      if (v.passed() && !v.device.empty() && v.backend != "cpu" &&
          std::none_of(out_.use.begin(), out_.use.end(), is_used))
        leave(v, "HEARTH_DEVICES does not name it", "env.devices");
    }
  }

  const Inventory& machine_;
  const std::vector<ProbeVerdict>& verdicts_;
  const Environment& environment_;
  const ProbeVerdict* cpu_ = nullptr;
  DeviceChoice out_;
};

}  // namespace

bool DeviceChoice::uses_gpu() const noexcept {
  return std::any_of(use.begin(), use.end(), [](const ChosenDevice& d) { return d.backend != "cpu"; });
}

DeviceChoice choose_devices(const Inventory& machine, const std::vector<ProbeVerdict>& verdicts,
                            const Environment& environment) {
  return Chooser(machine, verdicts, environment).choose();
}

}  // namespace hearth
