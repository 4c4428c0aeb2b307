#pragma once
// Mean terms over the pairs of cells of two groups. docs: vcmetrics.reference.pairs.pair_means.
#include <atomic>
#include <cstdint>

#include "core/parallel.hpp"
#include "core/views.hpp"
#include "tiles/mean_plan.hpp"
#include "tiles/pair_block.hpp"

namespace vcm {

struct PairMeansJob {
  const std::int32_t* codes;  // [cells.rows], group of the cell, -1 = not used
  std::int64_t n_groups;
  const std::int32_t* pairs;  // [n_pairs][2], in [0, n_groups)
  std::int64_t n_pairs;
  CellTerm term;
  const double* gammas;  // [n_gammas], read for rbf; n_gammas is 1 for the other terms
  std::int64_t n_gammas;
  Estimator estimator;
  double* means;                      // [n_gammas][n_pairs]
  std::atomic<std::int64_t> done{0};  // pairs of cells, for progress
  std::atomic<std::int64_t> total{0};
};

// T is float or double. Cells are widened in panels of at most kPackedBytes together, never all of them.
inline constexpr std::int64_t kPackedBytes = std::int64_t{32} << 20;
template <class T>
void pair_means(const MatrixView<T>& cells, PairMeansJob& job, const Team& team);

}  // namespace vcm
