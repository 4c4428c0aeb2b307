#include <pybind11/stl.h>

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "bindings/arrays.hpp"
#include "bindings/bind.hpp"
#include "cells/gather.hpp"
#include "cells/row_sums.hpp"

namespace vcm {
namespace {

const char* const kTables[] = {"sum", "linear", "log1p", "log1p_square", "expm1", "square"};

void require_fields(const std::set<std::string>& fields) {
  static const std::set<std::string> kKnown = {"sum",       "linear",         "log1p",   "log1p_square",
                                               "expm1",     "square",         "nonzero", "rank",
                                               "jackknife", "jackknife_parts"};
  for (const std::string& field : fields)
    require(kKnown.count(field) == 1,
            "field '" + field +
                "' is unknown; expected sum, linear, log1p, log1p_square, expm1, square, "
                "nonzero, rank or jackknife");
}

Key key_of(const std::string& word) {
  if (word == "ratio") return Key::ratio;
  require(word == "raw", "key is '" + word + "'; expected 'ratio' or 'raw'");
  return Key::raw;
}

GatherSide side_of(const py::tuple& tuple, std::int64_t n_cols, std::size_t n_sides) {
  require(tuple.size() == 6, "a side is (rows, totals, codes, n_groups, control_side, control_code)");
  GatherSide side{};
  side.rows = rows_view(py::cast<py::tuple>(tuple[0]));
  require_good_indptr(side.rows);
  require(side.rows.n_cols == n_cols,
          "rows have " + text(side.rows.n_cols) + " columns; expected " + text(n_cols));
  require(size_of(side.rows.indices.type) > 1,
          "column numbers of 8 bits are not supported; use 16, 32 or 64 bits");
  const auto totals = exactly<double>(tuple[1], "totals", 1);
  const auto codes = exactly<std::int32_t>(tuple[2], "codes", 1);
  require(totals.size() == side.rows.n_rows && codes.size() == side.rows.n_rows,
          "totals and codes need one entry a row (" + text(side.rows.n_rows) + ")");
  side.totals = totals.data();
  side.codes = codes.data();
  side.n_groups = py::cast<std::int64_t>(tuple[3]);
  require(side.n_groups >= 0, "n_groups must not be negative");
  for (std::int64_t row = 0; row < side.rows.n_rows; ++row)
    require(side.codes[row] >= -1 && side.codes[row] < side.n_groups,
            "codes[" + text(row) + "] is " + text(side.codes[row]) + "; expected -1 … " +
                text(side.n_groups - 1));
  side.control_side = py::cast<int>(tuple[4]);
  side.control_code = py::cast<int>(tuple[5]);
  require(side.control_side >= -1 && side.control_side < static_cast<int>(n_sides),
          "control_side is " + text(side.control_side) + "; expected -1 … " +
              text(static_cast<int>(n_sides) - 1));
  return side;
}

py::list gather_sides(const py::list& sides, std::int64_t n_cols, const std::string& key, double scale,
                      std::optional<double> gate, const std::set<std::string>& fields,
                      double jackknife_target, int n_threads, const py::object& progress,
                      std::optional<std::size_t> n_wanted, const std::vector<double>& depths) {
  require_fields(fields);
  GatherJob job;
  job.n_cols = n_cols;
  job.key = key_of(key);
  job.scale = scale;
  job.gate = gate.value_or(-1.0);
  job.jackknife_target = jackknife_target;
  require(scale > 0, "scale must be positive");
  job.depths = depths;
  if (job.key == Key::ratio && fields.count("log1p") == 1) job.depths.push_back(scale);
  require(job.depths.empty() || job.key == Key::ratio, "depths need key 'ratio'");
  for (const double depth : depths) require(depth > 0, "depths must be positive");
  require(fields.count("log1p_square") == 0 || fields.count("log1p") == 1 || !depths.empty(),
          "log1p_square goes with log1p");
  const bool rank = fields.count("rank") == 1;
  const std::size_t wanted = n_wanted.value_or(sides.size());
  py::list results;
  for (const py::handle& item : sides) {
    GatherSide side = side_of(py::cast<py::tuple>(item), n_cols, sides.size());
    py::dict result;
    const auto table = [&](const char* name) {
      py::array_t<double> array({side.n_groups, n_cols});
      result[name] = array;
      return array.mutable_data();
    };
    const auto whole_table = [&](const char* name) {
      py::array_t<std::int64_t> array({side.n_groups, n_cols});
      result[name] = array;
      return array.mutable_data();
    };
    const bool asked = job.sides.size() < wanted;  // the others lend their control only
    double** const tables[] = {&side.sum,          &side.linear, &side.log1p,
                               &side.log1p_square, &side.expm1,  &side.square};
    for (std::size_t i = 0; i < std::size(kTables); ++i)
      if (asked && fields.count(kTables[i]) == 1 &&
          (tables[i] != &side.log1p_square || side.log1p != nullptr))
        *tables[i] = table(kTables[i]);
    py::list at_depths;
    for (std::size_t d = 0; asked && d < depths.size(); ++d) {
      py::dict logs;
      const auto log_table = [&](const char* name) {
        py::array_t<double> array({side.n_groups, n_cols});
        logs[name] = array;
        return array.mutable_data();
      };
      DepthTables tables_at{log_table("log1p"), nullptr};
      if (fields.count("log1p_square") == 1) tables_at.log1p_square = log_table("log1p_square");
      side.depths.push_back(tables_at);
      at_depths.append(logs);
    }
    if (asked && !depths.empty()) result["depths"] = at_depths;
    if (job.depths.size() > depths.size() && asked) {  // the pass's own depth is one of them
      side.depths.push_back({side.log1p, side.log1p_square});
      side.log1p = side.log1p_square = nullptr;
    }
    if (asked && fields.count("nonzero") == 1) side.nonzero = whole_table("nonzero");
    if (asked && rank) {
      side.u2 = whole_table("u2");
      side.tie = table("tie");
    }
    py::array_t<std::int64_t> n(side.n_groups);
    result["n"] = n;
    side.n = n.mutable_data();
    if (asked && fields.count("jackknife") == 1) {
      require(job.key == Key::ratio, "jackknife needs key 'ratio'");
      py::array_t<double> jackknife(side.n_groups);
      result["jackknife"] = jackknife;
      side.jackknife = jackknife.mutable_data();
    }
    if (side.jackknife != nullptr && fields.count("jackknife_parts") == 1) {
      py::array_t<double> parts({n_jackknife_parts(n_cols), side.n_groups});
      result["jackknife_parts"] = parts;
      side.jackknife_parts = parts.mutable_data();
    }
    results.append(result);
    job.sides.push_back(side);
  }
  for (const GatherSide& side : job.sides)
    if (rank && side.control_side >= 0)
      require(side.control_code >= 0 &&
                  side.control_code < job.sides[static_cast<std::size_t>(side.control_side)].n_groups,
              "control_code is " + text(side.control_code) + ", which is no group of its side");
  std::function<void()> report;
  if (!progress.is_none()) report = [&] { progress(job.done.load(), job.total.load()); };
  const Team team = team_of(n_threads, report);
  without_gil([&] { gather(job, team); });
  if (report) report();
  return results;
}

// Adds the cells of one block of rows to the tables of `into`.
void add_rows_(const py::tuple& rows, const py::object& totals, const py::object& codes,
               const std::string& key, double scale, const py::dict& into, std::int64_t first_row,
               int n_threads) {
  auto n = exactly<std::int64_t>(into["n"], "n", 1);
  const std::int64_t n_groups = n.size(), n_cols = rows_view(rows).n_cols;
  require(scale > 0, "scale must be positive");
  GatherSide side = side_of(py::make_tuple(rows, totals, codes, n_groups, -1, -1), n_cols, 1);
  side.n = n.mutable_data();
  const auto table = [&](const char* name, auto*& pointer) {
    if (!into.contains(name)) return;
    using T = std::remove_reference_t<decltype(*pointer)>;
    auto array = exactly<T>(into[name], name, 2);
    require(array.shape(0) == n_groups && array.shape(1) == n_cols,
            std::string(name) + " has not the shape n_groups x n_cols");
    pointer = array.mutable_data();
  };
  table("sum", side.sum);
  table("linear", side.linear);
  table("log1p", side.log1p);
  table("log1p_square", side.log1p_square);
  table("expm1", side.expm1);
  table("square", side.square);
  table("nonzero", side.nonzero);
  const Key kind = key_of(key);
  const Team team = team_of(n_threads);
  without_gil([&] { add_rows(side, n_cols, kind, scale, first_row, team); });
}

}  // namespace

void bind_cells(py::module_& m) {
  m.def("gather", &gather_sides, py::arg("sides").noconvert(), py::arg("n_cols"), py::arg("key"),
        py::arg("scale"), py::arg("gate"), py::arg("fields"), py::arg("jackknife_target"),
        py::arg("n_threads"), py::arg("progress") = py::none(), py::arg("n_wanted") = py::none(),
        py::arg("depths") = std::vector<double>{},
        "Group sums, rank sums against a control and the jackknife correction, one dict a side; "
        "depths: further library sizes at which log1p (and log1p_square) are summed, one dict each in "
        "'depths'; "
        "sides from n_wanted on lend their control and get no tables.");
  m.def("add_rows", &add_rows_, py::arg("rows"), py::arg("totals"), py::arg("codes"), py::arg("key"),
        py::arg("scale"), py::arg("into"), py::arg("first_row"), py::arg("n_threads"),
        "Add cells to the tables of `into` (n, and any of sum, linear, log1p, log1p_square, expm1, square, "
        "nonzero), in the "
        "order of the rows.");
}

}  // namespace vcm
