#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "scheduler/scheduler.h"
#include "store/store.h"

namespace hearth {

// How models are loaded unless a request or the model says otherwise.
struct LoadDefaults {
  LoadRequest load;  // cache types, threads, instruction set
  uint32_t context = 0;
  std::optional<bool> prefer_go;
  std::filesystem::path cache = {};  // of dry runs; empty: none are made
};

// A model that a request named, ready to be asked.
struct ResolvedModel {
  std::optional<InstalledModel> installed;  // none: the built-in model
  ModelParts parts;
  std::string display;  // short, with the tag
  std::string full;     // host/namespace/model:tag
};

// Which models there are: the store's, and the built-in one under its name as long as the store has none so
// called. Reads files; called on the server's worker threads.
class Catalog {
 public:
  Catalog(Store& store, LoadDefaults defaults);

  // Throws Error: not_found "model 'NAME' not found", bad_request "invalid model name", …, in the words of
  // the reference.
  ResolvedModel resolve(const std::string& name) const;
  // What to load for it, with a dry run of it where that succeeds: a fault of the file is told when it is
  // loaded. May ask a child. Throws Error(unsupported) for models of another format.
  ModelSpec spec(const ResolvedModel& model) const;
  // The same for the vectors of texts, which a model that makes text is loaded for a second time.
  ModelSpec vectors_spec(const ResolvedModel& model) const;
  // The digest of a model's manifest; that of nothing for the built-in one.
  static std::string digest(const ResolvedModel& model);

  // From now on models are loaded on the devices of this load, with what it says of them.
  void use_devices(const LoadRequest& load);
  // Somebody is finding out which devices there are: spec() waits for use_devices(), for half a minute at
  // most.
  void await_devices();

  Store& store() const noexcept { return store_; }
  const LoadDefaults& defaults() const noexcept { return defaults_; }

  std::shared_ptr<const from_child::Surveyed> survey(const LoadRequest& load) const;

  // What a model file says of itself, by a child process; kept in memory by path. Throws the child's Error.
  std::shared_ptr<const Json> inspect(const std::string& path, bool arrays = false) const;
  // The same of an installed model, whose template and parser beside the file count too.
  std::shared_ptr<const Json> inspect(const ResolvedModel& model, bool arrays = false) const;

  // Throws Error(bad_request), "template error …", where a Go template does not parse. Asks a child.
  void check_template(const std::string& go_template) const;

  // Whether `what` has not been said yet: for warnings that would come with every request.
  bool first_time(const std::string& what) const;

 private:
  Store& store_;
  LoadDefaults defaults_;
  static constexpr std::chrono::seconds longest_wait{30};
  mutable std::mutex mutex_;
  mutable std::condition_variable known_;
  bool awaited_ = false;
  std::shared_ptr<const Json> inspected(const std::string& key, const to_child::Inspect& question) const;

  mutable std::map<std::string, std::shared_ptr<const Json>> inspected_;
  mutable std::map<std::string, std::shared_ptr<const from_child::Surveyed>> surveyed_;
  mutable std::set<std::string> said_;
};

// Puts the model's own words and options behind the request's: system message, history, parameters, template;
// takes loading options out into `spec`. `warn` is told what is not known. Throws Error(bad_request): `option
// "k" must be of type t`.
// `fallback`: options where nobody else says anything.
void prepare(Request& request, ModelSpec& spec, const ResolvedModel& model, const LoadDefaults& defaults,
             const std::function<void(const std::string&)>& warn, const json::object& fallback = {});

// Under what a model is loaded: the key of its spec, also where it cannot be loaded. A model that makes text
// may be loaded for vectors beside it.
std::string key_of(const ResolvedModel& model);
std::string key_of_vectors(const std::string& key);

// "ember:latest" names the model in the binary.
inline constexpr std::string_view builtin_model_name = "ember:latest";

}  // namespace hearth
