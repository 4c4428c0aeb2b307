#pragma once
// Sums of a distance or kernel over all pairs of cells of two groups, on the device.
#include <cstdint>

#include "cuda/core/stream.hpp"
#include "ops/cell_terms.hpp"
#include "profiles/pairwise.hpp"

namespace vcm::cuda {

struct GroupPairSumsJob {
  const void* cells;  // [n_cells][n_features], float or double, the cells of a group one after the other
  bool is_float;
  std::int64_t n_features;
  const std::int64_t* starts;  // [n_groups + 1], first cell of each group
  const std::int32_t* pairs;   // [n_pairs][2]
  const std::int64_t* tasks;   // [n_pairs + 1], first tile of each pair: pair_tiles of its two groups each
  std::int64_t n_pairs, n_tasks;
  PairTerm term;  // cityblock or sqeuclidean
  PairFinish finish;
  const double* gammas;  // [n_gammas], read for rbf; n_gammas is 1 for the others
  std::int64_t n_gammas;
  double* tiles;  // scratch, [n_gammas][n_tasks]
  // [n_gammas][n_pairs], over ordered pairs; a group with itself counts each pair twice and the diagonal once
  double* sums;
};
void launch_group_pair_sums(const GroupPairSumsJob& job, Stream stream);

}  // namespace vcm::cuda
