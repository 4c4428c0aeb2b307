#include <pybind11/pybind11.h>

#include <string>

#include "bindings/cuda_kernels.hpp"
#include "core/error.hpp"
#include "cuda/core/launch.hpp"

namespace py = pybind11;

PYBIND11_MODULE(_cuda_twin, m) {
  m.doc() =
      "The kernels of _cuda on the host, thread by thread, for tests; addresses are those of NumPy arrays.";
  m.def(
      "thread_order",
      [](const std::string& order) {
        using vcm::cuda::ThreadOrder;
        vcm::require(order == "ascending" || order == "descending" || order == "strided",
                     "order is '" + order + "'; expected ascending, descending or strided");
        vcm::cuda::thread_order() = order == "ascending"    ? ThreadOrder::ascending
                                    : order == "descending" ? ThreadOrder::descending
                                                            : ThreadOrder::strided;
      },
      py::arg("order"), "In which order threads and tasks run; a result that depends on it is a race.");
  vcm::cuda::bind_kernels(m);
}
