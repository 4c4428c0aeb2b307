#include "sources/digest.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace vcm {
namespace {

constexpr std::int64_t kBlock = 1 << 20;
constexpr int kLanes = 8;
constexpr std::uint64_t kMix = 0x9E3779B97F4A7C15u;  // odd, bits well spread (2^64 / golden ratio)

std::uint64_t mix(std::uint64_t state, std::uint64_t word) { return std::rotl((state ^ word) * kMix, 29); }

}  // namespace

std::vector<std::uint64_t> block_digests(const std::uint8_t* bytes, std::int64_t n, const Team& team) {
  const std::int64_t n_blocks = (n + kBlock - 1) / kBlock;
  std::vector<std::uint64_t> digests(static_cast<std::size_t>(n_blocks));
  for_each_task(team, n_blocks, n, [&](std::int64_t block, int, const std::atomic<bool>&) {
    const std::uint8_t* at = bytes + block * kBlock;
    const std::int64_t length = std::min(kBlock, n - block * kBlock);
    std::uint64_t state[kLanes];
    for (int lane = 0; lane < kLanes; ++lane) state[lane] = static_cast<std::uint64_t>(lane + 1) * kMix;
    std::int64_t k = 0;
    for (; k + 8 * kLanes <= length; k += 8 * kLanes)
      for (int lane = 0; lane < kLanes; ++lane) {
        std::uint64_t word;
        std::memcpy(&word, at + k + 8 * lane, 8);
        state[lane] = mix(state[lane], word);
      }
    std::uint64_t all = static_cast<std::uint64_t>(length);
    for (; k < length; ++k) all = mix(all, at[k]);
    for (std::uint64_t lane : state) all = mix(all, lane);
    digests[static_cast<std::size_t>(block)] = all;
  });
  return digests;
}

}  // namespace vcm
