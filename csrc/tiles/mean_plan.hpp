#pragma once
// Who meets whom: the tiles, row panels and partial sums of a list of group pairs.
#include <cstdint>
#include <functional>
#include <utility>
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

// Panels that are held in memory together.
struct MeanBatch {
  std::int64_t first_panel;
  std::int64_t last_panel;
};

// How groups are cut: tiles of at most `tile_cells` cells in steps of `tile_step`, panels of `panel_rows`; an
// item meets at most `item_rows` rows unless one panel has more.
struct MeanShape {
  std::int64_t tile_cells;
  std::int64_t tile_step;
  std::int64_t panel_rows;
  std::int64_t item_rows;
};

using Range = std::pair<std::int64_t, std::int64_t>;

struct MeanPlan {
  MeanShape shape;
  std::vector<std::int64_t> order;  // the used cells, by group, ascending inside a group
  std::vector<std::int64_t> start;  // n_groups + 1
  std::vector<MeanEdge> edges;      // by tile_group
  std::vector<std::int64_t> edge_of_pair;
  std::vector<Range> edges_of;  // by tile_group
  std::vector<Range> tiles_of;
  std::vector<Range> panels_of;
  std::vector<MeanTile> tiles;
  std::vector<MeanPanel> panels;
  std::vector<MeanBatch> batches;
  std::int64_t n_slots = 0;
  // of the open batch
  std::vector<MeanMeeting> meetings;
  std::vector<MeanItem> items;

  std::int64_t size(std::int64_t group) const { return start[group + 1] - start[group]; }
  std::int64_t n_pairs_of_cells() const;
};

// The bytes that a panel of these cells takes while it is held.
using PanelCost = std::function<std::int64_t(const std::int64_t* cells, std::int64_t n)>;

// codes in [-1, n_groups), pairs in [0, n_groups). A batch stays within `budget` unless a single panel
// exceeds it. Nothing depends on the number of threads.
MeanPlan plan_mean_distances(const std::int32_t* codes, std::int64_t n_rows, std::int64_t n_groups,
                             const std::int32_t* pairs, std::int64_t n_pairs, const MeanShape& shape,
                             const PanelCost& cost, std::int64_t budget);

// The work of one batch takes the place of the last one's.
void open_batch(MeanPlan& plan, const MeanBatch& batch);

enum class Estimator { v, u };

// Means over the pairs of cells of two groups. Inside a group the slots hold the pairs i < j, and
// diagonals[group] the sum over i = j (null: zero): v means over all n^2 ordered pairs, u over the n (n - 1)
// with i != j. NaN where a group is empty or, for u, has one cell.
void finish_means(const MeanPlan& plan, const double* slots, const double* diagonals, Estimator estimator,
                  double* means);

}  // namespace vcm
