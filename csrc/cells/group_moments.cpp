#include "cells/group_moments.hpp"

#include <algorithm>
#include <limits>
#include <type_traits>
#include <vector>

#include "cells/grouped_rows.hpp"

namespace vcm {
namespace {

// Rows first … first + n - 1 of a group. A group's first chunk is summed where its result belongs; `slot` is
// where the differences to the first row go, and the sums of later chunks: -1 for a group of one chunk.
struct Chunk {
  std::int64_t group, first, n, slot;
};

}  // namespace

template <class T>
void group_moments(const T* cells, std::int64_t n_rows, std::int64_t n_features, std::int64_t row_stride,
                   const std::int32_t* codes, std::int64_t n_groups, std::int64_t* counts, double* mean,
                   double* m2, const Team& team) {
  const GroupedRows grouped = group_rows(codes, n_rows, n_groups);
  std::vector<Chunk> chunks;
  std::int64_t n_slots = 0;
  for (std::int64_t g = 0; g < n_groups; ++g) {
    counts[g] = grouped.size(g);
    for (std::int64_t first = 0; first < counts[g]; first += kMomentChunk)
      chunks.push_back(
          {g, first, std::min(kMomentChunk, counts[g] - first), counts[g] > kMomentChunk ? n_slots++ : -1});
  }
  std::vector<double> slots(static_cast<std::size_t>(3 * n_slots * n_features));
  // the moments of a chunk from feature `first` on
  const auto moments_of = [&](const Chunk& c, std::int64_t first, double* unused) {
    double* slot = slots.data() + 3 * c.slot * n_features + first;
    double *sum = mean + c.group * n_features + first, *squares = m2 + c.group * n_features + first;
    if (c.first > 0) {
      sum = slot + n_features;
      squares = slot + 2 * n_features;
    }
    return Moments{static_cast<double>(c.n), sum, c.slot < 0 ? unused : slot, squares};
  };

  const MomentKernels& kernels = VCM_SELECT_ISA(moment_kernels)();
  const std::int64_t n_blocks = (n_features + kMomentFeatures - 1) / kMomentFeatures;
  const auto n_chunks = static_cast<std::int64_t>(chunks.size());
  const auto n_used = static_cast<std::int64_t>(grouped.order.size());
  for_each_task(
      team, n_chunks * n_blocks, n_used * n_features, [&](std::int64_t task, int, const std::atomic<bool>&) {
        const Chunk& c = chunks[static_cast<std::size_t>(task / n_blocks)];
        const std::int64_t first = task % n_blocks * kMomentFeatures;
        const std::int64_t width = std::min(kMomentFeatures, n_features - first);
        const std::int64_t* order = grouped.rows(c.group);
        const MomentRows<T> rows{cells, row_stride, cells + order[0] * row_stride, order + c.first, c.n};
        double unused[kMomentFeatures];
        const Moments out = moments_of(c, first, unused);
        if constexpr (std::is_same_v<T, float>)
          kernels.chunk_float(rows, first, width, out);
        else
          kernels.chunk_double(rows, first, width, out);
      });

  Moments into{};
  for (const Chunk& c : chunks) {
    if (c.slot < 0) continue;
    const Moments part = moments_of(c, 0, nullptr);
    if (c.first == 0) {
      into = part;
      continue;
    }
    kernels.merge(into, part, n_features);
    into.n += part.n;
  }
  for (std::int64_t g = 0; g < n_groups; ++g) {
    double *m = mean + g * n_features, *s = m2 + g * n_features;
    if (counts[g] == 0) {
      std::fill_n(m, n_features, std::numeric_limits<double>::quiet_NaN());
      std::fill_n(s, n_features, std::numeric_limits<double>::quiet_NaN());
      continue;
    }
    const auto n = static_cast<double>(counts[g]);
    for (std::int64_t k = 0; k < n_features; ++k) m[k] /= n;
  }
}

template void group_moments<float>(const float*, std::int64_t, std::int64_t, std::int64_t,
                                   const std::int32_t*, std::int64_t, std::int64_t*, double*, double*,
                                   const Team&);
template void group_moments<double>(const double*, std::int64_t, std::int64_t, std::int64_t,
                                    const std::int32_t*, std::int64_t, std::int64_t*, double*, double*,
                                    const Team&);

}  // namespace vcm
