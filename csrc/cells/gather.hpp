#pragma once
// The one pass over the cells: group sums, rank sums against a control, and the jackknife correction, gene
// block by gene block. docs: each field's meaning is vcmetrics.reference.summary.gather.
#include <atomic>
#include <cstdint>
#include <vector>

#include "core/parallel.hpp"
#include "core/views.hpp"

namespace vcm {

// What a stored entry y of a cell with total l stands for.
enum class Key {
  ratio,  // v = y, linear value x = y / (l / scale); ranked by y / l
  raw,    // v = x = y; ranked by y
};

// Logs at one more depth: sums of log1p(y / (l / depth)) and of their squares (null: not asked for).
struct DepthTables {
  double* log1p;
  double* log1p_square;
};

// One matrix, the groups of its cells, and where its results go. Result pointers are null where not asked
// for; tables are [n_groups][n_cols], gene fastest.
struct GatherSide {
  RowsView rows;              // columns strictly ascending inside each row
  const double* totals;       // [n_rows]
  const std::int32_t* codes;  // [n_rows], group of the cell, -1 = not used
  std::int64_t n_groups;
  int control_side;  // which side and group the rank sums are taken against; -1 = none
  int control_code;

  std::int64_t* n;                 // [n_groups], always
  double* sum = nullptr;           // sum of v
  double* linear = nullptr;        // sum of x
  double* log1p = nullptr;         // sum of log1p(x)
  double* log1p_square = nullptr;  // sum of log1p(x)^2, with log1p only
  double* expm1 = nullptr;         // sum of expm1(v)
  double* square = nullptr;        // sum of v * v
  std::int64_t* nonzero = nullptr;
  std::int64_t* u2 = nullptr;   // 2 U against the control; -1 where gated off and in the control's own row
  double* tie = nullptr;        // sum of t^3 - t over tie blocks of group + control
  double* jackknife = nullptr;  // [n_groups]
  double* jackknife_parts = nullptr;  // [n_jackknife_parts(n_cols)][n_groups]: before they are added up
  std::vector<DepthTables> depths;    // one for each of the job's depths
};

// The jackknife is added up over parts of this many genes, whatever blocks the genes are visited in: so a
// pass over ranges of genes (multiples of it) gives the same parts.
inline constexpr std::int64_t kJackknifeGenes = 32;
inline std::int64_t n_jackknife_parts(std::int64_t n_cols) {
  return (n_cols + kJackknifeGenes - 1) / kJackknifeGenes;
}

struct GatherJob {
  std::vector<GatherSide> sides;
  std::int64_t n_cols;
  Key key;
  double scale;
  double gate;  // rank only genes whose control mean of x is above; negative or NaN: all
  double jackknife_target;
  std::vector<double> depths;         // further depths of Key::ratio
  std::atomic<std::int64_t> done{0};  // progress, in stored values; total is set before work starts
  std::atomic<std::int64_t> total{0};
};

void gather(GatherJob& job, const Team& team);

}  // namespace vcm
