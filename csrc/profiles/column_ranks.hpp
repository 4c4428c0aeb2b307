#pragma once
// Average ranks of the columns of two tables, and their exact moments. Ranks are integers when doubled, so no
// order of additions shows in the sums of up to kExactRows rows.
#include <cstdint>

#include "core/parallel.hpp"

namespace vcm {

struct RankJob {
  const void* x;  // row r of x begins at x + rows_x[r] * stride_x elements
  const void* y;
  bool x_single, y_single;  // float32, else float64
  std::int64_t stride_x, stride_y;
  const std::int64_t* rows_x;  // [n_rows]
  const std::int64_t* rows_y;  // [n_rows]
  std::int64_t n_rows, n_columns;
  // per column: pairs of finite values (others are passed over), Σa², Σb², Σab of the centred average ranks
  double* moments;  // [4][n_columns]; null: not wanted
  // average ranks 1 … n among the pairs used, NaN elsewhere; null: not wanted
  double* ranks_x;  // [n_rows][n_columns]
  double* ranks_y;
};

inline constexpr std::int64_t kExactRows = std::int64_t{1} << 20;
inline constexpr int kRankColumns =
    16;  // columns that are gathered together: the lines of a row are read once

void column_ranks(const RankJob& job, const Team& team);

}  // namespace vcm
