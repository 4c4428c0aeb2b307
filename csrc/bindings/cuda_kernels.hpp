#pragma once
#include <pybind11/pybind11.h>

namespace vcm::cuda {

// The kernels, for arrays given as addresses: in _cuda on the device, in _cuda_twin on the host. The caller
// keeps the arrays alive, and has entered their device.
void bind_kernels(pybind11::module_& m);

}  // namespace vcm::cuda
