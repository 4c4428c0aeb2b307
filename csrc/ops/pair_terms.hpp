#pragma once
// What one feature adds to the sum of a pair of rows. V is double or a vector of doubles. Everything is
// static: bodies that are compiled once for each instruction set include this.
#include <cmath>

#include "ops/host_device.hpp"

namespace vcm {

static inline VCM_HD double add_difference(double sum, double x, double y) {
  return sum + __builtin_fabs(y - x);
}

template <class V>
static inline VCM_HD V add_square(V sum, V x, V y) {
  return sum + (y - x) * (y - x);
}

template <class V>
static inline VCM_HD V add_product(V sum, V x, V y) {
  return sum + x * y;
}

// Products of two widened floats are exact in double, so fusing them changes no bit.
static inline VCM_HD double add_exact_product(double sum, double x, double y) { return ::fma(x, y, sum); }

}  // namespace vcm
