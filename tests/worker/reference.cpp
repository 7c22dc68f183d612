#include "reference.h"

#include <algorithm>
#include <cmath>

#include "convert/synth.h"
#include "model/profile.h"
#include "support/data.h"

namespace hearth::test {
namespace {

Plan plan_of(const BoundModel& model, const Gguf& file, const std::vector<Device*>& devices,
             const RunOptions& o) {
  Wish wish{model.hyper.context, o.parallel, o.rows, o.kv};
  wish.gpu_layers = o.second;
  const MemoryProfile needs = profile(model, file, *devices.front());
  std::vector<DeviceBudget> budgets(devices.size(), DeviceBudget{"cpu", 8ULL << 30});
  for (size_t d = 0; d < devices.size(); ++d) {
    budgets[d].device = devices[d]->info().name;
    budgets[d].maps_weights = !o.beside || d > 0;
    measure(budgets[d], model, needs, *devices[d], wish.kv);
  }
  return std::get<Plan>(place(needs, budgets, wish));
}

double log_sum_exp(const std::vector<float>& x) {
  const double best = *std::max_element(x.begin(), x.end());
  double sum = 0;
  for (const float v : x) sum += std::exp(static_cast<double>(v) - best);
  return best + std::log(sum);
}

// KL over nine outcomes: the reference's eight likeliest tokens and all the others together.
double kl_of_position(const json::array& top, double reference_lse, const std::vector<float>& mine) {
  const double lse = log_sum_exp(mine);
  double kl = 0, p_rest = 1, q_rest = 1;
  for (const Json& entry : top) {
    const double p = std::exp(entry.at(1).to_number<double>() - reference_lse);
    const double q = std::exp(static_cast<double>(mine[entry.at(0).to_number<size_t>()]) - lse);
    kl += p * std::log(p / q);
    p_rest -= p;
    q_rest -= q;
  }
  if (p_rest > 1e-12 && q_rest > 1e-12) kl += p_rest * std::log(p_rest / q_rest);
  return std::max(0.0, kl);
}

double max_abs(const json::array& wanted, const std::vector<float>& mine) {
  double worst = wanted.size() == mine.size() ? 0 : INFINITY;
  for (size_t i = 0; i < std::min(wanted.size(), mine.size()); ++i) {
    worst = std::max(worst, std::fabs(wanted[i].to_number<double>() - static_cast<double>(mine[i])));
  }
  return worst;
}

Distance over_positions(Distance d) {
  d.max_abs = d.kl = 0;
  for (const auto& [worst, kl] : d.positions) {
    d.max_abs = std::max(d.max_abs, worst);
    d.kl += kl / static_cast<double>(d.positions.size());
  }
  return d;
}

}  // namespace

Reference::Reference(const std::string& path) : Reference(read_json(path)) {}

Reference::Reference(Json reference)
    : data(std::move(reference)), image(build_recipe(data.at("gguf"))), name(data.at("name").as_string()) {}

std::vector<TokenId> Reference::tokens() const {
  std::vector<TokenId> tokens;
  for (const Json& t : data.at("tokens").as_array()) tokens.push_back({t.to_number<int32_t>()});
  return tokens;
}

Loaded::Loaded(const Reference& reference, const RunOptions& options) : file_(reference.file()) {
  BoundModel model = bind_model(file_);
  if (options.two_pass) attend_in_two_passes(model.program);
  std::vector<Device*> devices;
  for (int d = 0; d < (options.second || options.beside ? 2 : 1); ++d) {
    auto* open = d == 1 && options.open_second != nullptr ? options.open_second : options.open;
    if (d == 1 && options.beside) open = nullptr;
    devices_.push_back(open != nullptr ? open()
                                       : open_cpu_device({options.set, options.threads, options.exact}));
    devices.push_back(devices_.back().get());
  }
  Plan plan = plan_of(model, file_, devices, options);
  engine_ =
      std::make_unique<Engine>(std::move(model), file_, std::move(devices), std::move(plan), EngineOptions{});
}

std::vector<std::vector<float>> Loaded::scores(const std::vector<TokenId>& tokens, bool every) {
  std::vector<std::vector<float>> rows;
  Task task;
  task.tokens = tokens;
  task.every_position = every && !engine_->model().program.pooled;
  task.scores = [&](uint32_t, std::span<const float> s) { rows.emplace_back(s.begin(), s.end()); };
  const SeqId id = engine_->add(std::move(task));
  while (engine_->step()) {
  }
  engine_->remove(id);
  return rows;
}

Distance distance(const Json& reference, const std::vector<std::vector<float>>& scores) {
  Distance d;
  const json::object& r = reference.as_object();
  if (const Json* embedding = r.if_contains("embedding")) {
    const json::array& wanted = embedding->as_array();
    d.max_abs = max_abs(wanted, scores.back());
    double dot = 0, a = 0, b = 0;
    for (size_t i = 0; i < wanted.size(); ++i) {
      const auto x = wanted[i].to_number<double>();
      const auto y = static_cast<double>(scores.back()[i]);
      dot += x * y;
      a += x * x;
      b += y * y;
    }
    d.cosine_loss = 1 - dot / std::sqrt(a * b);
    return d;
  }
  d.max_abs = max_abs(r.at("logits_last").as_array(), scores.back());
  const Json* top = r.if_contains("top8");
  if (top == nullptr || top->as_array().size() != scores.size()) return d;
  for (size_t i = 0; i < scores.size(); ++i) {
    const json::array& best = top->as_array()[i].as_array();
    double worst = i + 1 == scores.size() ? d.max_abs : 0;
    for (const Json& entry : best) {
      const double mine = scores[i][entry.at(0).to_number<size_t>()];
      worst = std::max(worst, std::fabs(entry.at(1).to_number<double>() - mine));
    }
    const double kl = kl_of_position(best, r.at("logsumexp").as_array()[i].to_number<double>(), scores[i]);
    d.positions.emplace_back(worst, kl);
  }
  return over_positions(std::move(d));
}

Distance Distance::without_worst() const {
  Distance d = *this;
  if (d.positions.size() < 2) return d;
  d.positions.erase(std::max_element(d.positions.begin(), d.positions.end()));
  return over_positions(std::move(d));
}

double max_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double worst = a.size() == b.size() ? 0 : INFINITY;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    worst = std::max(worst, std::fabs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
  }
  return worst;
}

std::string fixture(const std::string& name) { return case_file("logits/" + name + ".json").string(); }

}  // namespace hearth::test
