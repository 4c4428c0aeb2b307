#include "profiles/column_ranks.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

namespace vcm {
namespace {

constexpr std::int64_t kFewRows = 192;  // below it a comparison sort is quicker than four counting passes
constexpr int kDigits = 4, kBuckets = 256;

// Unsigned integers in the order of the floats.
std::uint32_t ordered_bits(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return bits ^ ((bits >> 31) != 0 ? 0xFFFFFFFFu : 0x80000000u);
}

// One worker's buffers for one column of one side.
struct Sorter {
  std::vector<std::uint64_t> records, other;  // key in the high half, place in the low half

  explicit Sorter(std::int64_t n) : records(static_cast<std::size_t>(n)), other(records.size()) {}

  // Sorts the first n records; stable in the place, which ascends.
  void sort(std::int64_t n) {
    if (n <= kFewRows) {
      std::sort(records.begin(), records.begin() + n);
      return;
    }
    std::uint32_t counts[kDigits][kBuckets] = {};
    for (std::int64_t i = 0; i < n; ++i)
      for (int d = 0; d < kDigits; ++d) ++counts[d][(records[i] >> (32 + 8 * d)) & 0xFF];
    for (int d = 0; d < kDigits; ++d) {
      const int shift = 32 + 8 * d;
      if (counts[d][(records[0] >> shift) & 0xFF] == static_cast<std::uint32_t>(n)) continue;  // one digit
      std::uint32_t at = 0;
      for (std::uint32_t& count : counts[d]) {
        const std::uint32_t size = count;
        count = at;
        at += size;
      }
      for (std::int64_t i = 0; i < n; ++i) other[counts[d][(records[i] >> shift) & 0xFF]++] = records[i];
      records.swap(other);
    }
  }
};

std::uint32_t place_of(std::uint64_t record) { return static_cast<std::uint32_t>(record); }

// twice[i] = 2 · average rank of values[i] - (n + 1): centred and whole.
template <class T>
void doubled_ranks(const T* values, std::int64_t n, Sorter& sorter, std::int32_t* twice) {
  for (std::int64_t i = 0; i < n; ++i) {
    // rounding keeps the order; + 0 makes one zero of the two
    const float key = static_cast<float>(values[i]) + 0.0f;
    sorter.records[static_cast<std::size_t>(i)] =
        (std::uint64_t{ordered_bits(key)} << 32) | static_cast<std::uint64_t>(i);
  }
  sorter.sort(n);
  std::uint64_t* sorted = sorter.records.data();
  const auto same_key = [&](std::int64_t a, std::int64_t b) { return sorted[a] >> 32 == sorted[b] >> 32; };
  const auto value_of = [&](std::int64_t k) { return values[place_of(sorted[k])]; };
  for (std::int64_t begin = 0; begin < n;) {
    std::int64_t end = begin + 1;
    while (end < n && same_key(begin, end)) ++end;
    if constexpr (sizeof(T) > sizeof(float))
      if (end - begin > 1)  // equal when rounded only
        std::sort(sorted + begin, sorted + end, [&](std::uint64_t a, std::uint64_t b) {
          return values[place_of(a)] < values[place_of(b)];
        });
    while (begin < end) {
      std::int64_t tie = begin + 1;
      if constexpr (sizeof(T) > sizeof(float))
        while (tie < end && value_of(tie) == value_of(begin)) ++tie;
      else
        tie = end;
      // ranks begin + 1 … tie: twice their mean is begin + 1 + tie
      const auto rank = static_cast<std::int32_t>(begin + tie - n);
      for (std::int64_t k = begin; k < tie; ++k) twice[place_of(sorted[k])] = rank;
      begin = tie;
    }
  }
}

// Σab, exact where the sums fit.
double product_sum(const std::int32_t* a, const std::int32_t* b, std::int64_t n) {
  if (n > kExactRows) {
    double sum = 0.0;
    for (std::int64_t i = 0; i < n; ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
    return sum;
  }
  std::int64_t sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += static_cast<std::int64_t>(a[i]) * b[i];
  return static_cast<double>(sum);
}

template <class X, class Y>
struct Worker {
  std::vector<X> x;
  std::vector<Y> y;
  std::vector<X> finite_x;
  std::vector<Y> finite_y;
  std::vector<std::int64_t> used;
  std::vector<std::int32_t> twice_x, twice_y;
  Sorter sorter;

  explicit Worker(std::int64_t n)
      : x(static_cast<std::size_t>(n) * kRankColumns),
        y(x.size()),
        finite_x(static_cast<std::size_t>(n)),
        finite_y(finite_x.size()),
        used(finite_x.size()),
        twice_x(finite_x.size()),
        twice_y(finite_x.size()),
        sorter(n) {}

  // Columns first … last-1 of both tables, each contiguous.
  template <class T>
  static void gather(const T* table, std::int64_t stride, const std::int64_t* rows, std::int64_t n,
                     std::int64_t first, std::int64_t last, T* out) {
    constexpr std::int64_t ahead = 16;
    for (std::int64_t r = 0; r < n; ++r) {
      const T* row = table + rows[r] * stride + first;
      if (r + ahead < n) __builtin_prefetch(table + rows[r + ahead] * stride + first);
      for (std::int64_t c = 0; c < last - first; ++c) out[c * n + r] = row[c];
    }
  }

  void column(const RankJob& job, std::int64_t column, const X* vx, const Y* vy) {
    std::int64_t n = 0;
    for (std::int64_t r = 0; r < job.n_rows; ++r) {
      if (!std::isfinite(vx[r]) || !std::isfinite(vy[r])) continue;
      finite_x[static_cast<std::size_t>(n)] = vx[r];
      finite_y[static_cast<std::size_t>(n)] = vy[r];
      used[static_cast<std::size_t>(n++)] = r;
    }
    doubled_ranks(finite_x.data(), n, sorter, twice_x.data());
    doubled_ranks(finite_y.data(), n, sorter, twice_y.data());
    if (job.moments != nullptr) {
      job.moments[column] = static_cast<double>(n);
      job.moments[job.n_columns + column] = product_sum(twice_x.data(), twice_x.data(), n) / 4.0;
      job.moments[2 * job.n_columns + column] = product_sum(twice_y.data(), twice_y.data(), n) / 4.0;
      job.moments[3 * job.n_columns + column] = product_sum(twice_x.data(), twice_y.data(), n) / 4.0;
    }
    if (job.ranks_x == nullptr) return;
    for (std::int64_t k = 0; k < n; ++k) {
      const std::int64_t at = used[static_cast<std::size_t>(k)] * job.n_columns + column;
      job.ranks_x[at] = static_cast<double>(twice_x[static_cast<std::size_t>(k)] + n + 1) / 2.0;
      job.ranks_y[at] = static_cast<double>(twice_y[static_cast<std::size_t>(k)] + n + 1) / 2.0;
    }
  }
};

template <class X, class Y>
void run(const RankJob& job, const Team& team) {
  const std::int64_t tiles = (job.n_columns + kRankColumns - 1) / kRankColumns;
  const std::int64_t work = 16 * job.n_rows * job.n_columns;  // a sorted value costs about as many steps
  std::vector<Worker<X, Y>> workers;
  for (int k = n_workers(team, tiles, work); k > 0; --k) workers.emplace_back(job.n_rows);
  const auto body = [&](std::int64_t task, int worker, const std::atomic<bool>&) {
    Worker<X, Y>& mine = workers[static_cast<std::size_t>(worker)];
    const std::int64_t first = task * kRankColumns, last = std::min(first + kRankColumns, job.n_columns);
    Worker<X, Y>::gather(static_cast<const X*>(job.x), job.stride_x, job.rows_x, job.n_rows, first, last,
                         mine.x.data());
    Worker<X, Y>::gather(static_cast<const Y*>(job.y), job.stride_y, job.rows_y, job.n_rows, first, last,
                         mine.y.data());
    for (std::int64_t c = first; c < last; ++c)
      mine.column(job, c, mine.x.data() + (c - first) * job.n_rows, mine.y.data() + (c - first) * job.n_rows);
  };
  for_each_task(team, tiles, work, body);
}

}  // namespace

void column_ranks(const RankJob& job, const Team& team) {
  if (job.ranks_x != nullptr) {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    std::fill_n(job.ranks_x, job.n_rows * job.n_columns, nan);
    std::fill_n(job.ranks_y, job.n_rows * job.n_columns, nan);
  }
  if (job.x_single)
    job.y_single ? run<float, float>(job, team) : run<float, double>(job, team);
  else
    job.y_single ? run<double, float>(job, team) : run<double, double>(job, team);
}

}  // namespace vcm
