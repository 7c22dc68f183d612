// Products of packed weights whose blocks have whole numbers for scales: few activation rows as with VNNI,
// but in whole numbers to the end of a block, more of them in tiles.
#include "device/cpu/amx/kernels.h"
#include "device/cpu/amx/strips.h"

namespace hearth::cpu::amx {
namespace {

// Up to here vectors are as fast.
constexpr uint32_t few_rows = 4;

// The strips of a job with one to four activation rows.
template <PackedForm form>
void multiply_few(Job job, uint32_t count) {
  const size_t bytes = strip_bytes(form, job.cols);
  const uint32_t rows = job.rows;
  for (uint32_t r = 0; r < rows; r += strip_rows, job.strip += bytes, job.y += strip_rows) {
    job.rows = rows - r < strip_rows ? rows - r : strip_rows;
    switch (count) {
      case 1: multiply_blocks<form, 1, WholeSums>(job, bytes); break;
      case 2: multiply_blocks<form, 2, WholeSums>(job, bytes); break;
      case 3: multiply_blocks<form, 3, WholeSums>(job, bytes); break;
      default: multiply_blocks<form, 4, WholeSums>(job, bytes);
    }
  }
}

template <uint32_t index>
void product(const void* w, uint32_t rows, uint32_t cols, const void* x, uint32_t count, float* y,
             size_t y_stride) {
  constexpr PackedForm form = packed_forms[index];
  Job job = {static_cast<const uint8_t*>(w), rows, cols,    static_cast<const uint8_t*>(x),
             integer_row(cols).bytes,        y,    y_stride};
  for (uint32_t some = 0; count > 0; count -= some) {
    some = count < tile_rows ? count : tile_rows;
    if (some > few_rows) {
      multiply_tiles<form>(job, some);
    } else {
      multiply_few<form>(job, some);
    }
    job.x += some * job.x_bytes;
    job.y += some * y_stride;
  }
}

template <uint32_t index>
constexpr PackedKernels kernels_of() {
  static_assert(sums_blocks(packed_forms[index]));
  return {packed_forms[index].type, product<index>, rounded_together(packed_forms[index])};
}

}  // namespace

const PackedKernels packed[packed_count] = {
    kernels_of<5>(),  kernels_of<6>(),  kernels_of<7>(),  kernels_of<8>(),  kernels_of<9>(),
    kernels_of<19>(), kernels_of<20>(), kernels_of<23>(), kernels_of<24>(),
};

}  // namespace hearth::cpu::amx
