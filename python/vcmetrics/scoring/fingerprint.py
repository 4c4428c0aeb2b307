"""Digests by which official bundles name the data they were built from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics.sources.rows import Rows

_STEP = 1 << 22  # values that are hashed at a time


def digest_of(*parts: object) -> str:
    """SHA-256 over the parts' representations, each closed by a NUL."""
    state = hashlib.sha256()
    for part in parts:
        state.update(repr(part).encode())
        state.update(b"\0")
    return state.hexdigest()


def manifest_digest(manifest: Mapping[str, Any]) -> str:
    """Digest of a bundle's manifest; the time it was made does not enter."""
    kept = {key: value for key, value in manifest.items() if key != "created_utc"}
    return hashlib.sha256(json.dumps(kept, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def semantic_identity(params: Mapping[str, Any]) -> str:
    """Digest of the settings that anchors were made with."""
    return digest_of("anchor_semantic", json.dumps(dict(params), sort_keys=True))


def anchor_digest(
    rows: Iterable[tuple[str, float, str]], real_fingerprint: str | None, identity: str | None, version: str | None
) -> str:
    """Digest of anchors given as (metric, replicate, estimator)."""
    ordered = [dict(zip(("metric", "replicate", "estimator"), row, strict=True)) for row in sorted(rows)]
    return digest_of("anchor", json.dumps(ordered, sort_keys=True), real_fingerprint, identity, version)


def source_fingerprint(
    genes: Sequence[str] | NDArray[Any],
    labels: Sequence[str],
    codes: NDArray[np.integer[Any]],
    dtype: np.dtype[Any],
    rows: Rows | None = None,
) -> str:
    """Digest of a reference: shape, element type, genes, label of every cell, and with ``rows`` the values.

    Parameters
    ----------
    genes
        (n_genes,) names in order.
    labels, codes
        Sorted labels that occur, and (n_obs,) the number of each cell's label among them.
    dtype
        Element type of the matrix as stored in its file; ``rows`` may hold the same values in a narrower one.
    rows
        The values, columns ascending inside each row, as they are stored (zeros and duplicates too); None gives the
        digest without values.

    Returns
    -------
    Hexadecimal SHA-256.

    Notes
    -----
    With values the cost is that of hashing them with 64-bit column numbers: some seconds a gigabyte.

    References
    ----------
    cell-eval2 0.20.0: ``source_fingerprint``, strict where the values enter.
    """
    shape = (int(codes.shape[0]), len(genes))
    parts: list[object] = ["adata", *shape, str(np.dtype(dtype)), _strings(genes), _assignment(labels, codes)]
    if rows is not None:
        parts.append(_values(rows, np.dtype(dtype)))
    return digest_of(*parts)


def _strings(values: Sequence[str] | NDArray[Any]) -> str:
    state = hashlib.sha256(len(values).to_bytes(8, "little"))
    for value in values:
        text = str(value).encode()
        state.update(len(text).to_bytes(8, "little"))
        state.update(text)
    return state.hexdigest()


def _assignment(labels: Sequence[str], codes: NDArray[np.integer[Any]]) -> str:
    state = hashlib.sha256(_strings(labels).encode("ascii"))
    state.update(np.ascontiguousarray(codes, np.int64).data)
    return state.hexdigest()


def _values(rows: Rows, dtype: np.dtype[Any]) -> str:
    state = hashlib.sha256()
    for array, kind in ((rows.data, dtype), (rows.indices, np.dtype(np.int64))):
        for start in range(0, rows.nnz, _STEP):
            block = array.read(start, min(start + _STEP, rows.nnz))
            state.update(np.ascontiguousarray(block, kind).data)
    state.update(np.ascontiguousarray(rows.indptr, np.int64).data)
    return state.hexdigest()
