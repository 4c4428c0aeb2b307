// Statistics of groups of dense cells, and of their profiles.
#include "bindings/bind.hpp"
#include "bindings/cell_blocks.hpp"
#include "cells/group_moments.hpp"
#include "cells/sorted_columns.hpp"
#include "cells/sparse_moments.hpp"
#include "profiles/kendall.hpp"

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

py::tuple moments_of_rows(const py::tuple& rows, const py::handle& codes, std::int64_t n_groups,
                          int n_threads) {
  const RowsView view = rows_view(rows);
  require_good_indptr(view);
  const auto code = checked_codes(codes, view.n_rows, n_groups);
  py::array_t<std::int64_t> counts(n_groups);
  py::array_t<double> mean({n_groups, view.n_cols}), m2({n_groups, view.n_cols});
  const Team team = team_of(n_threads);
  const auto* group = code.data();
  auto* n = counts.mutable_data();
  double *means = mean.mutable_data(), *squares = m2.mutable_data();
  without_gil([&] { group_moments(view, group, n_groups, n, means, squares, team); });
  return py::make_tuple(counts, mean, m2);
}

py::array_t<double> column_means(const py::handle& cells, const py::handle& codes, std::int64_t n_groups,
                                 const py::handle& pairs, const std::string& statistic, int n_threads,
                                 std::int64_t budget) {
  return with_cells(cells, [&](const auto& block) {
    const auto code = checked_codes(codes, block.n_rows, n_groups);
    const auto pair = checked_pairs(pairs, n_groups);
    SortedColumnsJob job{};
    if (statistic == "ks")
      job.statistic = ColumnStatistic::ks;
    else if (statistic == "w1")
      job.statistic = ColumnStatistic::w1;
    else if (statistic == "w2sq")
      job.statistic = ColumnStatistic::w2sq;
    else
      throw std::invalid_argument("statistic '" + statistic + "' is not one of ks, w1, w2sq");
    py::array_t<double> mean(pair.shape(0));
    job.codes = code.data();
    job.n_groups = n_groups;
    job.pairs = pair.data();
    job.n_pairs = pair.shape(0);
    job.budget = budget;
    job.mean = mean.mutable_data();
    const Team team = team_of(n_threads);
    without_gil([&] {
      sorted_column_means(block.cells, block.n_rows, block.n_features, block.row_stride, job, team);
    });
    return mean;
  });
}

py::array_t<double> kendall(const py::handle& profiles, const py::handle& pairs, int n_threads) {
  const auto rows = exactly<double>(profiles, "profiles", 2);
  const auto pair = checked_pairs(pairs, rows.shape(0));
  require(rows.shape(1) <= std::int64_t{UINT32_MAX},
          "profiles has " + text(rows.shape(1)) + " columns; too many");
  py::array_t<double> tau(pair.shape(0));
  const KendallJob job{rows.data(), rows.shape(0), rows.shape(1),
                       pair.data(), pair.shape(0), tau.mutable_data()};
  const Team team = team_of(n_threads);
  without_gil([&] { kendall_tau(job, team); });
  return tau;
}

}  // namespace

void bind_groups(py::module_& m) {
  m.def("group_moments", &moments, py::arg("cells").noconvert(), py::arg("codes").noconvert(),
        py::arg("n_groups"), py::arg("n_threads") = 1,
        "(counts, mean, m2) of every group of dense cells: numbers of cells, means and sums of squared "
        "deviations [n_groups][n_features], float64; NaN for an empty group.");
  m.def("group_moments_rows", &moments_of_rows, py::arg("rows").noconvert(), py::arg("codes").noconvert(),
        py::arg("n_groups"), py::arg("n_threads") = 1,
        "The same for compressed rows; what is not stored counts as 0.");
  m.def("sorted_column_means", &column_means, py::arg("cells").noconvert(), py::arg("codes").noconvert(),
        py::arg("n_groups"), py::arg("pairs").noconvert(), py::arg("statistic") = "ks",
        py::arg("n_threads") = 1, py::arg("budget") = std::int64_t{1} << 26,
        "Means over the features of the two-sample Kolmogorov-Smirnov statistic (ks), the 1-D Wasserstein "
        "distance "
        "(w1) or its square of order 2 (w2sq) between groups; NaN for an empty group or values that are not "
        "finite. "
        "`budget` is the bytes of sorted values at a time.");
  m.def("kendall_tau", &kendall, py::arg("profiles").noconvert(), py::arg("pairs").noconvert(),
        py::arg("n_threads") = 1,
        "Kendall's tau-b of pairs of rows, float64; NaN where a row is constant or holds a NaN.");
}

}  // namespace vcm
