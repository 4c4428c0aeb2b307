#include "cells/row_sums.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "cells/gene_grid.hpp"
#include "core/error.hpp"

namespace vcm {
namespace {

constexpr std::int64_t kSampledRows = 256;

std::int64_t column_at(const std::uint8_t* columns, Type type, std::int64_t at) {
  return with_type(type, [&](auto zero) {
    using T = decltype(zero);
    return static_cast<std::int64_t>(load<T>(columns + at * static_cast<std::int64_t>(sizeof(T))));
  });
}

// Cuts the genes into ranges of about equal numbers of stored values, one a thread.
std::vector<std::int64_t> gene_ranges(const RowsView& rows, std::int64_t n_cols, int n_ranges) {
  std::vector<std::int64_t> seen;
  const std::int64_t step = rows.n_rows / kSampledRows + 1;
  for (std::int64_t row = 0; row < rows.n_rows && n_ranges > 1; row += step)
    for_each_run(rows, rows.indptr[row], rows.indptr[row + 1],
                 [&](const std::uint8_t* columns, const std::uint8_t*, std::int64_t length) {
                   for (std::int64_t i = 0; i < length; i += 8)
                     seen.push_back(column_at(columns, rows.indices.type, i));
                 });
  std::sort(seen.begin(), seen.end());
  std::vector<std::int64_t> ranges{0};
  for (int r = 1; r < n_ranges; ++r) {
    const std::int64_t gene =
        seen.empty() ? n_cols * r / n_ranges
                     : seen[seen.size() * static_cast<std::size_t>(r) / static_cast<std::size_t>(n_ranges)];
    ranges.push_back(std::clamp(gene, ranges.back(), n_cols));
  }
  ranges.push_back(n_cols);
  return ranges;
}

struct Found {
  std::int64_t taken = 0, bad_value_row = -1, bad_total_row = -1;
  bool outside = false;
};

template <class T>
T* row_of(T* table, std::int64_t group, std::int64_t n_cols) {
  return table == nullptr ? nullptr : table + group * n_cols;
}

}  // namespace

void add_rows(const GatherSide& side, std::int64_t n_cols, Key key, double scale, std::int64_t first_row,
              const Team& team) {
  const RowsView& rows = side.rows;
  const std::int64_t work = rows.data.size();
  const int n_ranges = n_workers(team, team.n_threads, work);
  const std::vector<std::int64_t> ranges = gene_ranges(rows, n_cols, n_ranges);
  const auto add_run = VCM_SELECT_ISA(add_run);
  const int index_bytes = static_cast<int>(size_of(rows.indices.type));
  std::vector<Found> founds(static_cast<std::size_t>(n_ranges));
  for_each_task(team, n_ranges, work, [&](std::int64_t range, int, const std::atomic<bool>& stop) {
    Found& found = founds[static_cast<std::size_t>(range)];
    RowSumsJob job{};
    job.index_bytes = index_bytes;
    job.value_type = rows.data.type;
    job.first_gene = ranges[static_cast<std::size_t>(range)];
    job.n_genes = ranges[static_cast<std::size_t>(range) + 1] - job.first_gene;
    for (std::int64_t row = 0; row < rows.n_rows; ++row) {
      if (row % 1024 == 0 && stop.load(std::memory_order_relaxed)) return;
      const std::int64_t group = side.codes[row];
      if (group < 0) continue;
      const double total = side.totals[row];
      const bool good = key != Key::ratio || (std::isfinite(total) && total >= 0);
      job.unit = key != Key::ratio ? 0.0 : total > 0 ? total / scale : 1.0;
      job.sum = row_of(side.sum, group, n_cols);
      job.linear = row_of(side.linear, group, n_cols);
      job.log1p = row_of(side.log1p, group, n_cols);
      job.log1p_square = row_of(side.log1p_square, group, n_cols);
      job.expm1 = row_of(side.expm1, group, n_cols);
      job.square = row_of(side.square, group, n_cols);
      job.nonzero = row_of(side.nonzero, group, n_cols);
      job.any = false;
      for_each_run(rows, rows.indptr[row], rows.indptr[row + 1],
                   [&](const std::uint8_t* columns, const std::uint8_t* values, std::int64_t length) {
                     const Fragment fragment{columns, values, static_cast<std::uint32_t>(length), 0};
                     std::int64_t low = 0, high = length;
                     if (n_ranges > 1) {
                       low = lower_entry(fragment, index_bytes, job.first_gene);
                       high = lower_entry(fragment, index_bytes, job.first_gene + job.n_genes);
                     }
                     job.columns = columns + low * index_bytes;
                     job.values = values + low * size_of(rows.data.type);
                     job.length = std::max<std::int64_t>(0, high - low);
                     add_run(job);
                     found.taken += job.length;
                   });
      if (!job.finite && found.bad_value_row < 0) found.bad_value_row = row;
      if ((!good || (key == Key::ratio && total == 0 && job.any)) && found.bad_total_row < 0)
        found.bad_total_row = row;
      job.finite = true;
      found.outside |= !job.inside;
    }
  });
  std::int64_t taken = 0, stored = 0;
  for (const Found& found : founds) {
    taken += found.taken;
    require(found.bad_value_row < 0, "row " + text(first_row + found.bad_value_row) +
                                         " holds a value that is not finite; clean the matrix first");
    require(found.bad_total_row < 0,
            "row " + text(first_row + found.bad_total_row) +
                " has a total that is negative, not finite, or 0 although values are stored");
  }
  for (std::int64_t row = 0; row < rows.n_rows; ++row)
    if (side.codes[row] >= 0) {
      stored += rows.indptr[row + 1] - rows.indptr[row];
      ++side.n[side.codes[row]];
    }
  const bool outside = std::any_of(founds.begin(), founds.end(), [](const Found& f) { return f.outside; });
  require(!outside && taken == stored, "the column numbers of a row do not ascend, or lie outside [0, " +
                                           text(n_cols) + "); make the matrix canonical first");
}

}  // namespace vcm
