#include "profiles/kendall.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

namespace vcm {
namespace {

using Numbers = std::vector<std::uint32_t>;

// One row: its features by ascending value, and for each feature the first place of its value among them.
struct Order {
  Numbers features, first_place;
  Numbers run_ends;       // ends of the runs of equal values in `features`; empty where all differ
  std::int64_t tied = 0;  // pairs of equal values
  bool defined = true;
};

std::int64_t pairs_of(std::int64_t n) { return n * (n - 1) / 2; }

Order order_of(const double* row, std::int64_t n) {
  Order order;
  order.defined = n > 1 && std::none_of(row, row + n, [](double v) { return std::isnan(v); });
  if (!order.defined) return order;
  order.features.resize(static_cast<std::size_t>(n));
  order.first_place.resize(static_cast<std::size_t>(n));
  std::iota(order.features.begin(), order.features.end(), 0u);
  std::sort(order.features.begin(), order.features.end(),
            [&](std::uint32_t a, std::uint32_t b) { return row[a] < row[b] || (row[a] == row[b] && a < b); });
  Numbers ends;
  for (std::int64_t begin = 0, end; begin < n; begin = end) {
    const double value = row[order.features[begin]];
    for (end = begin; end < n && row[order.features[end]] == value; ++end)
      order.first_place[order.features[end]] = static_cast<std::uint32_t>(begin);
    order.tied += pairs_of(end - begin);
    ends.push_back(static_cast<std::uint32_t>(end));
  }
  order.defined = order.tied < pairs_of(n);
  if (order.tied > 0) order.run_ends = std::move(ends);
  return order;
}

// Room for one worker's pairs.
struct Scratch {
  Numbers sequence, other, taken;
};

// Pairs of equal numbers, each within one run.
std::int64_t tied_inside(const Numbers& sequence, const Numbers& run_ends) {
  std::int64_t tied = 0, same = 0, i = 0;
  for (const std::int64_t end : run_ends)
    for (same = 0; i < end; ++i) {
      same = same > 0 && sequence[i] == sequence[i - 1] ? same + 1 : 1;
      tied += same - 1;
    }
  return tied;
}

double tau_of(const Order& x, const Order& y, std::int64_t n, Scratch& scratch) {
  if (!x.defined || !y.defined) return std::numeric_limits<double>::quiet_NaN();
  Numbers &sequence = scratch.sequence, &taken = scratch.taken;
  std::int64_t tied_in_both = 0;
  if (x.tied == 0) {
    for (std::int64_t i = 0; i < n; ++i) sequence[i] = y.first_place[x.features[i]];
  } else {
    // equal values of x are no inversions: taken in the order of y, they ascend inside their runs
    std::fill(taken.begin(), taken.end(), 0u);
    for (const std::uint32_t feature : y.features) {
      const std::uint32_t run = x.first_place[feature];
      sequence[run + taken[run]++] = y.first_place[feature];
    }
    tied_in_both = y.tied > 0 ? tied_inside(sequence, x.run_ends) : 0;
  }
  // nor are equal values of y: they take the places of their run in turn
  if (y.tied > 0) {
    std::fill(taken.begin(), taken.end(), 0u);
    for (std::uint32_t& place : sequence) place += taken[place]++;
  }
  const std::int64_t discordant = VCM_SELECT_ISA(count_inversions)(sequence.data(), scratch.other.data(), n);
  const std::int64_t all = pairs_of(n);
  const auto balance = static_cast<double>(all - x.tied - y.tied + tied_in_both - 2 * discordant);
  const double tau =
      balance / std::sqrt(static_cast<double>(all - x.tied)) / std::sqrt(static_cast<double>(all - y.tied));
  return std::clamp(tau, -1.0, 1.0);
}

}  // namespace

void kendall_tau(const KendallJob& job, const Team& team) {
  const std::int64_t n = job.n_features;
  std::vector<Order> orders(static_cast<std::size_t>(job.n_profiles));
  std::vector<bool> wanted(orders.size(), false);
  for (std::int64_t k = 0; k < 2 * job.n_pairs; ++k) wanted[job.pairs[k]] = true;
  for_each_task(team, job.n_profiles, 100 * job.n_profiles * n,
                [&](std::int64_t g, int, const std::atomic<bool>&) {
                  if (wanted[g]) orders[g] = order_of(job.profiles + g * n, n);
                });
  const std::int64_t work = 40 * job.n_pairs * n;
  std::vector<Scratch> scratch(static_cast<std::size_t>(n_workers(team, job.n_pairs, work)));
  for (Scratch& own : scratch) {
    own.sequence.resize(static_cast<std::size_t>(n));
    own.other.resize(static_cast<std::size_t>(n));
    own.taken.resize(static_cast<std::size_t>(n));
  }
  for_each_task(team, job.n_pairs, work, [&](std::int64_t p, int worker, const std::atomic<bool>&) {
    job.tau[p] = tau_of(orders[job.pairs[2 * p]], orders[job.pairs[2 * p + 1]], n, scratch[worker]);
  });
}

}  // namespace vcm
