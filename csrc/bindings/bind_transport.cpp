// Transport between groups of dense cells.
#include <cmath>
#include <limits>

#include "bindings/bind.hpp"
#include "bindings/cell_blocks.hpp"
#include "tiles/transport.hpp"

namespace vcm {
namespace {

py::tuple sinkhorn(const py::handle& cells, const py::handle& codes, std::int64_t n_groups,
                   const py::handle& pairs, const py::object& epsilon, double scale, double threshold,
                   std::int64_t max_iterations, std::int64_t check_every, int n_threads,
                   std::int64_t kept_entries) {
  return with_cells(cells, [&](const auto& block) {
    const auto code = checked_codes(codes, block.n_rows, n_groups);
    const auto pair = checked_pairs(pairs, n_groups);
    SinkhornJob job{};
    job.epsilon = epsilon.is_none() ? std::numeric_limits<double>::quiet_NaN() : epsilon.cast<double>();
    require(epsilon.is_none() || (job.epsilon > 0 && std::isfinite(job.epsilon)),
            "epsilon is " + std::string(py::str(epsilon)) + "; expected a positive number, or None");
    require(scale > 0 && std::isfinite(scale),
            "scale is " + std::to_string(scale) + "; expected a positive number");
    require(threshold >= 0, "threshold is " + std::to_string(threshold) + "; expected 0 or more");
    require(max_iterations > 0, "max_iterations is " + text(max_iterations) + "; expected a positive number");
    require(check_every > 0, "check_every is " + text(check_every) + "; expected a positive number");
    require(kept_entries >= 0, "kept_entries is " + text(kept_entries) + "; expected 0 or more");
    const std::int64_t n_pairs = pair.shape(0);
    py::array_t<double> cost(n_pairs);
    py::array_t<std::int64_t> iterations(n_pairs);
    py::array_t<bool> converged(n_pairs);
    job.codes = code.data();
    job.n_groups = n_groups;
    job.pairs = pair.data();
    job.n_pairs = n_pairs;
    job.scale = scale;
    job.threshold = threshold;
    job.max_iterations = max_iterations;
    job.check_every = check_every;
    job.kept_entries = kept_entries;
    job.cost = cost.mutable_data();
    job.iterations = iterations.mutable_data();
    job.converged = converged.mutable_data();
    const Team team = team_of(n_threads);
    without_gil(
        [&] { sinkhorn_costs(block.cells, block.n_rows, block.n_features, block.row_stride, job, team); });
    return py::make_tuple(cost, iterations, converged);
  });
}

}  // namespace

void bind_transport(py::module_& m) {
  m.def(
      "sinkhorn_costs", &sinkhorn, py::arg("cells").noconvert(), py::arg("codes").noconvert(),
      py::arg("n_groups"), py::arg("pairs").noconvert(), py::arg("epsilon") = py::none(),
      py::arg("scale") = 0.05, py::arg("threshold") = 1e-3, py::arg("max_iterations") = 2000,
      py::arg("check_every") = 10, py::arg("n_threads") = 1, py::arg("kept_entries") = std::int64_t{1} << 25,
      "(cost, iterations, converged) of entropic transport between groups, squared Euclidean costs, uniform "
      "weights; epsilon None is scale times the standard deviation of a pair's costs. The cost is that of "
      "the "
      "last iteration where converged is False, and NaN for an empty group or costs that are not finite.");
}

}  // namespace vcm
