#pragma once
// Sums over features for all pairs of rows of two tables, through packed panels, every term in float64:
// kPanelDepth features in ascending order, then those partial sums. A pair's bits depend on its two rows
// alone, not on tiles, threads or instruction set; float32 tables give the bits of their float64 copies.
#include <cstdint>

#include "core/isa.hpp"
#include "core/parallel.hpp"
#include "profiles/pairwise.hpp"

namespace vcm {

struct PanelJob {
  const void* x;  // [n_x][n_features], float or double
  const void* y;  // [n_y][n_features], the same type; the same table as x: half the pairs are mirrored
  bool is_float;
  std::int64_t n_x, n_y, n_features;
  PairTerm term;
  const std::int64_t* without;  // features that no pair is summed over, ascending
  std::int64_t n_without;
  double* out;  // [n_x][n_y], overwritten
};

inline constexpr std::int64_t kPanelDepth = 256;  // features of a partial sum
inline constexpr std::int64_t kPanelRows = 384;   // most rows of a tile's side
inline constexpr std::int64_t kPanelUnit = 48;    // rows of a panel are padded to a multiple of it

// One tile and one depth: rows first_x … last_x-1 against first_y … last_y-1, at most kPanelRows each, the
// features from … from + kPanelDepth - 1 added to `out` (overwritten where from = 0). `panels` is room for
// 2 * kPanelRows * kPanelDepth doubles, aligned to 64 bytes.
VCM_DECLARE_ISA(void, panel_tile,
                (const PanelJob& job, std::int64_t first_x, std::int64_t last_x, std::int64_t first_y,
                 std::int64_t last_y, std::int64_t from, double* panels))

void pair_panels(const PanelJob& job, const Team& team);

// out[i] = sum of squares of row i of [n][n_features] without some features, with the bits that pair_panels
// gives the row's product with itself.
template <class T>
void row_squares(const T* table, std::int64_t n, std::int64_t n_features, const std::int64_t* without,
                 std::int64_t n_without, double* out, const Team& team);

}  // namespace vcm
