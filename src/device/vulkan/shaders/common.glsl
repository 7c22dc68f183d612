// What all shaders share: the bindings and the arithmetic that must give the same numbers everywhere.
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_control_flow_attributes : require
#ifdef SUBGROUP
#extension GL_KHR_shader_subgroup_arithmetic : require
#endif
#ifdef INTEGER
// OpSDot of four packed bytes each. glslc has had a function for it only since 2025.
#extension GL_EXT_spirv_intrinsics : require
spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6018, 6019], id = 4450)
int signed_dot(int a, int b, spirv_literal int format);
int dot4(uint a, uint b) { return signed_dot(int(a), int(b), 0); }
#endif

#ifdef MATRIX
// The oldest glslc knows NVIDIA's cooperative matrices only; spirv_matrix.cpp makes those of Khronos of them.
#extension GL_NV_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#endif

// Bindings are the same for every shader (pipelines.h lists them): 0 weights, 1 input, 2 output, 3 vector (bias or
// gain), 4 second input, 5 the step's tables, 6 the cache. Each shader declares those that it uses.

float half_at(uint bits) { return unpackHalf2x16(bits).x; }

// Nearest even; infinity above the largest half.
uint to_half(float x) {
  uint bits = floatBitsToUint(x), sign = (bits >> 16) & 0x8000u, rest = bits & 0x7fffffffu;
  if (rest >= 0x47800000u) return sign | (rest > 0x7f800000u ? 0x7e00u : 0x7c00u);
  if (rest < 0x38800000u) {  // subnormal halves are multiples of 2^-24
    uint units = uint(roundEven(uintBitsToFloat(rest) * 16777216.0));
    return sign | units;
  }
  uint odd = (rest >> 13) & 1u;
  return sign | ((rest + 0xfffu + odd - 0x38000000u) >> 13);
}

vec4 unsigned_bytes(uint q) {
  return vec4(float(q & 255u), float((q >> 8) & 255u), float((q >> 16) & 255u), float(q >> 24));
}
vec4 signed_bytes(uint q) {
  ivec4 v = ivec4(bitfieldExtract(int(q), 0, 8), bitfieldExtract(int(q), 8, 8), bitfieldExtract(int(q), 16, 8),
                  bitfieldExtract(int(q), 24, 8));
  return vec4(v);
}

// The built-in tanh may lose all digits near 0.
float tanh_exact(float x) {
  float a = abs(x), s = x * x;
  if (a < 0.3) return x * (1.0 + s * (-1.0 / 3.0 + s * (2.0 / 15.0 + s * (-17.0 / 315.0 + s * (62.0 / 2835.0)))));
  return sign(x) * (1.0 - 2.0 / (exp(2.0 * min(a, 20.0)) + 1.0));
}

// A fit by Chebyshev polynomials with a relative error below 1.2e-7 (W. H. Press et al., Numerical Recipes, 6.2).
float erfc_exact(float x) {
  float z = abs(x), t = 1.0 / (1.0 + 0.5 * z);
  float poly = 0.17087277;
  poly = poly * t - 0.82215223;
  poly = poly * t + 1.48851587;
  poly = poly * t - 1.13520398;
  poly = poly * t + 0.27886807;
  poly = poly * t - 0.18628806;
  poly = poly * t + 0.09678418;
  poly = poly * t + 0.37409196;
  poly = poly * t + 1.00002368;
  float y = t * exp(-z * z - 1.26551223 + t * poly);
  return x >= 0.0 ? y : 2.0 - y;
}

// The numbers of Act1.
float activate(uint act, float v) {
  if (act == 1u) return v / (1.0 + exp(-v));
  if (act == 2u) return 0.5 * v * erfc_exact(-v * 0.70710678118654752);
  if (act == 3u) {
    float u = 0.79788456080286536 * (v + 0.044715 * v * v * v);
    return v / (1.0 + exp(-2.0 * u));
  }
  if (act == 4u) return max(v, 0.0);
  if (act == 5u) return v > 0.0 ? v * v : 0.0;
  return v;
}
