#include "cuda/core/launch.hpp"
#include "cuda/profiles/column_correlation.hpp"
#include "ops/co_moments.hpp"

namespace vcm::cuda {
namespace {

constexpr int kColumnThreads = 128;  // one column each
static_assert(kCoMomentChunk % kCoMomentRows == 0);

VCM_HD constexpr std::int64_t column_tiles(std::int64_t n_columns) {
  return (n_columns + kColumnThreads - 1) / kColumnThreads;
}

VCM_HD void store_moments(const ColumnMoments& m, double* to, std::int64_t n_columns, std::int64_t column) {
  const double values[kCoMoments] = {m.count,  m.weight, m.first_x, m.first_y, m.mean_x,
                                     m.mean_y, m.xx,     m.yy,      m.xy};
  for (int k = 0; k < kCoMoments; ++k) to[k * n_columns + column] = values[k];
}

VCM_HD ColumnMoments load_moments(const double* from, std::int64_t n_columns, std::int64_t column) {
  double v[kCoMoments];
  for (int k = 0; k < kCoMoments; ++k) v[k] = from[k * n_columns + column];
  return {v[kCount], v[kWeight],  v[kFirstX],  v[kFirstY],  v[kMeanX],
          v[kMeanY], v[kMomentX], v[kMomentY], v[kMomentXY]};
}

// A task is a chunk of rows × a tile of columns.
template <class T>
struct CoMomentChunks {
  static constexpr int kThreads = kColumnThreads;
  struct Shared {};
  struct Local {};

  const T* x;
  const T* y;
  std::int64_t stride_x, stride_y;
  const double* weights;
  std::int64_t n_rows, n_columns;
  double* chunks;

  VCM_HD double weight_of(std::int64_t r) const { return weights == nullptr ? 1.0 : weights[r]; }

  // Rows first … last-1, at most kCoMomentRows, of one column: the mean of the deviations from the first
  // usable pair, then moments around it. The second look finds the rows in the cache.
  VCM_HD ColumnMoments rows_of(std::int64_t first, std::int64_t last, std::int64_t column,
                               const ColumnMoments& before) const {
    ColumnMoments m;
    m.first_x = before.first_x;
    m.first_y = before.first_y;
    double sum_x = 0.0, sum_y = 0.0;
    for (std::int64_t r = first; r < last; ++r) {
      const auto at_x = static_cast<double>(x[r * stride_x + column]);
      const auto at_y = static_cast<double>(y[r * stride_y + column]);
      const double w = weight_of(r);
      if (!(is_finite_pair(at_x, at_y) && w > 0.0)) continue;
      if (before.count + m.count == 0.0) {
        m.first_x = at_x;
        m.first_y = at_y;
      }
      m.count += 1.0;
      m.weight += w;
      sum_x += w * (at_x - m.first_x);
      sum_y += w * (at_y - m.first_y);
    }
    if (m.count == 0.0) return m;
    m.mean_x = sum_x / m.weight;
    m.mean_y = sum_y / m.weight;
    const double centre_x = m.first_x + m.mean_x, centre_y = m.first_y + m.mean_y;
    for (std::int64_t r = first; r < last; ++r) {
      const auto at_x = static_cast<double>(x[r * stride_x + column]);
      const auto at_y = static_cast<double>(y[r * stride_y + column]);
      const double w = weight_of(r);
      if (!(is_finite_pair(at_x, at_y) && w > 0.0)) continue;
      const double dx = at_x - centre_x, dy = at_y - centre_y;
      m.xx += w * dx * dx;
      m.xy += w * dx * dy;
      m.yy += w * dy * dy;
    }
    // the centre is a rounded mean; what that adds is taken off
    const double off_x = m.mean_x - (centre_x - m.first_x), off_y = m.mean_y - (centre_y - m.first_y);
    m.xx -= m.weight * off_x * off_x;
    m.yy -= m.weight * off_y * off_y;
    m.xy -= m.weight * off_x * off_y;
    return m;
  }

  template <class Block>
  VCM_HD void run(Block& block, std::int64_t task) const {
    const std::int64_t tiles = column_tiles(n_columns), chunk = task / tiles;
    const std::int64_t first = chunk * kCoMomentChunk;
    const std::int64_t last = first + kCoMomentChunk < n_rows ? first + kCoMomentChunk : n_rows;
    block.each([&](int thread, Local&) {
      const std::int64_t column = task % tiles * kThreads + thread;
      if (column >= n_columns) return;
      ColumnMoments all;
      for (std::int64_t r = first; r < last; r += kCoMomentRows)
        all.merge(rows_of(r, r + kCoMomentRows < last ? r + kCoMomentRows : last, column, all));
      store_moments(all, chunks + chunk * kCoMoments * n_columns, n_columns, column);
    });
  }
};

// A task is a tile of columns.
struct MergeCoMoments {
  static constexpr int kThreads = kColumnThreads;
  struct Shared {};
  struct Local {};

  const double* chunks;
  std::int64_t n_chunks, n_columns;
  double* state;

  template <class Block>
  VCM_HD void run(Block& block, std::int64_t tile) const {
    block.each([&](int thread, Local&) {
      const std::int64_t column = tile * kThreads + thread;
      if (column >= n_columns) return;
      ColumnMoments all;
      for (std::int64_t chunk = 0; chunk < n_chunks; ++chunk)
        all.merge(load_moments(chunks + chunk * kCoMoments * n_columns, n_columns, column));
      store_moments(all, state, n_columns, column);
    });
  }
};

template <class T>
void launch_chunks(const CoMomentsJob& job, Stream stream) {
  const CoMomentChunks<T> kernel{static_cast<const T*>(job.x),
                                 static_cast<const T*>(job.y),
                                 job.stride_x,
                                 job.stride_y,
                                 job.weights,
                                 job.n_rows,
                                 job.n_columns,
                                 job.chunks};
  launch("co_moments", kernel, co_moment_chunks(job.n_rows) * column_tiles(job.n_columns), stream);
}

}  // namespace

void launch_co_moments(const CoMomentsJob& job, Stream stream) {
  if (job.is_float)
    launch_chunks<float>(job, stream);
  else
    launch_chunks<double>(job, stream);
  const MergeCoMoments merge{job.chunks, co_moment_chunks(job.n_rows), job.n_columns, job.state};
  launch("merge_co_moments", merge, column_tiles(job.n_columns), stream);
}

}  // namespace vcm::cuda
