#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <optional>
#include <string>
#include <vector>

#include "bindings/arrays.hpp"
#include "bindings/bind.hpp"
#include "sources/compact_rows.hpp"
#include "sources/digest.hpp"
#include "sources/scan_rows.hpp"
#include "sources/transpose_rows.hpp"

namespace vcm {
namespace {

using Counts = py::array_t<std::int64_t>;

std::vector<py::ssize_t> length(std::int64_t n) { return {static_cast<py::ssize_t>(n)}; }

py::object offender(const Offender& found) {
  if (found.row < 0) return py::none();
  return py::make_tuple(found.row, found.column, found.value);
}

py::dict scan(const py::tuple& tuple, int n_threads) {
  const RowsView rows = rows_view(tuple);
  const Team team = team_of(n_threads);
  py::array_t<double> totals(length(rows.n_rows));
  Counts row_nnz(length(rows.n_rows));
  double* to = totals.mutable_data();
  ScanFacts found;
  without_gil([&] { found = scan_rows(rows, to, team); });
  for (std::int64_t i = 0; i < rows.n_rows; ++i)
    row_nnz.mutable_data()[i] = rows.indptr[i + 1] - rows.indptr[i];
  py::dict out;
  out["totals"] = totals;
  out["row_nnz"] = row_nnz;
  out["min"] = found.min;
  out["max"] = found.max;
  out["n_negative"] = found.n_negative;
  out["n_nonfinite"] = found.n_nonfinite;
  out["n_fractional"] = found.n_fractional;
  out["n_explicit_zeros"] = found.n_explicit_zeros;
  out["max_fraction"] = found.max_fraction;
  out["max_signed_fraction"] = found.max_signed_fraction;
  out["max_row_total"] = found.max_row_total;
  out["max_row_total_row"] = found.max_row_total_row;
  out["column_out_of_range"] = found.column_out_of_range;
  out["indptr_bad"] = found.indptr_bad;
  out["unsorted"] = found.unsorted;
  out["duplicates"] = found.duplicates;
  out["first_negative"] = offender(found.first_negative);
  out["first_nonfinite"] = offender(found.first_nonfinite);
  out["first_fractional"] = offender(found.first_fractional);
  return out;
}

// None, or the new number of each column (-1: dropped), each below n_cols_new.
const std::int64_t* gene_map_of(const py::object& object, const RowsView& rows, std::int64_t n_cols_new) {
  require(n_cols_new >= 0 && n_cols_new <= INT32_MAX,
          "n_cols_new is " + text(n_cols_new) + "; expected 0 … 2147483647");
  if (object.is_none()) {
    require(n_cols_new == rows.n_cols, "without gene_map n_cols_new must be " + text(rows.n_cols));
    return nullptr;
  }
  const auto map = exactly<std::int64_t>(object, "gene_map", 1);
  require(map.size() == rows.n_cols,
          "gene_map has " + text(map.size()) + " entries; expected " + text(rows.n_cols));
  for (std::int64_t j = 0; j < rows.n_cols; ++j)
    require(map.data()[j] >= -1 && map.data()[j] < n_cols_new,
            "gene_map must hold -1 or numbers below n_cols_new");
  return map.data();
}

void require_in_range(const Counted& found) {
  require(found.good, "column numbers lie outside the matrix; the data are damaged");
}

// The arrays that a fill writes to, checked against indptr.
CompactRows output(const py::object& indptr, const py::object& indices, const py::object& data,
                   std::int64_t n_rows) {
  CompactRows out;
  const auto pointers = exactly<std::int64_t>(indptr, "indptr", 1);
  require(pointers.size() == n_rows + 1,
          "indptr has " + text(pointers.size()) + " entries; expected " + text(n_rows + 1));
  out.indptr = pointers.data();
  out.wide_indices = py::isinstance<py::array_t<std::int32_t, py::array::c_style>>(indices);
  std::int64_t room = 0;
  const auto take = [&](auto zero, const py::object& object, const char* name) -> void* {
    auto array = exactly<decltype(zero)>(object, name, 1);
    room = array.size();
    return array.mutable_data();
  };
  out.indices =
      out.wide_indices ? take(std::int32_t{}, indices, "indices") : take(std::uint16_t{}, indices, "indices");
  const std::int64_t room_indices = room;
  if (py::isinstance<py::array_t<std::uint16_t, py::array::c_style>>(data)) {
    out.kind = ValueKind::u16;
    out.data = take(std::uint16_t{}, data, "data");
  } else if (py::isinstance<py::array_t<float, py::array::c_style>>(data)) {
    out.kind = ValueKind::f32;
    out.data = take(float{}, data, "data");
  } else {
    out.kind = ValueKind::f64;
    out.data = take(double{}, data, "data");
  }
  require(out.indptr[0] >= 0 && out.indptr[n_rows] <= room && out.indptr[n_rows] <= room_indices,
          "indptr reaches beyond indices or data");
  return out;
}

py::tuple count_rows_(const py::tuple& tuple, int n_threads, const py::object& gene_map,
                      std::int64_t n_cols_new) {
  const RowsView rows = rows_view(tuple);
  require_good_indptr(rows);
  const std::int64_t* map = gene_map_of(gene_map, rows, n_cols_new);
  const Team team = team_of(n_threads);
  Counts counts(length(rows.n_rows));
  std::int64_t* to = counts.mutable_data();
  Counted found;
  without_gil([&] { found = count_rows(rows, map, n_cols_new, to, team); });
  require_in_range(found);
  return py::make_tuple(counts, static_cast<int>(found.kind));
}

void fill_rows_(const py::tuple& tuple, int n_threads, const py::object& gene_map, std::int64_t n_cols_new,
                const py::object& indptr, const py::object& indices, const py::object& data) {
  const RowsView rows = rows_view(tuple);
  require_good_indptr(rows);
  const std::int64_t* map = gene_map_of(gene_map, rows, n_cols_new);
  const CompactRows out = output(indptr, indices, data, rows.n_rows);
  const Team team = team_of(n_threads);
  without_gil([&] { fill_rows(rows, map, n_cols_new, out, team); });
}

DenseView dense_view(const py::array& array) {
  require(array.ndim() == 2, "the matrix has " + text(array.ndim()) + " dimensions; expected 2");
  DenseView view;
  view.data = static_cast<const std::uint8_t*>(array.data());
  view.n_rows = array.shape(0);
  view.n_cols = array.shape(1);
  view.row_stride = array.strides(0);
  view.col_stride = array.strides(1);
  view.type = type_of(py::cast<std::string>(array.dtype().attr("str")), "the matrix");
  return view;
}

py::tuple count_dense_(const py::array& array, int n_threads) {
  const DenseView matrix = dense_view(array);
  const Team team = team_of(n_threads);
  Counts counts(length(matrix.n_rows));
  std::int64_t* to = counts.mutable_data();
  Counted found;
  without_gil([&] { found = count_dense(matrix, to, team); });
  return py::make_tuple(counts, static_cast<int>(found.kind));
}

void fill_dense_(const py::array& array, int n_threads, const py::object& indptr, const py::object& indices,
                 const py::object& data) {
  const DenseView matrix = dense_view(array);
  const CompactRows out = output(indptr, indices, data, matrix.n_rows);
  const Team team = team_of(n_threads);
  without_gil([&] { fill_dense(matrix, out, team); });
}

// A triple of the right size for rows of known lengths.
struct Triple {
  Counts indptr;
  py::object indices, data;
  Triple(const Counts& counts, std::int64_t n_cols, ValueKind kind) : indptr(length(counts.size() + 1)) {
    std::int64_t* at = indptr.mutable_data();
    at[0] = 0;
    for (py::ssize_t i = 0; i < counts.size(); ++i) at[i + 1] = at[i] + counts.data()[i];
    const auto n = length(at[counts.size()]);
    if (n_cols <= 65536) {
      indices = py::array_t<std::uint16_t>(n);
    } else {
      indices = py::array_t<std::int32_t>(n);
    }
    if (kind == ValueKind::u16) {
      data = py::array_t<std::uint16_t>(n);
    } else if (kind == ValueKind::f32) {
      data = py::array_t<float>(n);
    } else {
      data = py::array_t<double>(n);
    }
  }
  py::tuple tuple() const { return py::make_tuple(indptr, indices, data); }
};

py::tuple canonical_rows(const py::tuple& tuple, int n_threads, const py::object& gene_map,
                         std::int64_t n_cols_new) {
  const py::tuple counted = count_rows_(tuple, n_threads, gene_map, n_cols_new);
  const Triple out(py::cast<Counts>(counted[0]), n_cols_new,
                   static_cast<ValueKind>(py::cast<int>(counted[1])));
  fill_rows_(tuple, n_threads, gene_map, n_cols_new, out.indptr, out.indices, out.data);
  return out.tuple();
}

py::tuple dense_to_rows(const py::array& array, int n_threads) {
  const py::tuple counted = count_dense_(array, n_threads);
  require(array.shape(1) <= INT32_MAX, "the matrix has too many columns");
  const Triple out(py::cast<Counts>(counted[0]), array.shape(1),
                   static_cast<ValueKind>(py::cast<int>(counted[1])));
  fill_dense_(array, n_threads, out.indptr, out.indices, out.data);
  return out.tuple();
}

py::tuple transpose_rows(const py::tuple& tuple, int n_threads) {
  const RowsView by_gene = rows_view(tuple);
  require_good_indptr(by_gene);
  require(by_gene.n_rows <= INT32_MAX, "the matrix has too many rows");
  const Team team = team_of(n_threads);
  {
    std::vector<double> totals(static_cast<std::size_t>(by_gene.n_rows));
    ScanFacts found;
    without_gil([&] { found = scan_rows(by_gene, totals.data(), team); });
    require(!found.column_out_of_range, "row numbers lie outside the matrix; the data are damaged");
    require(!found.unsorted && !found.duplicates,
            "column numbers must ascend strictly; make the rows canonical first");
  }
  Counts counts(length(by_gene.n_cols));
  std::int64_t* to = counts.mutable_data();
  std::optional<Transpose> turned;
  Counted found;
  without_gil([&] {
    turned.emplace(by_gene, team);
    found = turned->count(to);
  });
  const Triple out(counts, by_gene.n_rows, found.kind);
  const CompactRows view = output(out.indptr, out.indices, out.data, by_gene.n_cols);
  without_gil([&] { turned->fill(view); });
  return out.tuple();
}

py::bytes digests(const py::object& object, int n_threads) {
  const auto bytes = exactly<std::uint8_t>(object, "bytes", 1);
  const Team team = team_of(n_threads);
  const std::uint8_t* from = bytes.data();
  const std::int64_t n = bytes.size();
  std::vector<std::uint64_t> found;
  without_gil([&] { found = block_digests(from, n, team); });
  return py::bytes(reinterpret_cast<const char*>(found.data()), found.size() * sizeof(std::uint64_t));
}

}  // namespace

void bind_sources(py::module_& m) {
  m.def("scan_rows", &scan, py::arg("rows"), py::arg("n_threads"),
        "Sums and checks of Rows.args() in one read; safe for any content. Returns a dict.");
  m.def("canonical_rows", &canonical_rows, py::arg("rows"), py::arg("n_threads"),
        py::arg("gene_map").none(true), py::arg("n_cols_new"),
        "Compact copy (indptr, indices, data): columns ascend, duplicates summed, zeros dropped.");
  m.def("count_rows", &count_rows_, py::arg("rows"), py::arg("n_threads"), py::arg("gene_map").none(true),
        py::arg("n_cols_new"),
        "Row lengths of canonical_rows and how values can be held (0 uint16, 1 float32, 2 float64).");
  m.def("fill_rows", &fill_rows_, py::arg("rows"), py::arg("n_threads"), py::arg("gene_map").none(true),
        py::arg("n_cols_new"), py::arg("indptr"), py::arg("indices"), py::arg("data"),
        "Write canonical rows into given arrays at indptr.");
  m.def("dense_to_rows", &dense_to_rows, py::arg("matrix").noconvert(), py::arg("n_threads"),
        "Compact rows (indptr, indices, data) of a dense matrix with any strides.");
  m.def("count_dense", &count_dense_, py::arg("matrix").noconvert(), py::arg("n_threads"),
        "Row lengths of dense_to_rows and how values can be held.");
  m.def("fill_dense", &fill_dense_, py::arg("matrix").noconvert(), py::arg("n_threads"), py::arg("indptr"),
        py::arg("indices"), py::arg("data"), "Write the rows of a dense matrix into given arrays at indptr.");
  m.def(
      "transpose_rows", &transpose_rows, py::arg("rows"), py::arg("n_threads"),
      "Compact rows (indptr, indices, data) of the transposed matrix; the rows given must ascend strictly.");
  m.def("block_digests", &digests, py::arg("bytes"), py::arg("n_threads"),
        "A 64-bit digest of every MiB, as bytes.");
}

}  // namespace vcm
