#include "device/vulkan/spirv_matrix.h"

#include <fmt/format.h>

#include <map>
#include <optional>
#include <string_view>

#include "base/error.h"

namespace hearth::vulkan {
namespace {

// Numbers of the specifications of SPIR-V and of the two extensions.
constexpr uint32_t magic = 0x07230203, header_words = 5, bound_at = 3;
enum Opcode : uint32_t {
  op_undef = 1,
  op_extension = 10,
  op_capability = 17,
  op_type_int = 21,
  op_constant_true = 41,
  op_constant_false = 42,
  op_constant = 43,
  op_constant_composite = 44,
  op_constant_null = 46,
  op_load = 61,
  op_composite_construct = 80,
  op_composite_extract = 81,
  op_copy_object = 83,
  op_phi = 245,
  op_khr_type = 4456,
  op_khr_load = 4457,
  op_khr_store = 4458,
  op_khr_multiply = 4459,
  op_khr_length = 4460,
  op_nv_type = 5358,
  op_nv_load = 5359,
  op_nv_store = 5360,
  op_nv_multiply = 5361,
  op_nv_length = 5362,
};
constexpr uint32_t khr_capability = 6022, nv_capability = 5357;
constexpr std::string_view khr_name = "SPV_KHR_cooperative_matrix", nv_name = "SPV_NV_cooperative_matrix";
enum Use : uint32_t { matrix_a = 0, matrix_b = 1, accumulator = 2 };  // of a matrix

Error broken(std::string_view what) {
  return Error(Code::bug, fmt::format("a shader with cooperative matrices cannot be translated: {}", what),
               "report this; HEARTH_VULKAN_VARIANTS=float does without");
}

using Words = std::span<const uint32_t>;
uint32_t opcode_of(Words instruction) { return instruction[0] & 0xffffU; }

std::string_view text_of(Words words) {
  const std::string_view all(reinterpret_cast<const char*>(words.data()), words.size_bytes());
  return all.substr(0, all.find('\0'));
}

std::vector<Words> instructions_of(Words module) {
  if (module.size() < header_words || module[0] != magic) throw broken("it is no SPIR-V");
  std::vector<Words> list;
  for (size_t at = header_words; at < module.size();) {
    const size_t words = module[at] >> 16;
    if (words == 0 || at + words > module.size()) throw broken("an instruction has no end");
    list.push_back(module.subspan(at, words));
    at += words;
  }
  return list;
}

// Words of an instruction at least, for what is read here.
void expect_words(Words instruction, size_t count) {
  if (instruction.size() < count) throw broken(fmt::format("opcode {} is too short", opcode_of(instruction)));
}

bool is_unsigned(Words type_int) { return type_int[2] == 32 && type_int[3] == 0; }

// An instruction of which a matrix may be the result.
bool makes_matrices(uint32_t opcode) {
  switch (opcode) {
    case op_undef:
    case op_constant_composite:
    case op_constant_null:
    case op_load:
    case op_composite_construct:
    case op_composite_extract:
    case op_copy_object:
    case op_phi:
    case op_nv_load:
    case op_nv_multiply: return true;
    default: return false;
  }
}

class Translation {
 public:
  explicit Translation(Words module) : module_(module), instructions_(instructions_of(module)) {
    for (const Words i : instructions_) survey(i);
    for (const Words i : instructions_) {
      if (opcode_of(i) == op_nv_multiply) find_uses(i);
    }
  }

  std::vector<uint32_t> translated() {
    out_.assign(module_.begin(), module_.begin() + header_words);
    for (const Words i : instructions_) translate(i);
    return std::move(out_);
  }

 private:
  void survey(Words i) {
    const uint32_t opcode = opcode_of(i);
    if (opcode == op_nv_type) {
      expect_words(i, 6);
      uses_[i[1]] = std::nullopt;
    } else if (opcode == op_type_int) {
      expect_words(i, 4);
      if (is_unsigned(i)) unsigned_ = i[1];
    } else if (opcode == op_constant_true || opcode == op_constant_false) {
      expect_words(i, 3);
      truths_[i[2]] = opcode == op_constant_true;
    } else if (makes_matrices(opcode)) {
      expect_words(i, 3);
      if (uses_.count(i[1]) != 0) types_[i[2]] = i[1];
    }
  }

  void find_uses(Words i) {
    expect_words(i, 6);
    for (const uint32_t use : {matrix_a, matrix_b, accumulator}) {
      const auto type = types_.find(i[3 + use]);
      if (type == types_.end()) throw broken("an operand of a product is no matrix");
      take_use(type->second, use);
    }
    take_use(i[1], accumulator);
  }

  void take_use(uint32_t type, uint32_t use) {
    const auto known = uses_.find(type);
    if (known == uses_.end()) throw broken("a product is no matrix");
    if (known->second.value_or(use) != use) throw broken("a type of matrices has two uses");
    known->second = use;
  }

  void put(uint32_t opcode, std::initializer_list<uint32_t> operands, Words rest = {}) {
    out_.push_back(static_cast<uint32_t>((1 + operands.size() + rest.size()) << 16) | opcode);
    out_.insert(out_.end(), operands);
    out_.insert(out_.end(), rest.begin(), rest.end());
  }

  void translate(Words i) {
    switch (opcode_of(i)) {
      case op_capability: return capability(i);
      case op_extension: return extension(i);
      case op_nv_type: return type(i);
      case op_nv_load: {
        expect_words(i, 6);
        return put(op_khr_load, {i[1], i[2], i[3], layout(i[5]), i[4]}, i.subspan(6));
      }
      case op_nv_store: {
        expect_words(i, 5);
        return put(op_khr_store, {i[1], i[2], layout(i[4]), i[3]}, i.subspan(5));
      }
      case op_nv_multiply: return put(op_khr_multiply, {}, i.subspan(1));
      case op_nv_length: return put(op_khr_length, {}, i.subspan(1));
      default: out_.insert(out_.end(), i.begin(), i.end());
    }
    if (opcode_of(i) == op_type_int && is_unsigned(i)) numbers();
  }

  void capability(Words i) {
    expect_words(i, 2);
    put(op_capability, {i[1] == nv_capability ? khr_capability : i[1]});
  }

  void extension(Words i) {
    if (text_of(i.subspan(1)) != nv_name) {
      out_.insert(out_.end(), i.begin(), i.end());
      return;
    }
    std::vector<uint32_t> words(khr_name.size() / 4 + 1);
    khr_name.copy(reinterpret_cast<char*>(words.data()), khr_name.size());
    put(op_extension, {}, words);
  }

  void type(Words i) {
    const auto use = uses_.at(i[1]);
    if (!use) throw broken("a type of matrices has no use");
    put(op_khr_type, {i[1], i[2], i[3], i[4], i[5], number(*use)});
  }

  // Constants for uses and layouts, behind the type that they are of.
  void numbers() {
    first_number_ = out_[bound_at];
    out_[bound_at] += 3;
    for (const uint32_t n : {0U, 1U, 2U}) put(op_constant, {unsigned_, first_number_ + n, n});
  }

  uint32_t number(uint32_t n) const {
    if (first_number_ == 0) throw broken("no type of unsigned integers stands before its matrices");
    return first_number_ + n;
  }

  // 0 row by row, 1 column by column.
  uint32_t layout(uint32_t by_columns) const {
    const auto truth = truths_.find(by_columns);
    if (truth == truths_.end()) throw broken("a layout is not a constant");
    return number(truth->second ? 1 : 0);
  }

  Words module_;
  std::vector<Words> instructions_;
  std::map<uint32_t, std::optional<uint32_t>> uses_;  // of types
  std::map<uint32_t, uint32_t> types_;                // of results
  std::map<uint32_t, bool> truths_;                   // of constants
  uint32_t unsigned_ = 0, first_number_ = 0;
  std::vector<uint32_t> out_;
};

}  // namespace

std::vector<uint32_t> khr_matrices(std::span<const uint32_t> module) {
  return Translation(module).translated();
}

}  // namespace hearth::vulkan
