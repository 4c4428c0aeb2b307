"""Pairs built from the golden tables: what the scorers saw, without a pass over cells."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from vcmetrics.metrics.pair import Batches, Pair, Profiles, Training
from vcmetrics.summary.de_reading import adjust, apply_reading_rules, read_de_table
from vcmetrics.summary.de_table import DETable

GOLDEN = Path(__file__).parents[1] / "golden"
CELL_EVAL2 = GOLDEN / "cell_eval2"
CELL_EVAL = GOLDEN / "cell_eval" / "cell_eval_0.8.2"
CONTROL = "non-targeting"


def results(path: Path) -> dict[str, dict[str, float]]:
    """metric -> perturbation -> value of a long results.csv."""
    out: dict[str, dict[str, float]] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            out.setdefault(row["metric"], {})[row["perturbation"]] = float(row["value"])
    return out


@cache
def _genes(data: str) -> tuple[str, ...]:
    n, form = {"a": (160, "GENE{:03d}"), "b": (120, "g{:03d}")}[data]
    return tuple(form.format(k) for k in range(n))


def _side(name: str) -> tuple[tuple[str, ...], Profiles]:
    saved = np.load(CELL_EVAL2 / "internals" / f"{name}.npz")
    labels = [str(p) for p in saved["perts"]]
    control = labels.index(CONTROL)
    keep = [i for i in range(len(labels)) if i != control]
    return tuple(labels[i] for i in keep), Profiles(
        mean=saved["profile"][keep],
        control=saved["profile"][control],
        correction=saved["jackknife"][keep],
        control_correction=float(saved["jackknife"][control]),
    )


def cell_eval2_pair(
    real: str,
    pred: str,
    tables: tuple[DETable, DETable] | None,
    *,
    nan_lfc: str = "mask",
    min_abs_log2fc: float = 0.0,
    fdr_scope: str | None = None,
) -> Pair:
    """Profiles, corrections and DE tables of golden data under the observed control."""
    perturbations, observed = _side(real)
    same, predicted = _side(pred)
    assert perturbations == same
    genes = _genes(real[0])
    predicted = Profiles(predicted.mean, observed.control, predicted.correction, observed.control_correction)
    read = [
        apply_reading_rules(
            table if fdr_scope is None else adjust(table, fdr_scope), nan_lfc=nan_lfc, min_abs_log2fc=min_abs_log2fc
        )
        for table in tables or ()
    ]
    tested = set(read[0].genes) if read else set()
    return Pair(
        perturbations=perturbations,
        genes=np.array(genes),
        own=np.array([genes.index(p) if p in genes else -1 for p in perturbations]),
        real=observed,
        pred=predicted,
        de_real=read[0] if read else None,
        de_pred=read[1] if read else None,
        own_de=tuple(p if p in tested else None for p in perturbations),
    )


def tables(folder: Path, real: str = "de_real.parquet", pred: str = "de_pred.parquet") -> tuple[DETable, DETable]:
    """Both DE tables of a run."""
    return read_de_table(folder / real), read_de_table(folder / pred)


@pytest.fixture(scope="session")
def golden() -> SimpleNamespace:
    """The builders above, for test modules."""
    return SimpleNamespace(cell_eval2_pair=cell_eval2_pair, tables=tables, results=results)


def random_pair(seed: int, n: int, g: int, *, rough: bool = True) -> Pair:
    """A pair full of ties, infinities, NaN, zeros, absent rows and missing cells; all sums of profiles are exact.

    ``rough=False`` leaves complete tables of finite, different numbers.
    """
    rng = np.random.default_rng(seed)
    eighths = rng.integers(-8, 9, (2, n + 1, g)) / 8.0
    if n > 1 and rough:
        eighths[:, 1] = eighths[:, 0]  # duplicates, which must tie
    genes = np.array([f"g{k}" for k in rng.permutation(g)])  # neither sorted nor padded: g10 < g2
    perturbations = tuple(f"p{k}" for k in range(n))
    shared = eighths[1, n]
    real, pred = (
        Profiles(side[:n], shared, rng.uniform(0, 1, n), float(rng.uniform(0, 1))) for side in (eighths[1], eighths[0])
    )
    own = rng.integers(-1, g, n)
    pair = Pair(
        perturbations=perturbations,
        genes=genes,
        own=own,
        real=real,
        pred=pred,
        de_real=_random_table(rng, perturbations, genes, rough),
        de_pred=_random_table(rng, perturbations, genes, rough),
        own_de=tuple(str(genes[k]) if k >= 0 else None for k in own),
        target_sum=100.0,
    )
    return _with_cells(pair, np.random.default_rng([seed, 1]), rough)


def _with_cells(pair: Pair, rng: np.random.Generator, rough: bool) -> Pair:
    """The pair with numbers and variances of cells, training rows and batches."""
    n, g = pair.n, len(pair.genes)
    labels = (*pair.perturbations[: n // 2], "t0", "t1", "t2", pair.perturbations[0])
    rows = len(labels)
    batch_cells = rng.integers(0, 4, (2, n, 3))
    batch_cells[:, :, 0] += 1
    batch_cells[1, 0] = 0
    return replace(
        pair,
        real=replace(pair.real, **_moments(rng, n, g, rough)),
        pred=replace(pair.pred, **_moments(rng, n, g, rough)),
        train=Training(
            labels, rng.integers(-8, 9, (rows, g)) / 8.0, rng.integers(1, 9, rows), rng.integers(-8, 9, g) / 8.0
        ),
        batches=Batches(("a", "b", "c"), rng.integers(-8, 9, (3, g)) / 8.0, batch_cells[0], batch_cells[1]),
    )


def _moments(rng: np.random.Generator, n: int, g: int, rough: bool) -> dict[str, object]:
    """Numbers and variances of cells; some groups of one cell, some genes that do not vary."""
    cells = rng.integers(1 if rough else 2, 9, n)
    variance, control = (
        rng.integers(0, 9, shape) / 8.0 if rough else rng.uniform(0.1, 1.0, shape) for shape in ((n, g), g)
    )
    variance[cells == 1] = np.nan
    return {
        "n_cells": cells,
        "control_n_cells": int(rng.integers(2, 20)),
        "variance": variance,
        "control_variance": control,
    }


def _random_table(rng: np.random.Generator, perturbations: tuple[str, ...], genes: np.ndarray, rough: bool) -> DETable:
    shape = (len(perturbations), genes.size)
    if not rough:
        p_adj = rng.uniform(0, 0.12, shape)
        return DETable(perturbations, genes, rng.normal(size=shape), p_adj / 2, p_adj)
    lfc = rng.choice([-np.inf, -2, -1, -0.5, 0, 0.5, 1, 2, np.inf, np.nan], shape, p=[0.05] + [0.1125] * 8 + [0.05])
    p = rng.choice([0.0, 1e-12, 0.01, 0.02, 0.3, 1.0], shape)
    p_adj = np.minimum(p * rng.choice([1.0, 2.0, 4.0], shape), 1.0)
    kind = rng.integers(0, 3)
    null = (rng.uniform(size=shape) < 0.05) * rng.choice([1, 2, 4], shape)
    lfc[(null & 1) > 0] = np.nan
    p_adj[(null & 2) > 0] = np.nan
    p[(null & 4) > 0] = np.nan
    keep = rng.permutation(genes.size)[: max(1, genes.size - kind)] if kind else np.arange(genes.size)
    present = rng.uniform(size=shape) < 0.9
    for values in (lfc, p, p_adj):
        values[~present] = np.nan
    null[~present] = 0
    position = np.argsort(rng.uniform(size=shape), axis=1)
    return DETable(
        targets=perturbations[::-1] if kind == 2 else perturbations,
        genes=genes[keep],
        lfc=lfc[:, keep],
        p_value=p[:, keep],
        p_adj=p_adj[:, keep],
        present=present[:, keep],
        null=null[:, keep].astype(np.uint8),
        position=position[:, keep] if kind == 1 else None,
    )


@pytest.fixture(scope="session")
def make_pair() -> Callable[..., Pair]:
    """Builder of random pairs."""
    return random_pair


def literature_pair_of(seed: int, n: int, g: int, *, rough: bool = True, trained: bool = True) -> Pair:
    """A random pair whose labels join different numbers of guides, with or without training rows."""
    pair = random_pair(seed, n, g, rough=rough)

    def name(label: str) -> str:
        return f"{label}+x" if label in ("p0", "p3", "p6", "t2") else label

    def renamed(table: DETable) -> DETable:
        return replace(table, targets=tuple(map(name, table.targets)))

    assert pair.train is not None
    return replace(
        pair,
        perturbations=tuple(map(name, pair.perturbations)),
        de_real=renamed(pair.de_real),
        de_pred=renamed(pair.de_pred),
        train=replace(pair.train, labels=tuple(map(name, pair.train.labels))) if trained else None,
    )


@pytest.fixture(scope="session")
def literature_pair() -> Callable[..., Pair]:
    """Builder of random pairs with joined labels."""
    return literature_pair_of
