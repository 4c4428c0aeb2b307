#pragma once
// Rank sums by look-up: the control's keys of a gene are sorted once, every other group is looked up in them.
#include <cstdint>

#include "cells/records.hpp"

namespace vcm {

// One group's stored values of one gene, and what makes keys of them.
struct RankList {
  Record record;
  const void* values;
  const void* cells;
  std::int64_t length;
  const double* totals;  // of the group's cells: key = value / total; null: key = value
};

struct RankSum {
  std::int64_t u2;  // twice the number of (group, control) pairs with group > control, ties counting half
  double tie;       // sum of t^3 - t over the tie blocks of both together
};

// A control's keys of one gene. Keys are sought by code: the bits of the key rounded to float32, made to
// order as int32. Rounding is monotone, so codes never order two keys wrongly; equal codes are settled by the
// keys.
struct ControlIndex {
  std::int32_t* codes;      // ascending, then kCodePad times INT32_MAX
  double* keys;             // ascending
  std::uint32_t* run_ends;  // end of the run of equal keys that an entry belongs to
  std::uint32_t* buckets;   // number of codes below each bucket of codes
  std::int32_t least;       // smallest code; bucket = (code - least) >> shift, at most last
  std::uint32_t last;
  int shift;
  std::int64_t length, n_cells, n_negative;
  std::uint64_t tie;  // sum of t^3 - t over the runs, zeros left out
};
inline constexpr std::int64_t kCodePad = 16;
inline constexpr std::int64_t kMaxBuckets = 8192;

// Scratch of one thread; arrays hold `longest` entries and one vector more.
struct RankScratch {
  std::int32_t* codes;
  double* keys;
  std::int32_t* other_codes;
  double* other_keys;
  std::uint32_t* suspects;
  std::uint8_t* flags;   // all zero between calls
  std::uint16_t* slots;  // 2^kSlotBits and a vector; any content
};
inline constexpr int kSlotBits = 14;

// Longer lists and larger pools go another way: slots are 16 bits, tie sums must fit 64 bits.
inline constexpr std::int64_t kLongestList = 65535;
inline constexpr std::int64_t kLargestPool = 2'000'000;

VCM_DECLARE_ISA(void, index_control,
                (const RankList& list, std::int64_t n_cells, ControlIndex& control, RankScratch& scratch))
VCM_DECLARE_ISA(RankSum, rank_group,
                (const RankList& list, std::int64_t n_cells, const ControlIndex& control,
                 RankScratch& scratch))

}  // namespace vcm
