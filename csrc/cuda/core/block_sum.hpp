#pragma once
// Sums over the threads of a block, by halving: the same order whatever the launch.
#include <cstdint>

#include "ops/host_device.hpp"

namespace vcm::cuda {

// values[0] = sum of values[0 … Threads-1], which are in the block's shared memory. Ends behind a barrier.
template <int Threads, class Block, class T>
VCM_HD void add_halves(Block& block, T (&values)[Threads]) {
  static_assert((Threads & (Threads - 1)) == 0);
  for (int half = Threads / 2; half > 0; half /= 2)
    block.each([&](int thread, auto&) {
      if (thread < half) values[thread] += values[thread + half];
    });
}

}  // namespace vcm::cuda
