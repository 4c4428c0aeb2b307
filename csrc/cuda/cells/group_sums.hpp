#pragma once
// Sums and sums of squares of normalised values by group and gene, without atomics: rows are listed group by
// group and cut into chunks, each inside one group; a gene's values are added row after row inside a chunk,
// chunks in order. The bits depend on the lists alone.
#include <cstdint>

#include "cuda/core/stream.hpp"
#include "ops/normalise.hpp"

namespace vcm::cuda {

struct GroupSumsJob {
  const std::int64_t* order;         // [chunk_starts[n_chunks]] rows, group by group
  const std::int64_t* chunk_starts;  // [n_chunks + 1], into order
  const std::int64_t* group_chunks;  // [n_groups + 1], first chunk of each group
  std::int64_t n_chunks, n_groups, n_genes;
  const double* scale;  // [rows], a factor of each row; null for raw
  Normalise how;
  double* chunks;  // scratch, [n_chunks][2][n_genes]
  double* sums;    // [2][n_groups][n_genes], sums and sums of squares; 0 for an empty group
};

struct CsrMatrix {
  const void* data;     // [indptr[rows]], float or double
  const void* indices;  // int32 or int64, strictly ascending inside a row
  const std::int64_t* indptr;
  bool is_float, is_narrow;  // float32 data; int32 indices
};
void launch_group_sums(const CsrMatrix& cells, const GroupSumsJob& job, Stream stream);

struct DenseMatrix {
  const void* data;  // row r begins at data + r * row_stride elements
  std::int64_t row_stride;
  bool is_float;
};
void launch_group_sums(const DenseMatrix& cells, const GroupSumsJob& job, Stream stream);

// totals[r] = sum of row r of [n_rows]: exact for counts whose total is below 2^53.
void launch_row_totals(const CsrMatrix& cells, std::int64_t n_rows, double* totals, Stream stream);

}  // namespace vcm::cuda
