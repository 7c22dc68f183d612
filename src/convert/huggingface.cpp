#include "convert/huggingface.h"

#include "base/error.h"
#include "convert/huggingface/family.h"
#include "convert/huggingface/tensors.h"
#include "convert/huggingface/tokenizer.h"
#include "formats/safetensors.h"

namespace hearth {
namespace {

using namespace huggingface;

// The last part of what the authors called it; a path of their own machine says nothing.
std::string name_of(const Config& config, const std::string& given) {
  if (!given.empty()) return given;
  const std::string path = config.text("_name_or_path").value_or("");
  return path.substr(path.rfind('/') + 1);
}

// Embedding models of sentence-transformers say in a folder of their own how the vectors are pooled.
void put_pooling(const std::filesystem::path& folder, const Family& family, GgufWriter& head) {
  const auto path = folder / "1_Pooling" / "config.json";
  if (!std::filesystem::exists(path)) return;
  const Json content = read_json_file(path);
  const Config config(content, "1_Pooling/config.json");
  const std::pair<const char*, uint32_t> modes[] = {
      {"pooling_mode_mean_tokens", 1}, {"pooling_mode_cls_token", 2}, {"pooling_mode_lasttoken", 3}};
  for (const auto& [key, mode] : modes) {
    if (!config.boolean(key).value_or(false)) continue;
    head.put(std::string(family.architecture) + ".pooling_type", GgufType::u32, mode);
    return;
  }
  throw Error(Code::unsupported, "the embedding model pools in a way that is not converted",
              "supported are mean, cls and lasttoken");
}

}  // namespace

ModelSource open_huggingface(const std::filesystem::path& folder, const std::string& name) {
  const Json content = read_json_file(folder / "config.json");
  const Config config(content, "config.json");
  const Family& family = find_family(config);
  ModelSource source;
  const Sizes sizes = read_sizes(config, family, source.notes);
  source.name = name_of(config, name);
  source.facts = {sizes.layers, sizes.heads, sizes.kv_heads, sizes.experts, sizes.tied};

  GgufWriter& head = source.head;
  head.put("general.architecture", family.architecture);
  head.put("general.type", std::string_view("model"));
  if (!source.name.empty()) head.put("general.name", std::string_view(source.name));
  put_sizes(sizes, family, head);
  const std::vector<float> divisors = put_rope(config, sizes, family, head);
  put_pooling(folder, family, head);
  put_tokenizer(folder, config, sizes.vocabulary, head, source.notes);

  const auto files = std::make_shared<const Safetensors>(Safetensors::open(folder));
  source.tensors = map_tensors(files, sizes, family);
  if (!divisors.empty()) source.tensors.push_back(tensor_of("rope_freqs.weight", divisors));
  if (source.name.empty()) source.name = "the model";
  return source;
}

}  // namespace hearth
