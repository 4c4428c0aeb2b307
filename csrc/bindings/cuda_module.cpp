#include <pybind11/pybind11.h>

#include <string>
#include <utility>

#include "cuda/devices.hpp"

namespace py = pybind11;

PYBIND11_MODULE(_cuda, m, py::mod_gil_not_used()) {
  m.doc() = "CUDA side of vcmetrics; importing it needs no driver.";
  m.def(
      "device_count",
      [] {
        vcm::cuda::Devices devices{0, ""};
        {
          py::gil_scoped_release release;
          devices = vcm::cuda::query_devices();
        }
        return std::pair<int, std::string>(devices.count, std::move(devices.reason));
      },
      "Number of usable devices, and the reason where that is 0.");
}
