"""Reading the values of a sparse matrix from a .zarr store by blocks, beside zarr's own reading."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vcmetrics.backend.threads import resolve_threads
from vcmetrics.sources.compact import BLOCK_VALUES
from vcmetrics.sources.stored import ZarrArray

N = 24_000_000
CHUNK = 375_000


def written(folder: Path, kind: str) -> Any:
    """Counts as anndata writes them: format 2 with Blosc, format 3 with zstd, and the same in one shard."""
    import zarr
    from numcodecs import Blosc

    values = np.random.default_rng(0).geometric(0.35, N).astype(np.float32)
    how: dict[str, Any] = {"compressors": Blosc("lz4", 5), "zarr_format": 2} if kind == "v2" else {"zarr_format": 3}
    if kind == "v3 sharded":
        how["shards"] = (N,)
    array = zarr.create_array(str(folder / "data"), shape=(N,), chunks=(CHUNK,), dtype="f4", **how)
    array[:] = values
    return zarr.open_array(str(folder / "data"), mode="r")


def blocks(array: Any, threads: int) -> list[float]:
    """First values of all blocks, read in order."""
    ours = ZarrArray(array, "data")
    return [float(ours.read(k, min(k + BLOCK_VALUES, N), threads)[0]) for k in range(0, N, BLOCK_VALUES)]


def zarr_blocks(array: Any, threads: int) -> list[float]:
    """The same by zarr alone."""
    return [float(array[k : min(k + BLOCK_VALUES, N)][0]) for k in range(0, N, BLOCK_VALUES)]


@pytest.mark.parametrize("by", ["vcmetrics", "zarr"])
@pytest.mark.parametrize("kind", ["v2", "v3", "v3 sharded"])
def test_zarr(benchmark, tmp_path, kind: str, by: str) -> None:
    array = written(tmp_path, kind)
    threads = resolve_threads()
    assert blocks(array, threads) == zarr_blocks(array, threads)
    benchmark.group = f"read {N:,} values, zarr {kind}"
    benchmark.pedantic(blocks if by == "vcmetrics" else zarr_blocks, (array, threads), rounds=7, warmup_rounds=1)
    benchmark.extra_info |= {"threads": threads, "bytes": N * 4}
