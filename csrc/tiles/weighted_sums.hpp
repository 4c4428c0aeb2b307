#pragma once
// Weighted sums of a term over pairs of cells, many weightings at once: permutations (labels 0 and 1),
// bootstraps (multinomial counts). docs: vcmetrics.reference.pairs.weighted_pair_sums.
#include <atomic>
#include <cstdint>

#include "core/parallel.hpp"
#include "core/views.hpp"
#include "tiles/pair_block.hpp"

namespace vcm {

// out[b] = sum over i, j of wx[i][b] wy[j][b] term(x_i, y_j). Without y (data null) the pairs of x with
// itself, half of them formed. Weights lie [cell][column], as many columns on both sides.
template <class T>
struct WeightedSumsJob {
  MatrixView<T> x;
  MatrixView<T> y;
  MatrixView<double> wx;
  MatrixView<double> wy;
  CellTerm term;
  double gamma;
  double* out;
  std::atomic<std::int64_t> done{0};  // pairs of cells, for progress
  std::atomic<std::int64_t> total{0};
};

template <class T>
void weighted_pair_sums(WeightedSumsJob<T>& job, const Team& team);

// out[i] = sum over j of term(x_i, y_j); without y over the cells of x, i itself included.
template <class T>
struct RowSumsJob {
  MatrixView<T> x;
  MatrixView<T> y;
  CellTerm term;
  double gamma;
  double* out;
};

template <class T>
void pair_row_sums(const RowSumsJob<T>& job, const Team& team);

}  // namespace vcm
