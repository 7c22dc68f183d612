#include "worker/survey.h"

#include <filesystem>
#include <optional>

#include "base/file.h"
#include "device/modules.h"
#include "model/profile.h"
#include "worker/inspect.h"
#include "worker/loaded_model.h"

namespace hearth {
namespace {

// The model's files, or what there is of them. None: a header goes on.
struct Files {
  std::vector<MappedFile> beginnings;
  std::optional<Gguf> file;
};

Files open_files(const to_child::Survey& survey) {
  Files files;
  if (survey.headers.empty()) {
    const std::string& path = survey.request.path;
    files.file = path.empty() ? Gguf::parse(builtin_model(), std::string(builtin_name)) : Gguf::open(path);
    return files;
  }
  std::vector<GgufHeader> headers;
  for (const auto& h : survey.headers) {
    files.beginnings.emplace_back(h.path);
    headers.push_back(
        {files.beginnings.back().bytes(), h.file_bytes, std::filesystem::path(h.path).filename().string()});
  }
  files.file = Gguf::parse_headers(headers);
  return files;
}

Json facts_of(const Gguf& file, const BoundModel& model) {
  uint64_t values = 0;
  for (const TensorInfo& t : file.tensors()) values += file.view(t).shape.values();
  return json::object{{"architecture", model.architecture},
                      {"parameter_count", values},
                      {"file_type", file_kind(file)},
                      {"file_bytes", file.file_bytes()},
                      {"layers", model.hyper.layers},
                      {"experts", model.hyper.experts},
                      {"experts_used", model.hyper.experts_used}};
}

}  // namespace

from_child::Surveyed survey_model(const to_child::Survey& survey) {
  from_child::Surveyed result;
  const Files files = open_files(survey);
  if (!files.file) {
    result.goes_on = true;
    return result;
  }
  const LoadRequest& request = survey.request;
  const BoundModel model = bind_model(*files.file, request.vectors);
  std::vector<std::unique_ptr<Device>> devices;
  for (const std::string& name : device_list(request))
    devices.push_back(open_device(name, {{request.cpu_set, request.threads, false}, request.backends}));
  result.profile = profile(model, *files.file, *devices.front());
  result.budgets = budgets_for(request, model, result.profile, devices);
  result.facts = facts_of(*files.file, model);
  return result;
}

}  // namespace hearth
