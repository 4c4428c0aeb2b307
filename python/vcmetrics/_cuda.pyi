"""
CUDA side of vcmetrics; importing it needs no driver.
"""
from __future__ import annotations
import typing
__all__: list[str] = ['CO_MOMENT_ROWS', 'LARGEST_RANKED', 'TILE_ROWS', 'co_moments', 'csr_group_sums', 'cuda_version', 'dense_group_sums', 'device_count', 'device_facts', 'group_pair_sums', 'match_counts', 'pair_sums', 'rank_sums', 'row_squares', 'row_totals', 'use_device']
def co_moments(x: typing.SupportsInt | typing.SupportsIndex, y: typing.SupportsInt | typing.SupportsIndex, dtype: str, stride_x: typing.SupportsInt | typing.SupportsIndex, stride_y: typing.SupportsInt | typing.SupportsIndex, weights: typing.SupportsInt | typing.SupportsIndex, n_rows: typing.SupportsInt | typing.SupportsIndex, n_columns: typing.SupportsInt | typing.SupportsIndex, chunks: typing.SupportsInt | typing.SupportsIndex, state: typing.SupportsInt | typing.SupportsIndex, stream: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Co-moments of pairs of rows, column by column, into state [9][n_columns]; chunks is scratch, [ceil(n_rows / CO_MOMENT_ROWS)][9][n_columns]. Pairs that are not finite are passed over.
    """
def csr_group_sums(data: typing.SupportsInt | typing.SupportsIndex, indices: typing.SupportsInt | typing.SupportsIndex, indptr: typing.SupportsInt | typing.SupportsIndex, dtype: str, index_dtype: str, groups: tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex, str, typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex], stream: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Sums and sums of squares [2][n_groups][n_genes] of compressed rows; groups is (order, chunk_starts, group_chunks, n_chunks, n_groups, n_genes, scale, normalise, chunks, sums).
    """
def cuda_version() -> int:
    """
    The CUDA release it is built with, 13000 for 13.0.
    """
def dense_group_sums(data: typing.SupportsInt | typing.SupportsIndex, row_stride: typing.SupportsInt | typing.SupportsIndex, dtype: str, groups: tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex, str, typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex], stream: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    The same of dense rows.
    """
def device_count() -> tuple[int, str]:
    """
    Number of usable devices, and the reason where that is 0.
    """
def device_facts(device: typing.SupportsInt | typing.SupportsIndex) -> tuple[str, int, int, int]:
    """
    (name, bytes of memory, major, minor) of a device, the last two its compute capability.
    """
def group_pair_sums(cells: typing.SupportsInt | typing.SupportsIndex, dtype: str, n_features: typing.SupportsInt | typing.SupportsIndex, starts: typing.SupportsInt | typing.SupportsIndex, pairs: typing.SupportsInt | typing.SupportsIndex, tasks: typing.SupportsInt | typing.SupportsIndex, n_pairs: typing.SupportsInt | typing.SupportsIndex, n_tasks: typing.SupportsInt | typing.SupportsIndex, term: str, gammas: typing.SupportsInt | typing.SupportsIndex, n_gammas: typing.SupportsInt | typing.SupportsIndex, tiles: typing.SupportsInt | typing.SupportsIndex, sums: typing.SupportsInt | typing.SupportsIndex, stream: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Sum of a term over all ordered pairs of cells of two groups; one row a gamma for rbf. tiles is scratch, [gammas][n_tasks].
    """
def match_counts(distances: typing.SupportsInt | typing.SupportsIndex, dtype: str, n: typing.SupportsInt | typing.SupportsIndex, n_candidates: typing.SupportsInt | typing.SupportsIndex, row_stride: typing.SupportsInt | typing.SupportsIndex, own: typing.SupportsInt | typing.SupportsIndex, counts: typing.SupportsInt | typing.SupportsIndex, stream: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Into int64 [3][n]: candidates nearer than the own one, equally near, and equally near in columns before it; NaN is farther than every number and equal to NaN.
    """
def pair_sums(x: typing.SupportsInt | typing.SupportsIndex, y: typing.SupportsInt | typing.SupportsIndex, dtype: str, n_x: typing.SupportsInt | typing.SupportsIndex, n_y: typing.SupportsInt | typing.SupportsIndex, n_features: typing.SupportsInt | typing.SupportsIndex, term: str, out: typing.SupportsInt | typing.SupportsIndex, stream: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Sums over features of |x - y|, (x - y)**2 or x * y for all pairs of rows, float64, in the order of additions of the CPU; x and y at one address are one table.
    """
def rank_sums(control: typing.SupportsInt | typing.SupportsIndex, control_starts: typing.SupportsInt | typing.SupportsIndex, keys: typing.SupportsInt | typing.SupportsIndex, starts: typing.SupportsInt | typing.SupportsIndex, sizes: typing.SupportsInt | typing.SupportsIndex, n_control: typing.SupportsInt | typing.SupportsIndex, n_genes: typing.SupportsInt | typing.SupportsIndex, n_groups: typing.SupportsInt | typing.SupportsIndex, control_ties: typing.SupportsInt | typing.SupportsIndex, u2: typing.SupportsInt | typing.SupportsIndex, tie: typing.SupportsInt | typing.SupportsIndex, stream: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    2U and tie terms [n_groups][n_genes] of groups over a control, from keys that ascend inside each gene and group and are not 0; control_ties is scratch, uint64 [n_genes].
    """
def row_squares(x: typing.SupportsInt | typing.SupportsIndex, dtype: str, n: typing.SupportsInt | typing.SupportsIndex, n_features: typing.SupportsInt | typing.SupportsIndex, out: typing.SupportsInt | typing.SupportsIndex, stream: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Sum of squares of every row, to the bit what pair_sums gives a row's product with itself.
    """
def row_totals(data: typing.SupportsInt | typing.SupportsIndex, indptr: typing.SupportsInt | typing.SupportsIndex, dtype: str, n_rows: typing.SupportsInt | typing.SupportsIndex, totals: typing.SupportsInt | typing.SupportsIndex, stream: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Sum of every compressed row.
    """
def use_device(device: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    The device of this thread's later launches; the runtime inside keeps its own.
    """
CO_MOMENT_ROWS: int = 256
LARGEST_RANKED: int = 2000000
TILE_ROWS: int = 64
