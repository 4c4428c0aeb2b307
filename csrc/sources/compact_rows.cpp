#include "sources/compact_rows.hpp"

#include <atomic>
#include <bit>
#include <vector>

#include "sources/row_pieces.hpp"
#include "sources/value_kind.hpp"

namespace vcm {
namespace {

constexpr std::int64_t kTaskValues = 1 << 19;

// One row in canonical form, in buffers that are used again.
class CanonicalRow {
 public:
  CanonicalRow(const std::int64_t* gene_map, std::int64_t n_cols, std::int64_t n_cols_new)
      : gene_map_(gene_map), n_cols_(n_cols), n_cols_new_(n_cols_new) {}

  // False where a column number is out of range.
  bool load(const RowsView& rows, std::int64_t row) {
    const std::int64_t n = pieces_.open(rows, row);
    columns_.resize(static_cast<std::size_t>(n));
    values_.resize(static_cast<std::size_t>(n));
    with_type(rows.data.type, [&](auto zero) {
      const auto* from = static_cast<const decltype(zero)*>(pieces_.values());
      for (std::int64_t k = 0; k < n; ++k)
        values_[static_cast<std::size_t>(k)] = static_cast<double>(from[k]);
    });
    bool good = true;
    with_type(rows.indices.type, [&](auto zero) {
      const auto* from = static_cast<const decltype(zero)*>(pieces_.columns());
      for (std::int64_t k = 0; k < n; ++k) {
        const auto column = static_cast<std::int64_t>(from[k]);
        const bool inside = (column >= 0) & (column < n_cols_);
        good &= inside;
        columns_[static_cast<std::size_t>(k)] =
            inside ? (gene_map_ == nullptr ? column : gene_map_[column]) : -1;
      }
    });
    if (!good) return false;
    bool ascends = n == 0 || columns_[0] >= 0;
    for (std::size_t k = 1; k < columns_.size(); ++k) ascends &= columns_[k] > columns_[k - 1];
    if (!ascends) sort_and_sum();
    return true;
  }
  std::int64_t size() const { return static_cast<std::int64_t>(columns_.size()); }
  const std::int64_t* columns() const { return columns_.data(); }
  const double* values() const { return values_.data(); }

 private:
  // Adds the values into a dense row and reads it back through a bit mask of the touched columns: no sorting.
  void sort_and_sum() {
    dense_.resize(static_cast<std::size_t>(n_cols_new_));
    touched_.resize(static_cast<std::size_t>((n_cols_new_ + 63) / 64));
    for (std::size_t k = 0; k < columns_.size(); ++k) {
      if (columns_[k] < 0) continue;
      const auto column = static_cast<std::size_t>(columns_[k]);
      dense_[column] += values_[k];
      touched_[column / 64] |= std::uint64_t{1} << (column % 64);
    }
    std::size_t n = 0;
    for (std::size_t word = 0; word < touched_.size(); ++word) {
      for (std::uint64_t bits = touched_[word]; bits != 0; bits &= bits - 1) {
        const std::size_t column = word * 64 + static_cast<std::size_t>(std::countr_zero(bits));
        columns_[n] = static_cast<std::int64_t>(column);
        values_[n++] = dense_[column];
        dense_[column] = 0.0;
      }
      touched_[word] = 0;
    }
    columns_.resize(n);
    values_.resize(n);
  }

  const std::int64_t* gene_map_;
  std::int64_t n_cols_, n_cols_new_;
  RowPieces pieces_;
  std::vector<std::int64_t> columns_;
  std::vector<double> values_, dense_;
  std::vector<std::uint64_t> touched_;
};

// body(row number, row) over all rows, in blocks; body returns false to report a bad row.
template <class Body>
bool for_each_row(const RowsView& rows, const std::int64_t* gene_map, std::int64_t n_cols_new,
                  const Team& team, const Body& body) {
  const std::vector<std::int64_t> borders = row_blocks(rows.indptr, rows.n_rows, kTaskValues);
  const std::int64_t n_tasks = static_cast<std::int64_t>(borders.size()) - 1, work = rows.data.size();
  std::vector<CanonicalRow> scratch(static_cast<std::size_t>(n_workers(team, n_tasks, work)),
                                    CanonicalRow(gene_map, rows.n_cols, n_cols_new));
  std::atomic<bool> good{true};
  for_each_task(team, n_tasks, work, [&](std::int64_t task, int worker, const std::atomic<bool>& stop) {
    CanonicalRow& row = scratch[static_cast<std::size_t>(worker)];
    const auto t = static_cast<std::size_t>(task);
    for (std::int64_t i = borders[t]; i < borders[t + 1]; ++i) {
      if (stop.load(std::memory_order_relaxed) || !good.load(std::memory_order_relaxed)) return;
      if (row.load(rows, i)) {
        body(i, row);
      } else {
        good.store(false, std::memory_order_relaxed);
      }
    }
  });
  return good.load();
}

template <class I, class T>
void write_row(const std::int64_t* columns, const double* values, std::int64_t n, I* to_columns,
               T* to_values) {
  for (std::int64_t k = 0, kept = 0; k < n; ++k) {
    if (values[k] == 0.0) continue;
    to_columns[kept] = static_cast<I>(columns[k]);
    to_values[kept++] = static_cast<T>(values[k]);
  }
}

}  // namespace

Counted count_rows(const RowsView& rows, const std::int64_t* gene_map, std::int64_t n_cols_new,
                   std::int64_t* counts, const Team& team) {
  std::atomic<bool> small{true};
  Counted found;
  found.good = for_each_row(rows, gene_map, n_cols_new, team, [&](std::int64_t i, const CanonicalRow& row) {
    std::int64_t n = 0;
    for (std::int64_t k = 0; k < row.size(); ++k) n += row.values()[k] != 0.0;
    counts[i] = n;
    if (!all_u16(row.values(), row.size())) small.store(false, std::memory_order_relaxed);
  });
  found.kind = small.load() ? ValueKind::u16 : wide_kind(rows.data.type);
  return found;
}

void fill_rows(const RowsView& rows, const std::int64_t* gene_map, std::int64_t n_cols_new,
               const CompactRows& out, const Team& team) {
  with_output(out, [&](auto* indices, auto* data) {
    for_each_row(rows, gene_map, n_cols_new, team, [&](std::int64_t i, const CanonicalRow& row) {
      write_row(row.columns(), row.values(), row.size(), indices + out.indptr[i], data + out.indptr[i]);
    });
  });
}

namespace {

constexpr std::int64_t kDenseRows =
    16;  // rows that are turned together when genes lie first: one line of f32

// body(row number, n_cols doubles) for every row of the matrix.
template <class Body>
void for_each_dense_row(const DenseView& matrix, const Team& team, const Body& body) {
  const std::int64_t n_tasks = (matrix.n_rows + kDenseRows - 1) / kDenseRows,
                     work = matrix.n_rows * matrix.n_cols;
  std::vector<std::vector<double>> scratch(static_cast<std::size_t>(n_workers(team, n_tasks, work)));
  for_each_task(team, n_tasks, work, [&](std::int64_t task, int worker, const std::atomic<bool>& stop) {
    std::vector<double>& tile = scratch[static_cast<std::size_t>(worker)];
    tile.resize(static_cast<std::size_t>(kDenseRows * matrix.n_cols));
    if (stop.load(std::memory_order_relaxed)) return;
    const std::int64_t first = task * kDenseRows, n = std::min(kDenseRows, matrix.n_rows - first);
    const std::uint8_t* corner = matrix.data + first * matrix.row_stride;
    with_type(matrix.type, [&](auto zero) {
      using T = decltype(zero);
      if (matrix.col_stride == static_cast<std::int64_t>(sizeof(T))) {
        for (std::int64_t i = 0; i < n; ++i)
          for (std::int64_t j = 0; j < matrix.n_cols; ++j)
            tile[static_cast<std::size_t>(i * matrix.n_cols + j)] = static_cast<double>(
                load<T>(corner + i * matrix.row_stride + j * static_cast<std::int64_t>(sizeof(T))));
      } else {
        for (std::int64_t j = 0; j < matrix.n_cols; ++j)
          for (std::int64_t i = 0; i < n; ++i)
            tile[static_cast<std::size_t>(i * matrix.n_cols + j)] =
                static_cast<double>(load<T>(corner + i * matrix.row_stride + j * matrix.col_stride));
      }
    });
    for (std::int64_t i = 0; i < n; ++i) body(first + i, tile.data() + i * matrix.n_cols);
  });
}

}  // namespace

Counted count_dense(const DenseView& matrix, std::int64_t* counts, const Team& team) {
  std::atomic<bool> small{true};
  for_each_dense_row(matrix, team, [&](std::int64_t i, const double* values) {
    std::int64_t n = 0;
    for (std::int64_t j = 0; j < matrix.n_cols; ++j) n += values[j] != 0.0;
    counts[i] = n;
    if (!all_u16(values, matrix.n_cols)) small.store(false, std::memory_order_relaxed);
  });
  Counted found;
  found.kind = small.load() ? ValueKind::u16 : wide_kind(matrix.type);
  return found;
}

void fill_dense(const DenseView& matrix, const CompactRows& out, const Team& team) {
  with_output(out, [&](auto* indices, auto* data) {
    for_each_dense_row(matrix, team, [&](std::int64_t i, const double* values) {
      auto* to_columns = indices + out.indptr[i];
      auto* to_values = data + out.indptr[i];
      for (std::int64_t j = 0; j < matrix.n_cols; ++j) {
        if (values[j] == 0.0) continue;
        *to_columns++ = static_cast<std::remove_reference_t<decltype(*indices)>>(j);
        *to_values++ = static_cast<std::remove_reference_t<decltype(*data)>>(values[j]);
      }
    });
  });
}

}  // namespace vcm
