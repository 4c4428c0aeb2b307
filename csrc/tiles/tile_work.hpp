#pragma once
// One item of a mean-distance plan: a tile against its panels.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "tiles/buffer.hpp"
#include "tiles/distance_tiles.hpp"
#include "tiles/mean_plan.hpp"

namespace vcm {

template <class T>
constexpr auto dot_of(const DistanceTiles& tiles) {
  if constexpr (sizeof(T) == sizeof(float))
    return tiles.dot_float;
  else
    return tiles.dot_double;
}

template <class T>
constexpr auto difference_of(const DistanceTiles& tiles) {
  if constexpr (sizeof(T) == sizeof(float))
    return tiles.difference_float;
  else
    return tiles.difference_double;
}

inline std::int64_t tile_stride(const MeanTile& tile) {
  return (tile.cells + kTileStep - 1) / kTileStep * kTileStep;
}

// First cell of the tile that row `row` of the group pairs with: all of them, or those after it.
inline std::int64_t first_partner(const MeanMeeting& meeting, const MeanTile& tile, std::int64_t row) {
  return meeting.within ? std::max<std::int64_t>(0, row + 1 - tile.first) : 0;
}

// Sum of the lanes by halving.
inline double fold(double* sums) {
  for (std::int64_t width = kTileCells / 2; width > 0; width /= 2)
    for (std::int64_t j = 0; j < width; ++j) sums[j] += sums[j + width];
  return sums[0];
}

}  // namespace vcm
