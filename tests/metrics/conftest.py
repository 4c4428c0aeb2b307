"""Pairs built from the golden tables: what the scorers saw, without a pass over cells."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from vcmetrics.metrics.pair import Pair, Profiles
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
