#include "bindings/cuda_kernels.hpp"

#include <pybind11/stl.h>

#include <cstdint>
#include <string>
#include <tuple>

#include "core/error.hpp"
#include "cuda/cells/group_sums.hpp"
#include "cuda/cells/rank_sums.hpp"
#include "cuda/profiles/column_correlation.hpp"
#include "cuda/profiles/match_rank.hpp"
#include "cuda/profiles/pair_sums.hpp"
#include "cuda/tiles/pair_means.hpp"
#include "cuda/tiles/pair_tile.hpp"

namespace vcm::cuda {
namespace {

namespace py = pybind11;
using Size = std::int64_t;
using Address = std::uintptr_t;

// The address of `size` elements of T; only an empty array may lie nowhere.
template <class T = void>
T* at(Address address, Size size, const char* name) {
  require(address != 0 || size == 0, std::string(name) + " has no address");
  return reinterpret_cast<T*>(address);
}

void require_sizes(std::initializer_list<Size> sizes) {
  for (const Size size : sizes) require(size >= 0, "a size is " + text(size) + "; expected 0 or more");
}

bool is_float(const std::string& dtype) {
  require(dtype == "float32" || dtype == "float64",
          "dtype is '" + dtype + "'; expected 'float32' or 'float64'");
  return dtype == "float32";
}

PairTerm pair_term(const std::string& term) {
  if (term == "cityblock") return PairTerm::cityblock;
  if (term == "sqeuclidean") return PairTerm::sqeuclidean;
  require(term == "product", "term '" + term + "' is not known; pass cityblock, sqeuclidean or product");
  return PairTerm::product;
}

void pair_sums(Address x, Address y, const std::string& dtype, Size n_x, Size n_y, Size n_features,
               const std::string& term, Address out, Address stream) {
  require_sizes({n_x, n_y, n_features});
  const PairSumsJob job{at(x, n_x * n_features, "x"),
                        at(y, n_y * n_features, "y"),
                        is_float(dtype),
                        n_x,
                        n_y,
                        n_features,
                        pair_term(term),
                        at<double>(out, n_x * n_y, "out")};
  const py::gil_scoped_release release;
  launch_pair_sums(job, {stream});
}

void row_squares(Address x, const std::string& dtype, Size n, Size n_features, Address out, Address stream) {
  require_sizes({n, n_features});
  const void* table = at(x, n * n_features, "x");
  auto* squares = at<double>(out, n, "out");
  const bool single = is_float(dtype);
  const py::gil_scoped_release release;
  launch_row_squares(table, single, n, n_features, squares, {stream});
}

void match_counts(Address distances, const std::string& dtype, Size n, Size n_candidates, Size row_stride,
                  Address own, Address counts, Address stream) {
  require_sizes({n, n_candidates});
  require(n == 0 || n_candidates > 0, "rows without candidates have no own one");
  require(row_stride >= n_candidates, "row_stride is " + text(row_stride) + ", less than a row");
  const MatchCountsJob job{at(distances, n * n_candidates, "distances"),
                           is_float(dtype),
                           n,
                           n_candidates,
                           row_stride,
                           at<std::int64_t>(own, n, "own"),
                           at<std::int64_t>(counts, n, "counts")};
  const py::gil_scoped_release release;
  launch_match_counts(job, {stream});
}

void co_moments(Address x, Address y, const std::string& dtype, Size stride_x, Size stride_y, Address weights,
                Size n_rows, Size n_columns, Address chunks, Address state, Address stream) {
  require_sizes({n_rows, n_columns});
  require(n_rows < 2 || (stride_x >= n_columns && stride_y >= n_columns), "rows of a table overlap");
  const Size n = n_rows * n_columns;
  const CoMomentsJob job{at(x, n, "x"),
                         at(y, n, "y"),
                         is_float(dtype),
                         stride_x,
                         stride_y,
                         reinterpret_cast<const double*>(weights),  // 0: no weights
                         n_rows,
                         n_columns,
                         at<double>(chunks, n, "chunks"),
                         at<double>(state, n_columns, "state")};
  const py::gil_scoped_release release;
  launch_co_moments(job, {stream});
}

void group_pair_sums(Address cells, const std::string& dtype, Size n_features, Address starts, Address pairs,
                     Address tasks, Size n_pairs, Size n_tasks, const std::string& term, Address gammas,
                     Size n_gammas, Address tiles, Address sums, Address stream) {
  require_sizes({n_features, n_pairs, n_tasks, n_gammas});
  require((n_gammas > 0) == (term == "rbf"), "gammas are for rbf, which needs some");
  require(term == "rbf" || term == "euclidean" || term == "sqeuclidean" || term == "cityblock",
          "term '" + term + "' is not known; pass euclidean, sqeuclidean, cityblock or rbf");
  GroupPairSumsJob job{};
  job.cells = at(cells, n_tasks * n_features, "cells");
  job.is_float = is_float(dtype);
  job.n_features = n_features;
  job.starts = at<std::int64_t>(starts, n_pairs, "starts");
  job.pairs = at<std::int32_t>(pairs, n_pairs, "pairs");
  job.tasks = at<std::int64_t>(tasks, n_pairs, "tasks");
  job.n_pairs = n_pairs;
  job.n_tasks = n_tasks;
  job.term = term == "cityblock" ? PairTerm::cityblock : PairTerm::sqeuclidean;
  job.finish = term == "euclidean" ? PairFinish::root : term == "rbf" ? PairFinish::rbf : PairFinish::none;
  job.gammas = at<double>(gammas, n_gammas, "gammas");
  job.n_gammas = n_gammas == 0 ? 1 : n_gammas;
  job.tiles = at<double>(tiles, n_tasks, "tiles");
  job.sums = at<double>(sums, n_pairs, "sums");
  const py::gil_scoped_release release;
  launch_group_pair_sums(job, {stream});
}

// (order, chunk_starts, group_chunks, n_chunks, n_groups, n_genes, scale, normalise, chunks, sums)
using GroupSumsArguments =
    std::tuple<Address, Address, Address, Size, Size, Size, Address, std::string, Address, Address>;

GroupSumsJob group_sums_job(const GroupSumsArguments& given) {
  const auto& [order, chunk_starts, group_chunks, n_chunks, n_groups, n_genes, scale, how, chunks, sums] =
      given;
  require_sizes({n_chunks, n_groups, n_genes});
  require(how == "raw" || how == "linear" || how == "log1p",
          "normalise is '" + how + "'; expected raw, linear or log1p");
  require(how == "raw" || scale != 0 || n_chunks == 0, "normalise '" + how + "' needs scale");
  return {at<std::int64_t>(order, n_chunks, "order"),
          at<std::int64_t>(chunk_starts, 1, "chunk_starts"),
          at<std::int64_t>(group_chunks, 1, "group_chunks"),
          n_chunks,
          n_groups,
          n_genes,
          reinterpret_cast<const double*>(scale),
          how == "raw"      ? Normalise::raw
          : how == "linear" ? Normalise::linear
                            : Normalise::log1p,
          at<double>(chunks, n_chunks * n_genes, "chunks"),
          at<double>(sums, n_groups * n_genes, "sums")};
}

CsrMatrix csr_matrix(Address data, Address indices, Address indptr, const std::string& dtype,
                     const std::string& index_dtype) {
  require(index_dtype == "int32" || index_dtype == "int64",
          "index_dtype is '" + index_dtype + "'; expected 'int32' or 'int64'");
  // a matrix may store nothing at all
  return {reinterpret_cast<const void*>(data), reinterpret_cast<const void*>(indices),
          at<std::int64_t>(indptr, 1, "indptr"), is_float(dtype), index_dtype == "int32"};
}

void csr_group_sums(Address data, Address indices, Address indptr, const std::string& dtype,
                    const std::string& index_dtype, const GroupSumsArguments& groups, Address stream) {
  const CsrMatrix cells = csr_matrix(data, indices, indptr, dtype, index_dtype);
  const GroupSumsJob job = group_sums_job(groups);
  const py::gil_scoped_release release;
  launch_group_sums(cells, job, {stream});
}

void dense_group_sums(Address data, Size row_stride, const std::string& dtype,
                      const GroupSumsArguments& groups, Address stream) {
  const GroupSumsJob job = group_sums_job(groups);
  const DenseMatrix cells{at(data, job.n_chunks * job.n_genes, "data"), row_stride, is_float(dtype)};
  const py::gil_scoped_release release;
  launch_group_sums(cells, job, {stream});
}

void row_totals(Address data, Address indptr, const std::string& dtype, Size n_rows, Address totals,
                Address stream) {
  require_sizes({n_rows});
  const CsrMatrix cells = csr_matrix(data, 0, indptr, dtype, "int32");
  auto* to = at<double>(totals, n_rows, "totals");
  const py::gil_scoped_release release;
  launch_row_totals(cells, n_rows, to, {stream});
}

void rank_sums(Address control, Address control_starts, Address keys, Address starts, Address sizes,
               Size n_control, Size n_genes, Size n_groups, Address control_ties, Address u2, Address tie,
               Address stream) {
  require_sizes({n_control, n_genes, n_groups});
  require(n_control <= kLargestRanked, text(n_control) + " control cells; at most " + text(kLargestRanked));
  const Size n = n_genes * n_groups;
  // there may be no key at all
  const RankSumsJob job{reinterpret_cast<const double*>(control),
                        at<std::int64_t>(control_starts, 1, "control_starts"),
                        reinterpret_cast<const double*>(keys),
                        at<std::int64_t>(starts, 1, "starts"),
                        at<std::int64_t>(sizes, n_groups, "sizes"),
                        n_control,
                        n_genes,
                        n_groups,
                        at<std::uint64_t>(control_ties, n_genes, "control_ties"),
                        at<std::int64_t>(u2, n, "u2"),
                        at<double>(tie, n, "tie")};
  const py::gil_scoped_release release;
  launch_rank_sums(job, {stream});
}

}  // namespace

void bind_kernels(py::module_& m) {
  py::register_local_exception_translator([](std::exception_ptr thrown) {
    try {
      if (thrown) std::rethrow_exception(thrown);
    } catch (const LaunchError& error) {
      py::set_error(py::module_::import("vcmetrics._errors").attr("DeviceError"), error.what());
    }
  });
  m.def("pair_sums", &pair_sums, py::arg("x"), py::arg("y"), py::arg("dtype"), py::arg("n_x"), py::arg("n_y"),
        py::arg("n_features"), py::arg("term"), py::arg("out"), py::arg("stream"),
        "Sums over features of |x - y|, (x - y)**2 or x * y for all pairs of rows, float64, in the order of "
        "additions of the CPU; x and y at one address are one table.");
  m.def("row_squares", &row_squares, py::arg("x"), py::arg("dtype"), py::arg("n"), py::arg("n_features"),
        py::arg("out"), py::arg("stream"),
        "Sum of squares of every row, to the bit what pair_sums gives a row's product with itself.");
  m.def("match_counts", &match_counts, py::arg("distances"), py::arg("dtype"), py::arg("n"),
        py::arg("n_candidates"), py::arg("row_stride"), py::arg("own"), py::arg("counts"), py::arg("stream"),
        "Into int64 [3][n]: candidates nearer than the own one, equally near, and equally near in columns "
        "before it; NaN is farther than every number and equal to NaN.");
  m.attr("CO_MOMENT_ROWS") = kCoMomentChunk;
  m.attr("TILE_ROWS") = kTileRows;
  m.def("co_moments", &co_moments, py::arg("x"), py::arg("y"), py::arg("dtype"), py::arg("stride_x"),
        py::arg("stride_y"), py::arg("weights"), py::arg("n_rows"), py::arg("n_columns"), py::arg("chunks"),
        py::arg("state"), py::arg("stream"),
        "Co-moments of pairs of rows, column by column, into state [9][n_columns]; chunks is scratch, "
        "[ceil(n_rows / CO_MOMENT_ROWS)][9][n_columns]. Pairs that are not finite are passed over.");
  m.def("group_pair_sums", &group_pair_sums, py::arg("cells"), py::arg("dtype"), py::arg("n_features"),
        py::arg("starts"), py::arg("pairs"), py::arg("tasks"), py::arg("n_pairs"), py::arg("n_tasks"),
        py::arg("term"), py::arg("gammas"), py::arg("n_gammas"), py::arg("tiles"), py::arg("sums"),
        py::arg("stream"),
        "Sum of a term over all ordered pairs of cells of two groups; one row a gamma for rbf. tiles is "
        "scratch, [gammas][n_tasks].");
  m.def("csr_group_sums", &csr_group_sums, py::arg("data"), py::arg("indices"), py::arg("indptr"),
        py::arg("dtype"), py::arg("index_dtype"), py::arg("groups"), py::arg("stream"),
        "Sums and sums of squares [2][n_groups][n_genes] of compressed rows; groups is (order, chunk_starts, "
        "group_chunks, n_chunks, n_groups, n_genes, scale, normalise, chunks, sums).");
  m.def("dense_group_sums", &dense_group_sums, py::arg("data"), py::arg("row_stride"), py::arg("dtype"),
        py::arg("groups"), py::arg("stream"), "The same of dense rows.");
  m.attr("LARGEST_RANKED") = kLargestRanked;
  m.def(
      "rank_sums", &rank_sums, py::arg("control"), py::arg("control_starts"), py::arg("keys"),
      py::arg("starts"), py::arg("sizes"), py::arg("n_control"), py::arg("n_genes"), py::arg("n_groups"),
      py::arg("control_ties"), py::arg("u2"), py::arg("tie"), py::arg("stream"),
      "2U and tie terms [n_groups][n_genes] of groups over a control, from keys that ascend inside each gene "
      "and group and are not 0; control_ties is scratch, uint64 [n_genes].");
  m.def("row_totals", &row_totals, py::arg("data"), py::arg("indptr"), py::arg("dtype"), py::arg("n_rows"),
        py::arg("totals"), py::arg("stream"), "Sum of every compressed row.");
}

}  // namespace vcm::cuda
