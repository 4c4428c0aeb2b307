#pragma once
// A tile of pairs of rows, summed over features with the order of additions of profiles/pair_panels.hpp:
// partial sums over kPartial features in ascending order, then those. On the GPU the bits are those of the
// CPU.
#include <cstdint>

#include "ops/host_device.hpp"
#include "ops/pair_terms.hpp"

namespace vcm::cuda {

inline constexpr int kTileRows = 64;      // rows of either side
inline constexpr int kTileDepth = 16;     // features in shared memory at a time
inline constexpr int kTileThreads = 256;  // 16 x 16, each with kOwn x kOwn pairs in registers
inline constexpr int kOwn = 4;
inline constexpr int kSide = kTileRows / kOwn;
inline constexpr int kTilePad = 2;  // keeps pairs of doubles aligned and spreads columns over the banks
inline constexpr int kPartial = 256;
static_assert(kSide * kSide == kTileThreads && kPartial % kTileDepth == 0);
// each thread fetches this many values a side and step
inline constexpr int kFetch = kTileRows * kTileDepth / kTileThreads;

struct Cityblock {
  static VCM_HD double add(double sum, double x, double y) { return add_difference(sum, x, y); }
};
struct Sqeuclidean {
  static VCM_HD double add(double sum, double x, double y) { return add_square(sum, x, y); }
};
struct Product {
  static VCM_HD double add(double sum, double x, double y) { return add_product(sum, x, y); }
};
struct ExactProduct {
  static VCM_HD double add(double sum, double x, double y) { return add_exact_product(sum, x, y); }
};

// Rows first … first + rows - 1 of a table [.][n_features], rows without gaps.
template <class T>
struct TileSide {
  const T* table;
  std::int64_t first;
  int rows;  // at most kTileRows; what lies past them is summed and never used
};

template <class T>
struct PairTileShared {
  alignas(16) double x[kTileDepth][kTileRows + kTilePad];
  alignas(16) double y[kTileDepth][kTileRows + kTilePad];
};

template <class T>
struct PairTileLocal {
  double partial[kOwn][kOwn];
  double sum[kOwn][kOwn];
  T next_x[kFetch], next_y[kFetch];
};

// Which row of the tile is the k-th of a thread: two neighbours here and two half a tile on, so that the
// threads of a warp read shared memory without gaps.
VCM_HD constexpr int own_row(int place, int k) { return k / 2 * (kTileRows / 2) + place * 2 + k % 2; }
VCM_HD constexpr int place_x(int thread) { return thread / kSide; }
VCM_HD constexpr int place_y(int thread) { return thread % kSide; }

template <class T>
VCM_HD void fetch(const TileSide<T>& side, std::int64_t n_features, std::int64_t from, int thread,
                  T (&next)[kFetch]) {
  const std::int64_t k = from + thread % kTileDepth;
  for (int f = 0; f < kFetch; ++f) {
    const int r = f * (kTileThreads / kTileDepth) + thread / kTileDepth;
    const std::int64_t row = side.first + (r < side.rows ? r : side.rows - 1);
    // past the last feature both sides are 0, which adds nothing
    next[f] = k < n_features ? side.table[row * n_features + k] : T{0};
  }
}

template <class T>
VCM_HD void put(const T (&next)[kFetch], int thread, double (&to)[kTileDepth][kTileRows + kTilePad]) {
  for (int f = 0; f < kFetch; ++f)
    to[thread % kTileDepth][f * (kTileThreads / kTileDepth) + thread / kTileDepth] =
        static_cast<double>(next[f]);
}

// local.sum[r][c] = the sum over all features of row own_row(place_x, r) of x and own_row(place_y, c) of y.
template <class T, class Term, class Block>
VCM_HD void sum_tile(Block& block, const TileSide<T>& x, const TileSide<T>& y, std::int64_t n_features) {
  block.each([&](int thread, auto& local) {
    for (int r = 0; r < kOwn; ++r)
      for (int c = 0; c < kOwn; ++c) local.partial[r][c] = local.sum[r][c] = 0.0;
    fetch(x, n_features, 0, thread, local.next_x);
    fetch(y, n_features, 0, thread, local.next_y);
  });
  for (std::int64_t from = 0; from < n_features; from += kTileDepth) {
    block.each([&](int thread, auto& local) {
      put(local.next_x, thread, block.shared.x);
      put(local.next_y, thread, block.shared.y);
    });
    const bool flush = (from + kTileDepth) % kPartial == 0 || from + kTileDepth >= n_features;
    block.each([&](int thread, auto& local) {
      // the next values are on their way while these are worked on
      fetch(x, n_features, from + kTileDepth, thread, local.next_x);
      fetch(y, n_features, from + kTileDepth, thread, local.next_y);
      for (int k = 0; k < kTileDepth; ++k) {
        double at_x[kOwn], at_y[kOwn];
        for (int r = 0; r < kOwn; ++r) at_x[r] = block.shared.x[k][own_row(place_x(thread), r)];
        for (int c = 0; c < kOwn; ++c) at_y[c] = block.shared.y[k][own_row(place_y(thread), c)];
        for (int r = 0; r < kOwn; ++r)
          for (int c = 0; c < kOwn; ++c)
            local.partial[r][c] = Term::add(local.partial[r][c], at_x[r], at_y[c]);
      }
      if (flush)
        for (int r = 0; r < kOwn; ++r)
          for (int c = 0; c < kOwn; ++c) {
            local.sum[r][c] += local.partial[r][c];
            local.partial[r][c] = 0.0;
          }
    });
  }
}

}  // namespace vcm::cuda
