#pragma once
// Python objects to views and back. Nothing here computes.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>

#include "core/error.hpp"
#include "core/parallel.hpp"
#include "core/views.hpp"

namespace vcm {

namespace py = pybind11;

// A C-contiguous array of exactly this type; anything else is refused, never converted.
template <class T>
py::array_t<T, py::array::c_style> exactly(const py::handle& object, const char* name, int ndim) {
  using Array = py::array_t<T, py::array::c_style>;
  if (!py::isinstance<Array>(object))
    throw py::type_error(std::string(name) + " must be a C-contiguous NumPy array of " +
                         std::string(py::str(py::dtype::of<T>())));
  auto array = py::reinterpret_borrow<Array>(object);
  if (array.ndim() != ndim)
    throw std::invalid_argument(std::string(name) + " has " + text(array.ndim()) + " dimensions; expected " +
                                text(ndim));
  return array;
}

Type type_of(const std::string& dtype, const char* name);

// Rows.args(). The view points into the arrays of `tuple`, which the caller keeps alive. Checked here: array
// types, that pieces lie inside their buffers, that both arrays are equally long; not the content of indptr.
RowsView rows_view(const py::tuple& tuple);

// The content of indptr as well: starts at 0, never falls, ends at the number of stored values.
void require_good_indptr(const RowsView& rows);

// A team whose tick lets Python answer signals and, if given, calls progress() at most ten times a second.
Team team_of(int n_threads, std::function<void()> progress = {});

// Runs f without the GIL; a stop that came from a Python error (Ctrl-C) is thrown as that error.
template <class Function>
void without_gil(Function&& f) {
  try {
    const py::gil_scoped_release release;
    f();
  } catch (const Interrupted&) {
    if (PyErr_Occurred() != nullptr) throw py::error_already_set();
    throw;
  }
}

}  // namespace vcm
