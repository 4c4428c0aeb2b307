"""
Compiled kernels of vcmetrics.
"""
from __future__ import annotations
import collections.abc
import numpy
import numpy.typing
import typing
__all__: list[str] = ['bh', 'block_digests', 'byte_planes', 'canonical_rows', 'count_dense', 'count_rows', 'dense_to_rows', 'fill_dense', 'fill_rows', 'gather', 'isa', 'isa_available', 'mean_distances', 'mean_distances_dense', 'pairwise_sums', 'scan_rows', 'transpose_rows', 'two_sided_p']
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
def gather(sides: list, n_cols: typing.SupportsInt | typing.SupportsIndex, key: str, scale: typing.SupportsFloat | typing.SupportsIndex, gate: typing.SupportsFloat | typing.SupportsIndex | None, fields: collections.abc.Set[str], jackknife_target: typing.SupportsFloat | typing.SupportsIndex, n_threads: typing.SupportsInt | typing.SupportsIndex, progress: typing.Any = None, n_wanted: typing.SupportsInt | typing.SupportsIndex | None = None) -> list:
    """
    Group sums, rank sums against a control and the jackknife correction, one dict a side; sides from n_wanted on lend their control and get no tables.
    """
def isa() -> str:
    """
    The instruction set in use; VCMETRICS_ISA can lower it.
    """
def isa_available() -> list[str]:
    """
    The instruction sets that this build and this CPU both have, slowest first.
    """
def mean_distances(rows: tuple, codes: typing.Any, n_groups: typing.SupportsInt | typing.SupportsIndex, pairs: typing.Any, n_threads: typing.SupportsInt | typing.SupportsIndex) -> numpy.typing.NDArray[numpy.float64]:
    """
    Mean Euclidean distance over all ordered pairs of cells of two groups, the zero diagonal included.
    """
def mean_distances_dense(cells: typing.Any, codes: typing.Any, n_groups: typing.SupportsInt | typing.SupportsIndex, pairs: typing.Any, n_threads: typing.SupportsInt | typing.SupportsIndex) -> numpy.typing.NDArray[numpy.float64]:
    """
    The same for dense cells, in the difference form.
    """
def pairwise_sums(x: typing.Any, y: typing.Any, term: str, left_out: typing.Any = None, n_threads: typing.SupportsInt | typing.SupportsIndex = 1) -> numpy.typing.NDArray[numpy.float64]:
    """
    Sums over columns of |x - y|, (x - y)**2 or x * y for all pairs of rows, float64; row i of x leaves column left_out[i] out.
    """
def scan_rows(rows: tuple, n_threads: typing.SupportsInt | typing.SupportsIndex) -> dict:
    """
    Sums and checks of Rows.args() in one read; safe for any content. Returns a dict.
    """
def transpose_rows(rows: tuple, n_threads: typing.SupportsInt | typing.SupportsIndex) -> tuple:
    """
    Compact rows (indptr, indices, data) of the transposed matrix; the rows given must ascend strictly.
    """
def two_sided_p(u2: typing.Any, tie: typing.Any, m: typing.Any, n: typing.SupportsInt | typing.SupportsIndex, continuity: bool, n_threads: typing.SupportsInt | typing.SupportsIndex = 1) -> numpy.typing.NDArray[numpy.float64]:
    """
    Two-sided p-values of rank sums: doubled U and tie terms [rows][columns], group sizes, control size.
    """
