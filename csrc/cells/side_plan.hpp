#pragma once
#include <vector>

#include "cells/gather.hpp"
#include "cells/records.hpp"

namespace vcm {

// What is known of one side before its first gene is visited.
struct SidePlan {
  Record record = Record::u16;
  std::vector<Fragment> fragments;               // by group, cells ascending
  std::vector<std::int64_t> group_fragments;     // [n_groups + 1]
  std::vector<std::int64_t> group_cells;         // [n_groups + 1]: where a group starts in per-cell tables
  std::vector<double> totals, units;             // per cell of each group: l, and l / scale
  std::vector<std::vector<double>> depth_logs;   // of small counts at each depth, for Record::u16
  std::vector<std::vector<double>> depth_units;  // l / depth, for each further depth
  std::vector<double> shares, log_rest, rests, moments;
  std::vector<std::uint32_t> heavy;
  std::vector<JackknifeGroup> jackknife;
  std::int64_t n_stored = 0;

  std::int64_t cells() const { return group_cells.back(); }
  std::int64_t cells(std::int64_t g) const {
    return group_cells[static_cast<std::size_t>(g) + 1] - group_cells[static_cast<std::size_t>(g)];
  }
};

SidePlan plan_side(const GatherJob& job, std::size_t side, const Team& team);

}  // namespace vcm
