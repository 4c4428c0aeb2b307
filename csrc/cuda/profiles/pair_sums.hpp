#pragma once
// Sums over features for all pairs of rows of two tables on the device; the same bits as pair_panels on the
// CPU.
#include <cstdint>

#include "cuda/core/stream.hpp"
#include "profiles/pairwise.hpp"

namespace vcm::cuda {

struct PairSumsJob {
  const void* x;  // [n_x][n_features], float or double
  const void* y;  // [n_y][n_features], the same type; the same table as x: half the pairs are mirrored
  bool is_float;
  std::int64_t n_x, n_y, n_features;
  PairTerm term;
  double* out;  // [n_x][n_y], overwritten
};
void launch_pair_sums(const PairSumsJob& job, Stream stream);

// out[i] = sum of squares of row i of [n][n_features], with the bits of the row's product with itself.
void launch_row_squares(const void* table, bool is_float, std::int64_t n, std::int64_t n_features,
                        double* out, Stream stream);

}  // namespace vcm::cuda
