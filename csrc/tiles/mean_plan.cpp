#include "tiles/mean_plan.hpp"

#include <algorithm>
#include <limits>

namespace vcm {
namespace {

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

// Tiles of nearly equal width, so that no narrow rest is left.
Range cut_tiles(std::int64_t group, std::int64_t n, const MeanShape& shape, std::vector<MeanTile>& tiles) {
  const auto begin = static_cast<std::int64_t>(tiles.size());
  const std::int64_t steps = (n + shape.tile_step - 1) / shape.tile_step;
  const std::int64_t count = (n + shape.tile_cells - 1) / shape.tile_cells;
  for (std::int64_t t = 0; t < count; ++t) {
    const std::int64_t first = t * steps / count * shape.tile_step;
    const std::int64_t last = std::min(n, (t + 1) * steps / count * shape.tile_step);
    tiles.push_back({group, t, first, last - first});
  }
  return {begin, static_cast<std::int64_t>(tiles.size())};
}

Range cut_panels(std::int64_t group, std::int64_t n, const MeanShape& shape, std::vector<MeanPanel>& panels) {
  const auto begin = static_cast<std::int64_t>(panels.size());
  for (std::int64_t first = 0, index = 0; first < n; first += shape.panel_rows, ++index)
    panels.push_back({group, index, first, std::min(shape.panel_rows, n - first)});
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
  const auto edge_of = [&](const Range& pair) {
    const bool first_is_hub = partners[pair.first] >= partners[pair.second];
    return first_is_hub ? Range{pair.second, pair.first} : pair;
  };
  plan.edges_of.assign(n_groups, {0, 0});
  for (const auto& pair : unique) ++plan.edges_of[edge_of(pair).first].second;
  for (std::int64_t g = 0, n = 0; g < n_groups; ++g) {
    const std::int64_t count = plan.edges_of[g].second;
    plan.edges_of[g] = {n, n};  // the end moves as edges are put in
    n += count;
  }
  plan.edges.resize(unique.size());
  std::vector<std::int64_t> place(unique.size());
  for (std::size_t k = 0; k < unique.size(); ++k) {
    const auto [tile_group, panel_group] = edge_of(unique[k]);
    place[k] = plan.edges_of[tile_group].second++;
    plan.edges[place[k]] = {tile_group, panel_group, 0, 0};
  }
  plan.edge_of_pair.resize(n_pairs);
  for (std::int64_t k = 0; k < n_pairs; ++k)
    plan.edge_of_pair[k] = place[std::lower_bound(unique.begin(), unique.end(), keys[k]) - unique.begin()];
}

}  // namespace

std::int64_t MeanPlan::n_pairs_of_cells() const {
  std::int64_t n = 0;
  for (const MeanEdge& edge : edges) {
    const std::int64_t n_pairs = size(edge.tile_group) * size(edge.panel_group);
    n += edge.tile_group == edge.panel_group ? n_pairs / 2 : n_pairs;
  }
  return n;
}

MeanPlan plan_mean_distances(const std::int32_t* codes, std::int64_t n_rows, std::int64_t n_groups,
                             const std::int32_t* pairs, std::int64_t n_pairs, const MeanShape& shape,
                             const PanelCost& cost, std::int64_t budget) {
  MeanPlan plan;
  plan.shape = shape;
  order_cells(codes, n_rows, n_groups, plan);
  make_edges(pairs, n_pairs, n_groups, plan);

  std::vector<char> in_panels(n_groups, 0);
  for (const MeanEdge& edge : plan.edges) in_panels[edge.panel_group] = 1;
  plan.tiles_of.resize(n_groups);
  plan.panels_of.resize(n_groups);
  for (std::int64_t g = 0; g < n_groups; ++g) {
    if (plan.edges_of[g].first < plan.edges_of[g].second)
      plan.tiles_of[g] = cut_tiles(g, plan.size(g), shape, plan.tiles);
    if (in_panels[g]) plan.panels_of[g] = cut_panels(g, plan.size(g), shape, plan.panels);
  }
  for (auto& edge : plan.edges) {
    const auto [tile, last_tile] = plan.tiles_of[edge.tile_group];
    const auto [panel, last_panel] = plan.panels_of[edge.panel_group];
    edge.first_slot = plan.n_slots;
    edge.n_slots = (last_tile - tile) * (last_panel - panel);
    plan.n_slots += edge.n_slots;
  }

  const auto n_panels = static_cast<std::int64_t>(plan.panels.size());
  for (std::int64_t begin = 0; begin < n_panels;) {
    std::int64_t end = begin;
    for (std::int64_t bytes = 0; end < n_panels; ++end) {
      const MeanPanel& panel = plan.panels[end];
      bytes += cost(plan.order.data() + plan.start[panel.group] + panel.first, panel.rows);
      if (bytes > budget && end > begin) break;
    }
    plan.batches.push_back({begin, end});
    begin = end;
  }
  return plan;
}

void open_batch(MeanPlan& plan, const MeanBatch& batch) {
  plan.meetings.clear();
  plan.items.clear();
  for (std::size_t t = 0; t < plan.tiles.size(); ++t) {
    const MeanTile& tile = plan.tiles[t];
    MeanItem item{static_cast<std::int64_t>(t), static_cast<std::int64_t>(plan.meetings.size()), 0, 0};
    const auto close = [&] {
      item.last_meeting = static_cast<std::int64_t>(plan.meetings.size());
      if (item.rows > 0) plan.items.push_back(item);
      item.first_meeting = item.last_meeting;
      item.rows = 0;
    };
    for (std::int64_t e = plan.edges_of[tile.group].first; e < plan.edges_of[tile.group].second; ++e) {
      const MeanEdge& edge = plan.edges[e];
      const bool within = edge.tile_group == edge.panel_group;
      const auto [first_panel, last_panel] = plan.panels_of[edge.panel_group];
      for (std::int64_t p = std::max(first_panel, batch.first_panel);
           p < std::min(last_panel, batch.last_panel); ++p) {
        const MeanPanel& panel = plan.panels[p];
        const std::int64_t rows =
            within ? std::min(panel.rows, tile.first + tile.cells - 1 - panel.first) : panel.rows;
        if (rows <= 0) continue;
        if (item.rows + rows > plan.shape.item_rows) close();
        const std::int64_t slot = edge.first_slot + tile.index * (last_panel - first_panel) + panel.index;
        plan.meetings.push_back({p, slot, rows, within});
        item.rows += rows;
      }
    }
    close();
  }
}

void finish_means(const MeanPlan& plan, const double* slots, const double* diagonals, Estimator estimator,
                  double* means) {
  for (std::size_t k = 0; k < plan.edge_of_pair.size(); ++k) {
    const MeanEdge& edge = plan.edges[plan.edge_of_pair[k]];
    const bool within = edge.tile_group == edge.panel_group;
    const auto n = static_cast<double>(plan.size(edge.tile_group));
    const auto m = static_cast<double>(plan.size(edge.panel_group));
    const double count = within && estimator == Estimator::u ? n * (n - 1) : n * m;
    if (count == 0) {
      means[k] = std::numeric_limits<double>::quiet_NaN();
      continue;
    }
    double total = 0;
    for (std::int64_t s = 0; s < edge.n_slots; ++s) total += slots[edge.first_slot + s];
    if (within) {
      total *= 2;
      if (diagonals != nullptr && estimator == Estimator::v) total += diagonals[edge.tile_group];
    }
    means[k] = total / count;
  }
}

}  // namespace vcm
