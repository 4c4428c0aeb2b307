"""Zarr stores of both formats."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import sparse

from vcmetrics._errors import DataError
from vcmetrics.sources import open_cells


@pytest.fixture(params=[2, 3])
def write(request):
    """Write an AnnData into a store of zarr format 2 or 3."""
    import anndata

    def to(adata, path, chunks=None):
        before = anndata.settings.zarr_write_format
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the writers announce changes of their own
            anndata.settings.zarr_write_format = request.param
            try:
                adata.write_zarr(path, chunks=chunks)
            finally:
                anndata.settings.zarr_write_format = before
        assert (path / ("zarr.json" if request.param == 3 else ".zgroup")).exists()

    return to


@pytest.mark.parametrize("dtype", ["float32", "int64", "uint8", "float64"])
@pytest.mark.parametrize("layout", ["csr", "csc", "dense"])
def test_layouts(write, adata, counts, tmp_path, dense_of, layout, dtype):
    dense = counts.toarray() / (7 if dtype == "float64" else 1)
    dense = dense.astype(dtype)
    adata.X = dense if layout == "dense" else sparse.csr_matrix(dense).asformat(layout)
    adata.layers["raw"] = counts
    adata.obsm["X_pca"] = dense[:, :3].astype(np.float64)
    write(adata, tmp_path / "a.zarr", chunks=(9, 10) if layout == "dense" else None)
    with open_cells(tmp_path / "a.zarr") as cells:
        np.testing.assert_array_equal(dense_of(cells.rows()), dense.astype(np.float64))
        assert cells.genes.tolist() == adata.var_names.tolist()
        assert cells.column("target").tolist() == adata.obs["target"].tolist()
        assert cells.layers() == ["raw"]
        np.testing.assert_array_equal(cells.obsm("X_pca"), dense[:, :3])
        first = cells.fingerprint()
    with open_cells(tmp_path / "a.zarr", layer="raw") as cells:
        np.testing.assert_array_equal(dense_of(cells.rows()), counts.toarray())
        assert cells.fingerprint() != first


def test_labels(write, adata, tmp_path):
    import pandas as pd

    adata.obs["n"] = pd.array([1, None] * 26 + [3], dtype="Int64")
    adata.obs["text"] = [f"t{i % 3}" for i in range(53)]
    adata.obs["gaps"] = pd.Categorical(["a", None] * 26 + ["b"])
    write(adata, tmp_path / "a.zarr")
    with open_cells(tmp_path / "a.zarr") as cells:
        assert cells.column("n").tolist() == ["1", None] * 26 + ["3"]
        assert cells.column("text").tolist() == [f"t{i % 3}" for i in range(53)]
        assert cells.column("gaps").tolist() == ["a", None] * 26 + ["b"]


COMPRESSORS = {
    "none": {2: None, 3: None},
    "zstd": {2: ("Zstd", {"level": 3}), 3: ("ZstdCodec", {"level": 3, "checksum": True})},
    "blosc": {2: ("Blosc", {"cname": "lz4"}), 3: ("BloscCodec", {"cname": "zstd", "typesize": 4})},
    "gzip": {2: ("GZip", {"level": 1}), 3: ("GzipCodec", {"level": 1})},
}


def array_in(path, values, zarr_format, compressor, shards=None, chunk=100):
    """One array of 100 elements a chunk; the third chunk is never written."""
    import numcodecs
    import zarr

    made = COMPRESSORS[compressor][zarr_format]
    codec = None if made is None else getattr(numcodecs if zarr_format == 2 else zarr.codecs, made[0])(**made[1])
    array = zarr.create_array(
        str(path),
        shape=values.shape,
        chunks=(chunk,),
        shards=shards,
        dtype=values.dtype,
        compressors=codec,
        zarr_format=zarr_format,
        fill_value=7,
        config={"write_empty_chunks": True},
    )
    array[:200], array[300:] = values[:200], values[300:]
    return zarr.open_array(str(path), mode="r")


@pytest.mark.parametrize("dtype", ["<f4", "<i8", "u1"])
@pytest.mark.parametrize("compressor", list(COMPRESSORS))
@pytest.mark.parametrize(("zarr_format", "shards"), [(2, None), (3, None), (3, (300,))])
def test_chunks_in_parallel(tmp_path, zarr_format, shards, compressor, dtype):
    from vcmetrics.sources.stored import ZarrArray

    values = np.random.default_rng(0).integers(0, 100, 1050).astype(dtype)
    array = array_in(tmp_path / "a", values, zarr_format, compressor, shards)
    expected = array[:]
    assert expected[250] == 7
    for n_threads in (1, 3):
        ours = ZarrArray(array, "a")
        assert (ours._chunks is None) == (compressor == "gzip")
        assert ours.read(0, 1050, n_threads).tobytes() == expected.tobytes()
        ours = ZarrArray(array, "a")
        found = [ours.read(a, b, n_threads) for a, b in ((0, 3), (3, 190), (190, 720), (720, 1050))]
        assert np.concatenate(found).tobytes() == expected.tobytes()


@pytest.mark.parametrize("shards", [None, (300,)])
def test_damaged_chunks(tmp_path, shards):
    from vcmetrics.sources.stored import ZarrArray

    values = np.random.default_rng(0).integers(0, 100, 1050).astype(np.float32)
    array = array_in(tmp_path / "a", values, 3, "zstd", shards)
    file = next(p for p in (tmp_path / "a" / "c").iterdir() if p.name == "1")
    whole = file.read_bytes()
    for bad in (whole[:-9], whole[:5], whole[:20] + bytes([whole[20] ^ 255]) + whole[21:], b""):
        file.write_bytes(bad)
        with pytest.raises(DataError, match="a: cannot read the matrix"):
            ZarrArray(array, "a").read(0, 1050, 2)


def test_damage(write, adata, tmp_path):
    write(adata, tmp_path / "a.zarr")
    chunk = max(
        (p for p in (tmp_path / "a.zarr" / "X" / "data").rglob("*") if p.is_file()), key=lambda p: p.stat().st_size
    )
    chunk.write_bytes(chunk.read_bytes()[:20])
    with pytest.raises(DataError, match=r"a\.zarr.*cannot read the matrix"), open_cells(tmp_path / "a.zarr") as cells:
        cells.rows()


def test_store_of_anndata_07(adata, tmp_path):
    """Columns name the place of their categories, by path."""
    import zarr

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import anndata

        before = anndata.settings.zarr_write_format
        anndata.settings.zarr_write_format = 2
        try:
            adata.write_zarr(tmp_path / "a.zarr")
        finally:
            anndata.settings.zarr_write_format = before
    (tmp_path / "a.zarr" / ".zmetadata").unlink(missing_ok=True)
    root = zarr.open_group(str(tmp_path / "a.zarr"), mode="a", use_consolidated=False)
    obs = root["obs"]
    codes, categories = obs["target"]["codes"][...], obs["target"]["categories"][...]
    del obs["target"]
    obs.create_group("__categories").create_array("target", data=categories.astype("U8"))
    obs.create_array("target", data=codes)
    for path in ("__categories/target", "obs/__categories/target"):
        obs["target"].attrs["categories"] = path
        with open_cells(tmp_path / "a.zarr") as cells:
            assert cells.column("target").tolist() == adata.obs["target"].tolist()
            assert cells.columns() == ["target"]
    obs["target"].attrs["categories"] = "elsewhere"
    with open_cells(tmp_path / "a.zarr") as cells, pytest.raises(DataError, match="its categories 'elsewhere' are not"):
        cells.column("target")
