#pragma once
// The nouns that the driver of the pass and its kernels share.
#include <cstdint>

#include "core/isa.hpp"
#include "core/views.hpp"

namespace vcm {

// Stored form of a value while it is gene-major: a count below 65,536 (cell number also 16 bits), or wide.
enum class Record : std::uint8_t { u16, f32, f64 };

// A run of one cell's stored entries that is contiguous in memory.
struct Fragment {
  const std::uint8_t* columns;
  const std::uint8_t* values;
  std::uint32_t length;
  std::uint32_t cell;  // number of the cell inside its group
};

// One gene block of one side, gene-major. Gene k of the block owns values[k * stride …] and cells[k * stride
// …]; group g lies at borders[g * width + k] … borders[(g + 1) * width + k] - 1 of it, in the order of the
// cells. Streams may be written up to kStreamPad entries past their end.
struct Streams {
  void* values;  // u16, f32 or f64 by record
  void* cells;   // u16 for Record::u16, else u32
  std::int64_t stride;
  std::int64_t width;
  std::uint32_t* borders;
};
inline constexpr std::int64_t kStreamPad = 64;
inline constexpr int kTileCells = 32;

struct TransposeJob {
  const Fragment* fragments;
  const std::int64_t* group_fragments;  // [n_groups + 1]
  std::int64_t n_groups;
  std::uint32_t* cursors;            // [fragments], entries already taken
  std::int64_t first_gene, n_genes;  // the block
  int index_bytes;                   // 2, 4 or 8
  Type value_type;
  Record record;
  void* tile;                // [n_genes][kTileCells] records, all zero before and after
  std::uint32_t* positions;  // [n_genes], scratch
  Streams* streams;
  std::int64_t taken;  // out: entries moved
};

// Small counts are most of what is stored, so their logs are made once a cell: [cell][count].
inline constexpr int kLoggedCounts = 16;

// What one look at the values of a run tells about the record that can hold them.
struct ValueFacts {
  bool finite = true;
  bool narrow = true;  // whole numbers of [0, 65535]
  bool nonzero = false;
};

// Sums of one gene's list of one group, each in the order of the list: the bits of row_sums.hpp.
struct SumsJob {
  Record record;
  const void* values;
  const void* cells;
  std::int64_t length;
  const double* units;  // l / scale of the group's cells for Key::ratio; null: x = v
  const double* logs;   // log1p(v / unit) of the group's cells for v below kLoggedCounts; null: none at hand
  bool want_sum, want_linear, want_log1p, want_log1p_square, want_expm1, want_square;
  double sum, linear, log1p, log1p_square, expm1, square;
};

// One group's jackknife sums over the genes of a block.
struct JackknifeGroup {
  std::int64_t n_cells;
  double tau;                  // target / sum of totals
  int n_terms;                 // K of the series for light cells
  const double* moments;       // M_1 … M_2K at [1 … 2K]: sums of x^k over light cells
  const double* shares;        // x_i = l_i / S of each cell
  const double* log_rest;      // log1p(-x_i) of light cells
  const double* rests;         // (S - l_i) / target
  const std::uint32_t* heavy;  // numbers of heavy cells (x > kHeavyShare), whose zeros are not in the series
  std::int64_t n_heavy;
};
inline constexpr double kHeavyShare = 1.0 / 16;
inline constexpr int kMaxTerms = 14;

VCM_DECLARE_ISA(void, transpose_block, (TransposeJob & job))
VCM_DECLARE_ISA(void, look_at_values,
                (Type type, const std::uint8_t* values, std::int64_t length, ValueFacts& facts))
VCM_DECLARE_ISA(void, group_sums, (SumsJob & job))
VCM_DECLARE_ISA(double, jackknife_block,
                (const JackknifeGroup& group, Record record, const Streams& streams, std::int64_t g,
                 std::int64_t first_gene, std::int64_t n_genes))

}  // namespace vcm
