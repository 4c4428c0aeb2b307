"""How well logistic regression tells groups apart (scikit-learn, its default settings)."""

from __future__ import annotations

from typing import Any
from zlib import crc32

import numpy as np

from vcmetrics.metrics.distance.registry import DistanceSpec, Pairs, Values, register
from vcmetrics.metrics.registry import Parity
from vcmetrics.reference import distance_classifiers as reference
from vcmetrics.sources.cell_groups import CellGroups


def generator_of(random_state: Any, *labels: str) -> np.random.Generator:
    """The generator given, or one of the seed and the labels: it does not depend on which other groups there are."""
    if isinstance(random_state, np.random.Generator):
        return random_state
    return np.random.default_rng([int(random_state), *(crc32(label.encode()) for label in labels)])


def classifier_proba(
    cells: CellGroups, pairs: Pairs, *, holdout: float = 0.2, random_state: int | np.random.Generator = 0
) -> Values:
    """Mean probability of y that a classifier of x against the rest of y gives to held-out cells of y.

    Parameters
    ----------
    cells, pairs
        Groups, and which of them.
    holdout
        Share of y's cells held out, at least one.
    random_state
        Seed of the draw, one generator a pair of groups; or a generator, which is drawn from pair after pair.

    Returns
    -------
    (n_pairs,), in [0, 1]; NaN where y has one cell, for none is left to learn from.
    """
    if not 0 < holdout < 1:
        msg = f"holdout is {holdout!r}; pass a share between 0 and 1"
        raise ValueError(msg)
    out = np.full(len(pairs), np.nan)
    for k, (a, b) in enumerate(pairs.tolist()):
        x, y = cells.block(a), cells.block(b)
        if len(y) < 2:
            continue
        rng = generator_of(random_state, cells.labels[a], cells.labels[b])
        held = rng.choice(len(y), max(1, int(len(y) * holdout)), replace=False)
        kept = np.setdiff1d(np.arange(len(y)), held)
        out[k] = _probability(np.concatenate([x, y[kept]]), np.repeat(["c", "p"], [len(x), kept.size]), y[held], "p")
    return out


def _probability(train: Values, labels: Any, test: Values, label: str) -> float:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression().fit(train, labels)
    return float(model.predict_proba(test)[:, list(model.classes_).index(label)].mean())


def classifier_cp(cells: CellGroups, pairs: Pairs) -> Values:
    """1 - mean probability of group x that a classifier of all groups but y gives to the cells of y.

    One multinomial logistic regression for each y, on all groups of the call: the value depends on which those are.

    Parameters
    ----------
    cells, pairs
        Groups, and which of them.

    Returns
    -------
    (n_pairs,), in [0, 1]; 0 for a group and itself; NaN where fewer than two groups are left.
    """
    from sklearn.linear_model import LogisticRegression

    out = np.full(len(pairs), np.nan)
    present = np.flatnonzero(cells.sizes)
    for b in np.unique(pairs[:, 1]).tolist():
        chosen = np.flatnonzero(pairs[:, 1] == b)
        out[chosen[pairs[chosen, 0] == b]] = 0.0
        others = present[present != b]
        if others.size < 2:
            continue
        used = np.flatnonzero((cells.codes >= 0) & (cells.codes != b))
        names = np.array(cells.labels, dtype=object)[cells.codes[used]].astype(str)
        model = LogisticRegression().fit(np.asarray(cells.cells(used), np.float64), names)
        found = model.predict_proba(cells.block(b)).mean(0)
        place = {str(label): k for k, label in enumerate(model.classes_)}
        for k in chosen[pairs[chosen, 0] != b].tolist():
            out[k] = 1.0 - found[place[cells.labels[pairs[k, 0]]]]
    return out


register(
    DistanceSpec(
        name="classifier_proba",
        kind="cells",
        symmetric=False,
        definition="mean P(y | held-out cells of y), logistic regression of x against the rest of y",
        formula=classifier_proba,
        reference=reference.classifier_proba,
        defaults={"holdout": 0.2, "random_state": 0},
        invariants=("nonnegative",),
        zero_self=False,
        extra="cluster",
        # scikit-learn stops where no slope exceeds 1e-4
        parity=Parity(rtol=0.0, atol=1e-3),
        source="pertpy 1.0.3, Distance('classifier_proba')",
    )
)
register(
    DistanceSpec(
        name="classifier_cp",
        kind="cells",
        symmetric=False,
        definition="1 - mean P(x | cells of y), logistic regression of all groups but y",
        formula=classifier_cp,
        reference=reference.classifier_cp,
        invariants=("nonnegative",),
        extra="cluster",
        context=True,
        # scikit-learn stops where no slope exceeds 1e-4
        parity=Parity(rtol=0.0, atol=1e-3),
        source="pertpy 1.0.3, Distance('classifier_cp')",
    )
)
