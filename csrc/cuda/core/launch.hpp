#pragma once
// One kernel body for the device and for the host. A kernel is a struct of parameters with
//   static constexpr int kThreads;   threads of a block
//   struct Shared; struct Local;     memory of a block; registers of a thread, kept from phase to phase
//   template <class Block> VCM_HD void run(Block& block, std::int64_t task) const;
// run() does one task with one block, in phases: block.each([&](int thread, Local& local) { ... }) runs for
// every thread of the block and ends in a barrier. Inside a phase threads do not see each other's writes;
// between phases control flow is the same for all threads. The host executes a phase thread by thread, in an
// order that tests choose, so a result that depends on that order is a race.
#include <cstdint>

#include "cuda/core/stream.hpp"
#include "ops/host_device.hpp"

#if defined(__CUDACC__)
#include <cuda_runtime.h>

namespace vcm::cuda {

inline constexpr std::int64_t kMaxGrid = 1 << 30;  // blocks of a launch; beyond it a block does several tasks

template <class Kernel>
struct DeviceBlock {
  typename Kernel::Shared& shared;
  typename Kernel::Local local;

  template <class Phase>
  __device__ void each(const Phase& phase) {
    phase(static_cast<int>(threadIdx.x), local);
    __syncthreads();
  }
};

template <class Kernel>
__global__ void __launch_bounds__(Kernel::kThreads)
    run_tasks(const __grid_constant__ Kernel kernel, std::int64_t n_tasks) {
  __shared__ typename Kernel::Shared shared;
  DeviceBlock<Kernel> block{shared, {}};
  for (std::int64_t task = blockIdx.x; task < n_tasks; task += gridDim.x) kernel.run(block, task);
}

// Starts all tasks on the stream and returns; only what the driver says of the launch itself is known by
// then.
template <class Kernel>
void launch(const char* name, const Kernel& kernel, std::int64_t n_tasks, Stream stream) {
  if (n_tasks <= 0) return;
  const auto grid = static_cast<unsigned>(n_tasks < kMaxGrid ? n_tasks : kMaxGrid);
  run_tasks<Kernel>
      <<<grid, Kernel::kThreads, 0, reinterpret_cast<cudaStream_t>(stream.handle)>>>(kernel, n_tasks);
  const cudaError_t status = cudaGetLastError();
  if (status != cudaSuccess)
    throw LaunchError(std::string("kernel ") + name +
                      " could not be launched: " + cudaGetErrorString(status));
}

}  // namespace vcm::cuda

#else
#include <memory>
#include <vector>

namespace vcm::cuda {

// In which order the host walks through threads and tasks; results must not depend on it.
enum class ThreadOrder { ascending, descending, strided };
inline ThreadOrder& thread_order() {
  static ThreadOrder order = ThreadOrder::ascending;
  return order;
}

// The k-th of n in the chosen order; 7 steps at a time, then from the next start, is `strided`.
inline std::int64_t in_order(std::int64_t k, std::int64_t n) {
  constexpr std::int64_t kStride = 7;
  if (thread_order() == ThreadOrder::descending) return n - 1 - k;
  if (thread_order() == ThreadOrder::ascending || n < kStride) return k;
  const std::int64_t whole = n / kStride, rest = n % kStride, longer = rest * (whole + 1);
  return k < longer ? k % (whole + 1) * kStride + k / (whole + 1)
                    : (k - longer) % whole * kStride + rest + (k - longer) / whole;
}

template <class Kernel>
struct HostBlock {
  typename Kernel::Shared& shared;
  std::vector<typename Kernel::Local> locals;

  template <class Phase>
  void each(const Phase& phase) {
    for (int k = 0; k < Kernel::kThreads; ++k) {
      const int thread = static_cast<int>(in_order(k, Kernel::kThreads));
      phase(thread, locals[thread]);
    }
  }
};

template <class Kernel>
void launch(const char*, const Kernel& kernel, std::int64_t n_tasks, Stream) {
  const auto shared = std::make_unique<typename Kernel::Shared>();
  HostBlock<Kernel> block{*shared, std::vector<typename Kernel::Local>(Kernel::kThreads)};
  for (std::int64_t k = 0; k < n_tasks; ++k) kernel.run(block, in_order(k, n_tasks));
}

}  // namespace vcm::cuda
#endif
