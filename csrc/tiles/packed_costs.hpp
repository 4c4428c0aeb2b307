#pragma once
// Squared Euclidean costs between two groups, a few rows at a time.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

#include "cells/grouped_rows.hpp"
#include "tiles/tile_work.hpp"

namespace vcm {

template <class T>
class PackedCosts {
 public:
  PackedCosts(const T* cells, std::int64_t n_features, std::int64_t row_stride, const DistanceTiles& kernels)
      : cells_(cells),
        n_features_(n_features),
        row_stride_(row_stride),
        difference_(difference_of<T>(kernels)) {}

  std::int64_t rows() const { return n_; }
  std::int64_t cols() const { return m_; }
  std::int64_t stride() const { return (m_ + kTileStep - 1) / kTileStep * kTileStep; }

  // Copies the cells x[0 … n-1] as rows and y[0 … m-1] as tiles.
  void pack(const std::int64_t* x, std::int64_t n, const std::int64_t* y, std::int64_t m) {
    n_ = n;
    m_ = m;
    T* rows = x_.reserve(n * n_features_);
    for (std::int64_t i = 0; i < n; ++i)
      std::copy_n(cells_ + x[i] * row_stride_, n_features_, rows + i * n_features_);
    T* tiles = y_.reserve(stride() * n_features_);
    std::memset(tiles, 0, sizeof(T) * static_cast<std::size_t>(stride() * n_features_));
    for (std::int64_t first = 0; first < m; first += kTileCells) {
      T* tile = tiles + first * n_features_;
      const std::int64_t width = width_of(first);
      for (std::int64_t j = first; j < std::min(m, first + kTileCells); ++j)
        for (std::int64_t k = 0; k < n_features_; ++k)
          tile[k * width + (j - first)] = cells_[y[j] * row_stride_ + k];
    }
  }

  // cost[i][j] for rows first … first + n - 1, rows stride() apart; what is past cols() means nothing.
  void make(std::int64_t first, std::int64_t n, double* cost) const {
    const std::int64_t apart = stride();
    std::memset(cost, 0, sizeof(double) * static_cast<std::size_t>(n * apart));
    for (std::int64_t tile = 0; tile < m_; tile += kTileCells) {
      const std::int64_t width = width_of(tile);
      for (std::int64_t k = 0; k < n_features_; k += kFeatures)
        difference_(x_.data() + first * n_features_ + k, n_features_, n,
                    y_.data() + tile * n_features_ + k * width, width, std::min(kFeatures, n_features_ - k),
                    cost + tile, apart);
    }
  }

 private:
  static constexpr std::int64_t kFeatures = 256;  // of a tile: stays in the second-level cache

  std::int64_t width_of(std::int64_t tile) const {
    return (std::min(kTileCells, m_ - tile) + kTileStep - 1) / kTileStep * kTileStep;
  }

  const T* cells_;
  std::int64_t n_features_, row_stride_;
  decltype(difference_of<T>(std::declval<const DistanceTiles&>())) difference_;
  std::int64_t n_ = 0, m_ = 0;
  Buffer<T> x_, y_;
};

}  // namespace vcm
