#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>
#include <tuple>
#include <utility>

#include "bindings/cuda_kernels.hpp"
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
  m.def("cuda_version", &vcm::cuda::cuda_version, "The CUDA release it is built with, 13000 for 13.0.");
  m.def(
      "device_facts",
      [](int device) {
        const vcm::cuda::DeviceFacts facts = vcm::cuda::device_facts(device);
        return std::tuple(facts.name, facts.memory, facts.major, facts.minor);
      },
      py::arg("device"),
      "(name, bytes of memory, major, minor) of a device, the last two its compute capability.");
  m.def("use_device", &vcm::cuda::use_device, py::arg("device"),
        "The device of this thread's later launches; the runtime inside keeps its own.");
  vcm::cuda::bind_kernels(m);
}
