#pragma once
// Row numbers by group.
#include <cstdint>
#include <vector>

namespace vcm {

// The rows of group g are order[start[g]] … order[start[g + 1] - 1], ascending; code -1 leaves a row out.
struct GroupedRows {
  std::vector<std::int64_t> order;
  std::vector<std::int64_t> start;  // n_groups + 1

  std::int64_t size(std::int64_t group) const { return start[group + 1] - start[group]; }
  const std::int64_t* rows(std::int64_t group) const { return order.data() + start[group]; }
};

// codes in [-1, n_groups)
inline GroupedRows group_rows(const std::int32_t* codes, std::int64_t n_rows, std::int64_t n_groups) {
  GroupedRows grouped;
  grouped.start.assign(static_cast<std::size_t>(n_groups) + 1, 0);
  for (std::int64_t i = 0; i < n_rows; ++i)
    if (codes[i] >= 0) ++grouped.start[codes[i] + 1];
  for (std::int64_t g = 0; g < n_groups; ++g) grouped.start[g + 1] += grouped.start[g];
  grouped.order.resize(static_cast<std::size_t>(grouped.start[n_groups]));
  std::vector<std::int64_t> next(grouped.start.begin(), grouped.start.end() - 1);
  for (std::int64_t i = 0; i < n_rows; ++i)
    if (codes[i] >= 0) grouped.order[next[codes[i]]++] = i;
  return grouped;
}

}  // namespace vcm
