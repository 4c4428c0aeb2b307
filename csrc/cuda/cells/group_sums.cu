#include "cuda/cells/group_sums.hpp"
#include "cuda/core/block_sum.hpp"
#include "cuda/core/launch.hpp"

namespace vcm::cuda {
namespace {

constexpr int kCsrGenes = 1536;     // genes of a tile, two sums each in shared memory
constexpr int kCsrRows = 64;        // rows whose places in the tile are looked up together
constexpr int kSumThreads = 256;    // of a block over compressed rows
constexpr int kDenseThreads = 128;  // of a block over dense rows and of the merge, one gene each

VCM_HD constexpr std::int64_t pieces(std::int64_t n, std::int64_t size) { return (n + size - 1) / size; }

// The first place in indices[begin … end-1] whose column is not below `column`.
template <class I>
VCM_HD std::int64_t lower_bound(const I* indices, std::int64_t begin, std::int64_t end, std::int64_t column) {
  while (begin < end) {
    const std::int64_t middle = begin + (end - begin) / 2;
    if (static_cast<std::int64_t>(indices[middle]) < column)
      begin = middle + 1;
    else
      end = middle;
  }
  return begin;
}

// A task is a chunk of rows × a tile of genes. Within a row every column occurs once, so the threads that
// share a row never share a sum.
template <class T, class I>
struct CsrGroupSums {
  static constexpr int kThreads = kSumThreads;
  struct Shared {
    double sum[kCsrGenes], square[kCsrGenes], scale[kCsrRows];
    std::int64_t begin[kCsrRows], end[kCsrRows];
  };
  struct Local {};

  const T* data;
  const I* indices;
  const std::int64_t* indptr;
  GroupSumsJob job;

  template <class Block>
  VCM_HD void run(Block& block, std::int64_t task) const {
    const std::int64_t tiles = pieces(job.n_genes, kCsrGenes), chunk = task / tiles;
    const std::int64_t first = task % tiles * kCsrGenes;
    const std::int64_t last = first + kCsrGenes < job.n_genes ? first + kCsrGenes : job.n_genes;
    auto& shared = block.shared;
    block.each([&](int thread, Local&) {
      for (int g = thread; g < kCsrGenes; g += kThreads) shared.sum[g] = shared.square[g] = 0.0;
    });
    const std::int64_t stop = job.chunk_starts[chunk + 1];
    for (std::int64_t from = job.chunk_starts[chunk]; from < stop; from += kCsrRows) {
      const int rows = static_cast<int>(from + kCsrRows < stop ? kCsrRows : stop - from);
      block.each([&](int thread, Local&) {
        const int r = thread % kCsrRows, side = thread / kCsrRows;
        if (side > 1 || r >= rows) return;
        const std::int64_t row = job.order[from + r];
        const std::int64_t place =
            lower_bound(indices, indptr[row], indptr[row + 1], side == 0 ? first : last);
        (side == 0 ? shared.begin : shared.end)[r] = place;
        if (side == 0) shared.scale[r] = job.scale == nullptr ? 1.0 : job.scale[row];
      });
      for (int r = 0; r < rows; ++r)
        block.each([&](int thread, Local&) {
          for (std::int64_t k = shared.begin[r] + thread; k < shared.end[r]; k += kThreads) {
            const auto gene = static_cast<std::int64_t>(indices[k]) - first;
            const double t = normalised(job.how, static_cast<double>(data[k]), shared.scale[r]);
            shared.sum[gene] += t;
            shared.square[gene] += t * t;
          }
        });
    }
    block.each([&](int thread, Local&) {
      double* to = job.chunks + chunk * 2 * job.n_genes + first;
      for (std::int64_t g = thread; g < last - first; g += kThreads) {
        to[g] = shared.sum[g];
        to[job.n_genes + g] = shared.square[g];
      }
    });
  }
};

// A task is a chunk of rows × a tile of genes, one thread each.
template <class T>
struct DenseGroupSums {
  static constexpr int kThreads = kDenseThreads;
  struct Shared {};
  struct Local {};

  const T* data;
  std::int64_t row_stride;
  GroupSumsJob job;

  template <class Block>
  VCM_HD void run(Block& block, std::int64_t task) const {
    const std::int64_t tiles = pieces(job.n_genes, kThreads), chunk = task / tiles;
    block.each([&](int thread, Local&) {
      const std::int64_t gene = task % tiles * kThreads + thread;
      if (gene >= job.n_genes) return;
      double sum = 0.0, square = 0.0;
      for (std::int64_t k = job.chunk_starts[chunk]; k < job.chunk_starts[chunk + 1]; ++k) {
        const std::int64_t row = job.order[k];
        const double scale = job.scale == nullptr ? 1.0 : job.scale[row];
        const double t = normalised(job.how, static_cast<double>(data[row * row_stride + gene]), scale);
        sum += t;
        square += t * t;
      }
      double* to = job.chunks + chunk * 2 * job.n_genes + gene;
      to[0] = sum;
      to[job.n_genes] = square;
    });
  }
};

// A task is a group × a tile of genes: its chunks in order.
struct MergeChunks {
  static constexpr int kThreads = kDenseThreads;
  struct Shared {};
  struct Local {};

  GroupSumsJob job;

  template <class Block>
  VCM_HD void run(Block& block, std::int64_t task) const {
    const std::int64_t tiles = pieces(job.n_genes, kThreads), group = task / tiles;
    block.each([&](int thread, Local&) {
      const std::int64_t gene = task % tiles * kThreads + thread;
      if (gene >= job.n_genes) return;
      double sum = 0.0, square = 0.0;
      for (std::int64_t chunk = job.group_chunks[group]; chunk < job.group_chunks[group + 1]; ++chunk) {
        const double* from = job.chunks + chunk * 2 * job.n_genes + gene;
        sum += from[0];
        square += from[job.n_genes];
      }
      job.sums[group * job.n_genes + gene] = sum;
      job.sums[(job.n_groups + group) * job.n_genes + gene] = square;
    });
  }
};

// A task is a row.
template <class T>
struct RowTotals {
  static constexpr int kThreads = 128;
  struct Shared {
    double part[kThreads];
  };
  struct Local {};

  const T* data;
  const std::int64_t* indptr;
  double* totals;

  template <class Block>
  VCM_HD void run(Block& block, std::int64_t row) const {
    block.each([&](int thread, Local&) {
      double sum = 0.0;
      for (std::int64_t k = indptr[row] + thread; k < indptr[row + 1]; k += kThreads)
        sum += static_cast<double>(data[k]);
      block.shared.part[thread] = sum;
    });
    add_halves(block, block.shared.part);
    block.each([&](int thread, Local&) {
      if (thread == 0) totals[row] = block.shared.part[0];
    });
  }
};

void merge(const GroupSumsJob& job, Stream stream) {
  launch("merge_chunks", MergeChunks{job}, job.n_groups * pieces(job.n_genes, kDenseThreads), stream);
}

template <class T, class I>
void launch_csr(const CsrMatrix& cells, const GroupSumsJob& job, Stream stream) {
  const CsrGroupSums<T, I> kernel{static_cast<const T*>(cells.data), static_cast<const I*>(cells.indices),
                                  cells.indptr, job};
  launch("csr_group_sums", kernel, job.n_chunks * pieces(job.n_genes, kCsrGenes), stream);
}

template <class T>
void launch_dense(const DenseMatrix& cells, const GroupSumsJob& job, Stream stream) {
  const DenseGroupSums<T> kernel{static_cast<const T*>(cells.data), cells.row_stride, job};
  launch("dense_group_sums", kernel, job.n_chunks * pieces(job.n_genes, kDenseThreads), stream);
}

template <class T>
void launch_totals(const CsrMatrix& cells, std::int64_t n_rows, double* totals, Stream stream) {
  launch("row_totals", RowTotals<T>{static_cast<const T*>(cells.data), cells.indptr, totals}, n_rows, stream);
}

}  // namespace

void launch_group_sums(const CsrMatrix& cells, const GroupSumsJob& job, Stream stream) {
  if (cells.is_float)
    cells.is_narrow ? launch_csr<float, std::int32_t>(cells, job, stream)
                    : launch_csr<float, std::int64_t>(cells, job, stream);
  else
    cells.is_narrow ? launch_csr<double, std::int32_t>(cells, job, stream)
                    : launch_csr<double, std::int64_t>(cells, job, stream);
  merge(job, stream);
}

void launch_group_sums(const DenseMatrix& cells, const GroupSumsJob& job, Stream stream) {
  if (cells.is_float)
    launch_dense<float>(cells, job, stream);
  else
    launch_dense<double>(cells, job, stream);
  merge(job, stream);
}

void launch_row_totals(const CsrMatrix& cells, std::int64_t n_rows, double* totals, Stream stream) {
  if (cells.is_float)
    launch_totals<float>(cells, n_rows, totals, stream);
  else
    launch_totals<double>(cells, n_rows, totals, stream);
}

}  // namespace vcm::cuda
