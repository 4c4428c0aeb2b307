#pragma once
// Group sums alone, straight from rows: no transposition, so that they run at the speed of the read.
#include <atomic>
#include <cstdint>

#include "cells/gather.hpp"
#include "core/isa.hpp"

namespace vcm {

// One run of a row's stored entries and the table rows of its group; null where a table is not asked for.
struct RowSumsJob {
  const std::uint8_t* columns;
  const std::uint8_t* values;
  int index_bytes;
  Type value_type;
  std::int64_t length;
  std::int64_t first_gene, n_genes;  // columns must lie here
  double unit;                       // l / scale for Key::ratio; 0: x = v
  double *sum, *linear, *log1p, *log1p_square, *expm1, *square;
  std::int64_t* nonzero;
  bool inside = true, finite = true, any = false;  // out, only ever cleared (set for any)
};

// Adds the cells of side.rows to its tables (sum … nonzero and n; the others are not touched), which the
// caller has filled. Each entry of a table is added up in the order of the rows, so neither the number of
// threads nor the cut of the cells into blocks of rows shows in its bits. first_row: number of the first row,
// for messages.
void add_rows(const GatherSide& side, std::int64_t n_cols, Key key, double scale, std::int64_t first_row,
              const Team& team);

VCM_DECLARE_ISA(void, add_run, (RowSumsJob & job))

}  // namespace vcm
