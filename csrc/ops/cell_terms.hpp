#pragma once
// From the sum over features to the distance or kernel of a pair of cells.
#include <cmath>

#include "core/mathfun.hpp"
#include "ops/host_device.hpp"

namespace vcm {

enum class PairFinish { none, root, rbf };  // d, sqrt(d), exp(-gamma d)

static inline VCM_HD double finish_pair(PairFinish how, double sum, double gamma) {
  if (how == PairFinish::root) return ::sqrt(sum);
  if (how == PairFinish::rbf) return exp_of(-gamma * sum);
  return sum;
}

}  // namespace vcm
