"""Open what the user has: AnnData, .h5ad, .zarr; yield cells in compressed rows."""
