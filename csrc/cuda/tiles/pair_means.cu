#include "cuda/core/block_sum.hpp"
#include "cuda/core/launch.hpp"
#include "cuda/tiles/pair_means.hpp"
#include "cuda/tiles/pair_tile.hpp"

namespace vcm::cuda {
namespace {

// The last k with starts[k] <= value; starts ascend, starts[0] <= value < starts[n].
VCM_HD std::int64_t piece_of(const std::int64_t* starts, std::int64_t n, std::int64_t value) {
  std::int64_t low = 0, high = n;
  while (high - low > 1) {
    const std::int64_t middle = low + (high - low) / 2;
    (starts[middle] <= value ? low : high) = middle;
  }
  return low;
}

template <class T>
VCM_HD TileSide<T> cells_of(const T* cells, const std::int64_t* starts, std::int32_t group,
                            std::int64_t tile) {
  const std::int64_t first = starts[group] + tile * kTileRows, left = starts[group + 1] - first;
  return {cells, first, static_cast<int>(left < kTileRows ? left : kTileRows)};
}

// A task is a tile of cells × cells of one pair of groups: one number, the sum of its pairs.
template <class T, class Term>
struct GroupPairTiles {
  static constexpr int kThreads = kTileThreads;
  struct Shared : PairTileShared<T> {
    double total[kThreads];
  };
  using Local = PairTileLocal<T>;

  GroupPairSumsJob job;

  template <class Block>
  VCM_HD void run(Block& block, std::int64_t task) const {
    const std::int64_t pair = piece_of(job.tasks, job.n_pairs, task), tile = task - job.tasks[pair];
    const std::int32_t a = job.pairs[2 * pair], b = job.pairs[2 * pair + 1];
    const std::int64_t n_b = job.starts[b + 1] - job.starts[b];
    const std::int64_t tiles_b = (n_b + kTileRows - 1) / kTileRows;
    const std::int64_t tile_x = tile / tiles_b, tile_y = tile % tiles_b;
    // a group with itself: tiles below the diagonal are the mirrored ones above
    const bool below = a == b && tile_y < tile_x;
    const double times = a == b && tile_y > tile_x ? 2.0 : 1.0;
    const auto* cells = static_cast<const T*>(job.cells);
    const TileSide<T> x = cells_of(cells, job.starts, a, tile_x), y = cells_of(cells, job.starts, b, tile_y);
    if (!below) sum_tile<T, Term>(block, x, y, job.n_features);
    for (std::int64_t g = 0; g < job.n_gammas; ++g) {
      block.each([&](int thread, auto& local) {
        double total = 0.0;
        const double gamma = job.finish == PairFinish::rbf ? job.gammas[g] : 0.0;
        for (int r = 0; r < kOwn; ++r)
          for (int c = 0; c < kOwn; ++c)
            if (!below && own_row(place_x(thread), r) < x.rows && own_row(place_y(thread), c) < y.rows)
              total += finish_pair(job.finish, local.sum[r][c], gamma);
        block.shared.total[thread] = total;
      });
      add_halves(block, block.shared.total);
      block.each([&](int thread, auto&) {
        if (thread == 0) job.tiles[g * job.n_tasks + task] = times * block.shared.total[0];
      });
    }
  }
};

// A task is a pair and a gamma: its tiles, kThreads apart, then by halving.
struct AddTiles {
  static constexpr int kThreads = 256;
  struct Shared {
    double total[kThreads];
  };
  struct Local {};

  const double* tiles;
  const std::int64_t* tasks;
  std::int64_t n_pairs, n_tasks;
  double* sums;

  template <class Block>
  VCM_HD void run(Block& block, std::int64_t task) const {
    const std::int64_t pair = task % n_pairs, gamma = task / n_pairs;
    block.each([&](int thread, Local&) {
      double total = 0.0;
      for (std::int64_t t = tasks[pair] + thread; t < tasks[pair + 1]; t += kThreads)
        total += tiles[gamma * n_tasks + t];
      block.shared.total[thread] = total;
    });
    add_halves(block, block.shared.total);
    block.each([&](int thread, Local&) {
      if (thread == 0) sums[task] = block.shared.total[0];
    });
  }
};

template <class T>
void launch_cells(const GroupPairSumsJob& job, Stream stream) {
  if (job.term == PairTerm::cityblock)
    launch("group_pair_tiles", GroupPairTiles<T, Cityblock>{job}, job.n_tasks, stream);
  else
    launch("group_pair_tiles", GroupPairTiles<T, Sqeuclidean>{job}, job.n_tasks, stream);
}

}  // namespace

void launch_group_pair_sums(const GroupPairSumsJob& job, Stream stream) {
  if (job.is_float)
    launch_cells<float>(job, stream);
  else
    launch_cells<double>(job, stream);
  const AddTiles add{job.tiles, job.tasks, job.n_pairs, job.n_tasks, job.sums};
  launch("add_tiles", add, job.n_gammas * job.n_pairs, stream);
}

}  // namespace vcm::cuda
