#include <string>

#include "bindings/arrays.hpp"
#include "bindings/bind.hpp"
#include "profiles/column_correlation.hpp"
#include "profiles/column_ranks.hpp"
#include "profiles/resampled_ranks.hpp"

namespace vcm {
namespace {

// A table whose rows are contiguous (any distance apart), and the rows of it that are wanted.
struct Table {
  py::array values;
  bool single;
  std::int64_t stride;
  py::array_t<std::int64_t, py::array::c_style> rows;

  Table(const py::handle& object, const py::handle& list, const std::string& name) {
    require(py::isinstance<py::array_t<float>>(object) || py::isinstance<py::array_t<double>>(object),
            name + " must be a NumPy array of float32 or float64");
    values = py::reinterpret_borrow<py::array>(object);
    require(values.ndim() == 2, name + " has " + text(values.ndim()) + " dimensions; expected 2");
    single = values.itemsize() == 4;
    const auto width = values.itemsize();
    require((values.shape(1) <= 1 || values.strides(1) == width) && values.strides(0) % width == 0 &&
                reinterpret_cast<std::uintptr_t>(values.data()) % static_cast<std::uintptr_t>(width) == 0,
            name + " must have contiguous, aligned rows");
    stride = values.strides(0) / width;
    rows = exactly<std::int64_t>(list, ("rows of " + name).c_str(), 1);
    for (std::int64_t k = 0; k < rows.size(); ++k)
      require(rows.data()[k] >= 0 && rows.data()[k] < values.shape(0),
              "rows of " + name + " hold " + text(rows.data()[k]) + "; there are " + text(values.shape(0)));
  }
};

template <class Job>
void put_tables(Job& job, const Table& x, const Table& y) {
  require(x.values.shape(1) == y.values.shape(1),
          "x has " + text(x.values.shape(1)) + " columns, y has " + text(y.values.shape(1)));
  require(x.rows.size() == y.rows.size(),
          text(x.rows.size()) + " rows of x are paired with " + text(y.rows.size()) + " of y");
  job.x = x.values.data();
  job.y = y.values.data();
  job.x_single = x.single;
  job.y_single = y.single;
  job.stride_x = x.stride;
  job.stride_y = y.stride;
  job.rows_x = x.rows.data();
  job.rows_y = y.rows.data();
  job.n_rows = x.rows.size();
  job.n_columns = x.values.shape(1);
}

void add_co_moments(py::array_t<double, py::array::c_style>& state, const py::handle& x,
                    const py::handle& rows_x, const py::handle& y, const py::handle& rows_y,
                    const py::object& weights, int n_threads) {
  const Table tx(x, rows_x, "x"), ty(y, rows_y, "y");
  CoMomentJob job{};
  put_tables(job, tx, ty);
  require(state.ndim() == 2 && state.shape(0) == kCoMoments && state.shape(1) == job.n_columns,
          "state must be a table of " + text(kCoMoments) + " × " + text(job.n_columns));
  py::array_t<double, py::array::c_style> given;
  if (!weights.is_none()) {
    given = exactly<double>(weights, "weights", 1);
    require(given.size() == job.n_rows,
            "weights has " + text(given.size()) + " entries; expected " + text(job.n_rows));
    for (std::int64_t r = 0; r < job.n_rows; ++r)
      require(given.data()[r] > 0.0 && given.data()[r] - given.data()[r] == 0.0,
              "weights must be positive and finite; number " + text(r) + " is not");
    job.weights = given.data();
  }
  job.state = state.mutable_data();
  const Team team = team_of(n_threads);
  without_gil([&] { co_moments(job, team); });
}

py::array_t<double> rank_moments(const py::handle& x, const py::handle& rows_x, const py::handle& y,
                                 const py::handle& rows_y, int n_threads) {
  const Table tx(x, rows_x, "x"), ty(y, rows_y, "y");
  RankJob job{};
  put_tables(job, tx, ty);
  py::array_t<double> moments({std::int64_t{4}, job.n_columns});
  job.moments = moments.mutable_data();
  const Team team = team_of(n_threads);
  without_gil([&] { column_ranks(job, team); });
  return moments;
}

py::tuple ranks(const py::handle& x, const py::handle& rows_x, const py::handle& y, const py::handle& rows_y,
                int n_threads) {
  const Table tx(x, rows_x, "x"), ty(y, rows_y, "y");
  RankJob job{};
  put_tables(job, tx, ty);
  py::array_t<double> ranks_x({job.n_rows, job.n_columns}), ranks_y({job.n_rows, job.n_columns});
  job.ranks_x = ranks_x.mutable_data();
  job.ranks_y = ranks_y.mutable_data();
  const Team team = team_of(n_threads);
  without_gil([&] { column_ranks(job, team); });
  return py::make_tuple(ranks_x, ranks_y);
}

py::array_t<double> resampled_rank_correlations(const py::handle& x, const py::handle& y,
                                                const py::handle& counts, int n_threads) {
  const auto tx = exactly<double>(x, "x", 2), ty = exactly<double>(y, "y", 2);
  const auto drawn = exactly<double>(counts, "counts", 2);
  require(tx.shape(0) == ty.shape(0) && tx.shape(1) == ty.shape(1), "x and y differ in shape");
  require(drawn.shape(1) == tx.shape(0),
          "counts has " + text(drawn.shape(1)) + " columns; expected " + text(tx.shape(0)) + " (one a row)");
  for (std::int64_t k = 0; k < tx.size(); ++k)
    require(tx.data()[k] - tx.data()[k] == 0.0 && ty.data()[k] - ty.data()[k] == 0.0,
            "x and y must hold finite values");
  py::array_t<double> out({drawn.shape(0), tx.shape(1)});
  const RankResampleJob job{tx.data(),   ty.data(),      drawn.data(),      tx.shape(0),
                            tx.shape(1), drawn.shape(0), out.mutable_data()};
  const Team team = team_of(n_threads);
  without_gil([&] { resampled_ranks(job, team); });
  return out;
}

}  // namespace

void bind_columns(py::module_& m) {
  m.def(
      "add_co_moments", &add_co_moments, py::arg("state").noconvert(), py::arg("x").noconvert(),
      py::arg("rows_x").noconvert(), py::arg("y").noconvert(), py::arg("rows_y").noconvert(),
      py::arg("weights").noconvert() = py::none(), py::arg("n_threads") = 1,
      "Adds pairs of rows to the state [count, weight, mean x, mean y, xx, yy, xy][columns]; pairs of which "
      "a value is not finite are passed over.");
  m.def("rank_moments", &rank_moments, py::arg("x").noconvert(), py::arg("rows_x").noconvert(),
        py::arg("y").noconvert(), py::arg("rows_y").noconvert(), py::arg("n_threads") = 1,
        "Pairs used and centred moments xx, yy, xy of average ranks, [4][columns].");
  m.def("column_ranks", &ranks, py::arg("x").noconvert(), py::arg("rows_x").noconvert(),
        py::arg("y").noconvert(), py::arg("rows_y").noconvert(), py::arg("n_threads") = 1,
        "Average ranks 1 … n of both tables among the pairs of finite values, column by column; else NaN.");
  m.def("resampled_rank_correlations", &resampled_rank_correlations, py::arg("x").noconvert(),
        py::arg("y").noconvert(), py::arg("counts").noconvert(), py::arg("n_threads") = 1,
        "Spearman correlation of every column in every resample, ranked anew; row r counts counts[b][r] "
        "times.");
}

}  // namespace vcm
