#include <fmt/format.h>

#include "base/error.h"
#include "store/store.h"

namespace hearth {
namespace {

std::filesystem::path path_of(const Store& store, const Layer& layer) {
  if (!store.blob_size(layer.digest)) {
    throw Error(Code::corrupt_file,
                fmt::format("blob {} is missing from the model store", layer.digest.text()),
                "pull or create the model again");
  }
  return store.blob_path(layer.digest);
}

json::value parse_blob(const Store& store, const Layer& layer, json::kind wanted, std::string_view what) {
  const std::string bytes = store.read_blob(layer.digest);
  boost::system::error_code error;
  json::value value = json::parse(bytes, error);
  if (error || value.kind() != wanted) {
    throw Error(Code::corrupt_file,
                fmt::format("the {} in blob {} are not valid JSON", what, layer.digest.text()),
                "pull or create the model again");
  }
  return value;
}

}  // namespace

ModelParts read_parts(const Store& store, const InstalledModel& model) {
  ModelParts parts;
  for (const Layer& layer : model.manifest.layers) {
    const std::string& type = layer.media_type;
    if (type == media::model) {
      parts.model = path_of(store, layer);
      parts.parent_model = layer.from;
    } else if (type == media::projector) {
      parts.projectors.push_back(path_of(store, layer));
    } else if (type == media::adapter) {
      parts.adapters.push_back(path_of(store, layer));
    } else if (type == media::draft) {
      parts.draft = path_of(store, layer);
    } else if (type == media::prompt_template || type == media::prompt_alias) {
      parts.prompt_template = store.read_blob(layer.digest);
    } else if (type == media::system) {
      parts.system = store.read_blob(layer.digest);
    } else if (type == media::license) {
      parts.licenses.push_back(store.read_blob(layer.digest));
    } else if (type == media::params) {
      parts.params = parse_blob(store, layer, json::kind::object, "parameters").as_object();
    } else if (type == media::messages) {
      parts.messages = parse_blob(store, layer, json::kind::array, "messages").as_array();
    }
  }
  return parts;
}

}  // namespace hearth
