#pragma once
// Kendall's rank correlation of rows of a table, ties counted as tau-b does.
#include <cstdint>

#include "core/isa.hpp"
#include "core/parallel.hpp"

namespace vcm {

struct KendallJob {
  const double* profiles;               // [n_profiles][n_features]
  std::int64_t n_profiles, n_features;  // n_features < 2^32
  const std::int32_t* pairs;            // [n_pairs][2]
  std::int64_t n_pairs;
  double* tau;  // [n_pairs]; NaN where a profile is constant, holds a NaN, or has fewer than two features
};

// Each row is sorted once; a pair then costs the counting of its inversions, n log n without comparisons.
void kendall_tau(const KendallJob& job, const Team& team);

// Number of i < j with sequence[i] > sequence[j], where sequence is a permutation of 0 … n-1; it and `other`
// [n] are overwritten.
VCM_DECLARE_ISA(std::int64_t, count_inversions,
                (std::uint32_t* sequence, std::uint32_t* other, std::int64_t n))

}  // namespace vcm
