#include "cells/rank_by_sort.hpp"

#include <algorithm>

namespace vcm {
namespace {

Wide tie_of(std::int64_t t) {
  const auto size = static_cast<Wide>(t);
  return size * size * size - size;
}

}  // namespace

void SortedControl::sort(std::int64_t cells) {
  n_cells = cells;
  std::sort(keys.begin(), keys.end());
  n_negative = std::lower_bound(keys.begin(), keys.end(), 0.0) - keys.begin();
}

RankSum rank_by_sort(std::vector<double>& keys, std::int64_t n_cells, const SortedControl& control) {
  std::sort(keys.begin(), keys.end());
  const auto n_keys = static_cast<std::int64_t>(keys.size());
  const auto n_control = static_cast<std::int64_t>(control.keys.size());
  const std::int64_t control_zeros = control.n_cells - n_control, zeros = n_cells - n_keys;
  const Wide zero_block = tie_of(control_zeros + zeros);
  Wide tie = zero_block;
  // zeros of the group: above the control's negative keys, level with its zeros
  std::int64_t u2 = zeros * (2 * control.n_negative + control_zeros);
  std::int64_t i = 0, j = 0;
  while (i < n_keys || j < n_control) {
    const double key = i == n_keys      ? control.keys[static_cast<std::size_t>(j)]
                       : j == n_control ? keys[static_cast<std::size_t>(i)]
                                        : std::min(keys[static_cast<std::size_t>(i)],
                                                   control.keys[static_cast<std::size_t>(j)]);
    const std::int64_t below = j + (key > 0 ? control_zeros : 0);
    const std::int64_t i0 = i, j0 = j;
    while (i < n_keys && keys[static_cast<std::size_t>(i)] == key) ++i;
    while (j < n_control && control.keys[static_cast<std::size_t>(j)] == key) ++j;
    u2 += (i - i0) * (2 * below + (j - j0));
    tie += tie_of((i - i0) + (j - j0));
  }
  return {u2, static_cast<double>(tie)};
}

}  // namespace vcm
