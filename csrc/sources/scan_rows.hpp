#pragma once
#include <cstdint>
#include <vector>

#include "core/parallel.hpp"
#include "core/views.hpp"

namespace vcm {

// A stored value and where it is; row -1: there is none.
struct Offender {
  std::int64_t row = -1;
  std::int64_t column = -1;  // as stored, perhaps out of range
  double value = 0.0;
};

struct ScanFacts {
  bool indptr_bad = false;  // then nothing else is known
  bool column_out_of_range = false;
  bool unsorted = false;
  bool duplicates = false;
  double min, max;  // over stored values, NaN ignored; +inf, -inf if there are none
  double max_fraction = 0.0, max_signed_fraction = 0.0, max_row_total = 0.0;
  std::int64_t n_negative = 0, n_nonfinite = 0, n_fractional = 0, n_explicit_zeros = 0;
  Offender first_negative, first_nonfinite, first_fractional;
  std::int64_t max_row_total_row = -1;  // -1: no row has a total that is a number
};

// One read of values and column numbers; both may hold anything, and so may indptr. totals[n_rows] receives
// each row's sum. The same bits for any number of threads and any cut into pieces.
ScanFacts scan_rows(const RowsView& rows, double* totals, const Team& team);

}  // namespace vcm
