#include "cells/sparse_moments.hpp"

#include <algorithm>
#include <limits>
#include <type_traits>
#include <vector>

#include "cells/grouped_rows.hpp"
#include "core/error.hpp"

namespace vcm {
namespace {

// Rows whose stored values are read twice, and rows of one task: both fix the order of additions.
constexpr std::int64_t kBlockRows = 256;
constexpr std::int64_t kChunkRows = 4096;

using Values = std::vector<double>;

// entry(column, value) for the stored entries of a row, whose columns are checked.
template <class Entry>
void for_each_entry(const RowsView& rows, std::int64_t row, const Entry& entry) {
  constexpr std::int64_t kAtOnce = 256;
  std::int64_t columns[kAtOnce], last = -1;
  double values[kAtOnce];
  const auto decode = [](const std::uint8_t* at, Type type, std::int64_t n, auto* out) {
    with_type(type, [&](auto element) {
      using In = decltype(element);
      for (std::int64_t k = 0; k < n; ++k)
        out[k] = static_cast<std::remove_pointer_t<decltype(out)>>(
            load<In>(at + k * static_cast<std::int64_t>(sizeof(In))));
    });
  };
  bool good = true;
  for_each_run(rows, rows.indptr[row], rows.indptr[row + 1],
               [&](const std::uint8_t* column, const std::uint8_t* value, std::int64_t length) {
                 for (std::int64_t from = 0; from < length && good; from += kAtOnce) {
                   const std::int64_t n = std::min(kAtOnce, length - from);
                   decode(column + from * size_of(rows.indices.type), rows.indices.type, n, columns);
                   decode(value + from * size_of(rows.data.type), rows.data.type, n, values);
                   for (std::int64_t k = 0; k < n; ++k) {
                     good &= columns[k] > last && columns[k] < rows.n_cols;
                     last = columns[k];
                   }
                   for (std::int64_t k = 0; good && k < n; ++k) entry(columns[k], values[k]);
                 }
               });
  require(good, "column numbers of cell " + text(row) +
                    " do not ascend within the number of genes; make the rows canonical first");
}

// One worker's sums over a block, by column.
struct Scratch {
  Values sum, drift, square, stored;

  explicit Scratch(std::int64_t n_cols)
      : sum(static_cast<std::size_t>(n_cols)), drift(sum.size()), square(sum.size()), stored(sum.size()) {}
};

// sum += other_sum and so on: n_into and n_other rows of a group.
void merge(double n_into, double* sum, double* m2, double n_other, const double* other_sum,
           const double* other_m2, std::int64_t n_cols) {
  const double weight = n_into * n_other / (n_into + n_other);
  for (std::int64_t k = 0; k < n_cols; ++k) {
    const double apart = other_sum[k] / n_other - sum[k] / n_into;
    m2[k] += other_m2[k] + apart * apart * weight;
    sum[k] += other_sum[k];
  }
}

// Sum and squared deviations of the rows order[0 … n-1].
void add_block(const RowsView& rows, const std::int64_t* order, std::int64_t n, Scratch& scratch) {
  std::fill(scratch.sum.begin(), scratch.sum.end(), 0.0);
  std::fill(scratch.drift.begin(), scratch.drift.end(), 0.0);
  std::fill(scratch.square.begin(), scratch.square.end(), 0.0);
  std::fill(scratch.stored.begin(), scratch.stored.end(), 0.0);
  for (std::int64_t i = 0; i < n; ++i)
    for_each_entry(rows, order[i], [&](std::int64_t column, double value) {
      scratch.sum[column] += value;
      scratch.stored[column] += 1;
    });
  const auto weight = static_cast<double>(n);
  for (std::int64_t i = 0; i < n; ++i)
    for_each_entry(rows, order[i], [&](std::int64_t column, double value) {
      const double d = value - scratch.sum[column] / weight;
      scratch.drift[column] += d;
      scratch.square[column] += d * d;
    });
  for (std::int64_t k = 0; k < rows.n_cols; ++k) {
    const double centre = scratch.sum[k] / weight, absent = weight - scratch.stored[k];
    // nothing is stored for a zero; NaN times none of them is none
    if (absent > 0) {
      scratch.square[k] += absent * (centre * centre);
      scratch.drift[k] -= absent * centre;
    }
    scratch.square[k] -= scratch.drift[k] * scratch.drift[k] / weight;
  }
}

struct Chunk {
  std::int64_t group, first, n;
  std::int64_t slot;  // of a chunk that is not its group's first
};

}  // namespace

void group_moments(const RowsView& rows, const std::int32_t* codes, std::int64_t n_groups,
                   std::int64_t* counts, double* mean, double* m2, const Team& team) {
  const std::int64_t n_cols = rows.n_cols;
  const GroupedRows grouped = group_rows(codes, rows.n_rows, n_groups);
  std::vector<Chunk> chunks;
  std::int64_t n_slots = 0;
  for (std::int64_t g = 0; g < n_groups; ++g) {
    counts[g] = grouped.size(g);
    for (std::int64_t first = 0; first < counts[g]; first += kChunkRows)
      chunks.push_back({g, first, std::min(kChunkRows, counts[g] - first), first > 0 ? n_slots++ : -1});
  }
  Values slots(static_cast<std::size_t>(2 * n_slots * n_cols));
  const auto sum_of = [&](const Chunk& c) {
    return c.slot < 0 ? mean + c.group * n_cols : slots.data() + 2 * c.slot * n_cols;
  };
  const auto m2_of = [&](const Chunk& c) {
    return c.slot < 0 ? m2 + c.group * n_cols : slots.data() + (2 * c.slot + 1) * n_cols;
  };

  const auto n_chunks = static_cast<std::int64_t>(chunks.size());
  const std::int64_t work = 4 * rows.indptr[rows.n_rows] + 8 * n_chunks * n_cols;
  std::vector<Scratch> scratch(static_cast<std::size_t>(n_workers(team, n_chunks, work)), Scratch(n_cols));
  for_each_task(team, n_chunks, work, [&](std::int64_t task, int worker, const std::atomic<bool>& stop) {
    const Chunk& c = chunks[static_cast<std::size_t>(task)];
    Scratch& own = scratch[static_cast<std::size_t>(worker)];
    for (std::int64_t at = 0; at < c.n && !stop.load(std::memory_order_relaxed); at += kBlockRows) {
      const std::int64_t n = std::min(kBlockRows, c.n - at);
      add_block(rows, grouped.rows(c.group) + c.first + at, n, own);
      if (at == 0) {
        std::copy(own.sum.begin(), own.sum.end(), sum_of(c));
        std::copy(own.square.begin(), own.square.end(), m2_of(c));
      } else {
        merge(static_cast<double>(at), sum_of(c), m2_of(c), static_cast<double>(n), own.sum.data(),
              own.square.data(), n_cols);
      }
    }
  });
  for (const Chunk& c : chunks)
    if (c.slot >= 0)
      merge(static_cast<double>(c.first), mean + c.group * n_cols, m2 + c.group * n_cols,
            static_cast<double>(c.n), sum_of(c), m2_of(c), n_cols);
  for (std::int64_t g = 0; g < n_groups; ++g) {
    double *m = mean + g * n_cols, *s = m2 + g * n_cols;
    if (counts[g] == 0) {
      std::fill_n(m, n_cols, std::numeric_limits<double>::quiet_NaN());
      std::fill_n(s, n_cols, std::numeric_limits<double>::quiet_NaN());
      continue;
    }
    for (std::int64_t k = 0; k < n_cols; ++k) m[k] /= static_cast<double>(counts[g]);
  }
}

}  // namespace vcm
