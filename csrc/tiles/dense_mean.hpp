#pragma once
// Mean distances between groups of dense cells (embeddings), in the difference form throughout.
#include "tiles/tile_work.hpp"

namespace vcm {

constexpr std::int64_t kDenseFeatures = 1024;

struct DenseScratch {
  Buffer<double> tile;
  Buffer<double> rows;
  Buffer<double> squared;
};

template <class T>
class DenseMean {
 public:
  // `cells` is n × n_features, rows `row_stride` elements apart.
  DenseMean(const MeanPlan& plan, const T* cells, std::int64_t n_features, std::int64_t row_stride,
            const DistanceTiles& kernels)
      : plan_(plan), cells_(cells), n_features_(n_features), row_stride_(row_stride), kernels_(kernels) {}

  void run(const MeanItem& item, DenseScratch& scratch, double* slots) const {
    const MeanTile& tile = plan_.tiles[item.tile];
    const std::int64_t stride = tile_stride(tile);
    double* squared = scratch.squared.reserve(item.rows * stride);
    std::memset(squared, 0, sizeof(double) * item.rows * stride);
    const std::int64_t width = std::min(n_features_, kDenseFeatures);
    double* dense = scratch.tile.reserve(width * kTileCells);
    double* together = scratch.rows.reserve(width * kTogether);
    const auto difference = kernels_.difference_double;
    for (std::int64_t from = 0; from < n_features_; from += kDenseFeatures) {
      const std::int64_t n = std::min(kDenseFeatures, n_features_ - from);
      std::memset(dense, 0, sizeof(double) * n * stride);
      for (std::int64_t j = 0; j < tile.cells; ++j) {
        const T* x = cell(tile.group, tile.first + j) + from;
        for (std::int64_t k = 0; k < n; ++k) dense[k * stride + j] = x[k];
      }
      double* acc = squared;
      for (std::int64_t m = item.first_meeting; m < item.last_meeting; ++m) {
        const MeanMeeting& meeting = plan_.meetings[m];
        const MeanPanel& panel = plan_.panels[meeting.panel];
        for (std::int64_t i = 0; i < meeting.rows; i += kTogether) {
          const std::int64_t rows = std::min(kTogether, meeting.rows - i);
          for (std::int64_t r = 0; r < rows; ++r)
            std::copy_n(cell(panel.group, panel.first + i + r) + from, n, together + r * width);
          difference(together, width, rows, dense, stride, n, acc, stride);
          acc += rows * stride;
        }
      }
    }
    for (std::int64_t m = item.first_meeting; m < item.last_meeting; ++m) {
      const MeanMeeting& meeting = plan_.meetings[m];
      const MeanPanel& panel = plan_.panels[meeting.panel];
      double sums[kTileCells] = {};
      for (std::int64_t i = 0; i < meeting.rows; ++i, squared += stride)
        kernels_.add_roots(squared, first_partner(meeting, tile, panel.first + i), tile.cells, sums);
      slots[meeting.slot] = fold(sums);
    }
  }

 private:
  static constexpr std::int64_t kTogether = 8;

  const T* cell(std::int64_t group, std::int64_t position) const {
    return cells_ + plan_.order[plan_.start[group] + position] * row_stride_;
  }

  const MeanPlan& plan_;
  const T* cells_;
  std::int64_t n_features_;
  std::int64_t row_stride_;
  const DistanceTiles& kernels_;
};

}  // namespace vcm
