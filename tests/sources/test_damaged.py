"""A damaged file gives one clear line or, where the damage is in the values, values: never a crash."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from vcmetrics import _core
from vcmetrics._errors import DataError
from vcmetrics.sources import open_cells

# reads everything that a scorer reads; one line of JSON a case, flushed before the next one begins
READER = textwrap.dedent(
    """
    import json, sys, warnings
    from vcmetrics._errors import DataError
    from vcmetrics.sources import open_cells
    warnings.simplefilter("ignore")
    path, cases = sys.argv[1], json.load(open(sys.argv[2]))
    whole = open(path, "rb").read()
    broken = path + ".broken.h5ad"
    for cut, flips in cases:
        content = bytearray(whole[:cut])
        for at, bits in flips:
            content[at] ^= bits
        with open(broken, "wb") as file:
            file.write(content)
        try:
            with open_cells(broken) as cells:
                rows, found = cells.rows(2), cells.scan(2)
                labels = [cells.column(name) for name in cells.columns()]
                answer = [rows.n_rows, rows.n_cols, len(found["totals"]), len(cells.genes)]
        except DataError as error:
            answer = str(error)
        print(json.dumps(answer), flush=True)
    """
)


def read_all(path, cases, tmp_path):
    """The reader's answer to each case; a crash or a traceback fails the test and says at which case."""
    (tmp_path / "cases.json").write_text(json.dumps(cases))
    done = subprocess.run(
        [sys.executable, "-c", READER, str(path), str(tmp_path / "cases.json")],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"case {cases[len(answers)]}: {done.returncode}, {done.stderr[-2000:]}"
    return answers


@pytest.fixture(params=["plain", "gzip"])
def path(tmp_path, adata, request):
    """A file whose matrix is large enough to be mapped (plain) or inflated here (gzip)."""
    import anndata
    from scipy import sparse

    rng = np.random.default_rng(3)
    big = anndata.AnnData(sparse.csr_matrix(rng.poisson(0.8, (400, 120)).astype(np.float32)))
    big.obs["target"] = [f"g{i % 4}" for i in range(400)]
    file = tmp_path / "a.h5ad"
    big.write_h5ad(file, compression=None if request.param == "plain" else "gzip")
    return file


def test_cut_anywhere(path, tmp_path):
    size = path.stat().st_size
    cuts = sorted(
        {0, 1, 7, 8, 9, 100, 511, 512, 2048, size - 1, size - 8, *np.linspace(0, size - 1, 60, dtype=int).tolist()}
    )
    for cut, answer in zip(cuts, read_all(path, [(cut, []) for cut in cuts], tmp_path), strict=True):
        assert isinstance(answer, str), f"cut at {cut}: {answer}"
        assert "\n" not in answer
        assert "broken.h5ad" in answer


@pytest.mark.parametrize("seed", range(3))
def test_flipped_bytes(path, tmp_path, seed):
    size = path.stat().st_size
    rng = np.random.default_rng(seed)
    # the second half of the cases hits the headers, which lie before and behind the arrays
    where = np.concatenate([rng.integers(0, size, 50), rng.integers(0, 9000, 40), rng.integers(size - 9000, size, 30)])
    cases = [(size, [(int(at), int(rng.integers(1, 256)))]) for at in where]
    for case, answer in zip(cases, read_all(path, cases, tmp_path), strict=True):
        if isinstance(answer, str):
            assert "\n" not in answer
            assert "broken.h5ad" in answer
        else:
            assert answer == [400, 120, 400, 120], case


def fails(data, *words):
    """The one line that opening or reading raises."""
    with pytest.raises(DataError) as raised, open_cells(data) as cells:
        cells.rows()
        cells.column("target")
    text = str(raised.value)
    assert "\n" not in text
    for word in words:
        assert word in text
    return text


def test_not_a_file(tmp_path):
    fails(tmp_path / "none.h5ad", "none.h5ad", "no such file")
    (tmp_path / "text.h5ad").write_text("perturbation,metric\n" * 300)
    fails(tmp_path / "text.h5ad", "not an HDF5 file")
    (tmp_path / "empty.h5ad").write_bytes(b"")
    fails(tmp_path / "empty.h5ad", "not an HDF5 file")
    (tmp_path / "folder").mkdir()
    fails(tmp_path / "folder", "no zarr store")


def test_unreadable(tmp_path, monkeypatch):
    from pathlib import Path

    (tmp_path / "a.h5ad").write_bytes(b"x")

    def refuse(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    fails(tmp_path / "a.h5ad", "cannot be read (Permission denied)")


def test_another_hdf5(tmp_path):
    import h5py

    with h5py.File(tmp_path / "a.h5ad", "w") as file:
        file["matrix"] = np.zeros(3)
    fails(tmp_path / "a.h5ad", "has no 'obs'; it is not an AnnData file")


@pytest.mark.parametrize("n_obs", [0, 1])
def test_few_cells(tmp_path, adata, n_obs, dense_of):
    adata[:n_obs].copy().write_h5ad(tmp_path / "a.h5ad")
    if n_obs == 0:
        fails(tmp_path / "a.h5ad", "has no cells (0 × 31)")
        return
    with open_cells(tmp_path / "a.h5ad") as cells:
        np.testing.assert_array_equal(dense_of(cells.rows()), adata.X[:1].toarray())


def change(path, what, value):
    """Store one dataset of a file anew."""
    import h5py

    with h5py.File(path, "a") as file:
        attrs = dict(file[what].attrs)
        del file[what]
        if value is not None:
            file[what] = value
            file[what].attrs.update(attrs)


@pytest.mark.parametrize(
    ("what", "make", "words"),
    [
        ("X/indptr", lambda x: x[:-1], ("X", "indptr", "54")),
        ("X/indptr", lambda x: x[::-1].copy(), ("indptr does not ascend",)),
        ("X/indptr", lambda x: np.append(x[:-1], x[-1] + 5), ("indptr ends at", "values are stored")),
        ("X/indices", lambda x: x[:-3], ("data and indices differ in length",)),
        ("X/indices", lambda x: x + 1000, ("column numbers lie outside the 31 genes",)),
        ("X/indices", lambda x: -x - 1, ("column numbers lie outside the 31 genes",)),
        ("X/indices", lambda x: x / 2, ("column numbers are float64",)),
        ("X/indices", lambda x: None, ("lacks its part 'indices'",)),
        ("X/data", lambda x: x.astype("complex64"), ("values of type complex64",)),
        ("X", lambda x: None, ("has no X", "layer")),
        ("var/_index", lambda x: x[:-1], ("is 53 × 31, but obs has 53 rows and var has 30",)),
        ("obs/_index", lambda x: x[:-1], ("is 53 × 31, but obs has 52 rows and var has 31",)),
        ("obs/target/codes", lambda x: x[:-1], ("'target' has 52 entries for 53 rows",)),
        ("obs/target/codes", lambda x: x + 3, ("'target'", "category codes run from")),
    ],
)
def test_lengths_that_do_not_fit(tmp_path, adata, what, make, words):
    import h5py

    path = tmp_path / "a.h5ad"
    adata.write_h5ad(path)
    with h5py.File(path) as file:
        value = make(file[what][...]) if isinstance(file[what], h5py.Dataset) else None
    change(path, what, value)
    fails(path, "a.h5ad", *words)


def test_unknown_encoding(tmp_path, adata):
    import h5py

    path = tmp_path / "a.h5ad"
    adata.write_h5ad(path)
    with h5py.File(path, "a") as file:
        file["X"].attrs["encoding-type"] = "bsr_matrix"
    fails(path, "X: has the encoding 'bsr_matrix', which vcmetrics does not read (csr_matrix, csc_matrix, array)")


def test_missing_layer_and_column(tmp_path, adata):
    adata.layers["raw"] = adata.X
    adata.write_h5ad(tmp_path / "a.h5ad")
    for data in (tmp_path / "a.h5ad", adata):
        with pytest.raises(DataError, match=r"has no layer 'counts' \(layers: 'raw'\)"):
            open_cells(data, layer="counts")
        with (
            open_cells(data) as cells,
            pytest.raises(DataError, match=r"'gene' is not a column of obs \(columns: 'target'"),
        ):
            cells.column("gene")


def test_other_objects():
    with pytest.raises(TypeError, match=r"expected AnnData, a path to .*, or a list of these, got dict"):
        open_cells({})


@pytest.mark.parametrize("seed", range(4))
def test_kernels_survive_garbage(seed):
    """scan_rows takes any numbers; the copies refuse bad ones."""
    rng = np.random.default_rng(seed)
    n, cols = 40, 9
    indptr = np.sort(rng.integers(0, 500, n + 1))
    indptr[0], indptr[-1] = 0, 500
    if seed == 1:
        indptr = rng.integers(-(2**62), 2**62, n + 1)
    indices = rng.integers(-(2**31), 2**31 - 1, 500).astype(np.int32)
    values = rng.integers(0, 2**32, 500, dtype=np.uint32).view(np.float32)
    one = np.array([0], np.int64)
    whole = np.array([0, 500], np.int64)
    rows = (
        n,
        cols,
        indptr.astype(np.int64),
        indices.view(np.uint8),
        one,
        whole,
        "<i4",
        values.view(np.uint8),
        one,
        whole,
        "<f4",
    )
    found = _core.scan_rows(rows, 2)
    assert found["indptr_bad"] == (seed == 1)
    if seed != 1:
        assert found["column_out_of_range"]
    with pytest.raises(ValueError, match=r"indptr must start|column numbers lie outside"):
        _core.canonical_rows(rows, 2, None, cols)
    with pytest.raises(ValueError, match=r"indptr must start|row numbers lie outside"):
        _core.transpose_rows(rows, 2)


@pytest.mark.parametrize("compression", [None, "gzip"])
@pytest.mark.parametrize("at", [0, 8, 15, 16, 24, 30])
def test_damaged_text_heap(tmp_path, compression, at):
    """HDF5's own reader may loop for ever over such a heap."""
    import anndata
    import pandas as pd

    names = [f"gene {i} of many" for i in range(300)]
    matrix = np.ones((2, 300), np.float32)
    path = tmp_path / "a.h5ad"
    anndata.AnnData(matrix, var=pd.DataFrame(index=names)).write_h5ad(path, compression=compression)
    with open_cells(path) as cells:
        assert cells.genes.tolist() == names
    content = bytearray(path.read_bytes())
    # the heaps that hold gene names, not those of attributes, which only HDF5 reads
    heaps = [content.rfind(b"GCOL", 0, content.find(name.encode())) for name in (names[100], names[-1])]
    for heap in heaps:
        content[heap + at] ^= 0xFF
    path.write_bytes(content)
    text = fails(path, "a.h5ad")
    assert "heap" in text or "gene names" in text
