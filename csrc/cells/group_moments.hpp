#pragma once
// Means and centred second moments of groups of dense cells, in one read with the accuracy of two.
#include <cstdint>

#include "core/isa.hpp"
#include "core/parallel.hpp"

namespace vcm {

// Rows of a block stay in the second-level cache between their two passes; a chunk is the unit of work. Both,
// and so the order of additions, are the same for any number of threads.
inline constexpr std::int64_t kMomentRows = 64;
inline constexpr std::int64_t kMomentChunk = 4096;
inline constexpr std::int64_t kMomentFeatures = 1024;

// Of n rows: sum, sum of the differences to the group's first row, sum of squared deviations from the mean.
// The differences tell the means of two blocks apart where a large offset would drown them in the sums.
struct Moments {
  double n;
  double* sum;
  double* shifted;
  double* m2;
};

// Rows order[0 … n-1] of cells; `origin` is the first row of their group.
template <class T>
struct MomentRows {
  const T* cells;
  std::int64_t row_stride;
  const T* origin;
  const std::int64_t* order;
  std::int64_t n;
};

struct MomentKernels {
  // features first … first + n_features - 1 (at most kMomentFeatures); `out` begins at feature `first`
  void (*chunk_float)(const MomentRows<float>& rows, std::int64_t first, std::int64_t n_features,
                      const Moments& out);
  void (*chunk_double)(const MomentRows<double>& rows, std::int64_t first, std::int64_t n_features,
                       const Moments& out);
  // into += other, of the same group
  void (*merge)(const Moments& into, const Moments& other, std::int64_t n_features);
};

VCM_DECLARE_ISA(const MomentKernels&, moment_kernels, ())

// mean and m2 [n_groups][n_features], m2 the sum of squared deviations from the mean; both NaN for an empty
// group. `cells` is n_rows × n_features, rows row_stride elements apart; codes in [-1, n_groups).
template <class T>
void group_moments(const T* cells, std::int64_t n_rows, std::int64_t n_features, std::int64_t row_stride,
                   const std::int32_t* codes, std::int64_t n_groups, std::int64_t* counts, double* mean,
                   double* m2, const Team& team);

}  // namespace vcm
