#pragma once

// What both ways to multiply strips share.
#include "device/cpu/avx512vnni/levels.h"

namespace hearth::cpu {
namespace {

struct Job {
  const uint8_t* strip;
  uint32_t rows, cols;  // rows of this strip: 1 … 16
  const uint8_t* x;
  size_t x_bytes;
  float* y;
  size_t y_stride;
};

template <class T>
inline T at(const uint8_t* p) {
  T v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
inline __m512i four_columns(const uint8_t* p) { return _mm512_set1_epi32(at<int32_t>(p)); }
inline __m512 one_float(const uint8_t* p) { return _mm512_set1_ps(at<float>(p)); }
inline __mmask16 real_rows(const Job& job) { return _cvtu32_mask16((1U << job.rows) - 1U); }

// What the next strip begins with is asked for while one is read, `step` bytes for 32 columns: memory is read
// as one stream.
class Ahead {
 public:
  Ahead(const Job& job, size_t next)
      : at_(job.strip + next), step_(next == 0 ? 0 : next / (job.cols / 32) + 1) {}
  void ask() {
    for (size_t i = 0; i < step_; i += 64) _mm_prefetch(reinterpret_cast<const char*>(at_ + i), _MM_HINT_T1);
    at_ += step_;
  }

 private:
  const uint8_t* at_;
  size_t step_;
};

}  // namespace
}  // namespace hearth::cpu
