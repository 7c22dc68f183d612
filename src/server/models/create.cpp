#include "server/models/create.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>

#include "base/error.h"
#include "server/dialects/fields.h"
#include "server/models/conversion.h"
#include "server/models/describe.h"
#include "store/modelfile.h"

namespace hearth {
namespace {

std::vector<std::pair<std::string, Digest>> file_list(const Json& body, const char* key) {
  std::vector<std::pair<std::string, Digest>> list;
  const json::object* files = fields::object(body, key);
  if (files == nullptr) return list;
  for (const auto& [name, digest] : *files) {
    const std::string_view path(name.data(), name.size());
    if (path.starts_with('/') || path == ".." || path.starts_with("../") ||
        path.find("/../") != std::string_view::npos || path.ends_with("/.."))
      throw Error(Code::bad_request, "file path must be relative",
                  "name files relative to the model's folder");
    if (!digest.is_string()) throw Error(Code::bad_request, "invalid digest format", "send sha256:HEX");
    list.emplace_back(path, Digest::parse_or_throw(digest.as_string()));
  }
  return list;
}

std::vector<std::string> text_or_list(const Json& body, const char* key) {
  const Json* at = fields::find(body, key);
  if (at == nullptr) return {};
  if (at->is_string()) return {std::string(at->as_string())};
  if (!at->is_array()) fields::wrong_type(key, "string or array");
  std::vector<std::string> list;
  for (const Json& s : at->as_array()) {
    if (!s.is_string()) fields::wrong_type(key, "string or array of strings");
    list.emplace_back(s.as_string());
  }
  return list;
}

uint64_t number_of(const Json& j, const char* key) {
  const Json* at = j.as_object().if_contains(key);
  return at != nullptr && at->is_number() ? at->to_number<uint64_t>() : 0;
}

std::string upper(std::string text) {
  for (char& c : text) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return text;
}

// A folder beside the blobs that goes with the object.
class WorkFolder {
 public:
  explicit WorkFolder(const Store& store) {
    std::string pattern = (store.options().root / "create-XXXXXX").string();
    std::error_code ignored;
    std::filesystem::create_directories(store.options().root, ignored);
    if (::mkdtemp(pattern.data()) == nullptr) {
      throw Error(Code::io, fmt::format("cannot make a folder in {}", store.options().root.string()),
                  "check its permissions and the free space");
    }
    path = pattern;
  }
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;
  ~WorkFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::filesystem::path path;
};

bool published(const std::string& path) {
  return path.ends_with(".safetensors") || path.ends_with(".json") || path.ends_with(".jinja") ||
         path.ends_with("tokenizer.model");
}

// What the name of a part of a model says: STEM-00002-of-00003.gguf.
struct PartName {
  std::string stem;
  uint32_t number = 0, count = 0;
};
std::optional<PartName> part_of(const std::string& path) {
  constexpr std::string_view shape = "-#####-of-#####.gguf";
  if (path.size() <= shape.size()) return std::nullopt;
  const std::string_view end = std::string_view(path).substr(path.size() - shape.size());
  uint32_t numbers[2] = {0, 0};
  for (size_t i = 0; i < shape.size(); ++i) {
    const bool digit = end[i] >= '0' && end[i] <= '9';
    if (shape[i] == '#' ? !digit : shape[i] != end[i]) return std::nullopt;
    uint32_t& n = numbers[i < shape.size() / 2 ? 0 : 1];
    if (shape[i] == '#') n = 10 * n + static_cast<uint32_t>(end[i] - '0');
  }
  if (numbers[1] < 2) return std::nullopt;
  return PartName{path.substr(0, path.size() - shape.size()), numbers[0], numbers[1]};
}

// The layers of a new model while it is put together.
class Assembly {
 public:
  Assembly(const CreateTools& tools, const CreateOrder& order) : tools_(tools), order_(order) {}

  // Layers and configuration of an installed model.
  void start_from_model(const std::string& text) {
    const ModelName name = ModelName::parse_or_throw(text);
    if (!tools_.store.find(name)) pull(name);
    const InstalledModel base = tools_.store.get(name);
    config_ = base.config;
    for (Layer layer : base.manifest.layers) {
      if (layer.media_type == media::model && layer.from.empty()) layer.from = base.name.short_display();
      layers_.push_back(std::move(layer));
    }
    base_params_ = read_parts(tools_.store, base).params;
  }

  // One GGUF file, and beside it projectors or adapters; or a model as its authors publish it.
  void start_from_files() {
    const bool weights = std::any_of(order_.files.begin(), order_.files.end(),
                                     [](const auto& f) { return f.first.ends_with(".safetensors"); });
    for (const auto& [path, digest] : order_.files) {
      const auto size = tools_.store.blob_size(digest);
      if (!size)
        throw Error(Code::bad_request, fmt::format("blob {} for '{}' is missing", digest.text(), path),
                    "upload it first");
      if (!part_of(path) && (!weights || !published(path))) add_gguf(path, digest, *size);
    }
    join_parts();
    if (weights) convert_files();
  }

  // The weights in the types that were asked for.
  void quantize() {
    const auto at = std::find_if(layers_.begin(), layers_.end(),
                                 [](const Layer& l) { return l.media_type == media::model; });
    if (at == layers_.end())
      throw Error(Code::bad_request, "there is nothing to quantize", "name a model or files");
    const WorkFolder folder(tools_.store);
    const std::string type = upper(order_.quantize);
    const std::string status = fmt::format("quantizing {} model to {}", config_.file_type, type);
    const ConversionJob job{{tools_.store.blob_path(at->digest)}, folder.path / "model.gguf", type, ""};
    run(job, status, at->digest.text());
    *at = tools_.store.add_file(job.to, media::model, {}, tools_.stop);
    config_ = config_of_file(tools_.catalog, tools_.store.blob_path(at->digest).string());
  }

  void put_adapters() {
    for (const auto& [path, digest] : order_.adapters) {
      const auto size = tools_.store.blob_size(digest);
      if (!size)
        throw Error(Code::bad_request, fmt::format("blob {} for '{}' is missing", digest.text(), path),
                    "upload it first");
      layers_.push_back({std::string(media::adapter), digest, *size, "", ""});
    }
  }

  void put_texts() {
    if (order_.source) replace(media::prompt_template, *order_.source);
    if (order_.system) replace(media::system, *order_.system);
    if (!order_.messages.empty()) replace(media::messages, json::serialize(order_.messages));
    for (const std::string& license : order_.licenses) add(media::license, license);
    json::object params = base_params_;
    for (const auto& [key, value] : order_.parameters) params[key] = value;
    if (!params.empty()) replace(media::params, json::serialize(params));
  }

  void write() {
    if (!order_.renderer.empty()) config_.renderer = order_.renderer;
    if (!order_.parser.empty()) config_.parser = order_.parser;
    if (!order_.requires_version.empty()) config_.requires_version = order_.requires_version;
    for (const std::string& c : order_.capabilities) {
      if (std::find(config_.capabilities.begin(), config_.capabilities.end(), c) ==
          config_.capabilities.end())
        config_.capabilities.push_back(c);
    }
    const Layer config = tools_.store.add_blob(config_.print(layers_), media::config);
    tools_.emit({{"status", "writing manifest"}});
    tools_.store.write_manifest(order_.name, Manifest::make(config, layers_));
    tools_.emit({{"status", "success"}});
  }

 private:
  void pull(const ModelName& name) {
    tools_.registry.pull(
        name, false,
        [this](const TransferProgress& p) {
          if (p.status == "success") return;  // that is the create's word
          json::object line{{"status", p.status}};
          if (p.digest) {
            line["digest"] = p.digest->text();
            line["total"] = p.total;
            line["completed"] = p.completed;
          }
          tools_.emit(std::move(line));
        },
        tools_.stop);
  }

  void run(const ConversionJob& job, const std::string& status, const std::string& digest) {
    tools_.emit({{"status", status}});
    const auto told = [&](const json::object& line) {
      if (!line.contains("total")) return;
      json::object out{{"status", status}, {"total", line.at("total")}, {"completed", line.at("completed")}};
      if (!digest.empty()) out["digest"] = digest;
      tools_.emit(std::move(out));
    };
    convert_in_child(job, told, tools_.stop);
  }

  // A model in several files becomes one: nobody else would find them by their digests.
  void join_parts() {
    std::map<uint32_t, std::pair<std::string, Digest>> parts;
    uint32_t count = 0;
    std::string stem;
    for (const auto& [path, digest] : order_.files) {
      const auto part = part_of(path);
      if (!part) continue;
      if (count != 0 && (part->count != count || part->stem != stem))
        throw Error(Code::bad_request, "the files hold more than one model", "give the parts of one model");
      count = part->count;
      stem = part->stem;
      parts.emplace(part->number, std::pair(path, digest));
    }
    if (count == 0) return;
    if (parts.size() != count || parts.begin()->first != 1 || parts.rbegin()->first != count) {
      throw Error(Code::bad_request,
                  fmt::format("{} of the {} parts of {} are missing", count - parts.size(), count, stem),
                  "send every part of the model");
    }
    const WorkFolder folder(tools_.store);
    ConversionJob job;
    for (const auto& [number, file] : parts) {
      job.from.push_back(folder.path / std::filesystem::path(file.first).filename());
      std::filesystem::create_symlink(tools_.store.blob_path(file.second), job.from.back());
    }
    job.to = folder.path / "joined.gguf";
    run(job, "parsing GGUF", "");
    add_model(tools_.store.add_file(job.to, media::model, {}, tools_.stop));
  }

  void convert_files() {
    const WorkFolder folder(tools_.store);
    ConversionJob job;
    for (const auto& [path, digest] : order_.files) {
      if (!published(path)) continue;
      const auto link = folder.path / std::filesystem::path(path).filename();
      std::filesystem::create_symlink(tools_.store.blob_path(digest), link);
      job.from.push_back(link);
    }
    job.to = folder.path / "converted.gguf";
    job.name = order_.name.model;
    run(job, "converting model", "");
    add_model(tools_.store.add_file(job.to, media::model, {}, tools_.stop));
  }

  void add_model(Layer layer) {
    const bool second = std::any_of(layers_.begin(), layers_.end(),
                                    [](const Layer& l) { return l.media_type == media::model; });
    if (second)
      throw Error(Code::bad_request, "the files hold more than one model", "give the files of one model");
    config_ = config_of_file(tools_.catalog, tools_.store.blob_path(layer.digest).string());
    layers_.push_back(std::move(layer));
  }

  void add_gguf(const std::string& path, const Digest& digest, uint64_t size) {
    tools_.emit({{"status", "parsing GGUF"}});
    const std::string file = tools_.store.blob_path(digest).string();
    std::shared_ptr<const Json> what;
    try {
      what = tools_.catalog.inspect(file);
    } catch (const Error& e) {
      throw Error(Code::bad_request, fmt::format("unknown type: '{}' is no GGUF file: {}", path, e.message),
                  e.remedy);
    }
    const Json& type = what->at("type");
    const json::object& info = what->at("model_info").as_object();
    const std::string arch(what->at("architecture").as_string());
    const bool only_sees =
        info.contains(arch + ".vision.block_count") && !info.contains(arch + ".block_count");
    const bool projector = type == "projector" || type == "mmproj" || arch == "clip" || only_sees;
    const std::string_view kind = type == "adapter" ? media::adapter
                                  : projector       ? media::projector
                                                    : media::model;
    const Layer layer{std::string(kind), digest, size, "", ""};
    if (kind == media::model) {
      add_model(layer);
    } else {
      layers_.push_back(layer);
    }
    tools_.emit({{"status", "using existing layer " + digest.text()}});
  }

  void add(std::string_view type, const std::string& text) {
    const Layer layer = tools_.store.add_blob(text, type);
    tools_.emit({{"status", fmt::format("creating new layer {}", layer.digest.text())}});
    layers_.push_back(layer);
  }

  void replace(std::string_view type, const std::string& text) {
    std::erase_if(layers_, [&](const Layer& l) {
      return l.media_type == type || (type == media::prompt_template && l.media_type == media::prompt_alias);
    });
    if (!text.empty()) add(type, text);
  }

  const CreateTools& tools_;
  const CreateOrder& order_;
  ModelConfig config_;
  std::vector<Layer> layers_;
  json::object base_params_;
};

}  // namespace

CreateOrder parse_create(const Json& body) {
  CreateOrder o;
  const auto model = fields::text(body, "model");
  const std::string name = model && !model->empty() ? *model : fields::text(body, "name").value_or("");
  o.name = ModelName::parse_or_throw(name);
  o.from = fields::text(body, "from").value_or("");
  o.files = file_list(body, "files");
  o.adapters = file_list(body, "adapters");
  if (o.from.empty() && o.files.empty()) {
    throw Error(Code::bad_request, "neither 'from' or 'files' was specified",
                "name a model, or upload files and name them");
  }
  o.source = fields::text(body, "template");
  o.system = fields::text(body, "system");
  o.licenses = text_or_list(body, "license");
  if (const json::object* p = fields::object(body, "parameters")) o.parameters = *p;
  if (const json::array* m = fields::list(body, "messages")) o.messages = *m;
  o.quantize = fields::text(body, "quantize").value_or(fields::text(body, "quantization").value_or(""));
  o.renderer = fields::text(body, "renderer").value_or("");
  o.parser = fields::text(body, "parser").value_or("");
  o.requires_version = fields::text(body, "requires").value_or("");
  if (const json::object* info = fields::object(body, "info"))
    o.capabilities = text_or_list(*info, "capabilities");
  return o;
}

ModelConfig config_of_file(const Catalog& catalog, const std::string& path) {
  const auto what = catalog.inspect(path);
  ModelConfig c;
  c.model_format = "gguf";
  c.model_family = json::value_to<std::string>(what->at("architecture"));
  c.families = {c.model_family};
  c.model_type = parameter_size(number_of(*what, "parameter_count"));
  c.file_type = json::value_to<std::string>(what->at("file_type"));
  c.context_length = number_of(*what, "context_length");
  c.embedding_length = number_of(*what, "embedding_length");
  return c;
}

void create_model(const CreateTools& tools, const CreateOrder& order) {
  std::vector<Digest> needed;
  for (const auto& [path, digest] : order.files) needed.push_back(digest);
  for (const auto& [path, digest] : order.adapters) needed.push_back(digest);
  const BlobHold hold = tools.store.hold(std::move(needed));
  Assembly assembly(tools, order);
  if (order.from.empty()) {
    assembly.start_from_files();
  } else {
    assembly.start_from_model(order.from);
  }
  if (!order.quantize.empty()) assembly.quantize();
  assembly.put_adapters();
  assembly.put_texts();
  assembly.write();
}

}  // namespace hearth
