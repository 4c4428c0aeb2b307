#include "tiles/weighted_sums.hpp"

#include <algorithm>
#include <vector>

#include "tiles/buffer.hpp"
#include "tiles/dense_cells.hpp"

namespace vcm {
namespace {

// A tile's weights of a strip of columns (23 KiB) stay in the first-level cache while they meet a panel.
constexpr std::int64_t kTileStrips = 5;
constexpr std::int64_t kTileWidth = kTileStrips * kStrip;
constexpr std::int64_t kPanelRows = 128;
constexpr std::int64_t kPanelBlocks = kPanelRows / kBlockRows;

struct Scratch {
  Buffer<double> tile;
  Buffer<double> rows;
  Buffer<double> weights;  // of the tile's cells: [strip of columns][cell][24]
  double stats[kTileWidth];
  double row_stats[kPanelRows];
  double row_weights[kBlock] = {};
  alignas(64) double terms[kPanelBlocks * kTileStrips * kBlock];  // [block of rows][strip][8][24]
};

template <class T>
class TermTiles {
 public:
  TermTiles(const MatrixView<T>& x, const MatrixView<T>& y, CellTerm term, double gamma)
      : x_(x, term),
        y_(y, term),
        n_features_(x.cols),
        kernels_(VCM_SELECT_ISA(pair_kernels)()),
        accumulate_(sums_absolutes(term) ? kernels_.absolutes : kernels_.squares),
        term_(static_cast<int>(term)),
        factor_(term == CellTerm::rbf ? -gamma : 0.0) {}

  const PairKernels& kernels() const { return kernels_; }

  void open_tile(std::int64_t first, std::int64_t cells, Scratch& scratch) const {
    y_.template pack<kStrip>({nullptr, first}, cells,
                             scratch.tile.reserve(pieces(cells, kStrip) * kStrip * n_features_),
                             scratch.stats);
  }

  void open_panel(std::int64_t first, std::int64_t rows, Scratch& scratch) const {
    x_.template pack<kBlockRows>({nullptr, first}, rows, scratch.rows.reserve(kPanelRows * n_features_),
                                 scratch.row_stats);
  }

  // `use(block number, strip number, block)` for each block of the open panel and tile that has pairs. Row i
  // meets the cells of the tile from first + i on.
  template <class Use>
  void for_each(std::int64_t rows, std::int64_t cells, std::int64_t first, Scratch& scratch,
                const Use& use) const {
    for (std::int64_t strip = 0; strip * kStrip < cells; ++strip) {
      const std::int64_t at = strip * kStrip;
      const std::int64_t width = std::min(kStrip, cells - at);
      const std::int64_t n_rows = std::min(rows, width - (first - at));
      if (n_rows <= 0) continue;
      for_each_block(accumulate_, scratch.rows.data(), n_rows, scratch.tile.data() + at * n_features_, width,
                     n_features_, scratch.terms + strip * kBlock, kTileStrips * kBlock,
                     [&](std::int64_t row, double* sums) {
                       use(row / kBlockRows, strip,
                           PairBlock{sums, scratch.row_stats + row, scratch.stats + at,
                                     std::min(kBlockRows, n_rows - row), width, first - at + row, factor_});
                     });
    }
  }

  void map(const PairBlock& block) const { kernels_.map[term_](block); }
  void add(const PairBlock& block, double* totals) const { kernels_.add[term_](block, totals); }

  double with_itself(std::int64_t i) const { return x_.with_itself(i); }

 private:
  DenseCells<T> x_;
  DenseCells<T> y_;
  std::int64_t n_features_;
  const PairKernels& kernels_;
  PairKernels::Accumulate accumulate_;
  int term_;
  double factor_;
};

// `columns` columns from `column` on, 24 wide with zeros after them.
void copy_weights(const MatrixView<double>& weights, std::int64_t first, std::int64_t n, std::int64_t column,
                  double* out) {
  const std::int64_t columns = std::min(kStrip, weights.cols - column);
  for (std::int64_t i = 0; i < n; ++i, out += kStrip) {
    std::copy_n(weights.row(first + i) + column, columns, out);
    std::fill(out + columns, out + kStrip, 0.0);
  }
}

}  // namespace

template <class T>
void weighted_pair_sums(WeightedSumsJob<T>& job, const Team& team) {
  const bool within = job.y.data == nullptr;
  const MatrixView<T>& y = within ? job.x : job.y;
  const MatrixView<double>& wy = within ? job.wx : job.wy;
  const TermTiles<T> tiles(job.x, y, job.term, job.gamma);
  const std::int64_t n_columns = job.wx.cols, n_strips = pieces(n_columns, kStrip);
  const std::int64_t n_tiles = pieces(y.rows, kTileWidth);
  job.total = within ? y.rows * (y.rows - 1) / 2 : job.x.rows * y.rows;

  std::vector<double> parts(n_tiles * n_strips * kStrip, 0.0);
  const std::int64_t work = job.total * (job.x.cols + n_columns + 1);
  std::vector<Scratch> scratch(n_workers(team, n_tiles, work));
  for_each_task(team, n_tiles, work, [&](std::int64_t task, int worker, const std::atomic<bool>& stop) {
    const std::int64_t t = n_tiles - 1 - task;  // inside x the last tile meets most rows: it goes first
    const std::int64_t first = t * kTileWidth, cells = std::min(kTileWidth, y.rows - first);
    Scratch& mine = scratch[worker];
    tiles.open_tile(first, cells, mine);
    double* weights = mine.weights.reserve(n_strips * kTileWidth * kStrip);
    for (std::int64_t c = 0; c < n_strips; ++c)
      copy_weights(wy, first, cells, c * kStrip, weights + c * kTileWidth * kStrip);
    double* part = parts.data() + t * n_strips * kStrip;
    const std::int64_t last = within ? first + cells - 1 : job.x.rows;
    for (std::int64_t i = 0; i < last && !stop; i += kPanelRows) {
      const std::int64_t rows = std::min(kPanelRows, last - i);
      tiles.open_panel(i, rows, mine);
      std::int64_t first_strip[kPanelBlocks];  // of a block of rows, the first with pairs
      std::fill_n(first_strip, kPanelBlocks, kTileStrips);
      tiles.for_each(rows, cells, within ? i + 1 - first : -rows, mine,
                     [&](std::int64_t b, std::int64_t strip, const PairBlock& block) {
                       tiles.map(block);
                       first_strip[b] = std::min(first_strip[b], strip);
                     });
      for (std::int64_t c = 0; c < n_strips; ++c)
        for (std::int64_t b = 0; b * kBlockRows < rows; ++b) {
          const std::int64_t from = first_strip[b];
          if (from == kTileStrips) continue;
          const std::int64_t row = i + b * kBlockRows;
          const double* row_weights = job.wx.row(row) + c * kStrip;
          std::int64_t row_stride = job.wx.row_stride;
          if (row + kBlockRows > job.wx.rows || (c + 1) * kStrip > n_columns) {
            copy_weights(job.wx, row, std::min(kBlockRows, job.wx.rows - row), c * kStrip, mine.row_weights);
            row_weights = mine.row_weights;
            row_stride = kStrip;
          }
          tiles.kernels().weigh(mine.terms + (b * kTileStrips + from) * kBlock, cells - from * kStrip,
                                weights + (c * kTileWidth + from * kStrip) * kStrip, row_weights, row_stride,
                                std::min(kStrip, n_columns - c * kStrip), part + c * kStrip);
        }
      job.done += rows * cells;
    }
  });

  for (std::int64_t b = 0; b < n_columns; ++b) {
    double total = 0;
    for (std::int64_t t = 0; t < n_tiles; ++t) total += parts[t * n_strips * kStrip + b];
    job.out[b] = within ? 2 * total : total;
  }
  if (within)
    for (std::int64_t i = 0; i < y.rows; ++i) {
      const double itself = tiles.with_itself(i);
      if (itself == 0) continue;
      const double* w = job.wx.row(i);
      for (std::int64_t b = 0; b < n_columns; ++b) job.out[b] += w[b] * w[b] * itself;
    }
  job.done = job.total.load();
}

template <class T>
void pair_row_sums(const RowSumsJob<T>& job, const Team& team) {
  // the cells of x take the columns, whose totals add up over the rows
  const MatrixView<T>& rows = job.y.data == nullptr ? job.x : job.y;
  const TermTiles<T> tiles(rows, job.x, job.term, job.gamma);
  const std::int64_t n_tiles = pieces(job.x.rows, kTileWidth);
  const std::int64_t work = job.x.rows * rows.rows * std::max<std::int64_t>(1, job.x.cols);
  std::vector<Scratch> scratch(n_workers(team, n_tiles, work));
  for_each_task(team, n_tiles, work, [&](std::int64_t t, int worker, const std::atomic<bool>& stop) {
    const std::int64_t first = t * kTileWidth, cells = std::min(kTileWidth, job.x.rows - first);
    Scratch& mine = scratch[worker];
    tiles.open_tile(first, cells, mine);
    double totals[kTileWidth] = {};
    for (std::int64_t i = 0; i < rows.rows && !stop; i += kPanelRows) {
      const std::int64_t n = std::min(kPanelRows, rows.rows - i);
      tiles.open_panel(i, n, mine);
      tiles.for_each(n, cells, -n, mine, [&](std::int64_t, std::int64_t strip, const PairBlock& block) {
        tiles.add(block, totals + strip * kStrip);
      });
    }
    std::copy_n(totals, cells, job.out + first);
  });
}

template void weighted_pair_sums<float>(WeightedSumsJob<float>&, const Team&);
template void weighted_pair_sums<double>(WeightedSumsJob<double>&, const Team&);
template void pair_row_sums<float>(const RowSumsJob<float>&, const Team&);
template void pair_row_sums<double>(const RowSumsJob<double>&, const Team&);

}  // namespace vcm
