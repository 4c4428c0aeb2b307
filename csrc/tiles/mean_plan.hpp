#pragma once
// Who meets whom: the tiles, row panels and partial sums of a list of group pairs.
#include <cstdint>
#include <functional>
#include <vector>

namespace vcm {

// A pair of groups is summed once: `tile_group` is cut into tiles, `panel_group` into row panels, and every
// (tile, panel) has one slot for its partial sum, slots in tile order.
struct MeanEdge {
  std::int64_t tile_group;
  std::int64_t panel_group;
  std::int64_t first_slot;
  std::int64_t n_slots;
};

struct MeanTile {
  std::int64_t group;
  std::int64_t index;  // within the group
  std::int64_t first;  // position of the first cell within the group
  std::int64_t cells;
};

struct MeanPanel {
  std::int64_t group;
  std::int64_t index;
  std::int64_t first;
  std::int64_t rows;
};

// One panel that meets one tile. Inside a group only the pairs row < cell are formed.
struct MeanMeeting {
  std::int64_t panel;
  std::int64_t slot;
  std::int64_t rows;  // leading rows of the panel that meet the tile at all
  bool within;
};

// The unit of work: one tile against a few panels.
struct MeanItem {
  std::int64_t tile;
  std::int64_t first_meeting;
  std::int64_t last_meeting;
  std::int64_t rows;  // over the meetings
};

// Panels that are held in memory together and the work they allow.
struct MeanBatch {
  std::int64_t first_panel;
  std::int64_t last_panel;
  std::int64_t first_item;
  std::int64_t last_item;
};

struct MeanPlan {
  std::vector<std::int64_t> order;  // the used cells, by group, ascending inside a group
  std::vector<std::int64_t> start;  // n_groups + 1
  std::vector<MeanEdge> edges;
  std::vector<std::int64_t> edge_of_pair;
  std::vector<MeanTile> tiles;
  std::vector<MeanPanel> panels;
  std::vector<MeanMeeting> meetings;
  std::vector<MeanItem> items;
  std::vector<MeanBatch> batches;
  std::int64_t n_slots = 0;

  std::int64_t size(std::int64_t group) const { return start[group + 1] - start[group]; }
};

// codes in [-1, n_groups), pairs in [0, n_groups). `cost` is the number of bytes that a row takes while its
// panel is held; a batch stays within `budget` unless a single panel exceeds it. Nothing depends on the
// number of threads.
MeanPlan plan_mean_distances(const std::int32_t* codes, std::int64_t n_rows, std::int64_t n_groups,
                             const std::int32_t* pairs, std::int64_t n_pairs,
                             const std::function<std::int64_t(std::int64_t)>& cost, std::int64_t budget);

// Means over all ordered pairs of cells, the zero diagonal included; NaN where a group is empty.
void finish_mean_distances(const MeanPlan& plan, const double* slots, double* means);

}  // namespace vcm
