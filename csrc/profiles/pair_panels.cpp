#include "profiles/pair_panels.hpp"

#include <algorithm>
#include <memory>
#include <new>
#include <vector>

namespace vcm {
namespace {

struct FreePanels {
  void operator()(double* at) const { ::operator delete(at, std::align_val_t{64}); }
};
using Panels = std::unique_ptr<double, FreePanels>;

Panels new_panels() {
  constexpr std::size_t bytes = 2 * kPanelRows * kPanelDepth * sizeof(double);
  return Panels(static_cast<double*>(::operator new(bytes, std::align_val_t{64})));
}

// Large tiles share the packing among more pairs; small tables need enough tiles for all threads.
std::int64_t tile_rows(std::int64_t n_x, std::int64_t n_y, int n_threads) {
  std::int64_t rows = kPanelRows;
  while (rows > kPanelUnit && ((n_x + rows - 1) / rows) * ((n_y + rows - 1) / rows) < 3 * n_threads)
    rows /= 2;
  return rows;
}

}  // namespace

void pair_panels(const PanelJob& job, const Team& team) {
  if (job.n_x == 0 || job.n_y == 0) return;
  const bool mirrored = job.x == job.y && job.n_x == job.n_y;
  const std::int64_t work = job.n_x * job.n_y / (mirrored ? 2 : 1) * job.n_features;
  const std::int64_t rows = work < kSmallWork ? kPanelRows : tile_rows(job.n_x, job.n_y, team.n_threads);
  struct Tile {
    std::int64_t x, y;
  };
  std::vector<Tile> tiles;
  for (std::int64_t x = 0; x < job.n_x; x += rows)
    for (std::int64_t y = mirrored ? x : 0; y < job.n_y; y += rows) tiles.push_back({x, y});
  const std::int64_t n_tiles = static_cast<std::int64_t>(tiles.size());
  std::vector<Panels> panels(static_cast<std::size_t>(n_workers(team, n_tiles, work)));
  for (auto& own : panels) own = new_panels();

  const auto run = VCM_SELECT_ISA(panel_tile);
  const auto body = [&](std::int64_t task, int worker, const std::atomic<bool>& stop) {
    const auto [x, y] = tiles[static_cast<std::size_t>(task)];
    const std::int64_t last_x = std::min(x + rows, job.n_x), last_y = std::min(y + rows, job.n_y);
    double* own = panels[static_cast<std::size_t>(worker)].get();
    std::int64_t from = 0;
    do {  // once even without features: the sums are then zero
      run(job, x, last_x, y, last_y, from, own);
      from += kPanelDepth;
    } while (from < job.n_features && !stop.load(std::memory_order_relaxed));
    if (!mirrored || x == y) return;
    for (std::int64_t i = x; i < last_x; ++i)
      for (std::int64_t j = y; j < last_y; ++j) job.out[j * job.n_y + i] = job.out[i * job.n_y + j];
  };
  for_each_task(team, n_tiles, work, body);
}

template <class T>
void row_squares(const T* table, std::int64_t n, std::int64_t n_features, const std::int64_t* without,
                 std::int64_t n_without, double* out, const Team& team) {
  constexpr std::int64_t kTogether = 8;  // rows side by side: one row's additions wait for each other
  const auto body = [&](std::int64_t task, int, const std::atomic<bool>&) {
    const T* rows[kTogether];
    double total[kTogether];
    for (std::int64_t r = 0; r < kTogether; ++r)
      rows[r] = table + std::min(task * kTogether + r, n - 1) * n_features;
    std::int64_t next = 0;  // of those left out
    for (std::int64_t from = 0; from == 0 || from < n_features; from += kPanelDepth) {
      double part[kTogether] = {};
      const std::int64_t last = std::min(from + kPanelDepth, n_features);
      for (std::int64_t k = from; k < last; ++k) {
        if (next < n_without && without[next] == k) {
          ++next;
          continue;
        }
        for (std::int64_t r = 0; r < kTogether; ++r) {
          const double x = static_cast<double>(rows[r][k]);
          part[r] += x * x;
        }
      }
      for (std::int64_t r = 0; r < kTogether; ++r) total[r] = from == 0 ? part[r] : total[r] + part[r];
    }
    for (std::int64_t r = 0; r < kTogether && task * kTogether + r < n; ++r)
      out[task * kTogether + r] = total[r];
  };
  for_each_task(team, (n + kTogether - 1) / kTogether, n * n_features, body);
}

template void row_squares(const float*, std::int64_t, std::int64_t, const std::int64_t*, std::int64_t,
                          double*, const Team&);
template void row_squares(const double*, std::int64_t, std::int64_t, const std::int64_t*, std::int64_t,
                          double*, const Team&);

}  // namespace vcm
