#pragma once
#include <cstdint>

#include "core/isa.hpp"
#include "core/parallel.hpp"

namespace vcm {

// The bytes of n values of `width` (4 or 8) bytes, sorted by their place in the value: first all lowest
// bytes, then all second ones, … `to` has n * width bytes; neither side need be aligned.
VCM_DECLARE_ISA(void, split_planes,
                (const std::uint8_t* from, std::int64_t n, std::int64_t width, std::uint8_t* to))

// split_planes of each run of `run` values (n_values is a multiple of it): HDF5's shuffle filter, chunk by
// chunk.
void byte_planes(const std::uint8_t* from, std::int64_t n_values, std::int64_t width, std::int64_t run,
                 std::uint8_t* to, const Team& team);

}  // namespace vcm
