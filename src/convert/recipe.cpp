// Recipes of the reference data → GGUF images.
#include <fmt/format.h>

#include <cmath>
#include <cstring>

#include "base/error.h"
#include "convert/synth.h"

namespace hearth {
namespace {

std::string text_of(const Json& j) { return std::string(j.as_string()); }

// Decimal numbers are the shortest that read back as the intended float, but may be written as strings when
// they are no finite numbers.
double number(const Json& j) {
  if (j.is_bool()) return j.as_bool() ? 1 : 0;
  if (j.is_string()) {
    const std::string word = text_of(j);
    return word == "nan" ? NAN : word == "-inf" ? -INFINITY : INFINITY;
  }
  return j.to_number<double>();
}

GgufType type_of(std::string_view word) {
  for (uint32_t i = 0; i <= static_cast<uint32_t>(GgufType::f64); ++i) {
    if (to_string(static_cast<GgufType>(i)) == word) return static_cast<GgufType>(i);
  }
  throw Error(Code::bad_request, fmt::format("a recipe names the unknown type '{}'", word),
              "check the recipe");
}

bool is_float(GgufType t) { return t == GgufType::f32 || t == GgufType::f64; }

uint64_t integer(const Json& j) {
  if (j.is_bool()) return j.as_bool() ? 1 : 0;
  return j.is_uint64() ? j.as_uint64() : static_cast<uint64_t>(j.to_number<int64_t>());
}

void append_element(std::string& bytes, GgufType type, const Json& value) {
  const auto raw = [&](const auto& x, size_t size) { bytes.append(reinterpret_cast<const char*>(&x), size); };
  if (type == GgufType::string) {
    const std::string s = text_of(value);
    raw(static_cast<uint64_t>(s.size()), 8);
    bytes += s;
  } else if (type == GgufType::f32) {
    raw(static_cast<float>(number(value)), 4);
  } else if (type == GgufType::f64) {
    raw(number(value), 8);
  } else {
    constexpr size_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    raw(integer(value), sizes[static_cast<size_t>(type)]);
  }
}

void put_metadata(GgufWriter& writer, const Json& entry) {
  const std::string key = text_of(entry.at(0)), word = text_of(entry.at(1));
  const Json& value = entry.at(2);
  if (word.starts_with("array:")) {
    const GgufType element = type_of(word.substr(6));
    std::string bytes;
    for (const Json& v : value.as_array()) append_element(bytes, element, v);
    return writer.put_array(key, element, value.as_array().size(), bytes);
  }
  const GgufType type = type_of(word);
  if (type == GgufType::string) {
    writer.put(key, std::string_view(text_of(value)));
  } else if (type == GgufType::boolean) {
    writer.put(key, integer(value) != 0);
  } else if (is_float(type)) {
    writer.put(key, number(value), type == GgufType::f64);
  } else {
    writer.put(key, type, integer(value));
  }
}

GgufWriter::Fill literal(const Json& tensor, DType type) {
  std::vector<float> values;
  std::vector<int32_t> integers;
  for (const Json& v : tensor.at("data").as_array()) {
    values.push_back(static_cast<float>(number(v)));
    if (type == DType::i32) integers.push_back(static_cast<int32_t>(number(v)));
  }
  return [=](uint64_t first, std::span<std::byte> out) {
    if (type == DType::i32) {
      std::memcpy(out.data(), reinterpret_cast<const std::byte*>(integers.data()) + first, out.size());
      return;
    }
    const TypeInfo& info = type_info(type);
    info.round(std::span(values).subspan(first / info.block_bytes * info.block_values,
                                         out.size() / info.block_bytes * info.block_values),
               out);
  };
}

void put_tensor(GgufWriter& writer, const Json& tensor, uint64_t seed) {
  const std::string name = text_of(tensor.at("name")), fill = text_of(tensor.at("fill"));
  const TypeInfo* type = find_type(std::string_view(tensor.at("type").as_string()));
  if (type == nullptr)
    throw Error(Code::bad_request, "a recipe names an unknown tensor type", "check the recipe");
  std::vector<uint64_t> dims;
  for (const Json& d : tensor.at("shape").as_array()) dims.push_back(d.to_number<uint64_t>());
  if (fill == "data") return writer.add(name, type->type, dims, literal(tensor, type->type));
  const Json* offset = tensor.as_object().if_contains("offset");
  const Fill kind = fill == "blocks" ? Fill::blocks : fill == "normal" ? Fill::normal : Fill::uniform;
  const auto scale = static_cast<float>(number(tensor.at("scale")));
  const float shift = offset == nullptr ? 0.0F : static_cast<float>(number(*offset));
  writer.add(name, type->type, dims, [=](uint64_t first, std::span<std::byte> out) {
    synthesise({name, type->type, kind, scale, shift, seed}, first / type->block_bytes * type->block_values,
               out);
  });
}

}  // namespace

std::vector<std::byte> build_recipe(const Json& recipe) {
  GgufWriter writer(recipe.at("version").to_number<uint32_t>(), recipe.at("alignment").to_number<uint64_t>());
  for (const Json& entry : recipe.at("metadata").as_array()) put_metadata(writer, entry);
  for (const Json& tensor : recipe.at("tensors").as_array()) {
    put_tensor(writer, tensor, recipe.at("seed").to_number<uint64_t>());
  }
  return writer.image();
}

}  // namespace hearth
