#pragma once
// From rank sums to p-values, and p-values adjusted for many tests.
#include <cstdint>

#include "core/parallel.hpp"

namespace vcm {

// p[t][g] = min(1, erfc(z / sqrt 2)), z = (max(U, mn - U) - mn/2 - c) / s with U = u2/2, m = sizes[t],
// N = m + n, s^2 = mn/12 * ((N + 1) - tie / (N (N - 1))), c = 1/2 with continuity, else 0. s^2 <= 0 gives 1.
// All tables are [n_rows][n_cols].
struct RankSumTest {
  const std::int64_t* u2;
  const double* tie;
  const std::int64_t* sizes;  // [n_rows]
  std::int64_t n;             // cells of the control
  std::int64_t n_rows, n_cols;
  bool continuity;
  double* p;
};
void two_sided_p(const RankSumTest& test, const Team& team);

// Benjamini-Hochberg in each row of p [n_rows][n_cols]; NaN stays NaN and is not counted.
void benjamini_hochberg(const double* p, std::int64_t n_rows, std::int64_t n_cols, double* adjusted,
                        const Team& team);

}  // namespace vcm
