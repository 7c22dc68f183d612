#include "server/models/catalog.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/subprocess.h"
#include "protocol/channel.h"
#include "scheduler/survey.h"

namespace hearth {
namespace {

std::string trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1));
}

// The reference's suffixes that say where a model comes from.
std::string without_source(std::string name) {
  constexpr std::string_view local = ":local", remote = ":cloud";
  const bool here = name.ends_with(local);
  if (here) name.resize(name.size() - local.size());
  const bool cloud =
      name.ends_with(remote) || (name.ends_with("-cloud") && name.find(':') != std::string::npos);
  if (cloud && (here || name.find(local) != std::string::npos))
    throw Error(Code::bad_request, "invalid model name: it is both :local and :cloud", "use one of them");
  if (cloud) {
    throw Error(Code::forbidden, "ollama cloud is disabled", "this server runs models of its own house only");
  }
  return name;
}

Json inspect_in_child(const to_child::Inspect& question) {
  const std::string& path = question.path;
  Subprocess child("internal-worker");
  Channel channel(child.socket());
  channel.send(encode(ToChild(question)));
  constexpr int patience_ms = 30000;
  const Channel::Received got = channel.receive(patience_ms);
  if (got.state != Channel::State::message) {
    child.kill();
    throw Error(Code::corrupt_file,
                fmt::format("{} could not be read: the reader {}", path, child.wait_and_describe()),
                "get the file again");
  }
  const FromChild answer = decode_from_child(got.message);
  if (const auto* failed = std::get_if<from_child::Failed>(&answer)) {
    throw Error(failed->code, failed->message, failed->remedy);
  }
  return std::get<from_child::Inspected>(answer).what;
}

}  // namespace

Catalog::Catalog(Store& store, LoadDefaults defaults) : store_(store), defaults_(std::move(defaults)) {}

ResolvedModel Catalog::resolve(const std::string& text) const {
  const std::string asked = without_source(trimmed(text));
  const auto name = ModelName::parse(asked);
  if (!name)
    throw Error(Code::bad_request, "invalid model name", "use NAME, NAME:TAG or HOST/OWNER/NAME:TAG");
  ResolvedModel m;
  m.installed = store_.find(*name);
  if (!m.installed) {
    if (equal_ignoring_case(name->short_display(), builtin_model_name)) {
      m.display = builtin_model_name;
      m.parts.params = {{"temperature", 0}};  // it is for facts: the same question has the same answer
      m.full = name->full_display();
      return m;
    }
    throw Error(Code::not_found, fmt::format("model '{}' not found", text),
                "pull it first: hearth pull " + asked);
  }
  m.parts = read_parts(store_, *m.installed);
  m.display = m.installed->name.short_display();
  m.full = m.installed->name.full_display();
  return m;
}

std::string key_of(const ResolvedModel& model) {
  return model.installed ? model.parts.model.string() : "builtin";
}

std::string key_of_vectors(const std::string& key) { return key + " vectors"; }

ModelSpec Catalog::vectors_spec(const ResolvedModel& model) const {
  ModelSpec spec = this->spec(model);
  const auto what = inspect(spec.load.path);
  for (const Json& able : what->at("capabilities").as_array()) {
    if (able == "embedding") return spec;
  }
  spec.key = key_of_vectors(spec.key);
  spec.load.vectors = true;
  if (!defaults_.cache.empty()) spec.survey = survey(spec.load);
  return spec;
}

ModelSpec Catalog::spec(const ResolvedModel& model) const {
  ModelSpec spec;
  spec.name = model.display;
  {
    std::unique_lock lock(mutex_);
    known_.wait_for(lock, longest_wait, [this] { return !awaited_; });
    spec.load = defaults_.load;
  }
  spec.key = key_of(model);
  if (model.installed) {
    if (model.parts.model.empty()) {
      throw Error(Code::unsupported, fmt::format("{} has an unsupported model format", model.display),
                  "use a model whose weights are a GGUF file");
    }
    if (!model.parts.adapters.empty()) {
      throw Error(Code::unsupported,
                  fmt::format("{} has an adapter, which is not applied here", model.display),
                  "use a model that the adapter was merged into");
    }
    spec.load.path = spec.key;
  }
  spec.load.wish.context = defaults_.context;
  if (!defaults_.cache.empty()) spec.survey = survey(spec.load);
  return spec;
}

std::shared_ptr<const from_child::Surveyed> Catalog::survey(const LoadRequest& load) const {
  const std::string key = load.vectors ? key_of_vectors(load.path) : load.path;
  {
    const std::lock_guard lock(mutex_);
    const auto known = surveyed_.find(key);
    if (known != surveyed_.end()) return known->second;
  }
  std::shared_ptr<const from_child::Surveyed> surveyed;
  try {
    surveyed = std::make_shared<const from_child::Surveyed>(SurveyCache(defaults_.cache).ask(load));
  } catch (const Error&) {  // the load will say it
  }
  const std::lock_guard lock(mutex_);
  return surveyed_[key] = std::move(surveyed);
}

void Catalog::await_devices() {
  const std::lock_guard lock(mutex_);
  awaited_ = true;
}

void Catalog::use_devices(const LoadRequest& load) {
  const std::lock_guard lock(mutex_);
  defaults_.load.devices = load.devices;
  defaults_.load.budgets = load.budgets;
  defaults_.load.backends = load.backends;
  defaults_.load.environment = load.environment;
  defaults_.load.avoid = load.avoid;
  defaults_.load.avoid_products = load.avoid_products;
  surveyed_.clear();
  awaited_ = false;
  known_.notify_all();
}

std::string Catalog::digest(const ResolvedModel& model) {
  return model.installed ? model.installed->manifest.digest.hex() : digest_of("").hex();
}

std::shared_ptr<const Json> Catalog::inspect(const std::string& path, bool arrays) const {
  return inspected((arrays ? "+" : "-") + path, {path, arrays, {}, {}, {}});
}

std::shared_ptr<const Json> Catalog::inspect(const ResolvedModel& model, bool arrays) const {
  to_child::Inspect question{
      model.parts.model.string(), arrays, model.parts.prompt_template, defaults_.prefer_go, {}};
  if (model.installed) question.parser = model.installed->config.parser;
  const std::string key = fmt::format("{}{} {} {}", arrays ? "+" : "-", question.path, question.parser,
                                      digest_of(question.go_template.value_or("")).hex());
  return inspected(key, question);
}

std::shared_ptr<const Json> Catalog::inspected(const std::string& key,
                                               const to_child::Inspect& question) const {
  {
    const std::lock_guard lock(mutex_);
    const auto known = inspected_.find(key);
    if (known != inspected_.end()) return known->second;
  }
  auto what = std::make_shared<const Json>(inspect_in_child(question));
  const std::lock_guard lock(mutex_);
  constexpr size_t most = 64;
  if (inspected_.size() >= most) inspected_.clear();
  if (!question.arrays) inspected_[key] = what;  // whole vocabularies are not kept
  return what;
}

void Catalog::check_template(const std::string& go_template) const {
  const Json what = inspect_in_child({"", false, go_template, {}, {}});
  if (const Json* problem = what.as_object().if_contains("template_problem")) {
    throw Error(Code::bad_request, fmt::format("template error: {}", std::string_view(problem->as_string())),
                "correct the template");
  }
}

bool Catalog::first_time(const std::string& what) const {
  const std::lock_guard lock(mutex_);
  return said_.insert(what).second;
}

}  // namespace hearth
