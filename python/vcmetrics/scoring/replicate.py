"""What a perfect model could reach: the reference's own cells, split in halves and scored against each other."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.calibration.depth import spearman_brown as at_full_depth
from vcmetrics.presets.cell_eval2_names import V1_NAMES
from vcmetrics.summary.de_table import DETable

BASE_SEED = 0
N_SPLITS = 5
SEED_DERIVATION = "numpy.random.SeedSequence(base_seed).generate_state(n_splits)"
SPLIT_HALF_RAW = "split_half_raw"
FULL_GATE_RAW = "full_gate_raw"
MIN_GATE = 10  # genes that a perturbation's lfc_nmae needs
FULL_GATED = "de_wilcoxon_lfc_nmae"

_AGREEMENT = frozenset(
    {name for name in V1_NAMES if name.startswith(("pds_", "de_wilcoxon_overlap", "de_wilcoxon_precision"))}
    | {"delta_pearson"}
    | {f"de_wilcoxon_{name}" for name in ("nsig_spearman", "lfc_spearman", "direction_match", "sig_recall")}
)
# metrics that grow with the depth of a half as a reliability does, by the scorer that says so
CEILING_METRICS: Mapping[str, frozenset[str]] = {
    "cell-eval2": _AGREEMENT,
    "cell-eval": _AGREEMENT | {"de_wilcoxon_pr_auc", "de_wilcoxon_roc_auc"},
}


@dataclass(frozen=True)
class HalfScore:
    """What scoring half B against half A gave.

    ``aggregate`` and ``n_perturbations`` (that count) are by registry name. The DE tables of both halves, each against
    its own control, are needed where lfc_nmae is scored.
    """

    aggregate: Mapping[str, float | None]
    n_perturbations: Mapping[str, int | None]
    de_a: DETable | None = None
    de_b: DETable | None = None


class SplitRow(NamedTuple):
    """One metric of one split."""

    split_index: int
    seed: int
    metric: str
    value: float
    n_perturbations: int | None


class AnchorRow(NamedTuple):
    """One metric over all splits; ``replicate`` is their plain mean, the deviation has ddof 0."""

    metric: str
    replicate: float
    replicate_sd: float
    replicate_min: float
    replicate_max: float
    n_perturbations_min: int | None
    n_perturbations_max: int | None
    estimator: str


@dataclass(frozen=True)
class Anchors:
    """The replicate end of the scale. Rows and splits are sorted by metric."""

    rows: tuple[AnchorRow, ...]
    splits: tuple[SplitRow, ...]
    base_seed: int
    seeds: tuple[int, ...]

    @property
    def replicate(self) -> dict[str, float]:
        """Anchor value by metric."""
        return {row.metric: row.replicate for row in self.rows}


ScoreHalves = Callable[[NDArray[np.int32], NDArray[np.int32]], HalfScore]


def split_seeds(base_seed: int = BASE_SEED, n_splits: int = N_SPLITS) -> list[int]:
    """Seeds of the splits.

    Examples
    --------
    >>> split_seeds()[:2]
    [2968811710, 3677149159]
    """
    if n_splits < 1:
        msg = f"n_splits must be 1 or more, not {n_splits}"
        raise ValueError(msg)
    return [int(seed) for seed in np.random.SeedSequence(base_seed).generate_state(n_splits)]


def split_halves(
    codes: NDArray[np.integer[Any]], n_groups: int, seed: int, order: Sequence[int] | None = None
) -> NDArray[np.int8]:
    """Assign every cell to half A (0), half B (1) or none (-1).

    Parameters
    ----------
    codes
        (n_obs,) group of each cell, the control a group like any other; -1 for cells that are not used.
    n_groups
        Number of groups.
    seed
        Seed of this split.
    order
        Groups in the order in which they draw; None takes them ascending. Scorers go by the categories of the label
        column, which are sorted unless a file says otherwise.

    Returns
    -------
    (n_obs,) int8. Of n cells ⌊n/2⌋ go to either half; an odd cell and groups of one cell go to none.

    Examples
    --------
    >>> split_halves(np.array([0, 0, 1, 1, 1, 2]), 3, seed=0).tolist()
    [0, 1, 1, -1, 0, -1]
    """
    rng = np.random.default_rng(seed)
    by_group = np.argsort(codes, kind="stable")
    bounds = np.searchsorted(codes[by_group], np.arange(n_groups + 1))
    out = np.full(codes.shape[0], -1, np.int8)
    for group in range(n_groups) if order is None else order:
        cells = by_group[bounds[group] : bounds[group + 1]]
        if cells.size == 0:
            continue
        drawn = rng.permutation(cells)
        half = drawn.size // 2
        out[drawn[:half]] = 0
        out[drawn[half : 2 * half]] = 1
    return out


def spearman_brown(
    aggregate: Mapping[str, float | None], names: Sequence[str], scorer: str = "cell-eval2"
) -> dict[str, float]:
    """Ceilings of ``names`` at full depth: 2r/(1+r) of half-depth agreement r.

    NaN for metrics that are no agreement (``CEILING_METRICS``) and for values that are undefined or not positive.

    Examples
    --------
    >>> spearman_brown({"pds_cosine": 0.6}, ["pds_cosine", "expr_mae"])
    {'pds_cosine': 0.7499999999999999, 'expr_mae': nan}
    """
    out: dict[str, float] = {}
    for name in names:
        r = aggregate.get(name)
        usable = name in CEILING_METRICS[scorer] and r is not None and math.isfinite(r) and r > 0.0
        out[name] = float(at_full_depth(r)) if usable else math.nan
    return out


def lfc_nmae_reference(
    full: DETable, half_a: DETable, half_b: DETable, own: Sequence[str | None], *, alpha: float = 0.05
) -> dict[str, tuple[float, int]]:
    """Disagreement of two halves' fold changes over the genes that the full data call significant.

    Parameters
    ----------
    full
        Table of all cells: gate (p_adj < ``alpha``, finite fold change, own gene out) and denominator.
    half_a, half_b
        Tables of the halves, each against its own control; a gene that one lacks counts as 0 there.
    own
        Own target gene per target of ``full``; None where it has none.
    alpha
        Level of the gate, strict.

    Returns
    -------
    By target: mean |lfc_a - lfc_b| / mean |lfc| and the number of genes. Targets with fewer than 10 genes or a zero
    denominator are absent.

    Raises
    ------
    DataError
        If a gated target is missing from a half.
    """
    present = np.ones(full.lfc.shape, bool) if full.present is None else full.present
    gate = present & (full.p_adj < alpha) & np.isfinite(full.lfc)
    columns = {str(gene): k for k, gene in enumerate(full.genes)}
    for row, gene in enumerate(own):
        if gene is not None and gene in columns:
            gate[row, columns[gene]] = False
    gated = [full.targets[row] for row in np.flatnonzero(gate.any(axis=1))]
    a, b = (_on_full(full, half, gated) for half in (half_a, half_b))
    out: dict[str, tuple[float, int]] = {}
    for row, target in enumerate(full.targets):
        genes = np.flatnonzero(gate[row])
        if genes.size < MIN_GATE:
            continue
        scale = float(np.mean(np.abs(full.lfc[row, genes])))
        if scale > 0.0:
            out[target] = (float(np.mean(np.abs(a[row, genes] - b[row, genes]))) / scale, int(genes.size))
    return out


def _on_full(full: DETable, half: DETable, gated: Sequence[str]) -> NDArray[np.float64]:
    """Fold changes of ``half`` over the targets and genes of ``full``; 0 where absent or not finite."""
    rows = {target: k for k, target in enumerate(half.targets)}
    gone = half.present is not None and [t for t in half.targets if not half.present[rows[t]].any()]
    missing = [t for t in gated if t not in rows or half.genes.size == 0 or (gone and t in gone)]
    if missing:
        msg = (
            f"target {missing[0]!r} has significant genes but no row in a half of the reference; "
            "lower or switch off the CPM gate, or leave that perturbation out of the reference"
        )
        raise DataError(msg)
    lfc = half.lfc if half.present is None else np.where(half.present, half.lfc, 0.0)
    lfc = np.where(np.isfinite(lfc), lfc, 0.0)
    columns = {str(gene): k for k, gene in enumerate(half.genes)}
    at = np.array([columns.get(str(gene), -1) for gene in full.genes], np.int64)
    out = np.zeros(full.lfc.shape)
    for k, target in enumerate(full.targets):
        if target in rows:
            out[k] = np.where(at >= 0, lfc[rows[target], at], 0.0)
    return out


def replicate_anchors(
    codes: NDArray[np.int32],
    labels: Sequence[str],
    control: str,
    score_halves: ScoreHalves,
    *,
    metrics: Sequence[str],
    full: DETable | None = None,
    own: Sequence[str | None] = (),
    alpha: float = 0.05,
    order: Sequence[int] | None = None,
    base_seed: int = BASE_SEED,
    n_splits: int = N_SPLITS,
    strict: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Anchors:
    """Score the reference against itself over several splits.

    Parameters
    ----------
    codes, labels, control
        Groups of the reference's cells (see :func:`split_halves`), their labels, and which is the control.
    score_halves
        ``f(codes_a, codes_b)``: scores half B as the prediction of half A, each against its own control. Both arrays
        are ``codes`` with the cells of the other half set to -1.
    metrics
        Registry names that the anchors must cover.
    full, own, alpha
        DE table of all cells, own genes of its targets and the level: gate and denominator of lfc_nmae.
    order
        Order in which the groups draw, see :func:`split_halves`.
    base_seed, n_splits
        The seeds are those of :func:`split_seeds`.
    strict
        Refuse metrics that are undefined in a split; False: their anchor is NaN.
    progress
        ``f(done, total)``, called after every split.

    Returns
    -------
    Anchors

    Raises
    ------
    DataError
        If a group is too small, or a metric is undefined in a split.
    """
    nmae = FULL_GATED in metrics
    sizes = np.bincount(codes[codes >= 0], minlength=len(labels))
    _check_sizes(sizes, labels, control, every=nmae)
    if nmae and full is None:
        msg = f"the anchor of {FULL_GATED} needs the DE table of the whole reference"
        raise ValueError(msg)
    seeds = split_seeds(base_seed, n_splits)
    splits: list[SplitRow] = []
    for index, seed in enumerate(seeds):
        half = split_halves(codes, len(labels), seed, order)
        a, b = (np.where(half == which, codes, -1).astype(np.int32) for which in (0, 1))
        score = score_halves(a, b)
        values, counts = dict(score.aggregate), dict(score.n_perturbations)
        if nmae:
            assert full is not None
            if score.de_a is None or score.de_b is None:
                msg = f"score_halves gave no DE tables, which the anchor of {FULL_GATED} needs"
                raise ValueError(msg)
            reference = lfc_nmae_reference(full, score.de_a, score.de_b, own, alpha=alpha)
            raw = [value for value, _ in reference.values()]
            values[FULL_GATED], counts[FULL_GATED] = float(np.mean(raw)) if raw else None, len(raw)
        for metric in sorted(metrics):
            value = values.get(metric)
            if value is None or not math.isfinite(value):
                if strict:
                    msg = f"{metric} is undefined in split {index} (seed {seed}) of the reference, so it has no anchor"
                    raise DataError(msg)
                value = math.nan
            splits.append(SplitRow(index, seed, metric, value, counts.get(metric)))
        if progress is not None:
            progress(index + 1, n_splits)
    return assemble(splits, base_seed=base_seed)


def assemble(splits: Sequence[SplitRow], *, base_seed: int = BASE_SEED) -> Anchors:
    """Anchors of the values of all splits."""
    rows = []
    for metric in sorted({row.metric for row in splits}):
        mine = [row for row in splits if row.metric == metric]
        values = np.array([row.value for row in mine])
        counts = [row.n_perturbations for row in mine if row.n_perturbations is not None]
        rows.append(
            AnchorRow(
                metric,
                float(values.mean()),
                float(values.std()),
                float(values.min()),
                float(values.max()),
                min(counts) if counts else None,
                max(counts) if counts else None,
                FULL_GATE_RAW if metric == FULL_GATED else SPLIT_HALF_RAW,
            )
        )
    seeds = tuple(dict.fromkeys(row.seed for row in sorted(splits, key=lambda row: row.split_index)))
    ordered = tuple(sorted(splits, key=lambda row: (row.split_index, row.metric)))
    return Anchors(tuple(rows), ordered, base_seed, seeds)


def _check_sizes(sizes: NDArray[np.int64], labels: Sequence[str], control: str, *, every: bool) -> None:
    thin = [label for label, n in zip(labels, sizes, strict=True) if n < 2]
    if control in thin or control not in labels:
        msg = f"the control {control!r} has fewer than 2 cells in the reference; its halves cannot be compared"
        raise DataError(msg)
    if every and thin:
        msg = (
            f"{thin[0]!r} has fewer than 2 cells in the reference; the lfc_nmae anchor needs 2 of every perturbation: "
            "leave it out, or take the scale of the baseline alone"
        )
        raise DataError(msg)
    if len(thin) >= len(labels) - 1:
        msg = "no perturbation of the reference has 2 cells, so there are no halves to compare"
        raise DataError(msg)
