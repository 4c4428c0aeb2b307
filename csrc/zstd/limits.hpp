#pragma once
#include <cstdint>

namespace vcm::zstd {

inline constexpr std::int64_t kBlock = 1 << 17;   // most bytes of a block, and the window
inline constexpr std::int64_t kShortestRun = 16;  // a run costs about as much as 12 literals of 1.5 bits
inline constexpr std::int64_t kMostRuns = kBlock / kShortestRun;

}  // namespace vcm::zstd
