#pragma once
// Distances between the distributions of two groups, feature by feature, from columns that are sorted once.
#include <cstdint>

#include "core/isa.hpp"
#include "core/parallel.hpp"

namespace vcm {

enum class ColumnStatistic {
  ks,    // largest difference of the distribution functions
  w1,    // integral of |difference of the quantile functions|
  w2sq,  // integral of its square
};

// Features that lie side by side in a sorted block.
inline constexpr int kSortedTogether = 8;

// Merges that run side by side: one waits for its loads while the others go on.
inline constexpr int kMergedColumns = 4;

struct SortedColumnsJob {
  const std::int32_t* codes;  // [n_rows], in [-1, n_groups)
  std::int64_t n_groups;
  const std::int32_t* pairs;  // [n_pairs][2]
  std::int64_t n_pairs;
  ColumnStatistic statistic;
  std::int64_t budget;  // bytes of sorted values at a time; one block of features at least
  double* mean;         // [n_pairs], over the features
};

// NaN for an empty group, no features, or values that are not finite.
template <class T>
void sorted_column_means(const T* cells, std::int64_t n_rows, std::int64_t n_features,
                         std::int64_t row_stride, const SortedColumnsJob& job, const Team& team);

struct ColumnKernels {
  // most[c] = max over the values v of |#{x_c <= v} m - #{y_c <= v} n|, the KS statistics in units of 1 / (n
  // m); columns are sorted and end in an infinity
  void (*merge_float)(const float* const* x, std::int64_t n, const float* const* y, std::int64_t m,
                      std::int64_t* most);
  void (*merge_double)(const double* const* x, std::int64_t n, const double* const* y, std::int64_t m,
                       std::int64_t* most);
  // sums[feature] over the common refinement of the steps of both quantile functions; x [n][kSortedTogether]
  // and y [m][kSortedTogether] sorted. Weights are in units of 1 / (n m).
  void (*quantiles_float)(const float* x, std::int64_t n, const float* y, std::int64_t m, bool squared,
                          double* sums);
  void (*quantiles_double)(const double* x, std::int64_t n, const double* y, std::int64_t m, bool squared,
                           double* sums);
};

VCM_DECLARE_ISA(const ColumnKernels&, column_kernels, ())

}  // namespace vcm
