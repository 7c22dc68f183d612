#pragma once

// What an instruction-set folder provides: plain function pointers, no classes, no templates across the
// border. Kernel files include this header, <cstdint>, <cstddef>, <immintrin.h> and nothing else of hearth or
// the standard library: anything inline would be compiled with the set's flags and could leak into the common
// code (a test lists the symbols of these objects and fails on any weak one).
#include <cstddef>
#include <cstdint>

namespace hearth::cpu {

// Kernels of one weight type. `type` is the GGUF number (DType). cols is a multiple of the type's block.
struct TypeKernels {
  uint32_t type;
  // out[i] for `values` consecutive weights (whole blocks), exactly as TypeInfo::decode.
  void (*decode)(const void* blocks, uint32_t values, float* out);
  // The path of generation: y[n·y_stride + r] = Σ_k w[r][k] · x[n·x_stride + k] for r < rows, n < count;
  // float activations, float accumulation, each weight block read once. count is 1 … 8.
  void (*gemv)(const void* weights, size_t row_bytes, uint32_t rows, uint32_t cols, const float* x,
               size_t x_stride, uint32_t count, float* y, size_t y_stride);
};

// The path of prompts: a panel of weight rows is decoded once and used for all rows of the batch.
// Panels hold `panel_rows` = 16 weight rows × k values, k a multiple of 32:
//   f32:  [k][16]           float
//   bf16: [k/2][16][2]      bfloat16, rounded to nearest: the operand layout of both vdpbf16ps and AMX
//   tiles
// Activations are of the same number format, in blocks of `act_rows` rows: [m / act_rows][k /
// 32][act_rows][32] where that is more than one, else [m][k].
enum class PanelFormat : uint32_t { f32, bf16 };
inline constexpr uint32_t panel_rows = 16, most_act_rows = 16, most_panel_cols = 512;

// Columns [first, first + width) of a strip of packed weights (packed.h) as one panel. Both are multiples
// of 32.
using ExpandPanel = void (*)(const void* strip, uint32_t cols, uint32_t first, uint32_t width, void* panel);
inline constexpr uint32_t weight_types = 64;  // GGUF's type numbers lie below
// `width` columns of up to sixteen rows as the file has them as one panel, without a detour through floats in
// memory; width is a multiple of 32, missing rows become zeros.
using ConvertRows = void (*)(const void* rows, size_t row_bytes, uint32_t count, uint32_t width, void* panel);

// What can be done while tiles multiply, which leave most of a processor idle.
struct Meanwhile {
  void (*some)(void* work);  // does a little of it, and nothing when all is done
  void* work;
};

struct MatmulKernels {
  PanelFormat format;
  uint32_t act_rows;  // 1 or 16; memory of activations is for whole blocks
  uint32_t cols;      // of the panels that suit the caches: a multiple of 256, at most most_panel_cols
  // w: [rows ≤ 16][k] floats, stride in floats; missing rows become zeros.
  void (*pack_panel)(const float* w, size_t w_stride, uint32_t rows, uint32_t k, void* panel);
  // One row into the activations, which begin at `acts`.
  void (*pack_acts)(const float* x, uint32_t row, uint32_t k, void* acts);
  // y[i·y_stride + r] (+)= Σ_k acts[i][k] · panel[k][r], for i < m and r < rows ≤ 16 · panels. Panels follow
  // each other in memory. `accumulate` adds to y instead of setting it. `meanwhile` may be null; kernels
  // without tiles have no use for it.
  void (*run)(const void* panel, uint32_t rows, const void* acts, uint32_t m, uint32_t k, float* y,
              size_t y_stride, bool accumulate, const Meanwhile* meanwhile);
  // Called once per thread before its first run and after its last (AMX tile configuration); null if not
  // needed.
  void (*enter)();
  void (*leave)();
  // From packed weights, by type number; null where the integer products of packed.h are the better way, and
  // for types without a packed form.
  const ExpandPanel* expand;
  // By type number, or null: for the others rows are decoded and packed.
  const ConvertRows* convert = nullptr;
};

// Products of packed weights (packed.h) with activation rows of integers:
// y[m·y_stride + r] = Σ_k w[r][k] · x[m][k] for r < rows, m < count. `w` points at a strip; rows need not
// fill the last one. x: `count` rows of integer_row(cols).
using PackedProduct = void (*)(const void* w, uint32_t rows, uint32_t cols, const void* x, uint32_t count,
                               float* y, size_t y_stride);
struct PackedKernels {
  uint32_t type;
  PackedProduct product;
  uint32_t together;  // columns of x that must share a scale (packed.h)
};
// A row of floats to integers; `together` columns get one scale: 32, or 256. cols is a multiple of it.
using RoundRow = void (*)(const float* x, uint32_t cols, uint32_t together, void* out);

// Types of KV pages, in this order: f32, f16, q8_0, q4_0. A head's row in a page is `head` values of that
// type.
struct KvKernels {
  // values of one head row → the page's type. head is a multiple of 32 for q8_0 and q4_0, of 8 otherwise.
  void (*store)(const float* x, uint32_t head, void* out);
  // s[q·s_stride + t] = Σ_d k[t][d] · q[q·q_stride + d]: `tokens` rows of K against `queries` query heads (1
  // … 16).
  void (*score)(const void* k, size_t token_stride, uint32_t tokens, uint32_t head, const float* q,
                size_t q_stride, uint32_t queries, float* s, size_t s_stride);
  // acc[q·acc_stride + d] += Σ_t p[q·p_stride + t] · v[t][d].
  void (*mix)(const void* v, size_t token_stride, uint32_t tokens, uint32_t head, const float* p,
              size_t p_stride, uint32_t queries, float* acc, size_t acc_stride);
};

// Attention of prompt rows. Sixteen queries are woven into a panel, so that a lane is a query: keys and
// values are read row by row as they come, and nothing is summed or compared across lanes. Numbers of a
// kernel's own format take at most four bytes.
inline constexpr uint32_t attend_lanes = 16;
inline constexpr uint32_t attend_tokens = 64;  // of a block of keys and values, counted from position 0

// A block of keys and values that meets one or two panels of queries.
struct AttendBlock {
  const void *q, *k, *v;  // packed; q: panels, q_step floats apart
  size_t q_step;
  const float *q_scale, *k_scale, *v_scale;
  uint32_t panels, k_size, v_size, tokens;
  uint32_t at;               // position of the first token
  const uint32_t* position;  // [panels · 16] of the queries
  bool causal;
  uint32_t window;
  float soft_cap;
  float *best, *total, *acc;  // of what was seen so far: [panels · 16], [panels · 16], [panels][v_size][16]
};

struct AttendKernels {
  // q: sixteen rows of k_size floats, null for lanes without a query; → a panel of factor · q.
  void (*pack_queries)(const float* const* q, uint32_t k_size, float factor, void* panel, float* scale);
  // [tokens][size] floats → the block's operands and a scale per token. Null: the floats as they are.
  void (*pack_keys)(const float* k, uint32_t tokens, uint32_t size, void* out, float* scale);
  void (*pack_values)(const float* v, uint32_t tokens, uint32_t size, void* out, float* scale);
  // best begins as attend_nothing, total and acc as 0.
  // Blocks one after the other with the same panels.
  void (*attend)(const AttendBlock* blocks, uint32_t count);
  // acc / (total + e^(sink − best)) → sixteen rows of v_size floats (null: no such query). sinks may be null.
  void (*finish)(const float* acc, const float* best, const float* total, const float* sinks, uint32_t v_size,
                 float* const* out);
  // Called once per thread before its first block and after its last; null if not needed.
  void (*enter)() = nullptr;
  void (*leave)() = nullptr;
  // Blocks that are packed together, so that the sums of two panels stay in the first level of the cache
  // while they meet all of these: at most most_attend_blocks.
  uint32_t blocks = 1;
  // Queries that share packed blocks: as many as keep their sums in the second-level cache of such
  // processors.
  uint32_t queries = 512;
};
inline constexpr uint32_t most_attend_blocks = 8;
// Floats of memory for what is packed of a row of `size` values.
constexpr uint32_t attend_floats(uint32_t size) { return (size + 15) / 16 * 16; }
// Below any score; what is hidden scores far less still.
inline constexpr float attend_nothing = -1e20F, attend_hidden = -3e38F;

enum class Activation : uint32_t { none, silu, gelu, gelu_tanh, relu, relu2 };

struct RowKernels {
  // out = x / rms(x) · gain; gain may be null. In place allowed. n is any number.
  void (*rms_norm)(const float* x, const float* gain, uint32_t n, float eps, float* out);
  // out = (x − mean) / sd · gain + bias; gain and bias may be null.
  void (*layer_norm)(const float* x, const float* gain, const float* bias, uint32_t n, float eps, float* out);
  // out = act(gate) · up; up null: out = act(gate).
  void (*gated)(Activation act, const float* gate, const float* up, uint32_t n, float* out);
  void (*add)(const float* a, const float* b, uint32_t n, float* out);
  void (*scale)(const float* x, float factor, uint32_t n, float* out);
  float (*max)(const float* x, uint32_t n);
  // x[i] = exp(x[i] − m); returns their sum. −inf gives exactly 0.
  float (*exp_sum)(float* x, uint32_t n, float m);
  // Rotates pairs (x[i], x[i + pairs]) if split, else (x[2i], x[2i + 1]), by cos[i], sin[i], in place.
  void (*rope)(float* x, const float* cos, const float* sin, uint32_t pairs, bool split);
  // out = σ(gate) · x; in place allowed.
  void (*open)(const float* gate, const float* x, uint32_t n, float* out);
};

// What is carried from token to token.
struct StateKernels {
  // out[i] = Σ_k kernel[k·n + i] · rows[k][i] + bias[i], k < taps; bias may be null.
  void (*convolve)(const float* const* rows, const float* kernel, const float* bias, uint32_t taps,
                   uint32_t n, float* out);
  // out[i] = log(1 + e^(x[i] + bias[i])); in place allowed.
  void (*softplus)(const float* x, const float* bias, uint32_t n, float* out);
  // One token of a selective scan, s: [n][states]:
  //   s[i][k] = e^(time[i]·a[i][k]) · s[i][k] + time[i]·x[i] · b[k];  y[i] = Σ_k s[i][k] · c[k]
  void (*scan)(float* s, const float* a, const float* time, const float* x, const float* b, const float* c,
               uint32_t states, uint32_t n, float* y);
  // The same where all forget alike: s[i][k] = decay · s[i][k] + time·x[i] · b[k].
  void (*scan_head)(float* s, float decay, float time, const float* x, const float* b, const float* c,
                    uint32_t states, uint32_t n, float* y);
  // out = factor · x / max(|x|, eps), by the Euclidean length.
  void (*unit)(const float* x, uint32_t n, float eps, float factor, float* out);
  // One token of the delta rule, s: [n][size]:
  //   s[i] = decay · s[i]; s[i] += rate · (v[i] − s[i]·k) · k;  y[i] = s[i]·q
  void (*delta)(float* s, float decay, float rate, const float* k, const float* q, const float* v,
                uint32_t size, uint32_t n, float* y);
  // out = x + mix · (before − x)
  void (*blend)(const float* x, const float* before, const float* mix, uint32_t n, float* out);
};

// The limit of a set's products: its fastest instruction on registers alone. `operations` counts the
// multiplications and additions of one round.
struct PeakKernel {
  uint64_t operations;
  void (*run)(uint64_t rounds);
};

// A set may leave anything null; the gap is filled from the next lower table (see tables.h).
struct CpuTable {
  const char* name;
  const TypeKernels* types;
  uint32_t type_count;
  const MatmulKernels* matmul;
  const KvKernels* kv[4];
  const RowKernels* rows;
  const PackedKernels* packed;
  uint32_t packed_count;
  RoundRow round_row;
  const AttendKernels* attend;
  const PeakKernel* peak = nullptr;
  const StateKernels* state = nullptr;
};

// One per folder, defined in its table.cpp.
extern const CpuTable portable_table;
extern const CpuTable avx2_table;
extern const CpuTable avx512_table;
extern const CpuTable avx512vnni_table;
extern const CpuTable avx512bf16_table;
extern const CpuTable amx_table;

}  // namespace hearth::cpu
