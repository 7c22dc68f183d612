// The rate of bfloat16 products in tiles.
#include "device/cpu/amx/config.h"
#include "device/cpu/amx/kernels.h"

namespace hearth::cpu::amx {
namespace {

void run(uint64_t rounds) {
  configure(tile_rows);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_zero(4);
  _tile_zero(5);
  _tile_zero(6);
  _tile_zero(7);
  for (uint64_t r = 0; r < rounds; ++r) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_release();
}

}  // namespace

const PeakKernel peak = {uint64_t{4} * 2 * 16 * 16 * 32, run};

}  // namespace hearth::cpu::amx
