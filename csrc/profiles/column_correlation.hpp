#pragma once
// Co-moments of two tables, column by column, in one pass over the rows. A column's numbers depend on its own
// values and on the row list alone: the same bits for any threads, instruction set and tile width.
#include <cstdint>

#include "core/isa.hpp"
#include "core/parallel.hpp"

namespace vcm {

// Rows of the state: pairs used, their summed weight, the first pair, means less that pair, centred second
// moments. Means count from a pair of the data, so that far from zero nothing is lost.
enum CoMoment : int {
  kCount,
  kWeight,
  kFirstX,
  kFirstY,
  kMeanX,
  kMeanY,
  kMomentX,
  kMomentY,
  kMomentXY,
  kCoMoments
};

struct CoMomentJob {
  const void* x;  // row r of x begins at x + rows_x[r] * stride_x elements
  const void* y;
  bool x_single, y_single;  // float32, else float64
  std::int64_t stride_x, stride_y;
  const std::int64_t* rows_x;  // [n_rows]
  const std::int64_t* rows_y;  // [n_rows]
  const double* weights;       // [n_rows], positive and finite; null: all 1
  std::int64_t n_rows, n_columns;
  double* state;  // [kCoMoments][n_columns], zeros or what an earlier call left
};

// The listed rows go by blocks of kCoMomentRows: the block's mean, then deviations from it, then the block is
// merged into the state. A constant column has moments of exactly 0. A pair of which a value is not finite is
// passed over in its column. kCoMomentColumns columns of a block stay in the second-level cache between the
// two looks at them.
inline constexpr int kCoMomentRows = 32;
inline constexpr int kCoMomentColumns = 1024;

// Columns first … last-1, at most kCoMomentColumns of them.
VCM_DECLARE_ISA(void, co_moments_tile, (const CoMomentJob& job, std::int64_t first, std::int64_t last))

void co_moments(const CoMomentJob& job, const Team& team);

}  // namespace vcm
