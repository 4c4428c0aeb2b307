#include "tiles/transport.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <vector>

#include "cells/grouped_rows.hpp"
#include "core/error.hpp"
#include "core/mathfun.hpp"
#include "tiles/packed_costs.hpp"

namespace vcm {
namespace {

// Pairs with more entries are solved one after the other, their rows spread over the threads.
constexpr std::int64_t kOwnThread = std::int64_t{1} << 21;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

using Values = std::vector<double>;

struct Solution {
  double cost = kNaN;
  std::int64_t iterations = 0;
  bool converged = false;
};

bool in_range(const Values& values, std::int64_t n) {
  return std::all_of(values.begin(), values.begin() + n,
                     [](double s) { return s > kLeastScaling && s < kMostScaling; });
}

// The plan of one pair is P_ij = u_i K_ij v_j with K_ij = exp((f_i + g_j - C_ij) / epsilon): the iteration on
// the scalings u and v is the one on the potentials f + epsilon log u, g + epsilon log v, and reads K once.
// Where a scaling would leave its range, that half of the iteration is done on the potentials, which K then
// takes up.
template <class T>
class PairSolver {
 public:
  // How many rows' blocks run: here, or on the team.
  using Blocks = std::function<void(std::int64_t n_blocks, std::int64_t work,
                                    const std::function<void(std::int64_t block, int worker)>& body)>;

  PairSolver(const T* cells, std::int64_t n_features, std::int64_t row_stride, const SinkhornJob& job,
             int n_workers_at_most)
      : job_(job),
        kernels_(VCM_SELECT_ISA(transport_kernels)()),
        n_features_(n_features),
        costs_(cells, n_features, row_stride, VCM_SELECT_ISA(distance_tiles)()),
        turned_(cells, n_features, row_stride, VCM_SELECT_ISA(distance_tiles)()),
        steps_(static_cast<std::size_t>(n_workers_at_most)) {}

  Solution solve(const std::int64_t* x, std::int64_t n, const std::int64_t* y, std::int64_t m,
                 const Blocks& blocks, const std::atomic<bool>& stop) {
    if (n == 0 || m == 0) return {};
    x_ = x;
    y_ = y;
    blocks_ = &blocks;
    costs_.pack(x, n, y, m);
    stride_ = costs_.stride();
    kept_ = n * stride_ <= job_.kept_entries;
    if (kept_) kernel_.reserve(n * stride_);
    n_blocks_ = (n + kTransportBlock - 1) / kTransportBlock;
    partial_.resize(static_cast<std::size_t>(n_blocks_ * stride_));
    f_.assign(static_cast<std::size_t>(n), 0.0);
    u_.assign(f_.size(), 1.0);
    g_.assign(static_cast<std::size_t>(stride_), -std::numeric_limits<double>::infinity());
    v_.assign(g_.size(), 0.0);
    sums_.assign(g_.size(), 0.0);
    turned_packed_ = false;

    const CostFacts facts = look_at_costs();
    if (!std::isfinite(facts.mean)) return {};
    epsilon_ = std::isnan(job_.epsilon) ? job_.scale * std::sqrt(facts.m2 / facts.n) : job_.epsilon;
    if (!std::isfinite(epsilon_)) return {};
    // every plan costs the same
    if (!(epsilon_ > 1e-300)) return {facts.mean, 0, true};
    exponentiate(kept_);
    return iterate(stop);
  }

 private:
  std::int64_t n() const { return costs_.rows(); }
  std::int64_t m() const { return costs_.cols(); }

  // body(first row, rows, worker) for the steps of every block, blocks in parallel.
  template <class Body>
  void each_step(std::int64_t work, const Body& body) {
    (*blocks_)(n_blocks_, n() * stride_ * work, [&](std::int64_t block, int worker) {
      const std::int64_t last = std::min(n(), (block + 1) * kTransportBlock);
      for (std::int64_t i = block * kTransportBlock; i < last; i += kTransportStep)
        body(block, i, std::min(kTransportStep, last - i), worker);
    });
  }

  double* step_of(int worker) {
    return steps_[static_cast<std::size_t>(worker)].reserve(kTransportStep *
                                                            std::max(stride_, turned_stride()));
  }
  std::int64_t turned_stride() const { return (n() + kTileStep - 1) / kTileStep * kTileStep; }

  double* partial(std::int64_t block) { return partial_.data() + block * stride_; }

  // Column sums of the blocks, in their order.
  void add_partials() {
    std::copy_n(partial(0), stride_, sums_.begin());
    for (std::int64_t b = 1; b < n_blocks_; ++b)
      for (std::int64_t j = 0; j < stride_; ++j) sums_[j] += partial(b)[j];
  }

  // Mean and spread of the costs; g becomes the least cost of every column.
  CostFacts look_at_costs() {
    std::fill(partial_.begin(), partial_.end(), std::numeric_limits<double>::infinity());
    std::vector<CostFacts> of_step(static_cast<std::size_t>((n() + kTransportStep - 1) / kTransportStep));
    each_step(3 * n_features_, [&](std::int64_t block, std::int64_t first, std::int64_t rows, int worker) {
      double* cost = kept_ ? kernel_.data() + first * stride_ : step_of(worker);
      costs_.make(first, rows, cost);
      of_step[first / kTransportStep] = kernels_.facts(cost, rows, m(), stride_, partial(block));
    });
    for (std::int64_t j = 0; j < m(); ++j) {
      g_[j] = partial(0)[j];
      for (std::int64_t b = 1; b < n_blocks_; ++b) g_[j] = std::min(g_[j], partial(b)[j]);
    }
    CostFacts all;
    for (const CostFacts& part : of_step) {
      const double total = all.n + part.n, apart = part.mean - all.mean;
      all.m2 += part.m2 + apart * apart * (all.n * part.n / total);
      all.mean += apart * (part.n / total);
      all.n = total;
    }
    return all;
  }

  // The kernel of the potentials, and its column sums.
  void exponentiate(bool costs_are_there) {
    std::fill(partial_.begin(), partial_.end(), 0.0);
    each_step(3 * n_features_, [&](std::int64_t block, std::int64_t first, std::int64_t rows, int worker) {
      double* kernel = kept_ ? kernel_.data() + first * stride_ : step_of(worker);
      if (!costs_are_there) costs_.make(first, rows, kernel);
      kernels_.exponentials(kernel, rows, stride_, f_.data() + first, g_.data(), 1.0 / epsilon_,
                            partial(block));
    });
    add_partials();
  }

  bool sweep() {
    std::fill(partial_.begin(), partial_.end(), 0.0);
    std::atomic<bool> good{true};
    Values unused(kept_ ? 0 : static_cast<std::size_t>(n_blocks_ * stride_));
    each_step(kept_ ? 1 : 3 * n_features_,
              [&](std::int64_t block, std::int64_t first, std::int64_t rows, int worker) {
                double* kernel = kernel_.data() + first * stride_;
                if (!kept_) {
                  kernel = step_of(worker);
                  costs_.make(first, rows, kernel);
                  kernels_.exponentials(kernel, rows, stride_, f_.data() + first, g_.data(), 1.0 / epsilon_,
                                        unused.data() + block * stride_);
                }
                if (!kernels_.sweep(kernel, rows, stride_, v_.data(), 1.0 / static_cast<double>(n()),
                                    u_.data() + first, partial(block)))
                  good = false;
              });
    add_partials();
    return good;
  }

  void take_up(Values& potentials, const Values& scalings, std::int64_t size) const {
    for (std::int64_t i = 0; i < size; ++i) potentials[i] += epsilon_ * log_of(scalings[i]);
  }

  void reset_scalings() {
    std::fill(u_.begin(), u_.end(), 1.0);
    std::fill_n(v_.begin(), m(), 1.0);
    exponentiate(false);
  }

  // f = -epsilon (lse_j((g_j - C_ij) / epsilon) + log n)
  void rows_by_potentials() {
    take_up(g_, v_, m());
    each_step(3 * n_features_, [&](std::int64_t, std::int64_t first, std::int64_t rows, int worker) {
      double* cost = step_of(worker);
      costs_.make(first, rows, cost);
      kernels_.log_sum_exp(cost, rows, m(), stride_, g_.data(), 1.0 / epsilon_, f_.data() + first);
    });
    for (double& f : f_) f = -epsilon_ * (f + log_of(static_cast<double>(n())));
    reset_scalings();
  }

  // The same for g, rows and columns having changed places.
  void columns_by_potentials() {
    take_up(f_, u_, n());
    if (!turned_packed_) turned_.pack(y_, m(), x_, n());
    turned_packed_ = true;
    const std::int64_t n_blocks = (m() + kTransportStep - 1) / kTransportStep;
    (*blocks_)(n_blocks, 3 * n_features_ * n() * m(), [&](std::int64_t block, int worker) {
      const std::int64_t first = block * kTransportStep, rows = std::min(kTransportStep, m() - first);
      double* cost = step_of(worker);
      turned_.make(first, rows, cost);
      kernels_.log_sum_exp(cost, rows, n(), turned_.stride(), f_.data(), 1.0 / epsilon_, g_.data() + first);
    });
    for (std::int64_t j = 0; j < m(); ++j) g_[j] = -epsilon_ * (g_[j] + log_of(static_cast<double>(m())));
    reset_scalings();
  }

  Solution iterate(const std::atomic<bool>& stop) {
    const double share = 1.0 / static_cast<double>(m());
    Solution found;
    while (found.iterations < job_.max_iterations && !stop.load(std::memory_order_relaxed)) {
      if (in_range(sums_, m()))
        for (std::int64_t j = 0; j < m(); ++j) v_[j] = share / sums_[j];
      else
        columns_by_potentials();
      if (!sweep()) rows_by_potentials();
      ++found.iterations;
      if (found.iterations % job_.check_every != 0 && found.iterations != job_.max_iterations) continue;
      double error = 0;
      for (std::int64_t j = 0; j < m(); ++j) error += std::fabs(v_[j] * sums_[j] - share);
      found.converged = error < job_.threshold;
      if (found.converged || !std::isfinite(error)) break;
    }
    double mass = 0, f = 0, g = 0;
    for (std::int64_t j = 0; j < m(); ++j) mass += v_[j] * sums_[j];
    for (std::int64_t i = 0; i < n(); ++i) f += f_[i] + epsilon_ * log_of(u_[i]);
    for (std::int64_t j = 0; j < m(); ++j) g += g_[j] + epsilon_ * log_of(v_[j]);
    const auto rows = static_cast<double>(n()), cols = static_cast<double>(m());
    found.cost = f / rows + g / cols + epsilon_ * (log_of(rows) + log_of(cols)) - epsilon_ * mass + epsilon_;
    return found;
  }

  const SinkhornJob& job_;
  const TransportKernels& kernels_;
  std::int64_t n_features_;
  PackedCosts<T> costs_, turned_;
  bool turned_packed_ = false, kept_ = true;
  const std::int64_t *x_ = nullptr, *y_ = nullptr;
  const Blocks* blocks_ = nullptr;
  std::int64_t stride_ = 0, n_blocks_ = 0;
  double epsilon_ = 0;
  Buffer<double> kernel_;
  std::vector<Buffer<double>> steps_;  // by worker
  Values partial_, f_, g_, u_, v_, sums_;
};

}  // namespace

template <class T>
void sinkhorn_costs(const T* cells, std::int64_t n_rows, std::int64_t n_features, std::int64_t row_stride,
                    const SinkhornJob& job, const Team& team) {
  const GroupedRows grouped = group_rows(job.codes, n_rows, job.n_groups);
  const auto size = [&](std::int64_t pair, int side) { return grouped.size(job.pairs[2 * pair + side]); };
  std::vector<std::int64_t> small, large;
  std::int64_t work = 0;
  for (std::int64_t p = 0; p < job.n_pairs; ++p) {
    const std::int64_t entries = size(p, 0) * size(p, 1);
    const bool own = entries <= std::min(kOwnThread, job.kept_entries);
    (own ? small : large).push_back(p);
    // a few hundred iterations: what a pair takes beside its costs
    if (own) work += entries * (3 * n_features + 400);
  }
  const auto solve = [&](PairSolver<T>& solver, std::int64_t p, const auto& blocks, const auto& stop) {
    const std::int64_t a = job.pairs[2 * p], b = job.pairs[2 * p + 1];
    const Solution found =
        solver.solve(grouped.rows(a), grouped.size(a), grouped.rows(b), grouped.size(b), blocks, stop);
    job.cost[p] = found.cost;
    job.iterations[p] = found.iterations;
    job.converged[p] = found.converged;
  };
  using Solver = PairSolver<T>;

  const auto n_small = static_cast<std::int64_t>(small.size());
  std::vector<std::unique_ptr<Solver>> solvers(static_cast<std::size_t>(n_workers(team, n_small, work)));
  for (auto& solver : solvers) solver = std::make_unique<Solver>(cells, n_features, row_stride, job, 1);
  const typename Solver::Blocks here = [](std::int64_t n_blocks, std::int64_t, const auto& body) {
    for (std::int64_t block = 0; block < n_blocks; ++block) body(block, 0);
  };
  for_each_task(team, n_small, work, [&](std::int64_t task, int worker, const std::atomic<bool>& stop) {
    solve(*solvers[static_cast<std::size_t>(worker)], small[static_cast<std::size_t>(task)], here, stop);
  });
  solvers.clear();

  const typename Solver::Blocks spread = [&](std::int64_t n_blocks, std::int64_t n_operations,
                                             const auto& body) {
    for_each_task(team, n_blocks, n_operations,
                  [&](std::int64_t block, int worker, const std::atomic<bool>&) { body(block, worker); });
  };
  const std::atomic<bool> never{false};
  if (large.empty()) return;
  Solver solver(cells, n_features, row_stride, job, team.n_threads);
  for (const std::int64_t p : large) solve(solver, p, spread, never);
}

template void sinkhorn_costs<float>(const float*, std::int64_t, std::int64_t, std::int64_t,
                                    const SinkhornJob&, const Team&);
template void sinkhorn_costs<double>(const double*, std::int64_t, std::int64_t, std::int64_t,
                                     const SinkhornJob&, const Team&);

}  // namespace vcm
