#pragma once
#include <cstdint>

#include "ops/host_device.hpp"

namespace vcm {

// t^3 - t of a tie block of t values; pools up to 2,000,000 cells fit.
static inline VCM_HD std::uint64_t tie_block(std::int64_t t) {
  const auto n = static_cast<std::uint64_t>(t);
  return n * n * n - n;
}

// The first place in keys[begin … end-1], ascending, that is not below the key (`past`: that is above it).
template <bool past>
static inline VCM_HD std::int64_t place_of(const double* keys, std::int64_t begin, std::int64_t end,
                                           double key) {
  while (begin < end) {
    const std::int64_t middle = begin + (end - begin) / 2;
    if (past ? keys[middle] <= key : keys[middle] < key)
      begin = middle + 1;
    else
      end = middle;
  }
  return begin;
}

// Twice U of a group over the control in one gene, and the sum of t^3 - t over the tie blocks of both
// together. Keys are those that are not zero, ascending; zeros are one block.
struct RankSums {
  std::int64_t u2;
  std::uint64_t tie;

  static VCM_HD RankSums of(const double* group, std::int64_t n_group, std::int64_t zeros,
                            const double* control, std::int64_t n_control, std::int64_t control_zeros,
                            std::uint64_t control_tie) {
    const std::int64_t negative = place_of<false>(control, 0, n_control, 0.0);
    RankSums found{zeros * (2 * negative + control_zeros), control_tie + tie_block(control_zeros + zeros)};
    std::int64_t below = 0;
    for (std::int64_t first = 0, last; first < n_group; first = last) {
      const double key = group[first];
      for (last = first + 1; last < n_group && group[last] == key;) ++last;
      below = place_of<false>(control, below, n_control, key);
      const std::int64_t until = place_of<true>(control, below, n_control, key), equal = until - below;
      const std::int64_t less = below + (key > 0.0 ? control_zeros : 0), same = last - first;
      found.u2 += same * (2 * less + equal);
      found.tie += tie_block(equal + same) - tie_block(equal);
      below = until;
    }
    return found;
  }
};

}  // namespace vcm
