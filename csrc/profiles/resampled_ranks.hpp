#pragma once
// Spearman correlation of the columns of two tables in many resamples of their rows, each ranked anew: a row
// that was drawn k times is k tied values.
#include <cstdint>

#include "core/isa.hpp"
#include "core/parallel.hpp"

namespace vcm {

struct RankResampleJob {
  const double* x;  // [n_rows][n_columns], finite
  const double* y;
  const double* counts;  // [n_resamples][n_rows], whole and not negative
  std::int64_t n_rows, n_columns, n_resamples;
  double* out;  // [n_resamples][n_columns]; NaN where a side is constant among the rows drawn
};

inline constexpr int kResampleLanes = 8;  // resamples side by side; ranks are halves of whole numbers: exact

// One column: rows in ascending order of either side, and for each place the end of its run of equal values.
struct RankedColumn {
  const std::int32_t* order[2];
  const std::int32_t* end[2];
  const double* counts;  // [n_rows][n_padded], n_padded a multiple of kResampleLanes
  std::int64_t n_rows, n_padded;
  double* ranks[2];  // scratch, [n_rows][kResampleLanes]
  double* out;       // [n_padded]
};

VCM_DECLARE_ISA(void, resampled_ranks_column, (const RankedColumn& column))

void resampled_ranks(const RankResampleJob& job, const Team& team);

}  // namespace vcm
