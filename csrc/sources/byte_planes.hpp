#pragma once
#include <cstdint>

#include "core/isa.hpp"

namespace vcm {

// The bytes of n values of `width` (4 or 8) bytes, sorted by their place in the value: the lowest bytes from
// `to` on, the second ones from `to + stride` on, … This is HDF5's shuffle filter. Neither side need be
// aligned.
VCM_DECLARE_ISA(void, split_planes,
                (const std::uint8_t* from, std::int64_t n, std::int64_t width, std::int64_t stride,
                 std::uint8_t* to))

}  // namespace vcm
