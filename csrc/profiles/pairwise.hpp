#pragma once
// Sums over features for all pairs of rows of two tables, every pair in the same order of additions: equal
// rows have equal sums, so ties of distances stay ties.
#include <cstdint>

#include "core/isa.hpp"
#include "core/parallel.hpp"

namespace vcm {

enum class PairTerm { cityblock, sqeuclidean, product };  // |x - y|, (x - y)^2, x y

struct PairwiseJob {
  const double* x;  // [n_x][n_features]
  const double* y;  // [n_y][n_features]
  std::int64_t n_x, n_y, n_features;
  const std::int64_t* left_out;  // [n_x]: feature without which row i is summed, -1 none; null: all
  PairTerm term;
  double* out;  // [n_x][n_y]
};

// Pairs in tiles of kPairTile rows a side, features in blocks of kPairBlock: both tables of a tile stay in
// the second-level cache. kPairLanes sums run side by side, feature k in lane k % kPairLanes.
inline constexpr int kPairTile = 32;
inline constexpr int kPairBlock = 1024;
inline constexpr int kPairLanes = 8;

// One tile: rows first_x … last_x-1 against first_y … last_y-1.
VCM_DECLARE_ISA(void, pairwise_tile,
                (const PairwiseJob& job, std::int64_t first_x, std::int64_t last_x, std::int64_t first_y,
                 std::int64_t last_y))

void pairwise(const PairwiseJob& job, const Team& team);

}  // namespace vcm
