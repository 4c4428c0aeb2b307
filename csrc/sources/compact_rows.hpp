#pragma once
#include <cstdint>

#include "core/parallel.hpp"
#include "core/views.hpp"

namespace vcm {

// Compact copies are made in two passes over the source: count says how long each row will be and how its
// values can be held, the caller allocates, fill writes. Zeros are dropped (NaN is kept), columns ascend
// strictly, duplicates are summed in double.

enum class ValueKind : int {
  u16 = 0,
  f32 = 1,
  f64 = 2
};  // whole numbers 0 … 65535; else f32 if lossless; else f64

struct Counted {
  ValueKind kind = ValueKind::u16;
  bool good = true;  // false: a column number out of range (or, for transpose, columns that do not ascend)
};

// Where fill writes: row i goes to elements indptr[i] … indptr[i+1]-1 of both arrays.
struct CompactRows {
  const std::int64_t* indptr = nullptr;
  void* indices = nullptr;
  void* data = nullptr;
  bool wide_indices = false;  // int32, else uint16
  ValueKind kind = ValueKind::u16;
};

// Any rows with a good indptr. gene_map: new column number of each column, -1 drops it; null keeps all.
// n_cols_new bounds the new numbers. counts: n_rows.
Counted count_rows(const RowsView& rows, const std::int64_t* gene_map, std::int64_t n_cols_new,
                   std::int64_t* counts, const Team& team);
void fill_rows(const RowsView& rows, const std::int64_t* gene_map, std::int64_t n_cols_new,
               const CompactRows& out, const Team& team);

// A dense matrix of any type; strides in bytes.
struct DenseView {
  const std::uint8_t* data = nullptr;
  std::int64_t n_rows = 0, n_cols = 0;
  std::int64_t row_stride = 0, col_stride = 0;
  Type type = Type::f32;
};
Counted count_dense(const DenseView& matrix, std::int64_t* counts, const Team& team);
void fill_dense(const DenseView& matrix, const CompactRows& out, const Team& team);

}  // namespace vcm
