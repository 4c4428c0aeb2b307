"""Gene lists are aligned by name."""

from __future__ import annotations

import numpy as np
import pytest

from vcmetrics._errors import DataError
from vcmetrics.sources import align_genes, check_unique, open_cells

GENES = np.array([f"G{i}" for i in range(12)])


def test_the_same():
    assert align_genes(GENES, GENES.copy()) is None


def test_permutation():
    order = np.random.default_rng(0).permutation(12)
    found = align_genes(GENES[order], GENES)
    np.testing.assert_array_equal(GENES[order][found], GENES)


def test_order_demanded():
    with pytest.raises(DataError, match=r"order differs \(number 1 is 'G11' in P, 'G0' in R\)"):
        align_genes(GENES[::-1], GENES, pred_name="P", real_name="R", same_order=True)


def test_missing_on_both_sides():
    pred = np.append(GENES[7:], ["X1", "X2"])
    with pytest.raises(DataError) as raised:
        align_genes(pred, GENES)
    text = str(raised.value)
    assert "7 of 12 genes of real are not in pred: 'G0', 'G1', 'G2', 'G3', 'G4', … (7 in all)" in text
    assert "2 of 7 genes of pred are not in real: 'X1', 'X2'" in text


def test_subset():
    pred = np.append(GENES[::-1], "more")
    np.testing.assert_array_equal(align_genes(pred, GENES, subset=True), np.arange(12)[::-1])
    with pytest.raises(DataError, match="1 of 13 genes of pred are not in real: 'more'"):
        align_genes(pred, GENES)


def test_duplicates():
    twice = np.append(GENES, ["G3", "G4"])
    for call in (lambda: check_unique(twice, "pred"), lambda: align_genes(twice, GENES)):
        with pytest.raises(DataError, match="pred: gene names occur more than once: 'G3', 'G4'; make them unique"):
            call()
    with pytest.raises(DataError, match="real: gene names occur more than once"):
        align_genes(twice, twice)


def test_cells_in_another_gene_order(adata, counts, dense_of):
    order = np.random.default_rng(1).permutation(31)[:20]
    with open_cells(adata) as cells:
        other = cells.with_gene_order(order)
        assert cells.with_gene_order(None) is cells
        expected = counts.toarray()[:, order]
        np.testing.assert_array_equal(dense_of(other.rows()), expected)
        np.testing.assert_array_equal(other.scan()["totals"], expected.sum(1))
        assert other.genes.tolist() == cells.genes[order].tolist()
        assert (other.n_vars, cells.n_vars) == (20, 31)
        twice = other.with_gene_order(np.arange(20)[::-1])
        np.testing.assert_array_equal(dense_of(twice.rows()), expected[:, ::-1])
        assert len({cells.fingerprint(), other.fingerprint(), twice.fingerprint()}) == 3
        np.testing.assert_array_equal(dense_of(cells.rows()), counts.toarray())
        for bad in ([0, 0], [31], [-1]):
            with pytest.raises(ValueError, match="order must name columns 0 … 30, each at most once"):
                cells.with_gene_order(np.array(bad))
