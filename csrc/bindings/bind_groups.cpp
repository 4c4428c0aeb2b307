// Statistics of groups of dense cells.
#include "bindings/bind.hpp"
#include "bindings/cell_blocks.hpp"
#include "cells/group_moments.hpp"

namespace vcm {
namespace {

py::tuple moments(const py::handle& cells, const py::handle& codes, std::int64_t n_groups, int n_threads) {
  return with_cells(cells, [&](const auto& block) {
    const auto code = checked_codes(codes, block.n_rows, n_groups);
    py::array_t<std::int64_t> counts(n_groups);
    py::array_t<double> mean({n_groups, block.n_features}), m2({n_groups, block.n_features});
    const Team team = team_of(n_threads);
    const auto* group = code.data();
    auto* n = counts.mutable_data();
    double *means = mean.mutable_data(), *squares = m2.mutable_data();
    without_gil([&] {
      group_moments(block.cells, block.n_rows, block.n_features, block.row_stride, group, n_groups, n, means,
                    squares, team);
    });
    return py::make_tuple(counts, mean, m2);
  });
}

}  // namespace

void bind_groups(py::module_& m) {
  m.def("group_moments", &moments, py::arg("cells").noconvert(), py::arg("codes").noconvert(),
        py::arg("n_groups"), py::arg("n_threads") = 1,
        "(counts, mean, m2) of every group of dense cells: numbers of cells, means and sums of squared "
        "deviations [n_groups][n_features], float64; NaN for an empty group.");
}

}  // namespace vcm
