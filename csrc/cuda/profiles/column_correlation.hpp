#pragma once
// Co-moments of two tables, column by column, on the device. Blocks of kCoMomentRows rows are looked at twice
// and merged as on the CPU; chunks of kCoMomentChunk rows are worked on side by side and merged in order, so
// the last digits differ from the CPU's where there is more than one chunk, and from run to run never.
#include <cstdint>

#include "cuda/core/stream.hpp"
#include "profiles/column_correlation.hpp"

namespace vcm::cuda {

inline constexpr std::int64_t kCoMomentChunk = 256;  // rows; a multiple of kCoMomentRows

struct CoMomentsJob {
  const void* x;  // row r begins at x + r * stride_x elements
  const void* y;
  bool is_float;
  std::int64_t stride_x, stride_y;
  const double* weights;  // [n_rows], finite, not negative, rows of weight 0 are passed over; null: all 1
  std::int64_t n_rows, n_columns;
  double* chunks;  // scratch, [co_moment_chunks(n_rows)][kCoMoments][n_columns]
  double* state;   // [kCoMoments][n_columns], overwritten
};
constexpr std::int64_t co_moment_chunks(std::int64_t n_rows) {
  return (n_rows + kCoMomentChunk - 1) / kCoMomentChunk;
}
void launch_co_moments(const CoMomentsJob& job, Stream stream);

}  // namespace vcm::cuda
