#include "device/cpu/amx/kernels.h"
#include "device/cpu/amx/tiles.h"
#include "device/cpu/avx512bf16/kernels.h"

namespace hearth::cpu::amx {
namespace {

// A row of a block is 32 columns of each tile.
void pack_acts(const float* x, uint32_t row, uint32_t k, void* acts) {
  auto* to = static_cast<uint16_t*>(acts) + row / tile_rows * tile_rows * size_t{k} + row % tile_rows * 32;
  for (uint32_t c = 0; c < k; c += 32, to += tile_values) {
    const __m512bh both = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + c + 16), _mm512_loadu_ps(x + c));
    _mm512_storeu_si512(to, (__m512i)both);
  }
}

}  // namespace

const MatmulKernels matmul = {PanelFormat::bf16,
                              tile_rows,
                              tile_cols,
                              avx512bf16::pack_panel,
                              pack_acts,
                              run,
                              enter,
                              leave,
                              avx512bf16::expanders,
                              avx512bf16::converters};

}  // namespace hearth::cpu::amx
