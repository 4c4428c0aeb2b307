#pragma once
// The moments of group_moments.hpp for cells in compressed rows, without densifying.
#include <cstdint>

#include "core/parallel.hpp"
#include "core/views.hpp"

namespace vcm {

// counts [n_groups], mean and m2 [n_groups][n_cols], NaN for an empty group; codes [n_rows] in [-1,
// n_groups). Columns must ascend strictly inside a row: what is not stored counts as 0.
void group_moments(const RowsView& rows, const std::int32_t* codes, std::int64_t n_groups,
                   std::int64_t* counts, double* mean, double* m2, const Team& team);

}  // namespace vcm
