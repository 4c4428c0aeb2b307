"""The obesity challenge: its files and its three metrics, worked by hand."""

import anndata
import numpy as np
import pandas as pd
import pytest

from vcmetrics import DataError
from vcmetrics.challenge import obesity
from vcmetrics.cli import entry

PERTS = ["TP53", "MYC"]
GENES = ["G1", "G2", "G3"]


def cells(labels, values=None):
    rng = np.random.default_rng(0)
    x = np.abs(rng.normal(size=(len(labels), len(GENES)))) if values is None else values
    index = [f"c{k}" for k in range(len(labels))]
    return anndata.AnnData(x, obs=pd.DataFrame({"gene": labels}, index=index), var=pd.DataFrame(index=GENES))


def proportions(**changes):
    table = pd.DataFrame({"gene": PERTS, "pre_adipo": 0.5, "adipo": 0.25, "lipo": 0.125, "other": 0.25})
    for name, value in changes.items():
        table[name] = value
    return table


def test_cells(tmp_path):
    good = cells(np.repeat(PERTS, 100))

    def codes(adata, **more):
        found = obesity.validate_cells(adata, genes=GENES, **{"perturbations": PERTS, **more})
        return [p.code for p in found]

    assert codes(good) == []
    assert codes(good, perturbations=None) == ["perturbations"]
    assert codes(good[:-1].copy()) == ["cell_count"]
    assert codes(good, perturbations=["TP53", "KRAS"]) == ["missing_perturbations", "extra_perturbations"]
    assert codes(good[:, ::-1].copy()) == ["gene_order"]
    assert codes(good[:, 1:].copy()) == ["missing_genes"]
    other = good.copy()
    other.obs["batch"] = 1
    assert codes(other) == ["obs_columns"]
    other = good.copy()
    other.X[3, 1], other.X[4, 1] = np.nan, -1
    assert codes(other) == ["nonfinite", "negative"]


def test_proportions(tmp_path):
    def codes(table, crunch=1):
        return [p.code for p in obesity.validate_proportions(table, perturbations=PERTS, crunch=crunch)]

    assert codes(proportions()) == []
    assert codes(proportions(other=0.2505)) == []
    assert codes(proportions(other=0.26)) == ["sum"]
    assert codes(proportions(lipo=0.3)) == ["lipo"]
    assert codes(proportions(lipo=np.inf)) == ["nonfinite"]
    assert codes(proportions(gene="TP53")) == ["repeated", "missing_perturbations"]
    assert codes(proportions(), crunch=2) == ["columns"]
    assert codes(proportions(lipo_adipo=0.5), crunch=2) == []
    assert codes(proportions(lipo_adipo=0.6), crunch=2) == ["lipo_adipo"]
    with pytest.raises(ValueError, match="crunch"):
        codes(proportions(), crunch=3)


def test_ranking(tmp_path):
    z = np.random.default_rng(0).normal(size=(50, 12))
    table = pd.DataFrame(z, columns=[f"sig{k}" for k in range(12)])
    table.insert(0, "GenePairID", [f"A|{k}" for k in range(50)])
    table["FinalAggScore"] = np.sort(z, 1)[:, -3:].mean(1)
    table["Rank"] = table["FinalAggScore"].rank(ascending=False).astype(int)

    def codes(**changes):
        return [p.code for p in obesity.validate_ranking(table.assign(**changes), n_pairs=50)]

    assert codes() == []
    assert [p.code for p in obesity.validate_ranking(table)] == ["rows"]
    assert codes(Rank=np.arange(1, 51)) == ["rank"]
    assert codes(Rank=table["Rank"].astype(float)) == ["rank"]
    assert codes(FinalAggScore=0.0) == ["score"]
    assert codes(sig3=np.nan) == ["nonfinite"]
    assert codes(GenePairID="A|B") == ["repeated"]
    assert [p.code for p in obesity.validate_ranking(table.drop(columns="sig0"), n_pairs=50)] == ["columns"]
    pytest.importorskip("pyarrow")
    table.to_parquet(tmp_path / "prediction.parquet")
    assert obesity.validate_ranking(tmp_path / "prediction.parquet", n_pairs=50) == []


def test_metrics_by_hand():
    x, y = np.array([[0.0, 1.0], [2.0, 1.0]]), np.array([[1.0, 1.0]])
    # one row each: kernels of distance 0 against themselves, of distance 1 between them
    between = sum(np.exp(-1 / (2 * b)) for b in (0.25, 0.5, 1, 2, 4))
    assert obesity.mmd(x, y, 2.0) == pytest.approx(10 - 2 * between)
    assert obesity.mmd(y, x, 2.0) == obesity.mmd(x, y, 2.0)
    # far from everything, a repeated centroid leaves its own block of five kernels and 1/n of the other
    repeated = np.tile(np.full(500, 1e3), (100, 1))
    spread = np.random.default_rng(0).normal(0, 100, (100, 500))
    assert obesity.mmd(repeated, spread, 849.0) == pytest.approx(5 + 5 / 100)
    assert obesity.program_distance(
        {"pre_adipo": 1, "adipo": 0, "lipo": 0, "other": 0}, {"pre_adipo": 0, "adipo": 1, "lipo": 1, "other": 0}
    ) == pytest.approx(1.75)
    rng = np.random.default_rng(1)
    pred, real, centre = rng.normal(size=(5, 9)), rng.normal(size=(7, 9)), rng.normal(size=9)
    expected = np.corrcoef(pred.mean(0) - centre, real.mean(0) - centre)[0, 1]
    assert obesity.pearson(pred, real, centre) == pytest.approx(expected, abs=1e-14)
    shift = rng.normal(size=9)
    assert obesity.pearson(pred + shift, real + shift, centre + shift) == pytest.approx(expected, abs=1e-13)
    assert np.isnan(obesity.pearson(centre[None], real, centre))


def test_score(tmp_path):
    truth, guess = cells(np.repeat(["TP53", "TP53+MYC"], 4)), cells(np.repeat(["TP53+MYC", "TP53"], 5))
    truth.uns["scoring_gene_mask"] = np.array([True, True, False])
    truth.uns["single_perturbed_centroid_train"] = np.array([0.1, 0.2, 0.3])
    truth.uns["double_perturbed_centroid_train"] = np.array([0.5, 0.1, 0.3])
    given = proportions(gene=["TP53", "TP53+MYC"])
    guess.write_h5ad(tmp_path / "p.h5ad")
    table = obesity.score(
        tmp_path / "p.h5ad", truth, proportions=given.assign(lipo=0.25), true_proportions=given, crunch=2
    )
    assert table.index.tolist() == ["TP53", "TP53+MYC"]
    assert table["program_distance"].tolist() == [0.125, 0.125]
    own = guess.X[5:, :2], truth.X[:4, :2]
    assert table.loc["TP53", "mmd"] == obesity.mmd(*own, 849.0)
    assert table.loc["TP53", "pearson"] == obesity.pearson(*own, np.array([0.1, 0.2]))
    double = guess.X[:5, :2], truth.X[4:, :2]
    assert table.loc["TP53+MYC", "pearson"] == obesity.pearson(*double, np.array([0.5, 0.1]))
    del truth.uns["single_perturbed_centroid_train"], truth.uns["double_perturbed_centroid_train"]
    with pytest.raises(DataError, match="centroid"):
        obesity.score(guess, truth)
    with pytest.raises(DataError, match="not predicted"):
        obesity.score(guess[:5].copy(), truth, centroid=np.zeros(3))


def test_command(tmp_path, capsys):
    (tmp_path / "genes.txt").write_text("\n".join(GENES) + "\n")
    (tmp_path / "perts.txt").write_text("\n".join(PERTS) + "\n")
    cells(np.repeat(PERTS, 100)).write_h5ad(tmp_path / "prediction.h5ad")
    proportions(lipo=0.3).to_csv(tmp_path / "predict_program_proportion.csv", index=False)
    how = ["--rules", "obesity1", "-g", str(tmp_path / "genes.txt"), "--perts", str(tmp_path / "perts.txt")]
    assert entry.run(["validate", str(tmp_path / "prediction.h5ad"), *how]) == 0
    files = [str(tmp_path / "prediction.h5ad"), str(tmp_path / "predict_program_proportion.csv")]
    assert entry.run(["validate", *files, *how]) == 1
    assert "lipo above adipo" in capsys.readouterr().out
    assert entry.run(["validate", str(tmp_path / "perts.txt"), *how]) == 2


def test_a_file_that_is_not_there_is_one_line(tmp_path):
    (tmp_path / "empty.h5ad").touch()
    for name, words in (("none.h5ad", "no such file"), ("empty.h5ad", "not an HDF5 file")):
        with pytest.raises(DataError, match=words):
            obesity.score(tmp_path / name, tmp_path / name)
