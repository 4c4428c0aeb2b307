#include <string>

#include "bindings/arrays.hpp"
#include "bindings/bind.hpp"
#include "profiles/p_values.hpp"
#include "profiles/pair_panels.hpp"
#include "profiles/pairwise.hpp"

namespace vcm {
namespace {

PairTerm pair_term(const std::string& term) {
  if (term == "cityblock") return PairTerm::cityblock;
  if (term == "sqeuclidean") return PairTerm::sqeuclidean;
  if (term == "product") return PairTerm::product;
  throw std::invalid_argument("term '" + term + "' is not one of cityblock, sqeuclidean, product");
}

py::array_t<double> pairwise_sums(const py::handle& x, const py::handle& y, const std::string& term,
                                  const py::object& left_out, int n_threads) {
  const auto rows_x = exactly<double>(x, "x", 2), rows_y = exactly<double>(y, "y", 2);
  PairwiseJob job{};
  job.n_x = rows_x.shape(0);
  job.n_y = rows_y.shape(0);
  job.n_features = rows_x.shape(1);
  require(rows_y.shape(1) == job.n_features,
          "x has " + text(job.n_features) + " columns, y has " + text(rows_y.shape(1)));
  job.term = pair_term(term);
  py::array_t<std::int64_t, py::array::c_style> skipped;
  if (!left_out.is_none()) {
    skipped = exactly<std::int64_t>(left_out, "left_out", 1);
    require(skipped.size() == job.n_x,
            "left_out has " + text(skipped.size()) + " entries; expected " + text(job.n_x));
    for (std::int64_t i = 0; i < job.n_x; ++i)
      require(skipped.data()[i] < job.n_features, "left_out holds " + text(skipped.data()[i]) +
                                                      "; there are " + text(job.n_features) + " columns");
    job.left_out = skipped.data();
  }
  py::array_t<double> out({job.n_x, job.n_y});
  job.x = rows_x.data();
  job.y = rows_y.data();
  job.out = out.mutable_data();
  const Team team = team_of(n_threads);
  without_gil([&] { pairwise(job, team); });
  return out;
}

template <class T>
void panels_of(const py::handle& x, const py::handle& y, PanelJob& job) {
  const auto rows_x = exactly<T>(x, "x", 2), rows_y = exactly<T>(y, "y", 2);
  require(rows_y.shape(1) == rows_x.shape(1),
          "x has " + text(rows_x.shape(1)) + " columns, y has " + text(rows_y.shape(1)));
  job.x = rows_x.data();
  job.y = rows_y.data();
  job.is_float = sizeof(T) == 4;
  job.n_x = rows_x.shape(0);
  job.n_y = rows_y.shape(0);
  job.n_features = rows_x.shape(1);
}

// Columns that are left out: none, or distinct, ascending numbers of columns.
using Columns = py::array_t<std::int64_t, py::array::c_style>;
Columns left_out_columns(const py::object& without, std::int64_t n_features) {
  if (without.is_none()) return Columns(0);
  Columns columns = exactly<std::int64_t>(without, "without", 1);
  for (std::int64_t k = 0; k < columns.size(); ++k) {
    const std::int64_t column = columns.data()[k];
    require(column >= 0 && column < n_features && (k == 0 || column > columns.data()[k - 1]),
            "without must hold ascending columns below " + text(n_features));
  }
  return columns;
}

void panel_sums(const py::handle& x, const py::handle& y, const std::string& term, const py::handle& out,
                int n_threads, const py::object& without) {
  PanelJob job{};
  if (py::isinstance<py::array_t<float, py::array::c_style>>(x))
    panels_of<float>(x, y, job);
  else
    panels_of<double>(x, y, job);
  job.term = pair_term(term);
  auto sums = exactly<double>(out, "out", 2);
  require(sums.shape(0) == job.n_x && sums.shape(1) == job.n_y, "out is " + text(sums.shape(0)) + " x " +
                                                                    text(sums.shape(1)) + "; expected " +
                                                                    text(job.n_x) + " x " + text(job.n_y));
  job.out = sums.mutable_data();
  const Columns columns = left_out_columns(without, job.n_features);
  job.without = columns.data();
  job.n_without = columns.size();
  const Team team = team_of(n_threads);
  without_gil([&] { pair_panels(job, team); });
}

template <class T>
py::array_t<double> squares_of(const py::handle& x, int n_threads, const py::object& without) {
  const auto rows = exactly<T>(x, "x", 2);
  const Columns columns = left_out_columns(without, rows.shape(1));
  py::array_t<double> out(rows.shape(0));
  double* at = out.mutable_data();
  const Team team = team_of(n_threads);
  without_gil([&] {
    vcm::row_squares(rows.data(), rows.shape(0), rows.shape(1), columns.data(), columns.size(), at, team);
  });
  return out;
}

py::array_t<double> row_squares_of(const py::handle& x, int n_threads, const py::object& without) {
  return py::isinstance<py::array_t<float, py::array::c_style>>(x)
             ? squares_of<float>(x, n_threads, without)
             : squares_of<double>(x, n_threads, without);
}

py::array_t<double> p_values(const py::handle& u2, const py::handle& tie, const py::handle& m, std::int64_t n,
                             bool continuity, int n_threads) {
  const auto sums = exactly<std::int64_t>(u2, "u2", 2);
  const auto ties = exactly<double>(tie, "tie", 2);
  const auto sizes = exactly<std::int64_t>(m, "m", 1);
  require(ties.shape(0) == sums.shape(0) && ties.shape(1) == sums.shape(1), "u2 and tie differ in shape");
  require(sizes.shape(0) == sums.shape(0), "m needs one entry a row of u2");
  py::array_t<double> p({sums.shape(0), sums.shape(1)});
  const RankSumTest test{sums.data(),   ties.data(),   sizes.data(), n,
                         sums.shape(0), sums.shape(1), continuity,   p.mutable_data()};
  const Team team = team_of(n_threads);
  without_gil([&] { two_sided_p(test, team); });
  return p;
}

py::array_t<double> adjusted_p_values(const py::handle& p, int n_threads) {
  const auto given = exactly<double>(p, "p", 2);
  py::array_t<double> adjusted({given.shape(0), given.shape(1)});
  const double* in = given.data();
  double* out = adjusted.mutable_data();
  const Team team = team_of(n_threads);
  without_gil([&] { benjamini_hochberg(in, given.shape(0), given.shape(1), out, team); });
  return adjusted;
}

}  // namespace

void bind_profiles(py::module_& m) {
  m.def(
      "two_sided_p", &p_values, py::arg("u2"), py::arg("tie"), py::arg("m"), py::arg("n"),
      py::arg("continuity"), py::arg("n_threads") = 1,
      "Two-sided p-values of rank sums: doubled U and tie terms [rows][columns], group sizes, control size.");
  m.def("bh", &adjusted_p_values, py::arg("p"), py::arg("n_threads") = 1,
        "Benjamini-Hochberg adjusted p-values, each row a family; NaN stays NaN and is not counted.");
  m.def("pairwise_sums", &pairwise_sums, py::arg("x"), py::arg("y"), py::arg("term"),
        py::arg("left_out") = py::none(), py::arg("n_threads") = 1,
        "Sums over columns of |x - y|, (x - y)**2 or x * y for all pairs of rows, float64; row i of x leaves "
        "column left_out[i] out.");
  m.def("panel_sums", &panel_sums, py::arg("x"), py::arg("y"), py::arg("term"), py::arg("out"),
        py::arg("n_threads") = 1, py::arg("without") = py::none(),
        "Sums over columns of |x - y|, (x - y)**2 or x * y for all pairs of rows into `out`, in float64; x "
        "and y "
        "are both float32 or both float64. The ascending columns `without` are left out.");
  m.def(
      "row_squares", &row_squares_of, py::arg("x"), py::arg("n_threads") = 1, py::arg("without") = py::none(),
      "Sum of squares of every row, float64, to the bit what panel_sums gives a row's product with itself.");
}

}  // namespace vcm
