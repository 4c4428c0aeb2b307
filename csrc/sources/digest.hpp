#pragma once
#include <cstdint>
#include <vector>

#include "core/parallel.hpp"

namespace vcm {

// One 64-bit word for each MiB of bytes (the last may be shorter): a fast mixing sum that tells whether
// content changed. Not against an adversary.
std::vector<std::uint64_t> block_digests(const std::uint8_t* bytes, std::int64_t n, const Team& team);

}  // namespace vcm
