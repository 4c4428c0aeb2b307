#pragma once
// How many candidates stand before the own one in each row of a table of distances: counts, so no order of
// equals and no order of threads enters.
#include <cstdint>

#include "cuda/core/stream.hpp"

namespace vcm::cuda {

struct MatchCountsJob {
  const void* distances;  // [n][n_candidates], float or double, rows `row_stride` elements apart
  bool is_float;
  std::int64_t n, n_candidates, row_stride;
  const std::int64_t* own;  // [n], in [0, n_candidates)
  // [3][n]: nearer than the own candidate; equally near, it not counted; of these, in columns before it. NaN
  // is farther than every number and equal to NaN.
  std::int64_t* counts;
};
void launch_match_counts(const MatchCountsJob& job, Stream stream);

}  // namespace vcm::cuda
