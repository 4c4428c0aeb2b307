#pragma once
// Mean Euclidean distances between groups of sparse cells. docs: vcmetrics.reference.cells.mean_distances.
#include <cstdint>

#include "core/parallel.hpp"
#include "core/views.hpp"

namespace vcm {

struct MeanDistanceJob {
  const std::int32_t* codes;  // [n_rows], group of the cell, -1 = not used
  std::int64_t n_groups;
  const std::int32_t* pairs;  // [n_pairs][2], in [0, n_groups)
  std::int64_t n_pairs;
  double* means;  // [n_pairs]
};

// Columns must ascend strictly inside each used row and lie in [0, n_cols): checked, std::invalid_argument.
// The used cells' panels are unpacked within kPanelBytes; one group's 512 rows are held at least.
inline constexpr std::int64_t kPanelBytes = std::int64_t{192} << 20;
void mean_distances(const RowsView& rows, const MeanDistanceJob& job, const Team& team);

}  // namespace vcm
