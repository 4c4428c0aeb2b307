#pragma once
#include <cstdint>
#include <vector>

#include "cells/side_plan.hpp"

namespace vcm {

// The gene axis, cut once for a shape of data: block borders never depend on the number of threads.
struct Grid {
  std::vector<std::int64_t> genes;  // block b holds genes genes[b] … genes[b + 1] - 1
  std::vector<std::int64_t>
      ranges;  // range r holds blocks ranges[r] … ranges[r + 1] - 1, about equal stored values
  std::int64_t widest = 0;

  std::int64_t n_blocks() const { return static_cast<std::int64_t>(genes.size()) - 1; }
};

Grid make_grid(const GatherJob& job, const std::vector<SidePlan>& plans, int n_threads);

// First entry of an ascending fragment whose column is at least `gene`.
std::uint32_t lower_entry(const Fragment& fragment, int bytes, std::int64_t gene);

}  // namespace vcm
