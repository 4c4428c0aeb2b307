#include "tiles/mean_plan.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "tiles/distance_tiles.hpp"

namespace vcm {
namespace {

constexpr std::int64_t kPanelRows = 512;
// Rows × 64 cells of running sums stay near 2 MiB a thread.
constexpr std::int64_t kItemRows = 4096;

void order_cells(const std::int32_t* codes, std::int64_t n_rows, std::int64_t n_groups, MeanPlan& plan) {
  plan.start.assign(n_groups + 1, 0);
  for (std::int64_t i = 0; i < n_rows; ++i)
    if (codes[i] >= 0) ++plan.start[codes[i] + 1];
  for (std::int64_t g = 0; g < n_groups; ++g) plan.start[g + 1] += plan.start[g];
  plan.order.resize(plan.start[n_groups]);
  std::vector<std::int64_t> next(plan.start.begin(), plan.start.end() - 1);
  for (std::int64_t i = 0; i < n_rows; ++i)
    if (codes[i] >= 0) plan.order[next[codes[i]]++] = i;
}

using Range = std::pair<std::int64_t, std::int64_t>;

// Tiles of nearly equal width, so that no narrow rest is left.
Range cut_tiles(std::int64_t group, std::int64_t n, std::vector<MeanTile>& tiles) {
  const auto begin = static_cast<std::int64_t>(tiles.size());
  const std::int64_t steps = (n + kTileStep - 1) / kTileStep;
  const std::int64_t count = (n + kTileCells - 1) / kTileCells;
  for (std::int64_t t = 0; t < count; ++t) {
    const std::int64_t first = t * steps / count * kTileStep;
    const std::int64_t last = std::min(n, (t + 1) * steps / count * kTileStep);
    tiles.push_back({group, t, first, last - first});
  }
  return {begin, static_cast<std::int64_t>(tiles.size())};
}

Range cut_panels(std::int64_t group, std::int64_t n, std::vector<MeanPanel>& panels) {
  const auto begin = static_cast<std::int64_t>(panels.size());
  for (std::int64_t first = 0, index = 0; first < n; first += kPanelRows, ++index)
    panels.push_back({group, index, first, std::min(kPanelRows, n - first)});
  return {begin, static_cast<std::int64_t>(panels.size())};
}

// The group that meets more partners is read in panels: they are unpacked once and serve every tile.
void make_edges(const std::int32_t* pairs, std::int64_t n_pairs, std::int64_t n_groups, MeanPlan& plan) {
  std::vector<Range> keys(n_pairs);
  for (std::int64_t k = 0; k < n_pairs; ++k)
    keys[k] = {std::min(pairs[2 * k], pairs[2 * k + 1]), std::max(pairs[2 * k], pairs[2 * k + 1])};
  std::vector<Range> unique = keys;
  std::sort(unique.begin(), unique.end());
  unique.erase(std::unique(unique.begin(), unique.end()), unique.end());
  std::vector<std::int64_t> partners(n_groups, 0);
  for (const auto& [a, b] : unique) {
    ++partners[a];
    if (a != b) ++partners[b];
  }
  for (const auto& [a, b] : unique) {
    const bool first_is_hub = partners[a] >= partners[b];
    plan.edges.push_back({first_is_hub ? b : a, first_is_hub ? a : b, 0, 0});
  }
  plan.edge_of_pair.resize(n_pairs);
  for (std::int64_t k = 0; k < n_pairs; ++k)
    plan.edge_of_pair[k] = std::lower_bound(unique.begin(), unique.end(), keys[k]) - unique.begin();
}

}  // namespace

MeanPlan plan_mean_distances(const std::int32_t* codes, std::int64_t n_rows, std::int64_t n_groups,
                             const std::int32_t* pairs, std::int64_t n_pairs,
                             const std::function<std::int64_t(std::int64_t)>& cost, std::int64_t budget) {
  MeanPlan plan;
  order_cells(codes, n_rows, n_groups, plan);
  make_edges(pairs, n_pairs, n_groups, plan);

  std::vector<std::vector<std::int64_t>> edges_of(n_groups);  // by tile group
  std::vector<char> in_panels(n_groups, 0);
  for (std::size_t e = 0; e < plan.edges.size(); ++e) {
    edges_of[plan.edges[e].tile_group].push_back(static_cast<std::int64_t>(e));
    in_panels[plan.edges[e].panel_group] = 1;
  }
  std::vector<Range> tiles_of(n_groups), panels_of(n_groups);
  for (std::int64_t g = 0; g < n_groups; ++g) {
    if (!edges_of[g].empty()) tiles_of[g] = cut_tiles(g, plan.size(g), plan.tiles);
    if (in_panels[g]) panels_of[g] = cut_panels(g, plan.size(g), plan.panels);
  }
  for (auto& edge : plan.edges) {
    const auto [tile, last_tile] = tiles_of[edge.tile_group];
    const auto [panel, last_panel] = panels_of[edge.panel_group];
    edge.first_slot = plan.n_slots;
    edge.n_slots = (last_tile - tile) * (last_panel - panel);
    plan.n_slots += edge.n_slots;
  }

  const auto n_panels = static_cast<std::int64_t>(plan.panels.size());
  for (std::int64_t begin = 0; begin < n_panels;) {
    std::int64_t end = begin;
    for (std::int64_t bytes = 0; end < n_panels; ++end) {
      const MeanPanel& panel = plan.panels[end];
      for (std::int64_t i = 0; i < panel.rows; ++i)
        bytes += cost(plan.order[plan.start[panel.group] + panel.first + i]);
      if (bytes > budget && end > begin) break;
    }
    MeanBatch batch{begin, end, static_cast<std::int64_t>(plan.items.size()), 0};
    for (std::size_t t = 0; t < plan.tiles.size(); ++t) {
      const MeanTile& tile = plan.tiles[t];
      MeanItem item{static_cast<std::int64_t>(t), static_cast<std::int64_t>(plan.meetings.size()), 0, 0};
      const auto close = [&] {
        item.last_meeting = static_cast<std::int64_t>(plan.meetings.size());
        if (item.rows > 0) plan.items.push_back(item);
        item.first_meeting = item.last_meeting;
        item.rows = 0;
      };
      for (const std::int64_t e : edges_of[tile.group]) {
        const MeanEdge& edge = plan.edges[e];
        const bool within = edge.tile_group == edge.panel_group;
        const auto [first_panel, last_panel] = panels_of[edge.panel_group];
        for (std::int64_t p = std::max(first_panel, begin); p < std::min(last_panel, end); ++p) {
          const MeanPanel& panel = plan.panels[p];
          const std::int64_t rows =
              within ? std::min(panel.rows, tile.first + tile.cells - 1 - panel.first) : panel.rows;
          if (rows <= 0) continue;
          if (item.rows + rows > kItemRows) close();
          const std::int64_t slot = edge.first_slot + tile.index * (last_panel - first_panel) + panel.index;
          plan.meetings.push_back({p, slot, rows, within});
          item.rows += rows;
        }
      }
      close();
    }
    batch.last_item = static_cast<std::int64_t>(plan.items.size());
    plan.batches.push_back(batch);
    begin = end;
  }
  return plan;
}

void finish_mean_distances(const MeanPlan& plan, const double* slots, double* means) {
  for (std::size_t k = 0; k < plan.edge_of_pair.size(); ++k) {
    const MeanEdge& edge = plan.edges[plan.edge_of_pair[k]];
    const auto n = static_cast<double>(plan.size(edge.tile_group));
    const auto m = static_cast<double>(plan.size(edge.panel_group));
    if (n == 0 || m == 0) {
      means[k] = std::numeric_limits<double>::quiet_NaN();
      continue;
    }
    double total = 0;
    for (std::int64_t s = 0; s < edge.n_slots; ++s) total += slots[edge.first_slot + s];
    means[k] = (edge.tile_group == edge.panel_group ? 2 * total : total) / (n * m);
  }
}

}  // namespace vcm
