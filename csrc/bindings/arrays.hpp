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

// A matrix of exactly this type whose rows are contiguous; they may lie apart, as in a slice of rows.
template <class T>
MatrixView<T> matrix_view(const py::handle& object, const char* name) {
  if (!py::isinstance<py::array_t<T>>(object))
    throw py::type_error(std::string(name) + " must be a NumPy array of " +
                         std::string(py::str(py::dtype::of<T>())));
  const auto array = py::reinterpret_borrow<py::array_t<T>>(object);
  if (array.ndim() != 2)
    throw std::invalid_argument(std::string(name) + " has " + text(array.ndim()) + " dimensions; expected 2");
  constexpr auto kSize = static_cast<py::ssize_t>(sizeof(T));
  const bool contiguous = array.shape(1) <= 1 || array.strides(1) == kSize;
  if (array.size() > 0 && (!contiguous || array.strides(0) % kSize != 0 ||
                           reinterpret_cast<std::uintptr_t>(array.data()) % alignof(T) != 0))
    throw py::type_error(std::string(name) +
                         " must have contiguous, aligned rows; numpy.ascontiguousarray makes them");
  return {array.data(), array.shape(0), array.shape(1), array.strides(0) / kSize};
}

Type type_of(const std::string& dtype, const char* name);

// Four parts of a tuple from `first` on: buffer, offsets, starts, dtype. The view points into these arrays.
// Checked here: array types, and that pieces lie inside the buffer.
ChunkedView chunked_view(const py::tuple& tuple, std::size_t first, const char* name);

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
