"""Open what the user has: AnnData, .h5ad, .zarr; yield cells in compressed rows."""

from vcmetrics.sources.cells import Cells, open_cells
from vcmetrics.sources.genes import align_genes, check_unique
from vcmetrics.sources.rows import ChunkedArray, Rows

__all__ = ["Cells", "ChunkedArray", "Rows", "align_genes", "check_unique", "open_cells"]
