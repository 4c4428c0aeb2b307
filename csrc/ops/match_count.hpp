#pragma once
#include <cstdint>

#include "ops/host_device.hpp"

namespace vcm {

// How candidates stand against the own one; NaN is farther than every number and equal to NaN.
struct MatchCount {
  std::int64_t nearer = 0, equal = 0, equal_before = 0;

  // Candidate `column`, another than the own one.
  VCM_HD void step(double distance, double own, bool before) {
    const bool unknown = distance != distance, lost = own != own;
    nearer += lost ? !unknown : distance < own;
    const bool same = lost ? unknown : distance == own;
    equal += same;
    equal_before += same && before;
  }
};

}  // namespace vcm
