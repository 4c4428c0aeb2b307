#pragma once
// Rank sums of all groups against one control, from keys that are sorted inside each gene and group; the
// integers are those of the CPU.
#include <cstdint>

#include "cuda/core/stream.hpp"

namespace vcm::cuda {

inline constexpr std::int64_t kLargestRanked = 2'000'000;  // tie sums fit 64 bits

struct RankSumsJob {
  const double* control;               // [control_starts[n_genes]], ascending inside a gene, none is 0
  const std::int64_t* control_starts;  // [n_genes + 1]
  const double* keys;          // [starts[n_genes * n_groups]], ascending inside a gene and group, none is 0
  const std::int64_t* starts;  // [n_genes * n_groups + 1], gene-major
  const std::int64_t* sizes;   // [n_groups], cells
  std::int64_t n_control;      // cells; with any group at most kLargestRanked
  std::int64_t n_genes, n_groups;
  std::uint64_t* control_ties;  // scratch, [n_genes]
  std::int64_t* u2;             // [n_groups][n_genes]
  double* tie;                  // [n_groups][n_genes]
};
void launch_rank_sums(const RankSumsJob& job, Stream stream);

}  // namespace vcm::cuda
