#pragma once
#include <cstdint>

#include "core/isa.hpp"
#include "core/views.hpp"

namespace vcm {

// What one row's stored values are like. The sum is added in 16 lanes by position, combined by halving: the
// same bits however the row is cut into pieces. A value is fractional when it lies more than 1e-6 from the
// nearest whole number, judged in its own type (NaN and infinities count); its fraction is x - trunc(x).
struct ValueFacts {
  double total = 0.0;
  double min, max;  // NaN ignored; +inf, -inf for an empty row
  std::int64_t n_negative = 0;
  std::int64_t n_nonfinite = 0;
  std::int64_t n_fractional = 0;
  std::int64_t n_zero = 0;
  double max_fraction = 0.0;         // largest |fraction|
  double max_signed_fraction = 0.0;  // largest fraction; negative values have negative ones
};

// What one row's column numbers are like: `largest` as if unsigned, so that negative ones are out of range
// too.
struct ColumnFacts {
  std::uint64_t largest = 0;
  bool unsorted = false;  // some number is smaller than the one before
  bool repeated = false;  // some number equals the one before
};

// values and columns are aligned to their types; n entries, n may be 0.
VCM_DECLARE_ISA(void, check_values, (Type type, const void* values, std::int64_t n, ValueFacts& facts))
VCM_DECLARE_ISA(void, check_columns, (Type type, const void* columns, std::int64_t n, ColumnFacts& facts))

}  // namespace vcm
