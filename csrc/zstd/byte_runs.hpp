#pragma once
#include <cstdint>

#include "core/isa.hpp"
#include "zstd/limits.hpp"

namespace vcm {

// n ≤ kBlock bytes taken apart: runs of equal bytes, and all bytes that are not repeats in one.
struct ByteRuns {
  std::uint8_t* room;            // for kBlock literals
  const std::uint8_t* literals;  // there, or the bytes themselves where no run is among them
  std::int64_t n_literals = 0;
  std::int32_t*
      before;  // room for kMostRuns: literals since the run before, the run's own first byte included
  std::int32_t* repeats;  // room for kMostRuns: repeats of that byte
  std::int64_t n_runs = 0;
};

VCM_DECLARE_ISA(void, find_runs, (const std::uint8_t* from, std::int64_t n, ByteRuns& runs))

// Adds to 256 counts how often each byte occurs.
VCM_DECLARE_ISA(void, count_bytes, (const std::uint8_t* from, std::int64_t n, std::uint32_t* counts))

// The codes of n ≥ 1 symbols, last symbol first, and the closing mark; returns the bytes written. `codes`
// holds code | length << 24 by symbol, no length above `longest` ≤ 11. `pairs` is null or holds, by two
// symbols as they lie in memory, the code of the second below that of the first | their length << 24. `to`
// has room for 2 n + 16.
VCM_DECLARE_ISA(std::int64_t, write_codes,
                (const std::uint8_t* from, std::int64_t n, const std::uint32_t* codes,
                 const std::uint32_t* pairs, int longest, std::uint8_t* to))

}  // namespace vcm
