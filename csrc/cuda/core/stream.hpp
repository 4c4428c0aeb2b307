#pragma once
#include <cstdint>
#include <stdexcept>
#include <string>

namespace vcm::cuda {

// The caller's stream, as CuPy, PyTorch and others hand it over: cudaStream_t as a number, 0 the default
// stream.
struct Stream {
  std::uintptr_t handle = 0;
};

// A launch that the driver refused; becomes vcmetrics.DeviceError.
struct LaunchError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace vcm::cuda
