#include "cells/gather.hpp"

#include <algorithm>
#include <memory>
#include <numeric>

#include "cells/block_worker.hpp"
#include "cells/gene_grid.hpp"
#include "core/error.hpp"

namespace vcm {

void gather(GatherJob& job, const Team& team) {
  std::vector<SidePlan> plans;
  std::vector<Reference> references;
  std::int64_t n_stored = 0;
  for (std::size_t s = 0; s < job.sides.size(); ++s) {
    const GatherSide& side = job.sides[s];
    plans.push_back(plan_side(job, s, team));
    n_stored += plans.back().n_stored;
    if (side.u2 == nullptr) continue;
    std::fill_n(side.u2, side.n_groups * job.n_cols, -1);
    std::fill_n(side.tie, side.n_groups * job.n_cols, -1.0);
    const bool known = std::any_of(references.begin(), references.end(), [&](const Reference& reference) {
      return reference.side == side.control_side && reference.code == side.control_code;
    });
    if (side.control_side >= 0 && !known) references.push_back({side.control_side, side.control_code});
  }
  job.total = n_stored;

  const int n_threads = n_workers(team, job.n_cols, n_stored);
  const Grid grid = make_grid(job, plans, n_threads);
  std::vector<std::vector<double>> jackknife(plans.size());
  for (std::size_t s = 0; s < plans.size(); ++s)
    if (job.sides[s].jackknife != nullptr)
      jackknife[s].assign(static_cast<std::size_t>(n_jackknife_parts(job.n_cols) * job.sides[s].n_groups),
                          0.0);

  std::vector<std::unique_ptr<Worker>> workers;
  for (int worker = 0; worker < n_threads; ++worker)
    workers.push_back(std::make_unique<Worker>(job, plans, references, std::min(grid.widest, job.n_cols)));
  const auto n_ranges = static_cast<std::int64_t>(grid.ranges.size()) - 1;
  for_each_task(team, n_ranges, n_stored, [&](std::int64_t range, int w, const std::atomic<bool>& stop) {
    Worker& worker = *workers[static_cast<std::size_t>(w)];
    const std::int64_t first = grid.ranges[static_cast<std::size_t>(range)],
                       last = grid.ranges[static_cast<std::size_t>(range) + 1];
    worker.start_range(grid.genes[static_cast<std::size_t>(first)]);
    for (std::int64_t b = first; b < last && !stop.load(std::memory_order_relaxed); ++b) {
      const std::int64_t gene = grid.genes[static_cast<std::size_t>(b)], before = worker.taken();
      worker.block(gene, grid.genes[static_cast<std::size_t>(b) + 1] - gene, jackknife);
      job.done += worker.taken() - before;
    }
  });

  std::int64_t taken = 0;
  for (const auto& worker : workers) taken += worker->taken();
  require(taken == n_stored, "the column numbers of a row do not ascend, or lie outside [0, " +
                                 text(job.n_cols) + "); make the matrix canonical first");
  for (std::size_t s = 0; s < plans.size(); ++s) {
    if (job.sides[s].jackknife == nullptr) continue;
    const std::int64_t n_groups = job.sides[s].n_groups;
    if (job.sides[s].jackknife_parts != nullptr)
      std::copy(jackknife[s].begin(), jackknife[s].end(), job.sides[s].jackknife_parts);
    for (std::int64_t g = 0; g < n_groups; ++g) {
      double sum = 0;
      for (std::int64_t part = 0; part < n_jackknife_parts(job.n_cols); ++part)
        sum += jackknife[s][static_cast<std::size_t>(part * n_groups + g)];
      const auto n = static_cast<double>(plans[s].cells(g));
      job.sides[s].jackknife[g] = n < 2 ? 0.0 : std::max(0.0, (n - 1) / n * sum);
    }
  }
}

}  // namespace vcm
