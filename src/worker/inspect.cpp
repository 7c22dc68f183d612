#include "worker/inspect.h"

#include <cmath>
#include <map>

#include "base/error.h"
#include "device/ops.h"
#include "formats/file_type.h"
#include "formats/gguf.h"
#include "tensor/types.h"
#include "text/chat_template.h"
#include "text/detokenizer.h"
#include "text/output.h"
#include "worker/open_model.h"

namespace hearth {
namespace {

// Invalid UTF-8 of a hostile file would make the line no JSON.
std::string printable(std::string_view text) {
  std::string out;
  Utf8Stream stream;
  stream.push(text, out);
  stream.flush(out);
  return out;
}

Json scalar(const MetadataValue& value) {
  if (const auto* u = std::get_if<uint64_t>(&value.value)) return *u;
  if (const auto* i = std::get_if<int64_t>(&value.value)) return *i;
  if (const auto* b = std::get_if<bool>(&value.value)) return *b;
  if (const auto* s = std::get_if<std::string_view>(&value.value)) return Json(printable(*s));
  const double* d = std::get_if<double>(&value.value);
  return d != nullptr && std::isfinite(*d) ? Json(*d) : Json(nullptr);
}

Json array_of(const Gguf& file, std::string_view key, GgufType element) {
  json::array list;
  if (element == GgufType::string) {
    for (const std::string_view s : file.strings(key)) list.emplace_back(printable(s));
  } else if (element == GgufType::f32 || element == GgufType::f64) {
    for (const float f : file.floats(key)) list.emplace_back(std::isfinite(f) ? Json(f) : Json(nullptr));
  } else {
    for (const int32_t i : file.ints(key)) list.emplace_back(i);
  }
  return list;
}

json::object metadata(const Gguf& file, bool arrays) {
  json::object all;
  for (const MetadataEntry& entry : file.metadata()) {
    if (entry.key == "general.name" || entry.key == "tokenizer.chat_template") continue;
    const auto* array = std::get_if<GgufArray>(&entry.value.value);
    const std::string key = printable(entry.key);
    if (array == nullptr) {
      all[key] = scalar(entry.value);
    } else {
      all[key] =
          arrays && array->element != GgufType::array ? array_of(file, entry.key, array->element) : Json();
    }
  }
  return all;
}

// The type that holds most of the values, for files that do not say what they are.
std::string main_type(const Gguf& file) {
  std::map<DType, uint64_t> values;
  for (const TensorInfo& t : file.tensors()) values[t.type] += t.bytes;
  DType best{};
  uint64_t most = 0;
  for (const auto& [type, bytes] : values) {
    if (bytes > most) best = type, most = bytes;
  }
  return most == 0 ? "unknown" : std::string(type_info(best).name);
}

// What of the templates of a model is used, and what the model can do by them.
struct TemplateFacts {
  std::string used;
  TemplateAbilities able;
  std::string problem = {};  // of the Go template
};

TemplateFacts templates_of(std::string_view source, const to_child::Inspect& question) {
  // A broken template can nothing; running the model says so.
  std::optional<TemplateAbilities> jinja, go;
  std::string problem;
  try {
    if (!source.empty()) jinja = abilities_of(Template::parse(source), source);
  } catch (const TemplateError&) {
    jinja.emplace();
  }
  try {
    if (question.go_template) go = GoTemplate::parse(*question.go_template).abilities();
  } catch (const TemplateError& e) {
    go.emplace();
    problem = e.message;
  }
  TemplateFacts facts;
  const auto choice = choose_template(go ? &*go : nullptr, jinja ? &*jinja : nullptr, question.prefer_go);
  if (choice == TemplateChoice::go) facts = {*question.go_template, *go};
  if (choice == TemplateChoice::jinja) facts = {std::string(source), *jinja};
  facts.problem = std::move(problem);
  if (go) {
    facts.able.tools = facts.able.tools || go->tools;
    facts.able.insert = go->insert;
    facts.able.thinking = facts.able.thinking || go->thinking;
  }
  const OutputFormat format = format_of_parser(question.parser).value_or(OutputFormat());
  const bool channels =
      format.calls == CallStyle::channels || format_of_template(facts.used).calls == CallStyle::channels;
  facts.able.tools = facts.able.tools || format.calls != CallStyle::none;
  facts.able.thinking = facts.able.thinking || channels || !format.think_close.empty();
  return facts;
}

// The file names the marks of a vocabulary that was trained to fill holes.
bool marks_holes(const Gguf& file) {
  return file.find("tokenizer.ggml.fim_pre_token_id") != nullptr &&
         file.find("tokenizer.ggml.fim_suf_token_id") != nullptr &&
         file.find("tokenizer.ggml.fim_mid_token_id") != nullptr;
}

json::array capabilities(const Gguf& file, const std::string& arch, const TemplateAbilities& able) {
  json::array list{file.find(arch + ".pooling_type") != nullptr ? "embedding" : "completion"};
  if (file.u64(arch + ".pooling_type") == static_cast<uint64_t>(PoolKind::rank)) list.emplace_back("rerank");
  if (file.find(arch + ".vision.block_count") != nullptr) list.emplace_back("vision");
  if (file.find(arch + ".audio.block_count") != nullptr) list.emplace_back("audio");
  if (able.tools) list.emplace_back("tools");
  if (able.insert || marks_holes(file)) list.emplace_back("insert");
  if (able.thinking) list.emplace_back("thinking");
  return list;
}

json::array tensor_list(const Gguf& file, uint64_t& values) {
  json::array list;
  for (const TensorInfo& t : file.tensors()) {
    json::array shape;
    uint64_t count = 1;
    for (uint32_t d = 0; d < t.n_dims; ++d) {
      shape.emplace_back(t.dims[d]);
      count *= t.dims[d];
    }
    values += count;
    list.push_back(
        {{"name", printable(t.name)}, {"type", type_info(t.type).name}, {"shape", std::move(shape)}});
  }
  return list;
}

}  // namespace

std::string file_kind(const Gguf& file) {
  const auto number = file.u64("general.file_type");
  return number ? std::string(file_type_name(*number)) : main_type(file);
}

Json inspect_model(const to_child::Inspect& question) {
  const std::string& path = question.path;
  const Gguf file = path.empty() ? Gguf::parse(builtin_model(), std::string(builtin_name)) : Gguf::open(path);
  const std::string arch = printable(file.string("general.architecture").value_or("unknown"));
  uint64_t values = 0;
  json::array tensors = tensor_list(file, values);
  json::object model_info = metadata(file, question.arrays);
  model_info["general.parameter_count"] = values;
  const TemplateFacts templates = templates_of(file.string("tokenizer.chat_template").value_or(""), question);
  json::object what{{"architecture", arch},
                    {"type", printable(file.string("general.type").value_or("model"))},
                    {"file_bytes", file.file_bytes()},
                    {"parameter_count", values},
                    {"file_type", file_kind(file)},
                    {"context_length", file.u64(arch + ".context_length").value_or(0)},
                    {"embedding_length", file.u64(arch + ".embedding_length").value_or(0)},
                    {"capabilities", capabilities(file, arch, templates.able)},
                    {"template", printable(templates.used)},
                    {"model_info", std::move(model_info)},
                    {"tensors", std::move(tensors)}};
  if (!templates.problem.empty()) what["template_problem"] = templates.problem;
  return what;
}

Json inspect_model(const std::string& path, bool arrays) {
  return inspect_model(to_child::Inspect{path, arrays, {}, {}, {}});
}

}  // namespace hearth
