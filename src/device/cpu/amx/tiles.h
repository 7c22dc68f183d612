#pragma once

// The product of bfloat16 panels in AMX tiles.
//
// A panel as it lies is a sequence of right-hand tiles, each 16 pairs of k × 16 weight rows in 1 KiB.
// Activations lie in blocks of sixteen rows that are sequences of left-hand tiles, each 16 rows × 32 columns:
// what a product reads follows each other in memory.
#include "device/cpu/amx/product.h"

namespace hearth::cpu {
namespace {

// Columns for which two panels stay in the first-level cache while the activations pass by. What limits is
// the second level, which delivers these and the sums.
constexpr uint32_t tile_cols = 256;

void enter() { configure(tile_rows); }
void leave() { _tile_release(); }

// One or two blocks of activations with one or two panels.
struct TileJob {
  const uint16_t *panel, *acts;
  size_t panel_step, act_step;  // numbers from one panel, or block of activations, to the next
  uint32_t k;
  float* y;
  size_t y_stride;
  bool accumulate;
  const Meanwhile* meanwhile;

  void do_something_else() const {
    if (meanwhile != nullptr) meanwhile->some(meanwhile->work);
  }
};

template <uint32_t blocks, uint32_t panels>
void multiply(const TileJob& job) {
  const TileSums sums = {job.y, tile_rows * job.y_stride, panel_rows, job.y_stride};
  if (job.accumulate) {
    load_sums<blocks, panels>(sums);
  } else {
    clear_sums();
  }
  multiply_tiles<blocks, panels>(job.acts, job.act_step, job.panel, job.panel_step, job.k / 32);
  store_sums<blocks, panels>(sums);
}

// One or two panels with all blocks of activations.
template <uint32_t panels>
void multiply_blocks(TileJob job, uint32_t blocks) {
  for (; blocks >= 2; blocks -= 2) {
    multiply<2, panels>(job);
    job.do_something_else();
    job.acts += 2 * job.act_step;
    job.y += 2 * tile_rows * job.y_stride;
  }
  if (blocks == 0) return;
  multiply<1, panels>(job);
  job.do_something_else();
}

// The last `rows` weight rows, which do not fill a panel, with blocks of `m` activation rows.
void multiply_rest(TileJob job, uint32_t blocks, uint32_t m, uint32_t rows) {
  alignas(64) float sums[tile_rows][panel_rows];
  TileJob one = job;
  one.y = sums[0];
  one.y_stride = panel_rows;
  one.accumulate = false;
  for (uint32_t b = 0; b < blocks; ++b, one.acts += job.act_step) {
    multiply<1, 1>(one);
    job.do_something_else();
    for (uint32_t i = 0; i < m; ++i, job.y += job.y_stride) {
      for (uint32_t r = 0; r < rows; ++r) job.y[r] = sums[i][r] + (job.accumulate ? job.y[r] : 0.0F);
    }
  }
}

// All panels with `blocks` blocks of `m` activation rows.
void multiply_all(TileJob job, uint32_t rows, uint32_t blocks, uint32_t m) {
  for (; rows >= 2 * panel_rows; rows -= 2 * panel_rows) {
    multiply_blocks<2>(job, blocks);
    job.panel += 2 * job.panel_step;
    job.y += 2 * panel_rows;
  }
  if (rows >= panel_rows) {
    multiply_blocks<1>(job, blocks);
    job.panel += job.panel_step;
    job.y += panel_rows;
    rows -= panel_rows;
  }
  if (rows > 0) multiply_rest(job, blocks, m, rows);
}

// Whole blocks of activations in the configuration that enter() made; the rest in one of its own, which is
// put back afterwards. Both cost less than one tile load.
void run(const void* panel, uint32_t rows, const void* acts, uint32_t m, uint32_t k, float* y,
         size_t y_stride, bool accumulate, const Meanwhile* meanwhile) {
  const size_t step = size_t{k} * panel_rows;
  TileJob job = {static_cast<const uint16_t*>(panel),
                 static_cast<const uint16_t*>(acts),
                 step,
                 step,
                 k,
                 y,
                 y_stride,
                 accumulate,
                 meanwhile};
  const uint32_t whole = m / tile_rows, rest = m % tile_rows;
  if (whole > 0) multiply_all(job, rows, whole, tile_rows);
  if (rest == 0) return;
  job.acts += whole * step;
  job.y += whole * tile_rows * y_stride;
  configure(rest);
  multiply_all(job, rows, 1, rest);
  configure(tile_rows);
}

}  // namespace
}  // namespace hearth::cpu
