#include "profiles/resampled_ranks.hpp"

#include <algorithm>
#include <vector>

namespace vcm {
namespace {

struct Worker {
  std::vector<double> values;
  std::vector<std::int32_t> order[2], end[2];
  std::vector<double> ranks[2], out;

  Worker(std::int64_t n_rows, std::int64_t n_padded)
      : values(static_cast<std::size_t>(n_rows)), out(static_cast<std::size_t>(n_padded)) {
    for (int side = 0; side < 2; ++side) {
      order[side].resize(values.size());
      end[side].resize(values.size());
      ranks[side].resize(values.size() * kResampleLanes);
    }
  }

  void sort(const double* table, std::int64_t n_columns, int side) {
    const auto n = static_cast<std::int64_t>(values.size());
    std::int32_t *places = order[side].data(), *ends = end[side].data();
    for (std::int64_t r = 0; r < n; ++r) {
      values[static_cast<std::size_t>(r)] = table[r * n_columns];
      places[r] = static_cast<std::int32_t>(r);
    }
    const double* v = values.data();
    std::sort(places, places + n, [v](std::int32_t a, std::int32_t b) { return v[a] < v[b]; });
    for (std::int64_t k = n - 1; k >= 0; --k)
      ends[k] =
          k + 1 < n && v[places[k + 1]] == v[places[k]] ? ends[k + 1] : static_cast<std::int32_t>(k + 1);
  }
};

}  // namespace

void resampled_ranks(const RankResampleJob& job, const Team& team) {
  const std::int64_t n_padded = (job.n_resamples + kResampleLanes - 1) / kResampleLanes * kResampleLanes;
  std::vector<double> counts(static_cast<std::size_t>(job.n_rows * n_padded));
  for (std::int64_t b = 0; b < job.n_resamples; ++b)
    for (std::int64_t r = 0; r < job.n_rows; ++r)
      counts[static_cast<std::size_t>(r * n_padded + b)] = job.counts[b * job.n_rows + r];
  const std::int64_t work = job.n_rows * job.n_columns * job.n_resamples;
  std::vector<Worker> workers;
  for (int k = n_workers(team, job.n_columns, work); k > 0; --k) workers.emplace_back(job.n_rows, n_padded);
  const auto column = VCM_SELECT_ISA(resampled_ranks_column);
  for_each_task(team, job.n_columns, work, [&](std::int64_t g, int worker, const std::atomic<bool>&) {
    Worker& mine = workers[static_cast<std::size_t>(worker)];
    mine.sort(job.x + g, job.n_columns, 0);
    mine.sort(job.y + g, job.n_columns, 1);
    column({{mine.order[0].data(), mine.order[1].data()},
            {mine.end[0].data(), mine.end[1].data()},
            counts.data(),
            job.n_rows,
            n_padded,
            {mine.ranks[0].data(), mine.ranks[1].data()},
            mine.out.data()});
    for (std::int64_t b = 0; b < job.n_resamples; ++b)
      job.out[b * job.n_columns + g] = mine.out[static_cast<std::size_t>(b)];
  });
}

}  // namespace vcm
