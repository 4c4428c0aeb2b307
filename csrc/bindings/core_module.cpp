#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bindings/bind.hpp"
#include "core/isa.hpp"

PYBIND11_MODULE(_core, m, pybind11::mod_gil_not_used()) {
  m.doc() = "Compiled kernels of vcmetrics.";
  m.def(
      "isa", [] { return std::string(vcm::isa_name(vcm::active_isa())); },
      "The instruction set in use; VCMETRICS_ISA can lower it.");
  m.def(
      "isa_available",
      [] {
        std::vector<std::string> names;
        for (vcm::Isa isa : vcm::available_isas()) names.emplace_back(vcm::isa_name(isa));
        return names;
      },
      "The instruction sets that this build and this CPU both have, slowest first.");
  vcm::bind_all(m);
}
