#include "sources/scan_rows.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "sources/row_checks.hpp"
#include "sources/row_pieces.hpp"

namespace vcm {
namespace {

constexpr std::int64_t kTaskValues = 1 << 17;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Part {
  ScanFacts facts;
  double max_row_total = -kInfinity;
};

bool good_indptr(const RowsView& rows) {
  bool good = rows.indptr[0] == 0 && rows.indptr[rows.n_rows] <= rows.data.size() &&
              rows.data.size() == rows.indices.size();
  for (std::int64_t i = 0; i < rows.n_rows; ++i) good &= rows.indptr[i] <= rows.indptr[i + 1];
  return good;
}

// Numbers that repeat in a row that does not ascend need not be neighbours.
bool repeats(const std::uint8_t* columns, Type type, std::int64_t n, std::vector<std::int64_t>& scratch) {
  scratch.resize(static_cast<std::size_t>(n));
  with_type(type, [&](auto zero) {
    using I = decltype(zero);
    for (std::int64_t k = 0; k < n; ++k)
      scratch[static_cast<std::size_t>(k)] =
          static_cast<std::int64_t>(load<I>(columns + k * static_cast<std::int64_t>(sizeof(I))));
  });
  std::sort(scratch.begin(), scratch.end());
  return std::adjacent_find(scratch.begin(), scratch.end()) != scratch.end();
}

enum class Fault { negative, nonfinite, fractional };

Offender find(const RowsView& rows, std::int64_t row, Fault fault) {
  Offender found;
  if (row < 0) return found;
  for_each_run(rows, rows.indptr[row], rows.indptr[row + 1],
               [&](const std::uint8_t* columns, const std::uint8_t* values, std::int64_t n) {
                 if (found.row >= 0) return;
                 with_type(rows.data.type, [&](auto zero) {
                   using T = decltype(zero);
                   for (std::int64_t k = 0; k < n; ++k) {
                     const T x = load<T>(values + k * static_cast<std::int64_t>(sizeof(T)));
                     bool hit = fault == Fault::negative && x < T(0);
                     if constexpr (std::is_floating_point_v<T>) {
                       hit |= fault == Fault::nonfinite && !std::isfinite(x);
                       hit |= fault == Fault::fractional && !(std::fabs(x - std::rint(x)) <= T(1e-6));
                     }
                     if (!hit) continue;
                     found.row = row;
                     found.value = static_cast<double>(x);
                     with_type(rows.indices.type, [&](auto other) {
                       using I = decltype(other);
                       found.column = static_cast<std::int64_t>(
                           load<I>(columns + k * static_cast<std::int64_t>(sizeof(I))));
                     });
                     return;
                   }
                 });
               });
  return found;
}

}  // namespace

ScanFacts scan_rows(const RowsView& rows, double* totals, const Team& team) {
  ScanFacts all;
  all.min = kInfinity;
  all.max = -kInfinity;
  all.max_row_total = -kInfinity;
  if (!good_indptr(rows)) {
    all.indptr_bad = true;
    std::fill(totals, totals + rows.n_rows, 0.0);
    return all;
  }
  const auto values_of = VCM_SELECT_ISA(check_values);
  const auto columns_of = VCM_SELECT_ISA(check_columns);
  const std::vector<std::int64_t> borders = row_blocks(rows.indptr, rows.n_rows, kTaskValues);
  const std::int64_t n_tasks = static_cast<std::int64_t>(borders.size()) - 1;
  std::vector<ScanFacts> parts(static_cast<std::size_t>(n_tasks), all);
  std::vector<RowPieces> pieces(static_cast<std::size_t>(n_workers(team, n_tasks, rows.data.size())));

  for_each_task(
      team, n_tasks, rows.data.size(), [&](std::int64_t task, int worker, const std::atomic<bool>& stop) {
        ScanFacts& part = parts[static_cast<std::size_t>(task)];
        RowPieces& piece = pieces[static_cast<std::size_t>(worker)];
        std::vector<std::int64_t> numbers;
        for (std::int64_t i = borders[static_cast<std::size_t>(task)];
             i < borders[static_cast<std::size_t>(task) + 1]; ++i) {
          if (stop.load(std::memory_order_relaxed)) return;
          const std::int64_t n = piece.open(rows, i);
          ValueFacts values;
          ColumnFacts columns;
          values_of(rows.data.type, piece.values(), n, values);
          columns_of(rows.indices.type, piece.columns(), n, columns);
          totals[i] = values.total;
          if (values.total > part.max_row_total)
            part.max_row_total = values.total, part.max_row_total_row = i;
          part.min = std::min(part.min, values.min);
          part.max = std::max(part.max, values.max);
          part.max_fraction = std::max(part.max_fraction, values.max_fraction);
          part.max_signed_fraction = std::max(part.max_signed_fraction, values.max_signed_fraction);
          part.n_explicit_zeros += values.n_zero;
          part.n_negative += values.n_negative;
          part.n_nonfinite += values.n_nonfinite;
          part.n_fractional += values.n_fractional;
          if (values.n_negative > 0 && part.first_negative.row < 0) part.first_negative.row = i;
          if (values.n_nonfinite > 0 && part.first_nonfinite.row < 0) part.first_nonfinite.row = i;
          if (values.n_fractional > 0 && part.first_fractional.row < 0) part.first_fractional.row = i;
          part.column_out_of_range |= n > 0 && columns.largest >= static_cast<std::uint64_t>(rows.n_cols);
          part.unsorted |= columns.unsorted;
          part.duplicates |= columns.repeated;
          if (columns.unsorted && !part.duplicates)
            part.duplicates =
                repeats(static_cast<const std::uint8_t*>(piece.columns()), rows.indices.type, n, numbers);
        }
      });

  for (const ScanFacts& part : parts) {
    if (part.max_row_total > all.max_row_total)
      all.max_row_total = part.max_row_total, all.max_row_total_row = part.max_row_total_row;
    all.min = std::min(all.min, part.min);
    all.max = std::max(all.max, part.max);
    all.max_fraction = std::max(all.max_fraction, part.max_fraction);
    all.max_signed_fraction = std::max(all.max_signed_fraction, part.max_signed_fraction);
    all.n_explicit_zeros += part.n_explicit_zeros;
    all.n_negative += part.n_negative;
    all.n_nonfinite += part.n_nonfinite;
    all.n_fractional += part.n_fractional;
    if (all.first_negative.row < 0) all.first_negative = part.first_negative;
    if (all.first_nonfinite.row < 0) all.first_nonfinite = part.first_nonfinite;
    if (all.first_fractional.row < 0) all.first_fractional = part.first_fractional;
    all.column_out_of_range |= part.column_out_of_range;
    all.unsorted |= part.unsorted;
    all.duplicates |= part.duplicates;
  }
  all.first_negative = find(rows, all.first_negative.row, Fault::negative);
  all.first_nonfinite = find(rows, all.first_nonfinite.row, Fault::nonfinite);
  all.first_fractional = find(rows, all.first_fractional.row, Fault::fractional);
  return all;
}

}  // namespace vcm
