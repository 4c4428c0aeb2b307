#pragma once
// Entropic optimal transport between groups of cells: Sinkhorn's iteration on squared Euclidean costs.
#include <cstdint>

#include "core/isa.hpp"
#include "core/parallel.hpp"

namespace vcm {

// Rows of a block add to the same column sums; a step is what is made of the costs at a time. Both fix the
// order of additions.
inline constexpr std::int64_t kTransportBlock = 256;
inline constexpr std::int64_t kTransportStep = 32;
inline constexpr std::int64_t kTransportLanes = 8;  // row lengths are multiples of it

// Scalings stay in this range; beyond it they are taken up into the potentials.
inline constexpr double kLeastScaling = 1e-130, kMostScaling = 1e130;

struct CostFacts {
  double n = 0, mean = 0, m2 = 0;
};

// Inner loops over `rows` rows of `stride` values, of which `cols` count.
struct TransportKernels {
  // mean and sum of squared deviations of the costs; least[j] falls to the least cost of column j
  CostFacts (*facts)(const double* cost, std::int64_t rows, std::int64_t cols, std::int64_t stride,
                     double* least);
  // cost -> exp((f_i + g_j - cost_ij) / epsilon) in place, 0 where g_j is -inf; sums[j] += column sums
  void (*exponentials)(double* cost, std::int64_t rows, std::int64_t stride, const double* f, const double* g,
                       double per_epsilon, double* sums);
  // u_i = share / sum_j K_ij v_j, then sums[j] += sum_i K_ij u_i; false when a sum leaves the range
  bool (*sweep)(const double* kernel, std::int64_t rows, std::int64_t stride, const double* v, double share,
                double* u, double* sums);
  // out_i = log sum_j exp((g_j - cost_ij) / epsilon)
  void (*log_sum_exp)(const double* cost, std::int64_t rows, std::int64_t cols, std::int64_t stride,
                      const double* g, double per_epsilon, double* out);
};

VCM_DECLARE_ISA(const TransportKernels&, transport_kernels, ())

struct SinkhornJob {
  const std::int32_t* codes;  // [n_rows], in [-1, n_groups)
  std::int64_t n_groups;
  const std::int32_t* pairs;  // [n_pairs][2]
  std::int64_t n_pairs;
  double epsilon;  // NaN: scale * population standard deviation of the pair's costs
  double scale;
  double threshold;  // on the L1 error of the column marginal
  std::int64_t max_iterations, check_every;
  std::int64_t kept_entries;  // a pair with more is solved with its kernel computed again in every iteration
  double* cost;               // [n_pairs], NaN for an empty group or costs that are not finite
  std::int64_t* iterations;
  bool* converged;
};

// Dual objective <f> + <g> + epsilon (log n + log m - sum P + 1) after
//   g = -epsilon lse_i((f - C) / epsilon) - epsilon log m,  f = -epsilon lse_j((g - C) / epsilon) - epsilon
//   log n
// from f = 0, until the column marginal is met at a check.
template <class T>
void sinkhorn_costs(const T* cells, std::int64_t n_rows, std::int64_t n_features, std::int64_t row_stride,
                    const SinkhornJob& job, const Team& team);

}  // namespace vcm
