#pragma once
#include <cstdint>
#include <vector>

#include "cells/rank_sums.hpp"

namespace vcm {

__extension__ typedef unsigned __int128 Wide;

// A control's stored keys of one gene, ascending, and what its zeros need.
struct SortedControl {
  std::vector<double> keys;
  std::int64_t n_cells = 0;
  std::int64_t n_negative = 0;

  void sort(std::int64_t cells);
};

// keys: the group's stored (non-zero) keys, any order, sorted in place; n_cells counts its zeros as well.
RankSum rank_by_sort(std::vector<double>& keys, std::int64_t n_cells, const SortedControl& control);

}  // namespace vcm
