#pragma once
// Mean distances between groups of sparse cells.
#include "tiles/tile_work.hpp"

namespace vcm {

// Features of one block: a tile of 64 cells then takes half a mebibyte and stays in the second-level cache.
template <class T>
constexpr std::int64_t kBlockFeatures = sizeof(T) == sizeof(float) ? 2048 : 1024;

// A few rows inside PackedRows.
struct PackedUnit {
  std::int64_t first_entry;
  std::int64_t first_finger;
  std::int64_t rows;
};

// Rows unpacked for the tiles. In a unit the entries of one block of features lie together, row after row, so
// that a pass over a block reads forward; columns count from the block's first.
template <class T>
class PackedRows {
 public:
  static std::int64_t fingers(std::int64_t rows, std::int64_t n_blocks) { return rows * n_blocks + 1; }

  void reserve(std::int64_t n_entries, std::int64_t n_fingers) {
    columns_.reserve(n_entries);
    values_.reserve(n_entries);
    fingers_.reserve(n_fingers);
  }

  // `each(i, sink)` calls sink(column, value) for the stored entries of the unit's i-th row in ascending
  // columns.
  template <class Each>
  void pack(const PackedUnit& unit, std::int64_t n_blocks, const Each& each) {
    std::int64_t* ends = fingers_.data() + unit.first_finger;
    *ends++ = unit.first_entry;
    std::memset(ends, 0, sizeof(std::int64_t) * unit.rows * n_blocks);
    for (std::int64_t i = 0; i < unit.rows; ++i)
      each(i, [&](std::int64_t column, T) { ++ends[column / kBlockFeatures<T> * unit.rows + i]; });
    for (std::int64_t k = 0, entry = unit.first_entry; k < unit.rows * n_blocks; ++k) {
      const std::int64_t n = ends[k];
      ends[k] = entry;  // the write position, which ends up at the segment's end
      entry += n;
    }
    std::uint16_t* columns = columns_.data();
    T* values = values_.data();
    for (std::int64_t i = 0; i < unit.rows; ++i)
      each(i, [&](std::int64_t column, T value) {
        const std::int64_t block = column / kBlockFeatures<T>;
        const std::int64_t entry = ends[block * unit.rows + i]++;
        columns[entry] = static_cast<std::uint16_t>(column - block * kBlockFeatures<T>);
        values[entry] = value;
      });
  }

  std::int64_t begin(const PackedUnit& unit, std::int64_t i, std::int64_t block) const {
    return fingers_.data()[unit.first_finger + block * unit.rows + i];
  }
  std::int64_t end(const PackedUnit& unit, std::int64_t i, std::int64_t block) const {
    return fingers_.data()[unit.first_finger + block * unit.rows + i + 1];
  }
  const std::uint16_t* columns(std::int64_t entry) const { return columns_.data() + entry; }
  const T* values(std::int64_t entry) const { return values_.data() + entry; }

 private:
  Buffer<std::uint16_t> columns_;
  Buffer<T> values_;
  Buffer<std::int64_t> fingers_;
};

// A worker's own memory.
template <class T>
struct SparseScratch {
  PackedRows<T> cells;
  Buffer<T> tile;
  Buffer<T> row;
  Buffer<double> dots;
  Buffer<double> direct;
  std::vector<std::int64_t>
      near;  // rows, counted over the item's meetings, with a near duplicate in the tile
};

// `Reader`: n_cols, nnz(row), and a call (row, sink) that hands over the stored entries. `norms` are |x|^2 by
// position in plan.order.
template <class T, class Reader>
class SparseMean {
 public:
  SparseMean(const MeanPlan& plan, const Reader& reader, const double* norms, const DistanceTiles& kernels)
      : plan_(plan),
        reader_(reader),
        norms_(norms),
        kernels_(kernels),
        n_blocks_((reader.n_cols + kBlockFeatures<T> - 1) / kBlockFeatures<T>),
        units_(plan.panels.size()) {}

  // Lay out the panels of a batch; pack_panel fills them, in any order.
  void open(const MeanBatch& batch) {
    std::int64_t entries = 0;
    std::int64_t fingers = 0;
    for (std::int64_t p = batch.first_panel; p < batch.last_panel; ++p) {
      const MeanPanel& panel = plan_.panels[p];
      units_[p] = {entries, fingers, panel.rows};
      entries += count(panel.group, panel.first, panel.rows);
      fingers += PackedRows<T>::fingers(panel.rows, n_blocks_);
    }
    panels_.reserve(entries, fingers);
  }

  void pack_panel(std::int64_t p) {
    const MeanPanel& panel = plan_.panels[p];
    panels_.pack(units_[p], n_blocks_, [&](std::int64_t i, const auto& sink) {
      reader_(cell(panel.group, panel.first + i), sink);
    });
  }

  void run(const MeanItem& item, SparseScratch<T>& scratch, double* slots) const {
    const MeanTile& tile = plan_.tiles[item.tile];
    const std::int64_t stride = tile_stride(tile);
    pack_tile(tile, scratch);
    double* dots = scratch.dots.reserve(item.rows * stride);
    std::memset(dots, 0, sizeof(double) * item.rows * stride);
    const auto dot = dot_of<T>(kernels_);
    for (std::int64_t block = 0; block < n_blocks_; ++block) {
      const T* dense = build(tile, block, scratch);
      double* acc = dots;
      for (std::int64_t m = item.first_meeting; m < item.last_meeting; ++m) {
        const PackedUnit& unit = units_[plan_.meetings[m].panel];
        for (std::int64_t i = 0; i < plan_.meetings[m].rows; ++i, acc += stride) {
          const std::int64_t entry = panels_.begin(unit, i, block);
          const std::int64_t n = panels_.end(unit, i, block) - entry;
          if (n > 0) dot(panels_.columns(entry), panels_.values(entry), n, dense, stride, acc);
        }
      }
    }
    add(item, tile, scratch, slots);
  }

 private:
  std::int64_t cell(std::int64_t group, std::int64_t position) const {
    return plan_.order[plan_.start[group] + position];
  }

  std::int64_t count(std::int64_t group, std::int64_t first, std::int64_t rows) const {
    std::int64_t entries = 0;
    for (std::int64_t i = 0; i < rows; ++i) entries += reader_.nnz(cell(group, first + i));
    return entries;
  }

  void pack_tile(const MeanTile& tile, SparseScratch<T>& scratch) const {
    scratch.cells.reserve(count(tile.group, tile.first, tile.cells),
                          PackedRows<T>::fingers(tile.cells, n_blocks_));
    scratch.cells.pack({0, 0, tile.cells}, n_blocks_, [&](std::int64_t j, const auto& sink) {
      reader_(cell(tile.group, tile.first + j), sink);
    });
    scratch.tile.reserve(kBlockFeatures<T> * kTileCells);
  }

  const T* build(const MeanTile& tile, std::int64_t block, SparseScratch<T>& scratch) const {
    const std::int64_t stride = tile_stride(tile);
    const PackedUnit unit{0, 0, tile.cells};
    T* dense = scratch.tile.data();
    std::memset(dense, 0, sizeof(T) * kBlockFeatures<T> * stride);
    for (std::int64_t j = 0; j < tile.cells; ++j)
      for (std::int64_t e = scratch.cells.begin(unit, j, block); e < scratch.cells.end(unit, j, block); ++e)
        dense[*scratch.cells.columns(e) * stride + j] = *scratch.cells.values(e);
    return dense;
  }

  // Turn the products of an item into one sum of distances a meeting.
  void add(const MeanItem& item, const MeanTile& tile, SparseScratch<T>& scratch, double* slots) const {
    const std::int64_t stride = tile_stride(tile);
    const double* tile_norms = norms_ + plan_.start[tile.group] + tile.first;
    double* squared = scratch.dots.data();
    scratch.near.clear();
    for (std::int64_t m = item.first_meeting, row = 0; m < item.last_meeting; ++m) {
      const MeanMeeting& meeting = plan_.meetings[m];
      const MeanPanel& panel = plan_.panels[meeting.panel];
      const double* row_norms = norms_ + plan_.start[panel.group] + panel.first;
      for (std::int64_t i = 0; i < meeting.rows; ++i, ++row, squared += stride)
        if (kernels_.expand(row_norms[i], tile_norms, squared, first_partner(meeting, tile, panel.first + i),
                            tile.cells, squared))
          scratch.near.push_back(row);
    }
    if (!scratch.near.empty()) recompute(item, tile, scratch);

    squared = scratch.dots.data();
    for (std::int64_t m = item.first_meeting; m < item.last_meeting; ++m) {
      const MeanMeeting& meeting = plan_.meetings[m];
      const MeanPanel& panel = plan_.panels[meeting.panel];
      double sums[kTileCells] = {};
      for (std::int64_t i = 0; i < meeting.rows; ++i, squared += stride)
        kernels_.add_roots(squared, first_partner(meeting, tile, panel.first + i), tile.cells, sums);
      slots[meeting.slot] = fold(sums);
    }
  }

  // The difference form for the rows in scratch.near, against the whole tile.
  void recompute(const MeanItem& item, const MeanTile& tile, SparseScratch<T>& scratch) const {
    const std::int64_t stride = tile_stride(tile);
    const auto n_near = static_cast<std::int64_t>(scratch.near.size());
    double* direct = scratch.direct.reserve(n_near * stride);
    std::memset(direct, 0, sizeof(double) * n_near * stride);
    constexpr std::int64_t kTogether = 4;
    T* dense_rows = scratch.row.reserve(kTogether * kBlockFeatures<T>);
    const auto difference = difference_of<T>(kernels_);
    for (std::int64_t block = 0; block < n_blocks_; ++block) {
      const T* dense = build(tile, block, scratch);
      for (std::int64_t k = 0; k < n_near; k += kTogether) {
        const std::int64_t rows = std::min(kTogether, n_near - k);
        std::memset(dense_rows, 0, sizeof(T) * rows * kBlockFeatures<T>);
        for (std::int64_t r = 0; r < rows; ++r) {
          const Located at = locate(item, scratch.near[k + r]);
          const PackedUnit& unit = units_[at.panel];
          for (std::int64_t e = panels_.begin(unit, at.row, block); e < panels_.end(unit, at.row, block); ++e)
            dense_rows[r * kBlockFeatures<T> + *panels_.columns(e)] = *panels_.values(e);
        }
        difference(dense_rows, kBlockFeatures<T>, rows, dense, stride, kBlockFeatures<T>, direct + k * stride,
                   stride);
      }
    }
    const double* tile_norms = norms_ + plan_.start[tile.group] + tile.first;
    for (std::int64_t k = 0; k < n_near; ++k) {
      const Located at = locate(item, scratch.near[k]);
      kernels_.replace_near(at.norm, tile_norms, direct + k * stride, at.first, tile.cells,
                            scratch.dots.data() + scratch.near[k] * stride);
    }
  }

  struct Located {
    std::int64_t panel;
    std::int64_t row;    // in the panel
    std::int64_t first;  // first partner in the tile
    double norm;
  };

  Located locate(const MeanItem& item, std::int64_t row) const {
    std::int64_t m = item.first_meeting;
    for (; row >= plan_.meetings[m].rows; ++m) row -= plan_.meetings[m].rows;
    const MeanMeeting& meeting = plan_.meetings[m];
    const MeanPanel& panel = plan_.panels[meeting.panel];
    return {meeting.panel, row, first_partner(meeting, plan_.tiles[item.tile], panel.first + row),
            norms_[plan_.start[panel.group] + panel.first + row]};
  }

  const MeanPlan& plan_;
  const Reader& reader_;
  const double* norms_;
  const DistanceTiles& kernels_;
  std::int64_t n_blocks_;
  PackedRows<T> panels_;
  std::vector<PackedUnit> units_;  // by panel, in the open batch
};

}  // namespace vcm
