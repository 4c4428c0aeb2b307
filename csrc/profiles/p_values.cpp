#include "profiles/p_values.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

namespace vcm {

void two_sided_p(const RankSumTest& test, const Team& team) {
  const double n = static_cast<double>(test.n), shift = test.continuity ? 0.5 : 0.0;
  for_each_task(team, test.n_rows, test.n_rows * test.n_cols * 8,
                [&](std::int64_t row, int, const std::atomic<bool>&) {
                  const double m = static_cast<double>(test.sizes[row]), all = m + n, pairs = m * n;
                  const std::int64_t first = row * test.n_cols;
                  for (std::int64_t i = first; i < first + test.n_cols; ++i) {
                    const double u = static_cast<double>(test.u2[i]) / 2;
                    const double variance = pairs / 12 * ((all + 1) - test.tie[i] / (all * (all - 1)));
                    // written so that a NaN variance (fewer than two cells in all) is no evidence either
                    if (!(variance > 0)) {
                      test.p[i] = 1.0;
                      continue;
                    }
                    const double z = (std::max(u, pairs - u) - pairs / 2 - shift) / std::sqrt(variance);
                    test.p[i] = std::min(1.0, std::erfc(z / std::sqrt(2.0)));
                  }
                });
}

void benjamini_hochberg(const double* p, std::int64_t n_rows, std::int64_t n_cols, double* adjusted,
                        const Team& team) {
  for_each_task(team, n_rows, n_rows * n_cols * 16, [&](std::int64_t row, int, const std::atomic<bool>&) {
    const double* mine = p + row * n_cols;
    double* out = adjusted + row * n_cols;
    std::vector<std::pair<double, std::int64_t>> order;
    order.reserve(static_cast<std::size_t>(n_cols));
    for (std::int64_t i = 0; i < n_cols; ++i) {
      out[i] = std::numeric_limits<double>::quiet_NaN();
      if (!std::isnan(mine[i])) order.emplace_back(mine[i], i);
    }
    std::sort(order.begin(), order.end());
    const auto tests = static_cast<double>(order.size());
    double least = 1.0;
    for (std::size_t k = order.size(); k-- > 0;) {
      least = std::min(least, order[k].first * (tests / static_cast<double>(k + 1)));
      out[order[k].second] = std::max(0.0, least);
    }
  });
}

}  // namespace vcm
