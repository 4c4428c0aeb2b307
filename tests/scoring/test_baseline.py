"""Mean-response baselines, cell by cell."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pytest
import scipy.sparse as sp

from vcmetrics._errors import DataError
from vcmetrics.scoring.baseline import (
    cell_eval_baseline,
    generic_baseline,
    group_means,
    mean_response,
)
from vcmetrics.sources.rows import ChunkedArray, Rows
from vcmetrics.summary import single_precision
from vcmetrics.summary.single_precision import log_normalised

GOLDEN = Path(__file__).parents[1] / "golden"


def _rows(matrix) -> Rows:
    m = sp.csr_matrix(matrix)
    return Rows(*m.shape, m.indptr.astype(np.int64), ChunkedArray.of(m.indices), ChunkedArray.of(m.data))


def _matrix(rows: Rows) -> sp.csr_matrix:
    parts = (rows.data.read(0, rows.nnz), rows.indices.read(0, rows.nnz).astype(np.int32), rows.indptr)
    return sp.csr_matrix(parts, shape=(rows.n_rows, rows.n_cols))


def _open(path: Path, column: str):
    adata = anndata.read_h5ad(GOLDEN / path)
    labels, codes = np.unique(adata.obs[column].astype(str), return_inverse=True)
    genes = adata.var_names.to_numpy(str)
    at = {g: k for k, g in enumerate(genes)}
    own = np.array([at.get(label, -1) for label in labels])
    return adata, [str(label) for label in labels], codes, genes, own


def test_generic_baseline_golden(tmp_path):
    adata, labels, codes, genes, own = _open("cell_eval2/inputs/a_real.h5ad", "target")
    made = generic_baseline(_rows(adata.X), labels, codes, "non-targeting", genes, own)
    golden = anndata.read_h5ad(GOLDEN / "cell_eval2/reference/a_baseline_pred.h5ad")
    assert list(made.labels) == list(golden.obs["target"].astype(str))
    # the same bits: float64 products rounded once
    assert np.array_equal(_matrix(made.rows).toarray().view(np.uint32), golden.X.toarray().view(np.uint32))
    assert made.rows.data.dtype == np.float32
    assert made.notes["genes_silent_in_control"]
    made.write(tmp_path / "baseline.h5ad", "target")
    back = anndata.read_h5ad(tmp_path / "baseline.h5ad")
    assert np.array_equal(back.X.toarray(), golden.X.toarray())
    assert list(back.obs["target"]) == list(golden.obs["target"])
    assert list(back.var_names) == list(golden.var_names)


def test_blocks_do_not_change_a_bit(monkeypatch):
    adata, labels, codes, genes, own = _open("cell_eval2/inputs/a_real.h5ad", "target")
    whole = generic_baseline(_rows(adata.X), labels, codes, "non-targeting", genes, own)
    monkeypatch.setattr(single_precision, "BLOCK", 100)
    cut = generic_baseline(_rows(adata.X), labels, codes, "non-targeting", genes, own)
    assert np.array_equal(_matrix(whole.rows).toarray(), _matrix(cut.rows).toarray())


def test_cell_eval_baseline_golden():
    adata, labels, codes, genes, _ = _open("cell_eval/inputs/base_real.h5ad", "target_gene")
    made = cell_eval_baseline(_rows(adata.X), labels, codes, "non-targeting", genes)
    golden = anndata.read_h5ad(GOLDEN / "cell_eval/inputs/base_baseline.h5ad")
    # the perturbed cells are all alike; the file lists their labels in the order it was made with
    assert sorted(made.labels) == sorted(golden.obs["target_gene"].astype(str))
    assert np.allclose(_matrix(made.rows).toarray(), golden.X.toarray(), rtol=2e-6, atol=0)


def test_cell_eval_baseline_with_its_own_cell_numbers_and_as_delta():
    values = np.array([[1.0, 0.0], [3.0, 2.0], [5.0, 4.0]])
    how = (["a", "b", "c"], np.array([0, 1, 2]), "c", np.array(["g", "h"]))
    made = cell_eval_baseline(_rows(values), *how, n_cells={"b": 2, "z": 1, "c": 7})
    assert list(made.labels) == ["b", "b", "z", "c"]
    assert _matrix(made.rows).toarray().tolist() == [[3.0, 2.0]] * 3 + [[5.0, 4.0]]
    made = cell_eval_baseline(_rows(values), *how, as_delta=True)
    assert _matrix(made.rows).toarray()[0].tolist() == [-3.0, -3.0]


def test_tile_puts_the_mean_response_in_every_cell():
    values = np.array([[1, 0, 0], [3, 2, 0], [5, 4, 0], [0, 1, 0], [9, 9, 9]], np.int32)
    codes = np.array([0, 1, 1, 2, -1])
    made = generic_baseline(
        _rows(values), ["a", "b", "c"], codes, "c", np.array(["g", "h", "i"]), np.array([0, -1, -1]), emit="tile"
    )
    assert _matrix(made.rows).toarray().tolist() == [[4.0, 1.5, 0.0]] * 3 + [[0.0, 1.0, 0.0]]
    assert list(made.labels) == ["a", "b", "b", "c"]


def test_exclusion_can_be_switched_off():
    values = np.array([[1, 0], [3, 2], [2, 2]])
    how = (["a", "b", "c"], np.array([0, 1, 2]), "c", np.array(["g", "h"]), np.array([0, -1, -1]))
    assert _matrix(generic_baseline(_rows(values), *how, emit="tile", exclude_target=False).rows).toarray()[0, 0] == 2.0
    assert _matrix(generic_baseline(_rows(values), *how, emit="tile").rows).toarray()[0, 0] == 3.0


def test_mean_response_refuses():
    with pytest.raises(DataError, match="no perturbation besides the control"):
        mean_response(np.zeros((0, 3)), np.zeros(0, int))
    with pytest.raises(DataError, match="every one of the 2 perturbations targets gene number 1"):
        mean_response(np.ones((2, 3)), np.array([1, 1]))


def test_generic_baseline_refuses():
    rows = _rows(np.ones((2, 2)))
    how = (np.array([0, 1]), "c", np.array(["g", "h"]), np.array([-1, -1]))
    with pytest.raises(DataError, match="no cell labelled 'c'"):
        generic_baseline(rows, ["a", "b"], *how)
    with pytest.raises(ValueError, match="emit 'loud'"):
        generic_baseline(rows, ["a", "c"], *how, emit="loud")
    with pytest.raises(DataError, match="no cell labelled 'c'"):
        cell_eval_baseline(rows, ["a", "b"], *how[:3])


def test_pieces_of_a_chunked_array(monkeypatch):
    monkeypatch.setattr(single_precision, "BLOCK", 5)
    values = np.arange(12, dtype=np.float32)
    # three pieces that lie apart, at odd bytes
    raw = bytearray(100)
    offsets, starts = [1, 40, 62], [0, 5, 6, 12]
    for offset, a, b in zip(offsets, starts, starts[1:], strict=False):
        raw[offset : offset + 4 * (b - a)] = values[a:b].tobytes()
    data = ChunkedArray(np.frombuffer(bytes(raw), np.uint8), np.array(offsets), np.array(starts), values.dtype)
    assert data.read(3, 9).tolist() == values[3:9].tolist()
    assert data.read(0, 12).tolist() == values.tolist()
    assert data.read(4, 4).size == 0
    rows = Rows(4, 3, np.array([0, 3, 6, 9, 12]), ChunkedArray.of(np.tile(np.arange(3), 4)), data)
    dense = values.reshape(4, 3)
    assert np.array_equal(_matrix(rows.take(np.array([3, 0, 3]))).toarray(), dense[[3, 0, 3]])
    assert np.allclose(group_means(rows, np.array([1, 1, -1, 0]), 3), [dense[3], dense[:2].mean(0), [0, 0, 0]])


def test_log_normalised():
    counts = np.array([[1, 3], [0, 0], [5, 0]], np.int32)
    got = _matrix(log_normalised(_rows(counts), counts.sum(1).astype(float), 4.0)).toarray()
    assert np.allclose(got, np.log1p([[1, 3], [0, 0], [4, 0]]), rtol=1e-6)
    assert got.dtype == np.float32
