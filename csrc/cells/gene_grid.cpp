#include "cells/gene_grid.hpp"

#include <algorithm>
#include <numeric>

namespace vcm {
namespace {

constexpr std::int64_t kBlockGenes =
    256;  // genes transposed at once; 64-512 are nearly equal, 32 and 1,024 worse
// From here on a visit of every cell per block is what counts: wider blocks win, as far as their streams are
// small.
constexpr std::int64_t kManyCells = 65536;
constexpr std::int64_t kStreamBytes = std::int64_t{300}
                                      << 20;  // of one side and worker, if every value were stored
constexpr std::int64_t kRangesPerThread = 2;

std::uint64_t column_at(const std::uint8_t* columns, int bytes, std::int64_t at) {
  if (bytes == 2) return load<std::uint16_t>(columns + at * 2);
  if (bytes == 4) return load<std::uint32_t>(columns + at * 4);
  return load<std::uint64_t>(columns + at * 8);
}

}  // namespace

std::uint32_t lower_entry(const Fragment& fragment, int bytes, std::int64_t gene) {
  std::int64_t low = 0, high = fragment.length;
  while (low < high) {
    const std::int64_t middle = low + (high - low) / 2;
    if (column_at(fragment.columns, bytes, middle) < static_cast<std::uint64_t>(gene))
      low = middle + 1;
    else
      high = middle;
  }
  return static_cast<std::uint32_t>(low);
}

Grid make_grid(const GatherJob& job, const std::vector<SidePlan>& plans, int n_threads) {
  Grid grid;
  std::int64_t most_cells = 0;
  for (const SidePlan& plan : plans) most_cells = std::max(most_cells, plan.cells());
  grid.widest = kBlockGenes;
  if (most_cells >= kManyCells) {
    grid.widest = 2 * kBlockGenes;
    while (grid.widest > 32 && grid.widest * most_cells * 4 > kStreamBytes) grid.widest /= 2;
  }
  for (std::int64_t gene = 0; gene < job.n_cols; gene += grid.widest) grid.genes.push_back(gene);
  grid.genes.push_back(job.n_cols);

  const std::int64_t n_blocks = grid.n_blocks();
  std::vector<double> weight(static_cast<std::size_t>(n_blocks), 1.0);
  for (std::size_t s = 0; s < plans.size(); ++s) {
    const int bytes = static_cast<int>(size_of(job.sides[s].rows.indices.type));
    const std::size_t step = plans[s].fragments.size() / 512 + 1;
    for (std::size_t f = 0; f < plans[s].fragments.size(); f += step)
      for (std::int64_t i = 0; i < plans[s].fragments[f].length; i += 16) {
        const std::uint64_t column = column_at(plans[s].fragments[f].columns, bytes, i);
        if (column < static_cast<std::uint64_t>(job.n_cols))
          weight[static_cast<std::size_t>(static_cast<std::int64_t>(column) / grid.widest)] += 16;
      }
  }
  const double all = std::accumulate(weight.begin(), weight.end(), 0.0);
  const std::int64_t n_ranges = std::min(n_blocks, n_threads == 1 ? 1 : kRangesPerThread * n_threads);
  double sum = 0;
  grid.ranges.push_back(0);
  for (std::int64_t block = 0; block < n_blocks; ++block) {
    sum += weight[static_cast<std::size_t>(block)];
    if (sum * static_cast<double>(n_ranges) >= all * static_cast<double>(grid.ranges.size()) &&
        block + 1 < n_blocks)
      grid.ranges.push_back(block + 1);
  }
  grid.ranges.push_back(n_blocks);
  return grid;
}

}  // namespace vcm
