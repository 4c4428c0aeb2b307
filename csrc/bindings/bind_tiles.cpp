#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include "bindings/arrays.hpp"
#include "bindings/bind.hpp"
#include "core/error.hpp"
#include "tiles/mean_distance.hpp"

namespace vcm {
namespace {

using Means = py::array_t<double>;

// Checks groups and pairs, and leaves the result to `run(job)`, which is called without the GIL.
template <class Run>
Means with_job(const py::object& codes, std::int64_t n_rows, std::int64_t n_groups, const py::object& pairs,
               const Run& run) {
  const auto code = exactly<std::int32_t>(codes, "codes", 1);
  const auto pair = exactly<std::int32_t>(pairs, "pairs", 2);
  require(code.size() == n_rows,
          "codes has " + text(code.size()) + " entries; expected " + text(n_rows) + " (one a cell)");
  require(n_groups >= 0, "n_groups is " + text(n_groups) + "; expected a number that is not negative");
  require(pair.shape(1) == 2, "pairs has " + text(pair.shape(1)) + " columns; expected 2");
  for (std::int64_t i = 0; i < n_rows; ++i)
    require(code.data()[i] >= -1 && code.data()[i] < n_groups,
            "codes[" + text(i) + "] is " + text(code.data()[i]) + "; expected -1 … " + text(n_groups - 1));
  for (std::int64_t k = 0; k < pair.size(); ++k)
    require(pair.data()[k] >= 0 && pair.data()[k] < n_groups,
            "pairs holds " + text(pair.data()[k]) + "; expected 0 … " + text(n_groups - 1));
  Means means(pair.shape(0));
  const MeanDistanceJob job{code.data(), n_groups, pair.data(), pair.shape(0), means.mutable_data()};
  without_gil([&] { run(job); });
  return means;
}

Means mean_distances_of_rows(const py::tuple& rows, const py::object& codes, std::int64_t n_groups,
                             const py::object& pairs, int n_threads) {
  const RowsView view = rows_view(rows);
  require_good_indptr(view);
  const Team team = team_of(n_threads);
  return with_job(codes, view.n_rows, n_groups, pairs,
                  [&](const MeanDistanceJob& job) { mean_distances(view, job, team); });
}

template <class T>
Means mean_distances_of_array(const py::handle& cells, const py::object& codes, std::int64_t n_groups,
                              const py::object& pairs, int n_threads) {
  const auto array = exactly<T>(cells, "cells", 2);
  const Team team = team_of(n_threads);
  return with_job(codes, array.shape(0), n_groups, pairs, [&](const MeanDistanceJob& job) {
    mean_distances_dense(array.data(), array.shape(0), array.shape(1), array.shape(1), job, team);
  });
}

}  // namespace

void bind_tiles(py::module_& m) {
  m.def("mean_distances", &mean_distances_of_rows, py::arg("rows").noconvert(), py::arg("codes").noconvert(),
        py::arg("n_groups"), py::arg("pairs").noconvert(), py::arg("n_threads"),
        "Mean Euclidean distance over all ordered pairs of cells of two groups, the zero diagonal included.");
  m.def(
      "mean_distances_dense",
      [](const py::object& cells, const py::object& codes, std::int64_t n_groups, const py::object& pairs,
         int n_threads) {
        if (py::isinstance<py::array_t<float>>(cells))
          return mean_distances_of_array<float>(cells, codes, n_groups, pairs, n_threads);
        return mean_distances_of_array<double>(cells, codes, n_groups, pairs, n_threads);
      },
      py::arg("cells").noconvert(), py::arg("codes").noconvert(), py::arg("n_groups"),
      py::arg("pairs").noconvert(), py::arg("n_threads"),
      "The same for dense cells, in the difference form.");
}

}  // namespace vcm
