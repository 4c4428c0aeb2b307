#include "cells/sorted_columns.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <type_traits>
#include <vector>

#include "cells/grouped_rows.hpp"

namespace vcm {
namespace {

constexpr int kTogether = kSortedTogether;
constexpr int kMerges = kMergedColumns;

// Unsigned numbers in the order of the values; -0 comes before 0.
template <class T>
using KeyOf = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;

template <class T>
KeyOf<T> key_of(T value) {
  using Key = KeyOf<T>;
  const auto bits = std::bit_cast<Key>(value);
  constexpr Key kSign = Key{1} << (8 * sizeof(Key) - 1);
  return bits & kSign ? ~bits : bits | kSign;
}

template <class T>
T value_of(KeyOf<T> key) {
  constexpr KeyOf<T> kSign = KeyOf<T>{1} << (8 * sizeof(key) - 1);
  return std::bit_cast<T>(key & kSign ? key & ~kSign : ~key);
}

// Sorts finite values by their bytes, the least significant first; comparisons are faster for a few only.
template <class T>
void sort_values(T* values, std::int64_t n, std::vector<KeyOf<T>>& keys) {
  using Key = KeyOf<T>;
  constexpr int kBytes = sizeof(Key);
  constexpr std::int64_t kFew = sizeof(Key) == 4 ? 64 : 128;
  if (n < kFew) {
    std::sort(values, values + n);
    return;
  }
  keys.resize(static_cast<std::size_t>(2 * n));
  Key *from = keys.data(), *to = from + n;
  std::vector<std::int64_t> counts(kBytes * 256, 0);
  for (std::int64_t i = 0; i < n; ++i) {
    from[i] = key_of(values[i]);
    for (int byte = 0; byte < kBytes; ++byte) ++counts[byte * 256 + (from[i] >> (8 * byte) & 255)];
  }
  for (int byte = 0; byte < kBytes; ++byte) {
    std::int64_t* next = counts.data() + byte * 256;
    if (next[from[0] >> (8 * byte) & 255] == n) continue;  // all alike
    std::exclusive_scan(next, next + 256, next, std::int64_t{0});
    for (std::int64_t i = 0; i < n; ++i) to[next[from[i] >> (8 * byte) & 255]++] = from[i];
    std::swap(from, to);
  }
  for (std::int64_t i = 0; i < n; ++i) values[i] = value_of<T>(from[i]);
}

template <class T>
class SortedColumns {
 public:
  SortedColumns(const T* cells, std::int64_t n_features, std::int64_t row_stride, const GroupedRows& grouped,
                const SortedColumnsJob& job)
      : cells_(cells),
        n_features_(n_features),
        row_stride_(row_stride),
        grouped_(grouped),
        job_(job),
        by_column_(job.statistic == ColumnStatistic::ks),
        kernels_(VCM_SELECT_ISA(column_kernels)()) {
    std::vector<bool> wanted(static_cast<std::size_t>(job.n_groups), false);
    for (std::int64_t k = 0; k < 2 * job.n_pairs; ++k) wanted[job.pairs[k]] = true;
    first_.assign(wanted.size(), 0);
    for (std::int64_t g = 0; g < job.n_groups; ++g) {
      if (!wanted[g] || grouped.size(g) == 0) continue;
      used_.push_back(g);
      first_[g] = n_places_;
      n_places_ += grouped.size(g) + 1;  // the infinity at the end
      n_values_ += grouped.size(g);
    }
    const std::int64_t bytes =
        std::max<std::int64_t>(1, n_places_ * kTogether * static_cast<std::int64_t>(sizeof(T)));
    const std::int64_t n_blocks = (n_features + kTogether - 1) / kTogether;
    blocks_at_once_ = std::clamp<std::int64_t>(job.budget / bytes, 1, std::max<std::int64_t>(1, n_blocks));
  }

  void run(const Team& team) {
    std::fill_n(job_.mean, job_.n_pairs, 0.0);
    std::int64_t steps = 0;
    for (std::int64_t p = 0; p < job_.n_pairs; ++p) steps += size(p, 0) + size(p, 1);
    values_.resize(static_cast<std::size_t>(blocks_at_once_ * kTogether * n_places_));
    bad_.resize(static_cast<std::size_t>(blocks_at_once_ * kTogether * job_.n_groups));
    const auto n_used = static_cast<std::int64_t>(used_.size());
    const std::int64_t n_chunks = (job_.n_pairs + kPairs - 1) / kPairs;
    for (std::int64_t from = 0; from < n_features_; from += blocks_at_once_ * kTogether) {
      const std::int64_t width = std::min(n_features_ - from, blocks_at_once_ * kTogether);
      const std::int64_t n_blocks = (width + kTogether - 1) / kTogether;
      const auto sort_task = [&](std::int64_t task, int, const std::atomic<bool>&) {
        const std::int64_t feature = task % n_blocks * kTogether;
        sort_block(used_[static_cast<std::size_t>(task / n_blocks)], from, feature,
                   std::min<std::int64_t>(kTogether, width - feature));
      };
      for_each_task(team, n_used * n_blocks, 30 * n_values_ * width, sort_task);
      const auto pair_task = [&](std::int64_t task, int, const std::atomic<bool>&) {
        for (std::int64_t p = task * kPairs; p < std::min(job_.n_pairs, (task + 1) * kPairs); ++p)
          if (size(p, 0) > 0 && size(p, 1) > 0) add_pair(p, width);
      };
      for_each_task(team, n_chunks, 3 * steps * width, pair_task);
    }
    for (std::int64_t p = 0; p < job_.n_pairs; ++p)
      job_.mean[p] = size(p, 0) > 0 && size(p, 1) > 0 ? job_.mean[p] / static_cast<double>(n_features_)
                                                      : std::numeric_limits<double>::quiet_NaN();
  }

 private:
  static constexpr std::int64_t kPairs = 4;  // of a task

  std::int64_t size(std::int64_t pair, int side) const { return grouped_.size(job_.pairs[2 * pair + side]); }

  // `feature` counts from the first of the open blocks. By column: values [feature][place]; else
  // [block][place][feature of the block].
  T* column(std::int64_t feature, std::int64_t group) {
    return values_.data() + feature * n_places_ + first_[static_cast<std::size_t>(group)];
  }
  T* block(std::int64_t feature, std::int64_t group) {
    return values_.data() + feature * n_places_ + first_[static_cast<std::size_t>(group)] * kTogether;
  }

  void sort_block(std::int64_t group, std::int64_t from, std::int64_t feature, std::int64_t width) {
    const std::int64_t n = grouped_.size(group), apart = by_column_ ? n_places_ : n;
    const std::int64_t* rows = grouped_.rows(group);
    std::vector<T> aside(by_column_ ? 0 : static_cast<std::size_t>(n * kTogether), T{0});
    T* columns = by_column_ ? column(feature, group) : aside.data();
    std::vector<KeyOf<T>> keys;
    for (std::int64_t i = 0; i < n; ++i) {
      const T* row = cells_ + rows[i] * row_stride_ + from + feature;
      for (std::int64_t k = 0; k < width; ++k) columns[k * apart + i] = row[k];
    }
    for (std::int64_t k = 0; k < width; ++k) {
      T* values = columns + k * apart;
      const bool good = std::all_of(values, values + n, [](T v) { return std::isfinite(v); });
      bad_[static_cast<std::size_t>((feature + k) * job_.n_groups + group)] = !good;
      if (good) sort_values(values, n, keys);
      if (by_column_) values[n] = std::numeric_limits<T>::infinity();
    }
    if (by_column_) return;
    T* side_by_side = block(feature, group);
    for (std::int64_t i = 0; i < n; ++i)
      for (int k = 0; k < kTogether; ++k)
        side_by_side[i * kTogether + k] = aside[static_cast<std::size_t>(k * n + i)];
  }

  void add_pair(std::int64_t pair, std::int64_t width) {
    const std::int64_t a = job_.pairs[2 * pair], b = job_.pairs[2 * pair + 1];
    const std::int64_t n = grouped_.size(a), m = grouped_.size(b);
    const double unit = static_cast<double>(n) * static_cast<double>(m);
    double sum = job_.mean[pair];
    const auto add = [&](std::int64_t feature, double statistic) {
      const bool bad = bad_[static_cast<std::size_t>(feature * job_.n_groups + a)] ||
                       bad_[static_cast<std::size_t>(feature * job_.n_groups + b)];
      sum += bad ? std::numeric_limits<double>::quiet_NaN() : statistic / unit;
    };
    if (by_column_) {
      for (std::int64_t feature = 0; feature < width; feature += kMerges) {
        const T *x[kMerges], *y[kMerges];
        for (int c = 0; c < kMerges; ++c) {
          const std::int64_t k = std::min(feature + c, width - 1);  // past the end: merged, not added
          x[c] = column(k, a);
          y[c] = column(k, b);
          // unsorted values could lead a merge past the end
          if (bad_[static_cast<std::size_t>(k * job_.n_groups + a)] ||
              bad_[static_cast<std::size_t>(k * job_.n_groups + b)])
            x[c] = y[c] = nullptr;
        }
        std::int64_t most[kMerges];
        merge_good(x, n, y, m, most);
        for (int c = 0; c < kMerges && feature + c < width; ++c)
          add(feature + c, static_cast<double>(most[c]));
      }
    } else {
      const bool squared = job_.statistic == ColumnStatistic::w2sq;
      for (std::int64_t feature = 0; feature < width; feature += kTogether) {
        double sums[kTogether];
        if constexpr (std::is_same_v<T, float>)
          kernels_.quantiles_float(block(feature, a), n, block(feature, b), m, squared, sums);
        else
          kernels_.quantiles_double(block(feature, a), n, block(feature, b), m, squared, sums);
        for (int k = 0; k < kTogether && feature + k < width; ++k) add(feature + k, sums[k]);
      }
    }
    job_.mean[pair] = sum;
  }

  // A column that cannot be merged takes the place of one that can, or nothing is merged at all.
  void merge_good(const T** x, std::int64_t n, const T** y, std::int64_t m, std::int64_t* most) const {
    int good = 0;
    while (good < kMerges && x[good] == nullptr) ++good;
    std::fill_n(most, kMerges, 0);
    if (good == kMerges) return;
    for (int c = 0; c < kMerges; ++c)
      if (x[c] == nullptr) {
        x[c] = x[good];
        y[c] = y[good];
      }
    if constexpr (std::is_same_v<T, float>)
      kernels_.merge_float(x, n, y, m, most);
    else
      kernels_.merge_double(x, n, y, m, most);
  }

  const T* cells_;
  std::int64_t n_features_, row_stride_;
  const GroupedRows& grouped_;
  const SortedColumnsJob& job_;
  const bool by_column_;
  const ColumnKernels& kernels_;
  std::vector<std::int64_t> used_, first_;  // groups that pairs name; first place of a group
  std::int64_t n_places_ = 0, n_values_ = 0, blocks_at_once_ = 1;
  std::vector<T> values_;
  std::vector<std::uint8_t> bad_;  // [feature][group]: a value is not finite
};

}  // namespace

template <class T>
void sorted_column_means(const T* cells, std::int64_t n_rows, std::int64_t n_features,
                         std::int64_t row_stride, const SortedColumnsJob& job, const Team& team) {
  const GroupedRows grouped = group_rows(job.codes, n_rows, job.n_groups);
  SortedColumns<T>(cells, n_features, row_stride, grouped, job).run(team);
}

template void sorted_column_means<float>(const float*, std::int64_t, std::int64_t, std::int64_t,
                                         const SortedColumnsJob&, const Team&);
template void sorted_column_means<double>(const double*, std::int64_t, std::int64_t, std::int64_t,
                                          const SortedColumnsJob&, const Team&);

}  // namespace vcm
