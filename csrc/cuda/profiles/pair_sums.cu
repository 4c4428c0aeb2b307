#include <type_traits>

#include "cuda/core/launch.hpp"
#include "cuda/profiles/pair_sums.hpp"
#include "cuda/tiles/pair_tile.hpp"

namespace vcm::cuda {
namespace {

VCM_HD constexpr std::int64_t tiles_of(std::int64_t rows) { return (rows + kTileRows - 1) / kTileRows; }

template <class T>
VCM_HD TileSide<T> side_of(const T* table, std::int64_t n, std::int64_t tile) {
  const std::int64_t first = tile * kTileRows, left = n - first;
  return {table, first, static_cast<int>(left < kTileRows ? left : kTileRows)};
}

// A task is a tile of the table of pairs.
template <class T, class Term>
struct PairSums {
  static constexpr int kThreads = kTileThreads;
  using Shared = PairTileShared<T>;
  using Local = PairTileLocal<T>;

  const T* x;
  const T* y;
  std::int64_t n_x, n_y, n_features;
  bool symmetric;
  double* out;

  template <class Block>
  VCM_HD void run(Block& block, std::int64_t task) const {
    const std::int64_t tiles_y = tiles_of(n_y), tile_x = task / tiles_y, tile_y = task % tiles_y;
    if (symmetric && tile_y < tile_x) return;
    const TileSide<T> rows = side_of(x, n_x, tile_x), columns = side_of(y, n_y, tile_y);
    sum_tile<T, Term>(block, rows, columns, n_features);
    block.each([&](int thread, auto& local) {
      for (int r = 0; r < kOwn; ++r)
        for (int c = 0; c < kOwn; ++c) {
          const int row = own_row(place_x(thread), r), column = own_row(place_y(thread), c);
          if (row >= rows.rows || column >= columns.rows) continue;
          const std::int64_t i = rows.first + row, j = columns.first + column;
          out[i * n_y + j] = local.sum[r][c];
          if (symmetric && tile_y > tile_x) out[j * n_y + i] = local.sum[r][c];
        }
    });
  }
};

template <class T, class Term>
void launch_term(const PairSumsJob& job, Stream stream) {
  const bool symmetric = job.x == job.y && job.n_x == job.n_y;
  const PairSums<T, Term> kernel{static_cast<const T*>(job.x),
                                 static_cast<const T*>(job.y),
                                 job.n_x,
                                 job.n_y,
                                 job.n_features,
                                 symmetric,
                                 job.out};
  launch("pair_sums", kernel, tiles_of(job.n_x) * tiles_of(job.n_y), stream);
}

template <class T>
void launch_type(const PairSumsJob& job, Stream stream) {
  using Products = std::conditional_t<std::is_same_v<T, float>, ExactProduct, Product>;
  switch (job.term) {
    case PairTerm::cityblock: return launch_term<T, Cityblock>(job, stream);
    case PairTerm::sqeuclidean: return launch_term<T, Sqeuclidean>(job, stream);
    case PairTerm::product: return launch_term<T, Products>(job, stream);
  }
}

// A task is a row; thread t has its parts t, t + kThreads, …
template <class T>
struct RowSquares {
  static constexpr int kThreads = 128;
  struct Shared {
    double part[kThreads];
  };
  struct Local {
    double sum;
  };

  const T* table;
  std::int64_t n_features;
  double* out;

  template <class Block>
  VCM_HD void run(Block& block, std::int64_t row) const {
    using Products = std::conditional_t<std::is_same_v<T, float>, ExactProduct, Product>;
    const T* at = table + row * n_features;
    const std::int64_t n_parts = (n_features + kPartial - 1) / kPartial;
    block.each([&](int, Local& local) { local.sum = 0.0; });
    for (std::int64_t first = 0; first < n_parts; first += kThreads) {
      block.each([&](int thread, Local&) {
        const std::int64_t from = (first + thread) * kPartial;
        const std::int64_t until = from + kPartial < n_features ? from + kPartial : n_features;
        double sum = 0.0;
        for (std::int64_t k = from; k < until; ++k)
          sum = Products::add(sum, static_cast<double>(at[k]), static_cast<double>(at[k]));
        block.shared.part[thread] = sum;
      });
      block.each([&](int thread, Local& local) {
        if (thread != 0) return;
        for (int t = 0; t < kThreads && first + t < n_parts; ++t) local.sum += block.shared.part[t];
      });
    }
    block.each([&](int thread, Local& local) {
      if (thread == 0) out[row] = local.sum;
    });
  }
};

}  // namespace

void launch_pair_sums(const PairSumsJob& job, Stream stream) {
  if (job.is_float)
    launch_type<float>(job, stream);
  else
    launch_type<double>(job, stream);
}

void launch_row_squares(const void* table, bool is_float, std::int64_t n, std::int64_t n_features,
                        double* out, Stream stream) {
  if (is_float)
    launch("row_squares", RowSquares<float>{static_cast<const float*>(table), n_features, out}, n, stream);
  else
    launch("row_squares", RowSquares<double>{static_cast<const double*>(table), n_features, out}, n, stream);
}

}  // namespace vcm::cuda
