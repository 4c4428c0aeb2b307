#pragma once
// Errors and correlation of predicted profiles against their own observed ones, in one visit of both tables.
#include <cstdint>

#include "core/isa.hpp"
#include "core/parallel.hpp"

namespace vcm {

// One row's answers. Effects are profile minus control, of each side its own. `pearson` is NaN where an
// effect is constant or not finite; ranges ignore NaN.
struct ProfileErrors {
  double mae, mse, delta_mae, delta_mse, pearson;
  double low_pred, high_pred, low_real, high_real;  // range of the effects
};

struct ProfileErrorsJob {
  const void* x;  // [n][n_genes], float or double
  bool single;
  const double* real;         // [n_real][n_genes]
  const std::int64_t* match;  // [n]: the row of `real` that row i predicts
  const double* control_x;    // [n_genes]
  const double* control_real;
  std::int64_t n, n_genes;
  ProfileErrors* out;            // [n]
  double* effects;               // [n][n_genes]: predicted effects; null: not wanted
  const std::int64_t* left_out;  // genes that are zero in `effects`
  std::int64_t n_left_out;
};

// Rows first … last-1. Sums run in 8 lanes by position, combined by halving.
VCM_DECLARE_ISA(void, profile_errors_rows,
                (const ProfileErrorsJob& job, std::int64_t first, std::int64_t last))

void profile_errors(const ProfileErrorsJob& job, const Team& team);

}  // namespace vcm
