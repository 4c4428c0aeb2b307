"""Named rule sets: the stored results of the scorers, and plain NumPy where there is no scorer to run."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

import vcmetrics as vcm
from vcmetrics.retrieval.conventions import CONVENTIONS, DEFAULTS

GOLDEN = Path(__file__).parents[1] / "golden"
INPUTS = GOLDEN / "cell_eval" / "inputs"
pytestmark = pytest.mark.filterwarnings("ignore:.*no measured target gene")


def long_results(path: Path) -> dict[str, dict[str, float]]:
    out: dict[str, dict[str, float]] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            out.setdefault(row["metric"], {})[row["perturbation"]] = float(row["value"])
    return out


def wide_results(path: Path) -> dict[str, dict[str, float]]:
    out: dict[str, dict[str, float]] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            for metric, value in row.items():
                if metric.startswith("discrimination_score"):
                    out.setdefault(metric, {})[row["perturbation"]] = float(value)
    return out


@pytest.mark.parametrize(("data", "run"), [("base", "base_pds"), ("base", "base_full"), ("dense64", "dense64_full")])
def test_cell_eval(data: str, run: str) -> None:
    results = GOLDEN / "cell_eval" / "cell_eval_0.8.2" / run / "results.csv"
    want = wide_results(results)
    assert want
    for metric, values in want.items():
        kind = metric.rpartition("_")[2]
        got = vcm.discrimination(
            INPUTS / f"{data}_pred.h5ad",
            INPUTS / f"{data}_real.h5ad",
            pert_col="target_gene",
            convention="cell-eval" if kind != "l1" else "vcc2025",
            metric=None if kind == "l1" else kind,
        )
        assert got["score"].to_dict() == pytest.approx(values, abs=1e-12)


def test_cell_eval_embedding() -> None:
    want = wide_results(GOLDEN / "cell_eval" / "cell_eval_0.8.2" / "dense64_embed" / "results.csv")
    assert want.pop("discrimination_score_l1")  # taken of the genes there
    for metric, values in want.items():
        got = vcm.discrimination(
            INPUTS / "dense64_pred.h5ad",
            INPUTS / "dense64_real.h5ad",
            pert_col="target_gene",
            convention="cell-eval",
            metric=metric.rpartition("_")[2],
            obsm="X_emb",
            exclude_targets="none",
        )
        assert got["score"].to_dict() == pytest.approx(values, abs=1e-12)


@pytest.mark.parametrize("name", ["a_noise", "a_paste", "a_constant", "a_loud"])
def test_vcc2026(name: str) -> None:
    folder = GOLDEN / "cell_eval2"
    (results,) = (folder / "runs" / f"{name}.vcc2026.pdex").glob("results.*")
    if results.suffix == ".csv":
        want = long_results(results)["pds_cosine"]
    else:
        import pandas as pd

        table = pd.read_parquet(results)
        table = table[table["metric"] == "pds_cosine"]
        want = dict(zip(table["perturbation"], table["value"], strict=True))
    column = {"a": "target"}[name[0]]
    got = vcm.discrimination(
        folder / "inputs" / f"{name}.h5ad", folder / "inputs" / "a_real.h5ad", pert_col=column, convention="vcc2026"
    )
    assert got["score"].to_dict() == pytest.approx(want, abs=1e-12)
    plain = vcm.discrimination(folder / "inputs" / f"{name}.h5ad", folder / "inputs" / "a_real.h5ad", pert_col=column)
    assert plain["score"].equals(got["score"])  # the defaults are the challenge's rules


def profiles(seed: int, n: int = 15, extra: int = 6, genes: int = 25) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Predictions of the first n, observed profiles of n + extra."""
    rng = np.random.default_rng(seed)
    real = rng.normal(size=(n + extra, genes))
    pred = real[:n] + 1.5 * rng.normal(size=(n, genes))
    return pred, real, [f"P{k:03d}" for k in range(n + extra)]


def scored(convention: str, pred: np.ndarray, real: np.ndarray, names: list[str], **more: object) -> list[float]:
    more.setdefault("reference", "none")
    table = vcm.discrimination(
        pred, real, labels=names[: len(pred)], real_labels=names, control=None, convention=convention, **more
    )
    return table["score"].tolist()


@pytest.mark.parametrize("seed", [0, 1])
def test_centroid_accuracy_and_inverse_rank(seed: int) -> None:
    pred, real, names = profiles(seed)
    real[3] = real[2]  # a tie is a loss
    for convention, pool in (("systema", real), ("shift-nir", real[: len(pred)])):
        want = []
        for i, query in enumerate(pred):
            distance = np.linalg.norm(pool - query, axis=1)
            won = sum(distance[i] < distance[j] for j in range(len(pool)) if j != i)
            want.append(won / (len(pool) - 1))
        np.testing.assert_allclose(scored(convention, pred, real, names), want, atol=1e-12)


@pytest.mark.parametrize("seed", [0, 1])
def test_txpert(seed: int) -> None:
    pred, real, names = profiles(seed)
    n = len(real)
    correlation = np.corrcoef(pred, real)[: len(pred), len(pred) :]
    want = [(n - 1 - sum(correlation[i] > correlation[i, i])) / n for i in range(len(pred))]
    np.testing.assert_allclose(scored("txpert-normed", pred, real, names), want, atol=1e-12)
    assert max(scored("txpert-normed", real, real, names)) == (n - 1) / n
    constant = np.repeat(pred[:1], n, axis=0)
    assert np.mean(scored("txpert-normed", constant, real, names)) == pytest.approx((n - 1) / (2 * n))
    # fewer than 100 candidates: the sample is all of them
    np.testing.assert_allclose(scored("txpert-fast", pred, real, names), want, atol=1e-12)
    pred, real, names = profiles(seed, n=20, extra=200)
    chosen = set(np.random.default_rng(0).choice(220, 100, replace=False).tolist())
    correlation = np.corrcoef(pred, real)[:20, 20:]
    want = []
    for i in range(20):
        pool = sorted(chosen | {i})
        want.append((len(pool) - 1 - sum(correlation[i, j] > correlation[i, i] for j in pool)) / len(pool))
    np.testing.assert_allclose(scored("txpert-fast", pred, real, names), want, atol=1e-12)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_perturbench(metric: str) -> None:
    pred, real, names = profiles(2)
    n = len(pred)
    table = vcm.arrays.cdist(pred, real[:n], metric)
    want = [sum(table[i, p] < table[p, p] for i in range(n)) / (n - 1) for p in range(n)]
    np.testing.assert_allclose(scored("perturbench", pred, real, names, metric=metric), want, atol=1e-12)
    want = [sum(table[p, q] < table[p, p] for q in range(n)) / (n - 1) for p in range(n)]
    np.testing.assert_allclose(scored("perturbench-transposed", pred, real, names, metric=metric), want, atol=1e-12)
    assert scored("perturbench", real, real, names) == [0.0] * len(real)


def test_every_convention_is_whole() -> None:
    pred, real, names = profiles(3)
    for name, convention in CONVENTIONS.items():
        assert set(convention.settings) <= set(DEFAULTS)
        assert convention.source
        assert convention.perfect
        more = {"exclude_targets": "none", "control_source": "real"}
        perfect = scored(name, real, real, names, **more)
        n = len(real)
        expected = {"1": 1.0, "0": 0.0, "(n - 1)/n": (n - 1) / n}[convention.perfect]
        np.testing.assert_allclose(perfect, expected)
        constant = np.mean(scored(name, np.repeat(pred[:1], n, axis=0), real, names, **more))
        if convention.constant in ("1/2", "(n + 1)/(2n)", "(n - 1)/(2n)"):
            want = {"1/2": 0.5, "(n + 1)/(2n)": (n + 1) / (2 * n), "(n - 1)/(2n)": (n - 1) / (2 * n)}
            assert constant == pytest.approx(want[convention.constant]), name


def test_explicit_arguments_overrule() -> None:
    pred, real, names = profiles(4)
    table = vcm.discrimination(
        pred, real, labels=names[:15], real_labels=names, control=None, convention="systema", metric="l1", ties="mid"
    )
    assert table.attrs["settings"]["metric"] == "cityblock"
    assert table.attrs["settings"]["ties"] == "mid"
    assert table.attrs["settings"]["reference"] == "none"
    with pytest.raises(ValueError, match="convention 'arc' is not known; choose from cell-eval, vcc2025"):
        scored("arc", pred, real, names)
    with pytest.raises(ValueError, match="'pdgrapher' ranks genes as targets"):
        scored("pdgrapher", pred, real, names)
