#include "profiles/pairwise.hpp"

#include <algorithm>

namespace vcm {

void pairwise(const PairwiseJob& job, const Team& team) {
  const std::int64_t tiles_x = (job.n_x + kPairTile - 1) / kPairTile;
  const std::int64_t tiles_y = (job.n_y + kPairTile - 1) / kPairTile;
  const auto tile = VCM_SELECT_ISA(pairwise_tile);
  const auto body = [&](std::int64_t task, int, const std::atomic<bool>&) {
    const std::int64_t x = task / tiles_y * kPairTile, y = task % tiles_y * kPairTile;
    tile(job, x, std::min(x + kPairTile, job.n_x), y, std::min(y + kPairTile, job.n_y));
  };
  for_each_task(team, tiles_x * tiles_y, job.n_x * job.n_y * job.n_features, body);
}

}  // namespace vcm
