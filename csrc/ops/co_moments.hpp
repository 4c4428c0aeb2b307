#pragma once
// Co-moments of one column: the state of profiles/column_correlation.hpp as a struct, in double. Means are
// less the first pair, so that far from zero nothing is lost.
#include "ops/host_device.hpp"

namespace vcm {

struct ColumnMoments {
  double count = 0.0, weight = 0.0, first_x = 0.0, first_y = 0.0, mean_x = 0.0, mean_y = 0.0, xx = 0.0,
         yy = 0.0, xy = 0.0;

  // Adds the moments of later rows (Chan, Golub & LeVeque 1983); both count their means from their own first
  // pair.
  VCM_HD void merge(const ColumnMoments& later) {
    if (later.count == 0.0) return;
    if (count == 0.0) {
      *this = later;
      return;
    }
    const double total = weight + later.weight, share = later.weight / total;
    const double dx = (later.first_x - first_x) + (later.mean_x - mean_x);
    const double dy = (later.first_y - first_y) + (later.mean_y - mean_y);
    const double between = weight * share;
    count += later.count;
    weight = total;
    mean_x += dx * share;
    mean_y += dy * share;
    xx += later.xx + dx * dx * between;
    yy += later.yy + dy * dy * between;
    xy += later.xy + dx * dy * between;
  }
};

// A value less itself is 0 only where it is finite.
static inline VCM_HD bool is_finite_pair(double x, double y) { return x - x == 0.0 && y - y == 0.0; }

}  // namespace vcm
