#include "tiles/pair_means.hpp"

#include <algorithm>
#include <vector>

#include "tiles/buffer.hpp"
#include "tiles/dense_cells.hpp"

namespace vcm {
namespace {

constexpr std::int64_t kTileStrips = 5;
constexpr MeanShape kShape{kTileStrips * kStrip, kStrip, 512, 4096};

struct Scratch {
  Buffer<double> tile;
  Buffer<double> sums;
  Buffer<double> totals;
  double stats[kTileStrips * kStrip];
};

template <class T>
class PairMeans {
 public:
  PairMeans(const MeanPlan& plan, const MatrixView<T>& cells, PairMeansJob& job)
      : plan_(plan),
        job_(job),
        cells_(cells, job.term),
        n_features_(cells.cols),
        kernels_(VCM_SELECT_ISA(pair_kernels)()),
        accumulate_(sums_absolutes(job.term) ? kernels_.absolutes : kernels_.squares),
        offsets_(plan.panels.size()),
        slots_(plan.n_slots * job.n_gammas, 0.0),
        with_itself_(plan.order.size(), 0.0) {}

  // Lay out the panels of a batch; pack_panel fills them, in any order.
  void open(const MeanBatch& batch) {
    std::int64_t rows = 0;
    for (std::int64_t p = batch.first_panel; p < batch.last_panel; ++p) {
      offsets_[p] = rows;
      rows += pieces(plan_.panels[p].rows, kBlockRows) * kBlockRows;
    }
    packed_.reserve(rows * n_features_);
    stats_.reserve(rows);
  }

  void pack_panel(std::int64_t p) {
    const MeanPanel& panel = plan_.panels[p];
    const std::int64_t at = plan_.start[panel.group] + panel.first;
    cells_.template pack<kBlockRows>({plan_.order.data() + at, 0}, panel.rows,
                                     packed_.data() + offsets_[p] * n_features_, stats_.data() + offsets_[p]);
    for (std::int64_t i = at; i < at + panel.rows; ++i) with_itself_[i] = cells_.with_itself(plan_.order[i]);
  }

  void run(const MeanItem& item, Scratch& scratch, const std::atomic<bool>& stop) {
    const MeanTile& tile = plan_.tiles[item.tile];
    const std::int64_t n_strips = pieces(tile.cells, kStrip);
    double* packed = scratch.tile.reserve(n_strips * kStrip * n_features_);
    cells_.template pack<kStrip>({plan_.order.data() + plan_.start[tile.group] + tile.first, 0}, tile.cells,
                                 packed, scratch.stats);
    for (std::int64_t m = item.first_meeting; m < item.last_meeting && !stop; ++m) {
      meet(tile, packed, plan_.meetings[m], scratch);
      job_.done += plan_.meetings[m].rows * tile.cells;
    }
  }

  void finish() {
    std::vector<double> diagonals(plan_.panels_of.size(), 0.0);
    for (std::size_t g = 0; g < diagonals.size(); ++g)
      for (std::int64_t i = plan_.start[g]; i < plan_.start[g + 1]; ++i) diagonals[g] += with_itself_[i];
    for (std::int64_t k = 0; k < job_.n_gammas; ++k)
      finish_means(plan_, slots_.data() + k * plan_.n_slots, diagonals.data(), job_.estimator,
                   job_.means + k * job_.n_pairs);
  }

 private:
  void meet(const MeanTile& tile, const double* packed, const MeanMeeting& meeting, Scratch& scratch) {
    const MeanPanel& panel = plan_.panels[meeting.panel];
    const double* rows = packed_.data() + offsets_[meeting.panel] * n_features_;
    const std::int64_t block_stride = n_features_ <= kDepth ? 0 : kBlock;
    double* sums = scratch.sums.reserve(kBlock + pieces(panel.rows, kBlockRows) * block_stride);
    const auto add = kernels_.add[static_cast<int>(job_.term)];
    for (std::int64_t at = 0; at < tile.cells; at += kStrip) {
      const std::int64_t cells = std::min(kStrip, tile.cells - at);
      // row i of the panel meets the cells of the strip from first + i on
      const std::int64_t first = meeting.within ? panel.first + 1 - tile.first - at : -panel.rows;
      const std::int64_t n_rows = std::min(meeting.rows, cells - first);
      if (n_rows <= 0) continue;
      double* totals = scratch.totals.reserve(job_.n_gammas * kStrip);
      std::fill_n(totals, job_.n_gammas * kStrip, 0.0);
      for_each_block(accumulate_, rows, n_rows, packed + at * n_features_, cells, n_features_, sums,
                     block_stride, [&](std::int64_t row, double* block) {
                       for (std::int64_t k = 0; k < job_.n_gammas; ++k)
                         add({block, stats_.data() + offsets_[meeting.panel] + row, scratch.stats + at,
                              std::min(kBlockRows, n_rows - row), cells, first + row,
                              job_.term == CellTerm::rbf ? -job_.gammas[k] : 0.0},
                             totals + k * kStrip);
                     });
      for (std::int64_t k = 0; k < job_.n_gammas; ++k)
        slots_[k * plan_.n_slots + meeting.slot] += fold(totals + k * kStrip, cells);
    }
  }

  // 24 sums by eights, then by halving; those past the last cell belong to no cell.
  static double fold(double* totals, std::int64_t cells) {
    std::fill(totals + cells, totals + kStrip, 0.0);
    for (std::int64_t j = 0; j < 8; ++j) totals[j] = totals[j] + totals[j + 8] + totals[j + 16];
    for (std::int64_t width = 4; width > 0; width /= 2)
      for (std::int64_t j = 0; j < width; ++j) totals[j] += totals[j + width];
    return totals[0];
  }

  const MeanPlan& plan_;
  PairMeansJob& job_;
  DenseCells<T> cells_;
  std::int64_t n_features_;
  const PairKernels& kernels_;
  PairKernels::Accumulate accumulate_;
  std::vector<std::int64_t> offsets_;  // by panel, in rows
  std::vector<double> slots_;          // [gamma][slot]
  std::vector<double> with_itself_;    // by position in plan.order
  Buffer<double> packed_;
  Buffer<double> stats_;
};

}  // namespace

template <class T>
void pair_means(const MatrixView<T>& cells, PairMeansJob& job, const Team& team) {
  const std::int64_t row_bytes = cells.cols * static_cast<std::int64_t>(sizeof(double));
  MeanPlan plan = plan_mean_distances(
      job.codes, cells.rows, job.n_groups, job.pairs, job.n_pairs, kShape,
      [&](const std::int64_t*, std::int64_t n) { return pieces(n, kBlockRows) * kBlockRows * row_bytes; },
      kPackedBytes);
  job.total = plan.n_pairs_of_cells();
  PairMeans<T> means(plan, cells, job);
  const std::int64_t work = job.total * std::max<std::int64_t>(1, cells.cols);
  std::vector<Scratch> scratch(n_workers(team, team.n_threads, work));
  for (const MeanBatch& batch : plan.batches) {
    open_batch(plan, batch);
    means.open(batch);
    for_each_task(team, batch.last_panel - batch.first_panel, work,
                  [&](std::int64_t task, int, const std::atomic<bool>&) {
                    means.pack_panel(batch.first_panel + task);
                  });
    for_each_task(team, static_cast<std::int64_t>(plan.items.size()), work,
                  [&](std::int64_t task, int worker, const std::atomic<bool>& stop) {
                    means.run(plan.items[task], scratch[worker], stop);
                  });
  }
  means.finish();
  job.done = job.total.load();
}

template void pair_means<float>(const MatrixView<float>&, PairMeansJob&, const Team&);
template void pair_means<double>(const MatrixView<double>&, PairMeansJob&, const Team&);

}  // namespace vcm
