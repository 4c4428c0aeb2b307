#pragma once
// What a stored value counts as: the value, the value times the row's scale, or log(1 + that).
#include "core/mathfun.hpp"
#include "ops/host_device.hpp"

namespace vcm {

enum class Normalise { raw, linear, log1p };

static inline VCM_HD double normalised(Normalise how, double value, double scale) {
  if (how == Normalise::raw) return value;
  const double scaled = value * scale;
  return how == Normalise::linear ? scaled : log1p_of(scaled);
}

}  // namespace vcm
