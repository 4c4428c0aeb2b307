"""AnnData of the caller: arrays in memory are used where they lie and never written to, others read by blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.sources.annotations import label_texts, labels_of_codes, number_order
from vcmetrics.sources.arrays import MemoryArray, StoredArray, reading
from vcmetrics.sources.genes import some
from vcmetrics.sources.hdf5 import HDF5Array, HDF5File
from vcmetrics.sources.lazy import lazy_matrix, looks_lazy
from vcmetrics.sources.matrix import Matrix, dense_matrix, sparse_matrix, stored_matrix
from vcmetrics.sources.stored import ZarrArray


def looks_like_anndata(data: object) -> bool:
    """Tell an AnnData by what it has, so that anndata need not be imported."""
    return all(hasattr(type(data), part) for part in ("obs", "var", "X", "layers", "obsm", "n_obs", "n_vars"))


class MemoryAnnData:
    """An AnnData of the caller: in memory, backed by a file, read lazily, or a view."""

    def __init__(self, adata: Any, name: str = "adata") -> None:
        self._file: HDF5File | None = None  # of backed data, opened a second time to be mapped
        self._adata = adata
        self.name = name
        self.n_obs = int(adata.n_obs)
        self.n_vars = int(adata.n_vars)

    def genes(self) -> NDArray[np.str_]:
        """Names of the genes."""
        return np.array(label_texts(self._adata.var_names.to_numpy()), dtype=str)

    def obs_names(self) -> list[str]:
        """Names of the cells."""
        return [str(name) for name in label_texts(self._adata.obs_names.to_numpy())]

    def columns(self) -> list[str]:
        """Names of the columns of ``obs``."""
        return [str(name) for name in self._adata.obs.columns]

    def _series(self, name: str) -> Any:
        obs = self._adata.obs
        # columns may be named by other things than str
        series = obs[name] if name in obs.columns else obs.iloc[:, self.columns().index(name)]
        if not hasattr(series, "to_pandas"):
            return series
        import pandas as pd

        # of xarray, where data are read lazily; its own conversion loses categories
        return pd.Series(series.data if series.dtype.name == "category" else series.to_numpy())

    def column(self, name: str) -> NDArray[np.object_]:
        """Labels of a column, None where missing."""
        series = self._series(name)
        if series.dtype.name == "category":
            categories = label_texts(series.cat.categories.to_numpy(dtype=object))
            return labels_of_codes(series.cat.codes.to_numpy(), categories)
        missing = series.isna().to_numpy()
        if missing.any() and series.dtype.kind not in "fiub":
            values = series.to_numpy(dtype=object, na_value=None)
        else:
            values = series.to_numpy()
        if hasattr(series.dtype, "numpy_dtype") and series.dtype.kind in "fiub":  # nullable numbers
            values = series.to_numpy(dtype=series.dtype.numpy_dtype, na_value=0)
        return label_texts(values, missing)

    def group_order(self, name: str) -> list[str] | None:
        """Labels of a column in the order of its categories, or of its numbers; None for plain text."""
        series = self._series(name)
        if series.dtype.name == "category":
            return [str(label) for label in label_texts(series.cat.categories.to_numpy(dtype=object))]
        return number_order(series.dropna().to_numpy())

    def layers(self) -> list[str]:
        """Names of the layers."""
        # anndata 0.13 will list X among them under None
        return [str(key) for key in self._adata.layers if key is not None]

    def obsm_keys(self) -> list[str]:
        """Names of the embeddings."""
        return [str(key) for key in self._adata.obsm]

    def values(self, layer: str | None) -> Any:
        """``X`` or a layer, as the AnnData has it."""
        values = None
        if layer is None or layer in self.layers():
            values = self._adata.X if layer is None else self._adata.layers[layer]
        if values is None:
            what = "X" if layer is None else f"layer {layer!r}"
            msg = f"{self.name}: has no {what} (layers: {some(self.layers()) or 'none'}); pass layer=..."
            raise DataError(msg)
        return values

    def matrix(self, layer: str | None) -> Matrix:
        """``X`` or a layer."""
        values, what = self.values(layer), "X" if layer is None else f"layer {layer!r}"
        try:
            return self._wrap(values, what)
        except DataError as error:
            msg = f"{self.name}: {what}: {error}"
            raise DataError(msg) from error

    def _wrap(self, values: Any, what: str) -> Matrix:
        shape = (self.n_obs, self.n_vars)
        if tuple(values.shape) != shape:
            msg = f"is {values.shape[0]} × {values.shape[1]}, but obs has {shape[0]} rows and var has {shape[1]}"
            raise DataError(msg)
        layout = getattr(values, "format", None)
        if layout in ("csr", "csc") and hasattr(values, "indptr"):
            return sparse_matrix(layout, shape, MemoryArray(values.data), MemoryArray(values.indices), values.indptr)
        if isinstance(values, np.ndarray):
            return dense_matrix(MemoryArray(np.asarray(values)))
        if looks_lazy(values):
            return lazy_matrix(values, self.name)
        # backed: a dataset (dense), or a wrapper with its group (sparse)
        group = getattr(values, "group", values)
        kind = type(group).__module__.partition(".")[0]
        if kind in ("h5py", "zarr"):
            with reading(self.name, what):
                return stored_matrix(group, *shape, self._array)
        msg = (
            f"{self.name}: {what} is a {type(values).__module__}.{type(values).__qualname__}; "
            "expected a NumPy array, a SciPy CSR or CSC matrix, or a Dask array of these"
        )
        raise TypeError(msg)

    def _array(self, node: Any) -> StoredArray:
        if type(node).__module__.partition(".")[0] == "h5py":
            return HDF5Array(node, self._mapped_file(node.file), self.name)
        return ZarrArray(node, self.name)

    def _mapped_file(self, file: Any) -> HDF5File | None:
        """The file of backed data, once more; None while it may be written to."""
        if file.mode != "r":
            return None
        if self._file is None:
            self._file = HDF5File(Path(file.filename), self.name)
        return self._file

    def obsm(self, key: str, *, as_stored: bool = False) -> NDArray[Any]:
        """One embedding, cells × dimensions: float64, or float32 where it is stored so and ``as_stored``."""
        values = self._adata.obsm[key]
        if hasattr(values, "toarray"):
            values = values.toarray()
        out = np.asarray(values)
        if not (as_stored and out.dtype == np.float32):
            out = out.astype(np.float64, copy=False)
        return out.reshape(out.shape[0], -1)

    def identity(self) -> str | None:
        """Return None: only the content names it."""
        return None

    def release(self) -> None:
        """Give pages of a mapped file back to the system."""
        if self._file is not None:
            self._file.release()

    def close(self) -> None:
        """Close what was opened here; the caller's own file stays open."""
        if self._file is not None:
            self._file.close()
