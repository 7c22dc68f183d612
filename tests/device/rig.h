#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "device/device.h"

namespace hearth {

using Matrix = std::vector<std::vector<double>>;  // [rows][cols]

// A program under construction with its weights (F32, or as `type` says) and a device to run it on. Served:
// with the copy of the weights and the integers that models are served with.
class Rig {
 public:
  explicit Rig(std::string set, uint32_t threads = 2, bool served = false)
      : device_(open_cpu_device({std::move(set), threads, !served})) {}

  Act act(uint32_t cols) {
    program.acts.push_back({cols});
    return {static_cast<uint32_t>(program.acts.size()), cols};
  }
  void push(Op op) {
    program.ops.push_back(op);
    program.layer_of.push_back(0);
  }
  // Normally distributed values; `stack` matrices one after the other.
  Weight weight(uint32_t rows, uint32_t cols, float scale = 1, float offset = 0, uint32_t stack = 1,
                DType type = DType::f32) {
    std::vector<float> values(size_t{rows} * cols * stack);
    std::normal_distribution<float> normal;
    for (float& v : values) v = normal(random_) * scale + offset;
    program.weights.push_back({"w", type, {rows, cols, stack}});
    std::vector<std::byte> bytes(row_bytes(type, values.size()).value());
    if (type == DType::f32) {
      std::memcpy(bytes.data(), values.data(), bytes.size());
    } else {
      type_info(type).round(values, bytes);
      type_info(type).decode(bytes, values);
    }
    bytes_.push_back(std::move(bytes));
    values_.push_back(std::move(values));
    return {static_cast<uint32_t>(values_.size())};
  }
  Matrix matrix(Weight w) const {
    const Shape& s = program.weights[w.id - 1].shape;
    Matrix m(s.rows * s.stack, std::vector<double>(s.cols));
    for (size_t r = 0; r < m.size(); ++r) {
      for (size_t c = 0; c < s.cols; ++c) m[r][c] = static_cast<double>(values_[w.id - 1][r * s.cols + c]);
    }
    return m;
  }

  // Rows of the embedding table as input; one sequence of `rows` tokens, or `pictures` that have so many
  // together. The program must end in Pool or Logits.
  Matrix run(uint32_t rows, KvType kv = KvType::f32) {
    std::vector<Slice> slices;
    uint32_t pages = 0, at = 0;
    for (const Picture& p : pictures) {
      slices.push_back({at, p.down * p.across, 0});
      at += slices.back().rows;
    }
    if (pictures.empty()) slices.push_back({0, rows, 0});
    for (const Slice& s : slices) pages = std::max(pages, (s.rows + page_tokens - 1) / page_tokens);
    const auto executable = prepare(rows, pages * static_cast<uint32_t>(slices.size()), kv);
    return step(*executable, slices, pages);
  }

  // Several sequences, all of the same tokens: how many rows of each the steps have. Results of each
  // sequence.
  std::vector<Matrix> run_steps(const std::vector<std::vector<uint32_t>>& steps, KvType kv = KvType::f32) {
    const size_t sequences = steps.front().size();
    std::vector<uint32_t> done(sequences, 0);
    uint32_t most = 0, longest = 0;
    for (const auto& rows : steps) {
      uint32_t all = 0;
      for (size_t s = 0; s < sequences; ++s) all += rows[s], done[s] += rows[s];
      most = std::max(most, all);
    }
    for (uint32_t& d : done) longest = std::max(longest, std::exchange(d, 0));
    const uint32_t pages = (longest + page_tokens - 1) / page_tokens;
    const auto executable = prepare(most, pages * static_cast<uint32_t>(sequences), kv);
    std::vector<Matrix> out(sequences);
    for (const auto& rows : steps) {
      std::vector<Slice> slices;
      std::vector<PageId> tables;
      uint32_t at = 0;
      for (size_t s = 0; s < sequences; ++s) {
        if (rows[s] == 0) continue;
        slices.push_back({at, rows[s], done[s]});
        at += rows[s];
        // The last sequence has the first pages.
        for (uint32_t p = 0; p < pages; ++p)
          tables.push_back({static_cast<uint32_t>(sequences - 1 - s) * pages + p});
      }
      const Matrix results = step(*executable, slices, pages, tables);
      auto from = results.begin();
      for (size_t s = 0; s < sequences; ++s) {
        out[s].insert(out[s].end(), from, from + rows[s]);
        from += rows[s];
        done[s] += rows[s];
      }
    }
    return out;
  }

  Program program;
  std::vector<Picture> pictures;

 private:
  // Everything is loaded for steps of so many rows and caches of so many pages.
  std::unique_ptr<Executable> prepare(uint32_t rows, uint32_t pages, KvType kv) {
    if (const auto* pool = std::get_if<Pool>(&program.ops.back())) program.outputs = pool->outputs;
    if (const auto* head = std::get_if<Logits>(&program.ops.back())) {
      program.outputs = static_cast<uint32_t>(program.weights[head->weight.id - 1].shape.rows);
    }
    DeviceBuffers plan;
    plan.kv = {kv, kv};
    plan.pages.assign(program.caches.size(), pages);
    const Layout layout = lay_out(program, rows);
    plan.buffers = {{BufferKind::arena, layout.peak, false},
                    {BufferKind::workspace, device_->workspace(program, rows), false},
                    {BufferKind::results, uint64_t{rows} * program.outputs * 4, false},
                    {BufferKind::weights, device_->resident(program), false}};
    device_->reserve(plan, program);
    for (uint32_t i = 0; i < values_.size(); ++i) {
      const WeightInfo& w = program.weights[i];
      device_->load({i + 1}, {"w", w.type, w.shape, bytes_[i]});
    }
    return device_->prepare(program, layout);
  }

  // One step, all of whose rows are wanted; tables: [slices × stride], empty: pages 0, 1, 2 …
  Matrix step(Executable& executable, const std::vector<Slice>& slices, uint32_t stride,
              std::vector<PageId> tables = {}) {
    std::vector<TokenId> tokens;
    std::vector<uint32_t> positions, wanted;
    for (const Slice& s : slices) {
      for (uint32_t r = 0; r < s.rows; ++r) {
        tokens.push_back({static_cast<int32_t>(s.cached + r)});
        positions.push_back(s.cached + r);
        wanted.push_back(s.first_row + r);
      }
    }
    for (uint32_t p = 0; tables.size() < stride * slices.size(); ++p) tables.push_back({p});
    const std::vector<std::span<const PageId>> spans(program.caches.size(), tables);
    uint32_t left = static_cast<uint32_t>(wanted.size());
    for (const Op& op : program.ops) left = rows_behind(op, left);
    wanted.resize(left);
    StepInputs in;
    if (pictures.empty()) in.tokens = tokens;
    in.pictures = pictures;
    in.positions = positions;
    in.slices = slices;
    in.page_tables = spans;
    in.table_stride = stride;
    in.result_rows = wanted;
    // Both groups of kernels take part.
    in.exact_rows = pictures.size() > 1 ? slices[0].rows : std::min(static_cast<uint32_t>(tokens.size()), 5U);
    executable.run(in);
    const auto results = executable.results();
    Matrix out;
    for (size_t at = 0; at < results.size(); at += program.outputs) {
      out.emplace_back(results.begin() + static_cast<long>(at),
                       results.begin() + static_cast<long>(at + program.outputs));
    }
    return out;
  }

  std::unique_ptr<Device> device_;
  std::vector<std::vector<float>> values_;
  std::vector<std::vector<std::byte>> bytes_;
  std::mt19937 random_{17};
};

inline void expect_near(const Matrix& a, const Matrix& b, double tolerance) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t r = 0; r < a.size(); ++r) {
    ASSERT_EQ(a[r].size(), b[r].size());
    for (size_t c = 0; c < a[r].size(); ++c) {
      ASSERT_NEAR(a[r][c], b[r][c], tolerance * (1 + std::fabs(b[r][c]))) << "row " << r << " column " << c;
    }
  }
}

// x · wᵀ
inline Matrix times(const Matrix& x, const Matrix& w) {
  Matrix y(x.size(), std::vector<double>(w.size(), 0));
  for (size_t i = 0; i < x.size(); ++i) {
    for (size_t o = 0; o < w.size(); ++o) {
      for (size_t k = 0; k < x[i].size(); ++k) y[i][o] += x[i][k] * w[o][k];
    }
  }
  return y;
}

}  // namespace hearth
