#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "bindings/arrays.hpp"
#include "bindings/bind.hpp"
#include "core/error.hpp"
#include "tiles/mean_distance.hpp"
#include "tiles/pair_means.hpp"
#include "tiles/weighted_sums.hpp"

namespace vcm {
namespace {

using Means = py::array_t<double>;

using Codes = py::array_t<std::int32_t, py::array::c_style>;

struct GroupPairs {
  Codes codes;
  Codes pairs;
};

GroupPairs checked(const py::object& codes, std::int64_t n_rows, std::int64_t n_groups,
                   const py::object& pairs) {
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
  return {code, pair};
}

Means mean_distances_of_rows(const py::tuple& rows, const py::object& codes, std::int64_t n_groups,
                             const py::object& pairs, int n_threads) {
  const RowsView view = rows_view(rows);
  require_good_indptr(view);
  const Team team = team_of(n_threads);
  const GroupPairs groups = checked(codes, view.n_rows, n_groups, pairs);
  Means means(groups.pairs.shape(0));
  const MeanDistanceJob job{groups.codes.data(), n_groups, groups.pairs.data(), groups.pairs.shape(0),
                            means.mutable_data()};
  without_gil([&] { mean_distances(view, job, team); });
  return means;
}

CellTerm cell_term(const std::string& name) {
  constexpr const char* kNames[kCellTerms] = {"euclidean", "sqeuclidean", "cityblock", "cosine",
                                              "rbf",       "braycurtis",  "tanimoto",  "ruzicka"};
  for (int k = 0; k < kCellTerms; ++k)
    if (name == kNames[k]) return static_cast<CellTerm>(k);
  throw std::invalid_argument("term is '" + name +
                              "'; expected euclidean, sqeuclidean, cityblock, cosine, rbf, braycurtis, "
                              "tanimoto or ruzicka");
}

void require_gamma(double gamma) {
  require(std::isfinite(gamma) && gamma >= 0,
          "gamma is " + std::to_string(gamma) + "; expected a finite number that is not negative");
}

// run(double or float) by the dtype of `cells`.
template <class Run>
decltype(auto) by_dtype(const py::object& cells, const char* name, const Run& run) {
  if (py::isinstance<py::array_t<float>>(cells)) return run(float{});
  if (py::isinstance<py::array_t<double>>(cells)) return run(double{});
  throw py::type_error(std::string(name) + " must be a NumPy array of float32 or float64");
}

Means pair_means_of_array(const py::object& cells, const py::object& codes, std::int64_t n_groups,
                          const py::object& pairs, const std::string& term,
                          const std::optional<std::vector<double>>& gammas, const std::string& estimator,
                          int n_threads, const py::object& progress) {
  PairMeansJob job{};
  job.term = cell_term(term);
  const bool rbf = job.term == CellTerm::rbf;
  require(rbf == gammas.has_value(),
          rbf ? std::string("term 'rbf' needs gammas") : "gammas are for term 'rbf', not for '" + term + "'");
  if (rbf)
    for (const double gamma : *gammas) require_gamma(gamma);
  require(estimator == "v" || estimator == "u", "estimator is '" + estimator + "'; expected 'v' or 'u'");
  job.estimator = estimator == "v" ? Estimator::v : Estimator::u;
  return by_dtype(cells, "cells", [&](auto element) {
    const auto view = matrix_view<decltype(element)>(cells, "cells");
    const GroupPairs groups = checked(codes, view.rows, n_groups, pairs);
    job.codes = groups.codes.data();
    job.n_groups = n_groups;
    job.pairs = groups.pairs.data();
    job.n_pairs = groups.pairs.shape(0);
    job.gammas = rbf ? gammas->data() : nullptr;
    job.n_gammas = rbf ? static_cast<std::int64_t>(gammas->size()) : 1;
    std::vector<std::int64_t> shape{job.n_pairs};
    if (rbf) shape.insert(shape.begin(), job.n_gammas);
    Means means(shape);
    job.means = means.mutable_data();
    std::function<void()> report;
    if (!progress.is_none()) report = [&] { progress(job.done.load(), job.total.load()); };
    const Team team = team_of(n_threads, report);
    without_gil([&] { pair_means(view, job, team); });
    if (report) report();
    return means;
  });
}

double gamma_of(CellTerm term, const std::optional<double>& gamma) {
  require((term == CellTerm::rbf) == gamma.has_value(), "gamma is for term 'rbf', which needs one");
  if (gamma.has_value()) require_gamma(*gamma);
  return gamma.value_or(0.0);
}

// y, or an empty view for None.
template <class T>
MatrixView<T> other_side(const py::object& y, const MatrixView<T>& x) {
  if (y.is_none()) return {};
  const auto view = matrix_view<T>(y, "y");
  require(view.cols == x.cols,
          "y has " + text(view.cols) + " columns; expected " + text(x.cols) + ", as many as x");
  return view;
}

MatrixView<double> weights_of(const py::object& weights, const char* name, std::int64_t rows) {
  const auto view = matrix_view<double>(weights, name);
  require(view.rows == rows,
          std::string(name) + " has " + text(view.rows) + " rows; expected " + text(rows) + " (one a cell)");
  return view;
}

Means weighted_pair_sums_of_arrays(const py::object& x, const py::object& y, const py::object& wx,
                                   const py::object& wy, const std::string& term,
                                   const std::optional<double>& gamma, int n_threads,
                                   const py::object& progress) {
  return by_dtype(x, "x", [&](auto element) {
    WeightedSumsJob<decltype(element)> job{};
    job.term = cell_term(term);
    job.gamma = gamma_of(job.term, gamma);
    job.x = matrix_view<decltype(element)>(x, "x");
    job.y = other_side(y, job.x);
    job.wx = weights_of(wx, "wx", job.x.rows);
    require(y.is_none() == wy.is_none(), "y and wy go together: give both or neither");
    if (!y.is_none()) {
      job.wy = weights_of(wy, "wy", job.y.rows);
      require(job.wy.cols == job.wx.cols,
              "wy has " + text(job.wy.cols) + " columns; expected " + text(job.wx.cols) + ", as many as wx");
    }
    Means sums(job.wx.cols);
    job.out = sums.mutable_data();
    std::function<void()> report;
    if (!progress.is_none()) report = [&] { progress(job.done.load(), job.total.load()); };
    const Team team = team_of(n_threads, report);
    without_gil([&] { weighted_pair_sums(job, team); });
    if (report) report();
    return sums;
  });
}

Means pair_row_sums_of_arrays(const py::object& x, const py::object& y, const std::string& term,
                              const std::optional<double>& gamma, int n_threads) {
  return by_dtype(x, "x", [&](auto element) {
    RowSumsJob<decltype(element)> job{};
    job.term = cell_term(term);
    job.gamma = gamma_of(job.term, gamma);
    job.x = matrix_view<decltype(element)>(x, "x");
    job.y = other_side(y, job.x);
    Means sums(job.x.rows);
    job.out = sums.mutable_data();
    const Team team = team_of(n_threads);
    without_gil([&] { pair_row_sums(job, team); });
    return sums;
  });
}

}  // namespace

void bind_tiles(py::module_& m) {
  m.def("mean_distances", &mean_distances_of_rows, py::arg("rows").noconvert(), py::arg("codes").noconvert(),
        py::arg("n_groups"), py::arg("pairs").noconvert(), py::arg("n_threads"),
        "Mean Euclidean distance over all ordered pairs of cells of two groups, the zero diagonal included.");
  m.def("pair_means", &pair_means_of_array, py::arg("cells").noconvert(), py::arg("codes").noconvert(),
        py::arg("n_groups"), py::arg("pairs").noconvert(), py::arg("term"), py::arg("gammas") = py::none(),
        py::arg("estimator") = "v", py::arg("n_threads") = 1, py::arg("progress") = py::none(),
        "Mean of a term over the pairs of dense cells of two groups; one row a gamma for 'rbf'.");
  m.def("weighted_pair_sums", &weighted_pair_sums_of_arrays, py::arg("x").noconvert(),
        py::arg("y").noconvert(), py::arg("wx").noconvert(), py::arg("wy").noconvert(), py::arg("term"),
        py::arg("gamma") = py::none(), py::arg("n_threads") = 1, py::arg("progress") = py::none(),
        "Sum over i, j of wx[i, b] wy[j, b] term(x_i, y_j) for each column b; y and wy None: x with itself.");
  m.def("pair_row_sums", &pair_row_sums_of_arrays, py::arg("x").noconvert(), py::arg("y").noconvert(),
        py::arg("term"), py::arg("gamma") = py::none(), py::arg("n_threads") = 1,
        "Sum over j of term(x_i, y_j) for each cell i; y None: over the cells of x, i included.");
}

}  // namespace vcm
