"""AnnData on disk: ``.h5ad`` files and ``.zarr`` stores, read without anndata."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.sources.annotations import Frame, encoding_of, is_array, read_values
from vcmetrics.sources.arrays import ChunkReader, StoredArray, one_line, reading
from vcmetrics.sources.genes import some
from vcmetrics.sources.hdf5 import HDF5Array, HDF5File
from vcmetrics.sources.matrix import Matrix, stored_matrix
from vcmetrics.sources.zarr_chunks import local_chunks


class Store(Protocol):
    """What holds cells, genes and matrices: a file or an AnnData."""

    name: str
    n_obs: int
    n_vars: int

    def genes(self) -> NDArray[np.str_]:
        """Names of the genes."""

    def obs_names(self) -> list[str]:
        """Names of the cells."""

    def columns(self) -> list[str]:
        """Names of the columns of ``obs``."""

    def column(self, name: str) -> NDArray[np.object_]:
        """Labels of a column, None where missing."""

    def group_order(self, name: str) -> list[str] | None:
        """Labels of a column in the order of its categories, or of its numbers; None for plain text."""

    def layers(self) -> list[str]:
        """Names of the layers."""

    def matrix(self, layer: str | None) -> Matrix:
        """``X`` or a layer."""

    def obsm_keys(self) -> list[str]:
        """Names of the embeddings."""

    def obsm(self, key: str, *, as_stored: bool = False) -> NDArray[Any]:
        """One embedding, cells × dimensions: float64, or float32 where it is stored so and ``as_stored``."""

    def identity(self) -> str | None:
        """What names this content without reading it; None where only the content does."""

    def release(self) -> None:
        """Give pages of mapped files back to the system; they stay readable."""

    def close(self) -> None:
        """Let go of files."""


class ZarrArray(ChunkReader):
    """One array of a zarr store; several threads inflate its chunks where the format allows it, else zarr does."""

    why_copied = "kept in a .zarr store"

    def __init__(self, array: Any, name: str) -> None:
        super().__init__(name, tuple(array.shape), np.dtype(array.dtype), array.chunks[0] if array.chunks else 1)
        self._array = array
        self._chunks = local_chunks(array)

    def load(self, start: int, stop: int, n_threads: int) -> NDArray[Any]:
        """Read a range."""
        if self._chunks is not None:
            return self._chunks.read(start, stop, n_threads)
        return np.asarray(self._array[start:stop])


class StoredAnnData:
    """An AnnData in a file or store, opened for reading."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = repr(str(path))
        self._file: HDF5File | None = None
        self._root = self._open()
        try:
            with reading(self.name, "obs and var"):
                for part in ("obs", "var"):
                    if part not in self._root:
                        msg = f"{self.name}: has no {part!r}; it is not an AnnData file"
                        raise DataError(msg)
                self._obs = self._frame("obs")
                self._var = self._frame("var")
                self.n_obs, self.n_vars = self._obs.n, self._var.n
        except DataError:
            self.close()
            raise

    def _open(self) -> Any:
        try:
            directory = self.path.is_dir()
            self.path.stat()
        except FileNotFoundError as error:
            msg = f"{self.name}: no such file; check the path"
            raise DataError(msg) from error
        except OSError as error:
            msg = f"{self.name}: cannot be read ({error.strerror or one_line(error)})"
            raise DataError(msg) from error
        if not directory:
            self._file = HDF5File(self.path, self.name)
            return self._file.root
        if not any((self.path / mark).exists() for mark in (".zgroup", "zarr.json", ".zmetadata")):
            msg = f"{self.name}: is a directory, but no zarr store (it has neither .zgroup nor zarr.json)"
            raise DataError(msg)
        try:
            import zarr
        except ImportError as error:
            msg = f"{self.name}: reading a .zarr store needs zarr ({one_line(error)}); pip install zarr"
            raise DataError(msg) from error
        with reading(self.name, "the store"):
            return zarr.open_group(str(self.path), mode="r")

    def _frame(self, part: str) -> Frame:
        node = self._root[part]
        legacy = self._root["uns"] if is_array(node) and "uns" in self._root else None
        with reading(self.name, part):
            return Frame(node, legacy, self._read)

    def _read(self, node: Any, field: str | None = None) -> NDArray[Any]:
        return read_values(node, field) if self._file is None else self._file.read_values(node, field)

    def _array(self, node: Any) -> StoredArray:
        return ZarrArray(node, self.name) if self._file is None else HDF5Array(node, self._file, self.name)

    def genes(self) -> NDArray[np.str_]:
        """Names of the genes."""
        with reading(self.name, "the gene names"):
            return np.array(self._var.index(), dtype=str)

    def obs_names(self) -> list[str]:
        """Names of the cells."""
        with reading(self.name, "the names of the cells"):
            return [str(name) for name in self._obs.index()]

    def columns(self) -> list[str]:
        """Names of the columns of ``obs``."""
        with reading(self.name, "obs"):
            return self._obs.columns()

    def column(self, name: str) -> NDArray[np.object_]:
        """Labels of a column, None where missing."""
        with reading(self.name, f"obs column {name!r}"):
            return self._obs.column(name)

    def group_order(self, name: str) -> list[str] | None:
        """Labels of a column in the order of its categories, or of its numbers; None for plain text."""
        with reading(self.name, f"obs column {name!r}"):
            return self._obs.group_order(name)

    def layers(self) -> list[str]:
        """Names of the layers."""
        return self._keys("layers")

    def obsm_keys(self) -> list[str]:
        """Names of the embeddings."""
        return self._keys("obsm")

    def _keys(self, part: str) -> list[str]:
        with reading(self.name, part):
            if part not in self._root:
                return []
            group = self._root[part]
            # before AnnData 0.7, obsm was one compound array
            return list(group.dtype.names or ()) if is_array(group) else sorted(str(key) for key in group)

    def matrix(self, layer: str | None) -> Matrix:
        """``X`` or a layer, checked against the numbers of cells and genes."""
        what = "X" if layer is None else f"layer {layer!r}"
        with reading(self.name, what):
            node = None
            if layer is not None and layer in self.layers():
                node = self._root["layers"][layer]
            elif layer is None and "X" in self._root and encoding_of(self._root["X"]) != "null":
                node = self._root["X"]
            if node is None:
                layers = self.layers()
                msg = f"{self.name}: has no {what} (layers: {some(layers) or 'none'}); pass layer=..."
                raise DataError(msg)
            return stored_matrix(node, self.n_obs, self.n_vars, self._array)

    def obsm(self, key: str, *, as_stored: bool = False) -> NDArray[Any]:
        """One embedding, cells × dimensions: float64, or float32 where it is stored so and ``as_stored``."""
        with reading(self.name, f"obsm {key!r}"):
            group = self._root["obsm"]
            values = np.asarray(group[key]) if is_array(group) else self._embedding(group[key], key)
            if not (as_stored and values.dtype == np.float32):
                values = values.astype(np.float64, copy=False)
            values = values.reshape(values.shape[0], -1) if values.ndim else values
            if values.ndim != 2 or values.shape[0] != self.n_obs:
                msg = f"{self.name}: obsm {key!r} has shape {values.shape}, expected {self.n_obs} rows"
                raise DataError(msg)
            return values

    def _embedding(self, node: Any, key: str) -> NDArray[Any]:
        if is_array(node):
            return read_values(node)
        if encoding_of(node) == "dataframe":
            frame = Frame(node, read=self._read)
            return np.stack([np.asarray(read_values(node[name]), np.float64) for name in frame.columns()], axis=1)
        if "indptr" in node and "shape" in node.attrs:
            from scipy import sparse

            parts = tuple(np.asarray(node[part][...]) for part in ("data", "indices", "indptr"))
            shape = tuple(int(length) for length in node.attrs["shape"])
            build = sparse.csc_matrix if encoding_of(node) == "csc_matrix" else sparse.csr_matrix
            matrix = build(parts, shape=shape)
            matrix.check_format(full_check=True)
            return np.asarray(matrix.toarray())
        msg = f"{self.name}: obsm {key!r} has the encoding {encoding_of(node)!r}, which vcmetrics does not read"
        raise DataError(msg)

    def identity(self) -> str | None:
        """Path, sizes and times of the file, or of every file of the store."""
        digest = hashlib.sha256(str(self.path.resolve()).encode())
        files = [self.path] if self._file is not None else sorted(p for p in self.path.rglob("*") if p.is_file())
        for file in files:
            stat = file.stat()
            digest.update(f"{file.relative_to(self.path)}|{stat.st_size}|{stat.st_mtime_ns}\n".encode())
        return digest.hexdigest()

    def release(self) -> None:
        """Give pages of the mapped file back to the system."""
        if self._file is not None:
            self._file.release()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def as_path(data: object) -> Path | None:
    """Return the path that the caller gave, or None if it is something else."""
    return Path(os.fspath(data)).expanduser() if isinstance(data, str | os.PathLike) else None
