#pragma once

// The product of bfloat16 panels in AMX tiles.
//
// A panel as it lies is a sequence of right-hand tiles, each 16 pairs of k × 16 weight rows in 1 KiB; sixteen
// rows of packed activations with their own stride are a left-hand tile. Eight tiles are used as
//   0 … 3 sums (activation block × panel), 4 and 5 activations, 6 and 7 panels,
// so that a step of 32 along k loads four tiles for four products.
#include "device/cpu/amx/config.h"
#include "device/cpu/table.h"

namespace hearth::cpu {
namespace {

void enter() { configure(tile_rows); }
void leave() { _tile_release(); }

struct TileJob {
  const uint16_t *panel, *acts;
  uint32_t m, rows, k;  // m activation rows (≤ 32), `rows` weight rows (≤ 32)
  float* y;
  size_t y_stride;
  bool accumulate;

  const uint16_t* act_tile(uint32_t block, uint32_t at) const {
    return acts + block * tile_rows * size_t{k} + at;
  }
  const uint16_t* panel_tile(uint32_t j, uint32_t at) const {
    return panel + (j * size_t{k} + at) * panel_rows;
  }
};

// The sums of one tile to y: m × n of them are real.
void put(const float (&sums)[tile_rows][panel_rows], const TileJob& job, uint32_t block, uint32_t j) {
  const uint32_t first = block * tile_rows, left = job.m - first, right = job.rows - j * panel_rows;
  const uint32_t m = left < tile_rows ? left : tile_rows, n = right < panel_rows ? right : panel_rows;
  for (uint32_t i = 0; i < m; ++i) {
    float* y = job.y + (first + i) * job.y_stride + j * panel_rows;
    for (uint32_t r = 0; r < n; ++r) y[r] = sums[i][r] + (job.accumulate ? y[r] : 0.0F);
  }
}

// 32 activation rows × two panels.
void multiply_2x2(const TileJob& job) {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  const size_t stride = size_t{job.k} * sizeof(uint16_t);
  for (uint32_t k = 0; k < job.k; k += 32) {
    _tile_loadd(4, job.act_tile(0, k), stride);
    _tile_loadd(6, job.panel_tile(0, k), 64);
    _tile_loadd(5, job.act_tile(1, k), stride);
    _tile_loadd(7, job.panel_tile(1, k), 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  alignas(64) float sums[4][tile_rows][panel_rows];
  _tile_stored(0, sums[0], 64);
  _tile_stored(1, sums[1], 64);
  _tile_stored(2, sums[2], 64);
  _tile_stored(3, sums[3], 64);
  put(sums[0], job, 0, 0);
  put(sums[1], job, 0, 1);
  put(sums[2], job, 1, 0);
  put(sums[3], job, 1, 1);
}

// At most 16 activation rows × one or two panels. Two sums per panel, so that products need not wait for each
// other.
void multiply_1x2(const TileJob& job) {
  const bool second = job.rows > panel_rows;
  _tile_zero(0);
  _tile_zero(1);
  const size_t stride = size_t{job.k} * sizeof(uint16_t);
  for (uint32_t k = 0; k < job.k; k += 32) {
    _tile_loadd(4, job.act_tile(0, k), stride);
    _tile_loadd(6, job.panel_tile(0, k), 64);
    _tile_dpbf16ps(0, 4, 6);
    if (second) {
      _tile_loadd(7, job.panel_tile(1, k), 64);
      _tile_dpbf16ps(1, 4, 7);
    }
  }
  alignas(64) float sums[2][tile_rows][panel_rows];
  _tile_stored(0, sums[0], 64);
  put(sums[0], job, 0, 0);
  if (second) {
    _tile_stored(1, sums[1], 64);
    put(sums[1], job, 0, 1);
  }
}

// Two panels (or the last one) with all activation rows from `first` to `end`.
void multiply_rows(TileJob job, uint32_t first, uint32_t end) {
  job.acts += first * size_t{job.k};
  job.y += first * job.y_stride;
  while (first < end) {
    const bool pair = end - first >= 2 * tile_rows && job.rows > panel_rows;
    job.m = pair ? 2 * tile_rows : end - first < tile_rows ? end - first : tile_rows;
    if (pair) {
      multiply_2x2(job);
    } else {
      multiply_1x2(job);
    }
    job.acts += job.m * size_t{job.k};
    job.y += job.m * job.y_stride;
    first += job.m;
  }
}

void multiply_range(TileJob job, uint32_t rows, uint32_t first, uint32_t end) {
  for (uint32_t left = rows; left > 0; left -= job.rows) {
    job.rows = left < 2 * panel_rows ? left : 2 * panel_rows;
    multiply_rows(job, first, end);
    job.panel += size_t{job.rows} * job.k;
    job.y += job.rows;
  }
}

// Whole blocks of 16 activation rows in the configuration that enter() made; the rest in one of its own,
// which is put back afterwards. Both cost less than one tile load.
void run(const void* panel, uint32_t rows, const void* acts, uint32_t m, uint32_t k, float* y,
         size_t y_stride, bool accumulate) {
  const TileJob job = {static_cast<const uint16_t*>(panel),
                       static_cast<const uint16_t*>(acts),
                       0,
                       0,
                       k,
                       y,
                       y_stride,
                       accumulate};
  const uint32_t whole = m / tile_rows * tile_rows;
  multiply_range(job, rows, 0, whole);
  if (whole == m) return;
  configure(m - whole);
  multiply_range(job, rows, whole, m);
  configure(tile_rows);
}

}  // namespace
}  // namespace hearth::cpu
