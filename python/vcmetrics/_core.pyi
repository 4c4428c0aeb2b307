"""
Compiled kernels of vcmetrics.
"""
from __future__ import annotations
import collections.abc
import numpy
import numpy.typing
import typing
__all__: list[str] = ['add_co_moments', 'add_rows', 'bh', 'block_digests', 'byte_planes', 'canonical_rows', 'column_ranks', 'count_dense', 'count_rows', 'dense_to_rows', 'fill_dense', 'fill_rows', 'gather', 'group_moments', 'group_moments_rows', 'isa', 'isa_available', 'kendall_tau', 'mean_distances', 'pair_means', 'pair_row_sums', 'pairwise_sums', 'panel_sums', 'profile_errors', 'rank_moments', 'resampled_rank_correlations', 'row_squares', 'scan_rows', 'sinkhorn_costs', 'sorted_column_means', 'transpose_rows', 'two_sided_p', 'weighted_pair_sums']
def add_co_moments(state: numpy.typing.NDArray[numpy.float64], x: typing.Any, rows_x: typing.Any, y: typing.Any, rows_y: typing.Any, weights: typing.Any = None, n_threads: typing.SupportsInt | typing.SupportsIndex = 1) -> None:
    """
    Adds pairs of rows to the state [count, weight, mean x, mean y, xx, yy, xy][columns]; pairs of which a value is not finite are passed over.
    """
def add_rows(rows: tuple, totals: typing.Any, codes: typing.Any, key: str, scale: typing.SupportsFloat | typing.SupportsIndex, into: dict, first_row: typing.SupportsInt | typing.SupportsIndex, n_threads: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Add cells to the tables of `into` (n, and any of sum, linear, log1p, log1p_square, expm1, square, nonzero), in the order of the rows.
    """
def bh(p: typing.Any, n_threads: typing.SupportsInt | typing.SupportsIndex = 1) -> numpy.typing.NDArray[numpy.float64]:
    """
    Benjamini-Hochberg adjusted p-values, each row a family; NaN stays NaN and is not counted.
    """
def block_digests(bytes: typing.Any, n_threads: typing.SupportsInt | typing.SupportsIndex) -> bytes:
    """
    A 64-bit digest of every MiB, as bytes.
    """
def byte_planes(from_bytes: typing.Any, width: typing.SupportsInt | typing.SupportsIndex, run: typing.SupportsInt | typing.SupportsIndex, to: typing.Any, n_threads: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Bytes of values of `width` bytes sorted by their place in the value, in each run of `run` values.
    """
def canonical_rows(rows: tuple, n_threads: typing.SupportsInt | typing.SupportsIndex, gene_map: typing.Any, n_cols_new: typing.SupportsInt | typing.SupportsIndex) -> tuple:
    """
    Compact copy (indptr, indices, data): columns ascend, duplicates summed, zeros dropped.
    """
def column_ranks(x: typing.Any, rows_x: typing.Any, y: typing.Any, rows_y: typing.Any, n_threads: typing.SupportsInt | typing.SupportsIndex = 1) -> tuple:
    """
    Average ranks 1 … n of both tables among the pairs of finite values, column by column; else NaN.
    """
def count_dense(matrix: numpy.ndarray, n_threads: typing.SupportsInt | typing.SupportsIndex) -> tuple:
    """
    Row lengths of dense_to_rows and how values can be held.
    """
def count_rows(rows: tuple, n_threads: typing.SupportsInt | typing.SupportsIndex, gene_map: typing.Any, n_cols_new: typing.SupportsInt | typing.SupportsIndex) -> tuple:
    """
    Row lengths of canonical_rows and how values can be held (0 uint16, 1 float32, 2 float64).
    """
def dense_to_rows(matrix: numpy.ndarray, n_threads: typing.SupportsInt | typing.SupportsIndex) -> tuple:
    """
    Compact rows (indptr, indices, data) of a dense matrix with any strides.
    """
def fill_dense(matrix: numpy.ndarray, n_threads: typing.SupportsInt | typing.SupportsIndex, indptr: typing.Any, indices: typing.Any, data: typing.Any) -> None:
    """
    Write the rows of a dense matrix into given arrays at indptr.
    """
def fill_rows(rows: tuple, n_threads: typing.SupportsInt | typing.SupportsIndex, gene_map: typing.Any, n_cols_new: typing.SupportsInt | typing.SupportsIndex, indptr: typing.Any, indices: typing.Any, data: typing.Any) -> None:
    """
    Write canonical rows into given arrays at indptr.
    """
def gather(sides: list, n_cols: typing.SupportsInt | typing.SupportsIndex, key: str, scale: typing.SupportsFloat | typing.SupportsIndex, gate: typing.SupportsFloat | typing.SupportsIndex | None, fields: collections.abc.Set[str], jackknife_target: typing.SupportsFloat | typing.SupportsIndex, n_threads: typing.SupportsInt | typing.SupportsIndex, progress: typing.Any = None, n_wanted: typing.SupportsInt | typing.SupportsIndex | None = None, depths: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex] = []) -> list:
    """
    Group sums, rank sums against a control and the jackknife correction, one dict a side; depths: further library sizes at which log1p (and log1p_square) are summed, one dict each in 'depths'; sides from n_wanted on lend their control and get no tables.
    """
def group_moments(cells: typing.Any, codes: typing.Any, n_groups: typing.SupportsInt | typing.SupportsIndex, n_threads: typing.SupportsInt | typing.SupportsIndex = 1) -> tuple:
    """
    (counts, mean, m2) of every group of dense cells: numbers of cells, means and sums of squared deviations [n_groups][n_features], float64; NaN for an empty group.
    """
def group_moments_rows(rows: tuple, codes: typing.Any, n_groups: typing.SupportsInt | typing.SupportsIndex, n_threads: typing.SupportsInt | typing.SupportsIndex = 1) -> tuple:
    """
    The same for compressed rows; what is not stored counts as 0.
    """
def isa() -> str:
    """
    The instruction set in use; VCMETRICS_ISA can lower it.
    """
def isa_available() -> list[str]:
    """
    The instruction sets that this build and this CPU both have, slowest first.
    """
def kendall_tau(profiles: typing.Any, pairs: typing.Any, n_threads: typing.SupportsInt | typing.SupportsIndex = 1) -> numpy.typing.NDArray[numpy.float64]:
    """
    Kendall's tau-b of pairs of rows, float64; NaN where a row is constant or holds a NaN.
    """
def mean_distances(rows: tuple, codes: typing.Any, n_groups: typing.SupportsInt | typing.SupportsIndex, pairs: typing.Any, n_threads: typing.SupportsInt | typing.SupportsIndex) -> numpy.typing.NDArray[numpy.float64]:
    """
    Mean Euclidean distance over all ordered pairs of cells of two groups, the zero diagonal included.
    """
def pair_means(cells: typing.Any, codes: typing.Any, n_groups: typing.SupportsInt | typing.SupportsIndex, pairs: typing.Any, term: str, gammas: collections.abc.Sequence[typing.SupportsFloat | typing.SupportsIndex] | None = None, estimator: str = 'v', n_threads: typing.SupportsInt | typing.SupportsIndex = 1, progress: typing.Any = None) -> numpy.typing.NDArray[numpy.float64]:
    """
    Mean of a term over the pairs of dense cells of two groups; one row a gamma for 'rbf'.
    """
def pair_row_sums(x: typing.Any, y: typing.Any, term: str, gamma: typing.SupportsFloat | typing.SupportsIndex | None = None, n_threads: typing.SupportsInt | typing.SupportsIndex = 1) -> numpy.typing.NDArray[numpy.float64]:
    """
    Sum over j of term(x_i, y_j) for each cell i; y None: over the cells of x, i included.
    """
def pairwise_sums(x: typing.Any, y: typing.Any, term: str, left_out: typing.Any = None, n_threads: typing.SupportsInt | typing.SupportsIndex = 1) -> numpy.typing.NDArray[numpy.float64]:
    """
    Sums over columns of |x - y|, (x - y)**2 or x * y for all pairs of rows, float64; row i of x leaves column left_out[i] out.
    """
def panel_sums(x: typing.Any, y: typing.Any, term: str, out: typing.Any, n_threads: typing.SupportsInt | typing.SupportsIndex = 1, without: typing.Any = None) -> None:
    """
    Sums over columns of |x - y|, (x - y)**2 or x * y for all pairs of rows into `out`, in float64; x and y are both float32 or both float64. The ascending columns `without` are left out.
    """
def profile_errors(x: typing.Any, real: typing.Any, match: typing.Any, control_x: typing.Any, control_real: typing.Any, effects: typing.Any, left_out: typing.Any, n_threads: typing.SupportsInt | typing.SupportsIndex = 1) -> numpy.typing.NDArray[numpy.float64]:
    """
    Per row of x against row match[i] of real: mae, mse, delta_mae, delta_mse, pearson, and the ranges (low, high) of both effects; writes predicted effects, zero at the genes left out, where wanted.
    """
def rank_moments(x: typing.Any, rows_x: typing.Any, y: typing.Any, rows_y: typing.Any, n_threads: typing.SupportsInt | typing.SupportsIndex = 1) -> numpy.typing.NDArray[numpy.float64]:
    """
    Pairs used and centred moments xx, yy, xy of average ranks, [4][columns].
    """
def resampled_rank_correlations(x: typing.Any, y: typing.Any, counts: typing.Any, n_threads: typing.SupportsInt | typing.SupportsIndex = 1) -> numpy.typing.NDArray[numpy.float64]:
    """
    Spearman correlation of every column in every resample, ranked anew; row r counts counts[b][r] times.
    """
def row_squares(x: typing.Any, n_threads: typing.SupportsInt | typing.SupportsIndex = 1, without: typing.Any = None) -> numpy.typing.NDArray[numpy.float64]:
    """
    Sum of squares of every row, float64, to the bit what panel_sums gives a row's product with itself.
    """
def scan_rows(rows: tuple, n_threads: typing.SupportsInt | typing.SupportsIndex) -> dict:
    """
    Sums and checks of Rows.args() in one read; safe for any content. Returns a dict.
    """
def sinkhorn_costs(cells: typing.Any, codes: typing.Any, n_groups: typing.SupportsInt | typing.SupportsIndex, pairs: typing.Any, epsilon: typing.Any = None, scale: typing.SupportsFloat | typing.SupportsIndex = 0.05, threshold: typing.SupportsFloat | typing.SupportsIndex = 0.001, max_iterations: typing.SupportsInt | typing.SupportsIndex = 2000, check_every: typing.SupportsInt | typing.SupportsIndex = 10, n_threads: typing.SupportsInt | typing.SupportsIndex = 1, kept_entries: typing.SupportsInt | typing.SupportsIndex = 33554432) -> tuple:
    """
    (cost, iterations, converged) of entropic transport between groups, squared Euclidean costs, uniform weights; epsilon None is scale times the standard deviation of a pair's costs. The cost is that of the last iteration where converged is False, and NaN for an empty group or costs that are not finite.
    """
def sorted_column_means(cells: typing.Any, codes: typing.Any, n_groups: typing.SupportsInt | typing.SupportsIndex, pairs: typing.Any, statistic: str = 'ks', n_threads: typing.SupportsInt | typing.SupportsIndex = 1, budget: typing.SupportsInt | typing.SupportsIndex = 67108864) -> numpy.typing.NDArray[numpy.float64]:
    """
    Means over the features of the two-sample Kolmogorov-Smirnov statistic (ks), the 1-D Wasserstein distance (w1) or its square of order 2 (w2sq) between groups; NaN for an empty group or values that are not finite. `budget` is the bytes of sorted values at a time.
    """
def transpose_rows(rows: tuple, n_threads: typing.SupportsInt | typing.SupportsIndex) -> tuple:
    """
    Compact rows (indptr, indices, data) of the transposed matrix; the rows given must ascend strictly.
    """
def two_sided_p(u2: typing.Any, tie: typing.Any, m: typing.Any, n: typing.SupportsInt | typing.SupportsIndex, continuity: bool, n_threads: typing.SupportsInt | typing.SupportsIndex = 1) -> numpy.typing.NDArray[numpy.float64]:
    """
    Two-sided p-values of rank sums: doubled U and tie terms [rows][columns], group sizes, control size.
    """
def weighted_pair_sums(x: typing.Any, y: typing.Any, wx: typing.Any, wy: typing.Any, term: str, gamma: typing.SupportsFloat | typing.SupportsIndex | None = None, n_threads: typing.SupportsInt | typing.SupportsIndex = 1, progress: typing.Any = None) -> numpy.typing.NDArray[numpy.float64]:
    """
    Sum over i, j of wx[i, b] wy[j, b] term(x_i, y_j) for each column b; y and wy None: x with itself.
    """
