#pragma once
// Terms of pairs of dense cells, by blocks of 8 rows × 24 cells.
#include <cstdint>

#include "core/isa.hpp"

namespace vcm {

// A block's shape is the same on every path: rows lie together as [feature][8], the other side as strips
// [feature][24]. Every lane is one pair of cells and adds its features in ascending order by itself, so no
// register width and no tiling can change a value.
constexpr std::int64_t kBlockRows = 8;
constexpr std::int64_t kStrip = 24;
constexpr std::int64_t kBlock = kBlockRows * kStrip;

// What is averaged over pairs of cells. With d = x - y, a = sum |d|, q = sum d^2:
//   euclidean sqrt(q), sqeuclidean q, cityblock a, cosine 1 - cos(x, y) = q/2 of the cells at length one,
//   rbf exp(-gamma q), braycurtis 1 - a/s and ruzicka (s - a)/(s + a) with s = sum |x| + sum |y|,
//   tanimoto (s - q)/(s + q) with s = sum x^2 + sum y^2.
// The last three are similarities, 1 for two cells without a count; the cosine term is 1 where a norm is 0.
enum class CellTerm { euclidean, sqeuclidean, cityblock, cosine, rbf, braycurtis, tanimoto, ruzicka };
constexpr int kCellTerms = 8;

// Sums of one block and what turns them into terms.
struct PairBlock {
  double* sums;             // [8][24]: q or a
  const double* row_stats;  // [8]: the cell's share of s; for cosine 1 where the norm is 0
  const double* stats;      // [24]
  std::int64_t rows;        // in use
  std::int64_t cells;       // in use
  std::int64_t first;       // row r meets the cells from first + r on
  double factor;            // -gamma
};

struct PairKernels {
  using Accumulate = void (*)(const double* rows, const double* strip, std::int64_t n, std::int64_t cells,
                              bool fresh, double* sums);
  // sums[row][cell] of the block, from n features; `fresh` begins anew. Columns past `cells` are undefined.
  Accumulate squares;
  Accumulate absolutes;
  // totals[cell] += term, row after row.
  void (*add[kCellTerms])(const PairBlock& block, double* totals);
  // sums[row][cell] = term; 0 where the row does not meet the cell and in rows that are not in use.
  void (*map[kCellTerms])(const PairBlock& block);
  // totals[column] += sum over the 8 rows, in their order, of row_weights[row][column] times the sum over the
  // cells, in their order, of term[row][cell] weights[cell][column]. `terms` are blocks one after the other;
  // 24 columns are read of either side's weights, those past `columns` leave undefined totals.
  void (*weigh)(const double* terms, std::int64_t n_cells, const double* weights, const double* row_weights,
                std::int64_t row_stride, std::int64_t columns, double* totals);
};

VCM_DECLARE_ISA(const PairKernels&, pair_kernels, ())

}  // namespace vcm
