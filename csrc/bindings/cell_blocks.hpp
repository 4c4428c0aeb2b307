#pragma once
// Dense cells of any row stride with the groups they belong to, checked.
#include <cstdint>
#include <string>

#include "bindings/arrays.hpp"

namespace vcm {

template <class T>
struct CellBlock {
  const T* cells;
  std::int64_t n_rows, n_features, row_stride;
};

// f(CellBlock<float or double>). The values of a row are contiguous, rows may lie apart; nothing is
// converted.
template <class Function>
decltype(auto) with_cells(const py::handle& object, Function&& f) {
  const auto block = [&](auto element) {
    using T = decltype(element);
    const auto array = py::reinterpret_borrow<py::array>(object);
    require(array.ndim() == 2, "cells has " + text(array.ndim()) + " dimensions; expected 2");
    const auto size = static_cast<std::int64_t>(sizeof(T));
    if (array.size() == 0)
      return CellBlock<T>{static_cast<const T*>(array.data()), array.shape(0), array.shape(1),
                          array.shape(1)};
    const std::int64_t stride = array.shape(0) > 1 ? array.strides(0) : array.shape(1) * size;
    if ((array.shape(1) > 1 && array.strides(1) != size) || stride % size != 0)
      throw py::type_error("cells must have contiguous rows; pass np.ascontiguousarray(cells)");
    return CellBlock<T>{static_cast<const T*>(array.data()), array.shape(0), array.shape(1), stride / size};
  };
  if (py::isinstance<py::array_t<float>>(object)) return f(block(float{}));
  if (!py::isinstance<py::array_t<double>>(object))
    throw py::type_error("cells must be a NumPy array of float32 or float64");
  return f(block(double{}));
}

// One group number a row, -1 for none.
inline py::array_t<std::int32_t, py::array::c_style> checked_codes(const py::handle& codes,
                                                                   std::int64_t n_rows,
                                                                   std::int64_t n_groups) {
  auto code = exactly<std::int32_t>(codes, "codes", 1);
  require(code.size() == n_rows,
          "codes has " + text(code.size()) + " entries; expected " + text(n_rows) + " (one a cell)");
  require(n_groups >= 0, "n_groups is " + text(n_groups) + "; expected a number that is not negative");
  for (std::int64_t i = 0; i < n_rows; ++i)
    if (code.data()[i] < -1 || code.data()[i] >= n_groups)
      throw std::invalid_argument("codes[" + text(i) + "] is " + text(code.data()[i]) + "; expected -1 … " +
                                  text(n_groups - 1));
  return code;
}

// Rows of two numbers below n each.
inline py::array_t<std::int32_t, py::array::c_style> checked_pairs(const py::handle& pairs, std::int64_t n) {
  auto pair = exactly<std::int32_t>(pairs, "pairs", 2);
  require(pair.shape(1) == 2, "pairs has " + text(pair.shape(1)) + " columns; expected 2");
  for (std::int64_t k = 0; k < pair.size(); ++k)
    if (pair.data()[k] < 0 || pair.data()[k] >= n)
      throw std::invalid_argument("pairs holds " + text(pair.data()[k]) + "; expected 0 … " + text(n - 1));
  return pair;
}

}  // namespace vcm
