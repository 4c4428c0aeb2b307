#include "profiles/column_correlation.hpp"

#include <algorithm>

namespace vcm {

void co_moments(const CoMomentJob& job, const Team& team) {
  const std::int64_t tiles = (job.n_columns + kCoMomentColumns - 1) / kCoMomentColumns;
  const auto tile = VCM_SELECT_ISA(co_moments_tile);
  const auto body = [&](std::int64_t task, int, const std::atomic<bool>&) {
    const std::int64_t first = task * kCoMomentColumns;
    tile(job, first, std::min(first + kCoMomentColumns, job.n_columns));
  };
  for_each_task(team, tiles, job.n_rows * job.n_columns, body);
}

}  // namespace vcm
