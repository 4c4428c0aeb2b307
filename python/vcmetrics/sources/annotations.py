"""Labels and names of cells and genes, in every encoding that AnnData has written.

Works on the common ground of h5py and zarr: a group has ``[]``, ``in`` and ``attrs``; an array also has
``shape`` and ``dtype``.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError


def attribute(node: Any, key: str, default: Any = None) -> Any:
    """Return an attribute with bytes decoded and one-element arrays unwrapped."""
    if key not in node.attrs:
        return default
    value = node.attrs[key]
    if isinstance(value, np.ndarray) and value.shape in ((), (1,)):
        value = value.reshape(-1)[0]
    if isinstance(value, bytes):
        return value.decode()
    return value


def encoding_of(node: Any) -> str:
    """Return the encoding that AnnData declared, or "" (files older than 0.7 declare none)."""
    value = attribute(node, "encoding-type", "")
    return value if isinstance(value, str) else ""


def is_array(node: Any) -> bool:
    """Tell an array from a group."""
    return hasattr(node, "shape")


class ReadValues(Protocol):
    """Reads a whole annotation array, or one field of it; strings come as ``str`` objects."""

    def __call__(self, node: Any, field: str | None = None) -> NDArray[Any]:
        """Return the values."""


def read_values(node: Any, field: str | None = None) -> NDArray[Any]:
    """Read a whole annotation array; strings come as ``str`` objects."""
    check_size(node)
    if field is not None:
        return np.asarray(node[field])
    if node.dtype.kind == "O" and hasattr(node, "asstr"):
        return np.asarray(node.asstr()[...])
    return np.asarray(node[...])


def check_size(node: Any) -> None:
    """Refuse a size that the stored bytes cannot hold: it comes from a damaged header and must not be allocated."""
    size = int(np.prod(node.shape, dtype=np.float64))
    stored = getattr(getattr(node, "id", None), "get_storage_size", None)
    if stored is not None and size * node.dtype.itemsize > (1 << 20) + 1100 * stored():
        msg = f"states {size} elements, more than its {stored()} stored bytes can hold"
        raise DataError(msg)


def _decoded(values: NDArray[Any]) -> NDArray[Any]:
    """Bytes of either kind as ``str`` objects."""
    if values.dtype.kind == "S":
        return np.char.decode(values, "utf-8").astype(object)
    if values.dtype.kind == "O":
        out = values.copy()
        for i, value in enumerate(values):
            if isinstance(value, bytes):
                out[i] = value.decode()
        return out
    return values


def label_texts(values: NDArray[Any], missing: NDArray[np.bool_] | None = None) -> NDArray[np.object_]:
    """Labels as text: ``str`` objects, None where missing (None, NaN, or marked so).

    Numbers are spelled as Python spells them (``1``, ``1.0``, ``True``).
    """
    values = _decoded(np.asarray(values).reshape(-1))
    out = np.empty(values.size, object)
    if values.dtype.kind in "fiub":
        unique, inverse = np.unique(values, return_inverse=True)
        if unique.size:
            out[:] = np.array([str(value) for value in unique], object)[inverse.reshape(-1)]
        if values.dtype.kind == "f":
            out[np.isnan(values)] = None
    else:
        out[:] = [None if v is None or (isinstance(v, float) and v != v) else str(v) for v in values.tolist()]
    if missing is not None:
        out[np.asarray(missing, bool).reshape(-1)] = None
    return out


def labels_of_codes(codes: NDArray[Any], categories: NDArray[np.object_]) -> NDArray[np.object_]:
    """Labels of a categorical: code -1 is missing; categories that no cell has do not matter."""
    codes = np.asarray(codes).reshape(-1)
    if codes.dtype.kind not in "iu":
        msg = f"category codes are {codes.dtype}, not whole numbers"
        raise DataError(msg)
    if codes.size and (codes.min() < -1 or codes.max() >= categories.size):
        msg = f"category codes run from {codes.min()} to {codes.max()} for {categories.size} categories"
        raise DataError(msg)
    out: NDArray[np.object_] = np.append(categories, np.array([None], object))[codes]
    return out


def number_order(values: NDArray[Any]) -> list[str] | None:
    """Labels of numbers, ascending; None for text."""
    if values.dtype.kind not in "fiub":
        return None
    return [label for label in label_texts(np.unique(values)) if label is not None]


class Frame:
    """A stored data frame (``obs`` or ``var``): its length, its index, its columns as labels.

    Parameters
    ----------
    node
        Group (AnnData 0.7 and later) or compound array (earlier).
    legacy_categories
        The group ``uns`` of a file older than 0.7: it keeps categories under ``<column>_categories``.
    read
        Reads a whole array, or a field of it.
    """

    def __init__(self, node: Any, legacy_categories: Any = None, read: ReadValues = read_values) -> None:
        self._node = node
        self._read = read
        self._legacy = legacy_categories
        self._compound = is_array(node)
        if self._compound:
            if not node.dtype.names:
                msg = "is an array, not a data frame"
                raise DataError(msg)
            self._index = node.dtype.names[0]
            self.n = int(node.shape[0])
        else:
            self._index = str(attribute(node, "_index", "_index"))
            if self._index not in node:
                msg = f"has no index column {self._index!r}"
                raise DataError(msg)
            self.n = self._length(node[self._index])

    @staticmethod
    def _length(column: Any) -> int:
        if is_array(column):
            return int(column.shape[0]) if column.shape else 1
        for part in ("codes", "values"):
            if part in column:
                return int(column[part].shape[0])
        msg = f"has an index of the unknown encoding {encoding_of(column)!r}"
        raise DataError(msg)

    def columns(self) -> list[str]:
        """Names of the columns, in the order of the frame; the index is not one of them."""
        if self._compound:
            return [str(name) for name in self._node.dtype.names[1:]]
        stored = self._node.attrs.get("column-order")
        if stored is None:
            return [str(key) for key in self._node if key not in (self._index, "__categories")]
        names = [name.decode() if isinstance(name, bytes) else str(name) for name in np.asarray(stored).reshape(-1)]
        return [name for name in names if name in self._node]

    def index(self) -> NDArray[np.object_]:
        """Names of the rows."""
        return self.column(self._index)

    def column(self, name: str) -> NDArray[np.object_]:
        """Labels of one column as ``str`` objects, None where missing."""
        labels = self._compound_column(name) if self._compound else self._group_column(self._node[name])
        if labels.size != self.n:
            msg = f"column {name!r} has {labels.size} entries for {self.n} rows"
            raise DataError(msg)
        return labels

    def group_order(self, name: str) -> list[str] | None:
        """Labels of a column in the order of its categories, or of its numbers; None for plain text."""
        if self._compound:
            values, key = self._read(self._node, name), f"{name}_categories"
            if self._legacy is None or key not in self._legacy or values.dtype.kind not in "iu":
                return number_order(values)
            categories = self._legacy[key]
        else:
            node = self._node[name]
            if is_array(node) and "categories" in node.attrs:
                categories = self._categories(node)
            elif not is_array(node) and "categories" in node:
                categories = node["categories"]
            else:
                return number_order(self._read(node if is_array(node) else node["values"]))
        return [label for label in label_texts(self._read(categories)) if label is not None]

    def _compound_column(self, name: str) -> NDArray[np.object_]:
        values = self._read(self._node, name)
        key = f"{name}_categories"
        if self._legacy is not None and key in self._legacy and values.dtype.kind in "iu":
            categories = label_texts(self._read(self._legacy[key]))
            # the same key may belong to a column of the other frame: only fitting codes are taken for its own
            if not values.size or values.max() < categories.size:
                return labels_of_codes(values, categories)
        return label_texts(values)

    def _group_column(self, node: Any) -> NDArray[np.object_]:
        if is_array(node):
            if "categories" not in node.attrs:
                return label_texts(self._read(node))
            return labels_of_codes(self._read(node), label_texts(self._read(self._categories(node))))
        if "codes" in node and "categories" in node:
            return labels_of_codes(self._read(node["codes"]), label_texts(self._read(node["categories"])))
        if "values" in node and "mask" in node:
            return label_texts(self._read(node["values"]), self._read(node["mask"]))
        msg = f"has the encoding {encoding_of(node)!r}, which vcmetrics does not read"
        raise DataError(msg)

    def _categories(self, node: Any) -> Any:
        """Resolve the categories of AnnData 0.7: HDF5 keeps a reference, zarr a path."""
        target = attribute(node, "categories")
        if not isinstance(target, str):
            return node.file[target]
        # the path starts at the frame or at the root; its last part is enough
        name = target.rsplit("/", 1)[-1]
        if target.endswith(f"__categories/{name}") and name in self._node["__categories"]:
            return self._node["__categories"][name]
        msg = f"its categories {target!r} are not in the file"
        raise DataError(msg)
