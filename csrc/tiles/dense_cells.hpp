#pragma once
// Dense cells laid out for the blocks of pairs: widened to float64, W of them side by side.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "core/views.hpp"
#include "tiles/pair_block.hpp"

namespace vcm {

// Numbers of the cells to read: a list, or those from `first` on.
struct CellNumbers {
  const std::int64_t* list;
  std::int64_t first;

  std::int64_t operator[](std::int64_t i) const { return list == nullptr ? first + i : list[i]; }
};

template <class T>
class DenseCells {
 public:
  DenseCells(const MatrixView<T>& cells, CellTerm term) : cells_(cells), term_(term) {}

  std::int64_t n_features() const { return cells_.cols; }

  // ceil(n / W) pieces [feature][W] one after the other, zeros past the last cell; stats as PairBlock wants
  // them.
  template <std::int64_t W>
  void pack(const CellNumbers& numbers, std::int64_t n, double* packed, double* stats) const {
    for (std::int64_t from = 0; from < n; from += W, packed += W * cells_.cols, stats += W) {
      const std::int64_t cells = std::min(W, n - from);
      const T* row[W];
      double length[W];
      for (std::int64_t j = 0; j < W; ++j) {
        row[j] = cells_.row(numbers[from + std::min(j, cells - 1)]);
        stats[j] = j < cells ? share(row[j], length[j]) : 0.0;
      }
      if (cells < W) std::memset(packed, 0, sizeof(double) * W * cells_.cols);
      if (term_ == CellTerm::cosine)
        copy<W>(row, cells, packed, [&](std::int64_t j, T x) { return static_cast<double>(x) / length[j]; });
      else
        copy<W>(row, cells, packed, [](std::int64_t, T x) { return static_cast<double>(x); });
    }
  }

  // The term of a cell with itself; NaN where a value is not finite.
  double with_itself(std::int64_t number) const {
    const T* x = cells_.row(number);
    bool finite = true;
    for (std::int64_t k = 0; k < cells_.cols; ++k) finite &= std::isfinite(x[k]);
    if (!finite) return std::nan("");
    double length;
    switch (term_) {
      case CellTerm::euclidean:
      case CellTerm::sqeuclidean:
      case CellTerm::cityblock: return 0.0;
      case CellTerm::cosine: return share(x, length);
      default: return 1.0;
    }
  }

 private:
  template <std::int64_t W, class Value>
  void copy(const T* const* row, std::int64_t cells, double* packed, const Value& value) const {
    if (cells == W) {
      for (std::int64_t k = 0; k < cells_.cols; ++k)
        for (std::int64_t j = 0; j < W; ++j) packed[k * W + j] = value(j, row[j][k]);
      return;
    }
    for (std::int64_t j = 0; j < cells; ++j)
      for (std::int64_t k = 0; k < cells_.cols; ++k) packed[k * W + j] = value(j, row[j][k]);
  }

  double share(const T* x, double& length) const {
    switch (term_) {
      case CellTerm::cosine: {
        length = std::sqrt(sum(x, [](double v) { return v * v; }));
        const bool none = length == 0;
        if (none) length = 1;
        return none ? 1.0 : 0.0;
      }
      case CellTerm::braycurtis:
      case CellTerm::ruzicka: return sum(x, [](double v) { return std::fabs(v); });
      case CellTerm::tanimoto: return sum(x, [](double v) { return v * v; });
      default: return 0.0;
    }
  }

  // Eight running sums in a fixed order: one would wait for each addition.
  template <class Map>
  double sum(const T* x, const Map& map) const {
    double lanes[8] = {};
    std::int64_t k = 0;
    for (; k + 8 <= cells_.cols; k += 8)
      for (std::int64_t lane = 0; lane < 8; ++lane) lanes[lane] += map(static_cast<double>(x[k + lane]));
    for (; k < cells_.cols; ++k) lanes[k % 8] += map(static_cast<double>(x[k]));
    for (int half = 4; half > 0; half /= 2)
      for (int lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
    return lanes[0];
  }

  MatrixView<T> cells_;
  CellTerm term_;
};

inline std::int64_t pieces(std::int64_t n, std::int64_t width) { return (n + width - 1) / width; }

inline bool sums_absolutes(CellTerm term) {
  return term == CellTerm::cityblock || term == CellTerm::braycurtis || term == CellTerm::ruzicka;
}

// A strip stays in the first-level cache beside the rows while this many features are summed.
constexpr std::int64_t kDepth = 128;

// Rows against one strip of a tile: `each(first row, sums [8][24])` for each block of 8 rows when its sums
// are complete. The sums of a block lie `block_stride` after the last one's; 0 (the same place for all) only
// while the features fit kDepth.
template <class Each>
void for_each_block(PairKernels::Accumulate accumulate, const double* rows, std::int64_t n_rows,
                    const double* strip, std::int64_t cells, std::int64_t n_features, double* sums,
                    std::int64_t block_stride, const Each& each) {
  const std::int64_t n_blocks = pieces(n_rows, kBlockRows);
  std::int64_t from = 0;
  do {
    const std::int64_t n = std::min(kDepth, n_features - from);
    for (std::int64_t b = 0; b < n_blocks; ++b) {
      double* block = sums + b * block_stride;
      accumulate(rows + (b * n_features + from) * kBlockRows, strip + from * kStrip, n, cells, from == 0,
                 block);
      if (from + n == n_features) each(b * kBlockRows, block);
    }
    from += n;
  } while (from < n_features);
}

}  // namespace vcm
