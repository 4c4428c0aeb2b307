"""How much of a model's score is reached by predictors that know only a confounder?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from vcmetrics.baselines.emission import Place, emitted
from vcmetrics.baselines.formulas import Floats
from vcmetrics.baselines.inputs import Reading, Side, read_both, reading
from vcmetrics.baselines.make import KINDS, predicted
from vcmetrics.calibration.ratio import calibrate
from vcmetrics.retrieval.targets import target_sets

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

PREDICTORS: Mapping[str, str] = {
    "cells and depth": "the profile of the other perturbation most alike in number and median depth of cells",
    "systematic variation": "one profile for all: the mean over perturbations",
    "magnitude": "the mean effect, stretched to the observed norm of the perturbation's own (an oracle of it)",
    "knock-down": "the control with the own target genes at their observed level (an oracle of it)",
}


def predictors(
    real: Any,
    *,
    train: Any = None,
    target_map: Mapping[str, Any] | None = None,
    n_cells: int | None = None,
    seed: int = 0,
    **how: Any,
) -> dict[str, AnnData]:
    """Predictions that know of each perturbation one confounder alone, see :data:`PREDICTORS`.

    Parameters
    ----------
    real, train, n_cells, seed
        As in :func:`vcmetrics.baselines.make`.
    target_map
        label → own target gene; without it the label is the gene, or joins genes.
    how
        ``pert_col``, ``control``, ``context_col``, ``batch_col``, ``layer``, ``space``, ``target_sum``, ``separator``,
        ``n_threads`` of :func:`vcmetrics.baselines.make`.

    Returns
    -------
    Name → cells, ready to be scored; ``no change`` is among them.

    Examples
    --------
    >>> from vcmetrics import datasets
    >>> demo = datasets.demo()
    >>> made = predictors(demo.path, pert_col=demo.pert_col, control=demo.control)
    >>> list(made)
    ['no change', 'cells and depth', 'systematic variation', 'magnitude', 'knock-down']
    """
    defaults: dict[str, Any] = {
        "pert_col": None,
        "control": "non-targeting",
        "context_col": None,
        "batch_col": None,
        "layer": None,
        "space": "log_of_sums",
        "target_sum": 5e4,
        "separator": "+",
        "n_threads": None,
    }
    unknown = sorted(set(how) - set(defaults))
    if unknown:
        msg = f"predictors takes no argument {unknown[0]!r}; it takes {', '.join(defaults)}"
        raise TypeError(msg)
    asked = reading(**(defaults | how))
    side, trained = read_both(real, train, asked)

    def of(kind: str, options: Mapping[str, Any]) -> dict[Place, Floats]:
        return predicted(kind, KINDS[kind], side, trained, True, options)

    control = of("no-change", {})
    mean = of("perturbed-mean", {})
    made = {
        "no change": control,
        "cells and depth": of("nearest-by-depth", {}),
        "systematic variation": mean,
        "magnitude": stretched(side, control, mean),
        "knock-down": knocked_down(side, control, target_map, asked),
    }
    return {name: emitted(side, profiles, asked, "cells", n_cells, seed)[0] for name, profiles in made.items()}


def stretched(side: Side, control: Mapping[Place, Floats], mean: Mapping[Place, Floats]) -> dict[Place, Floats]:
    """The mean effect with the observed norm of every perturbation."""
    s = side.source
    out = {}
    for row, place in enumerate(zip(s.contexts, s.labels, strict=True)):
        effect, own = mean[place] - control[place], s.mean[row] - control[place]
        size = np.sqrt((effect**2).sum())
        out[place] = control[place] + effect * (np.sqrt((own**2).sum()) / size if size else 0.0)
    return out


def knocked_down(
    side: Side, control: Mapping[Place, Floats], target_map: Mapping[str, Any] | None, how: Reading
) -> dict[Place, Floats]:
    """The control with the own targets at their observed level."""
    s = side.source
    own = target_sets(s.labels, s.genes, target_map, control=how.control, separator=how.separator, required=False).table
    out = {}
    for row, place in enumerate(zip(s.contexts, s.labels, strict=True)):
        profile, genes = control[place].copy(), own[row][own[row] >= 0]
        profile[genes] = s.mean[row][genes]
        out[place] = profile
    return out


def known_only(
    pred: Any,
    real: Any,
    *,
    train: Any = None,
    preset: str = "vcc2026",
    metrics: Iterable[str] | None = None,
    target_map: Mapping[str, Any] | None = None,
    ci: float = 0.95,
    n_resamples: int = 1000,
    seed: int = 0,
    overrides: Mapping[str, Any] | None = None,
    **how: Any,
) -> pd.DataFrame:
    """Share of a model's score that predictors reach which know only a confounder.

    Parameters
    ----------
    pred, real
        As in :func:`vcmetrics.score`.
    train, target_map, how
        As in :func:`predictors`.
    preset, metrics, overrides
        Rules, as in :func:`vcmetrics.score`.
    ci, n_resamples, seed
        Interval by a paired bootstrap over perturbations.

    Returns
    -------
    DataFrame, index (metric, predictor): ``value`` of the predictor, ``no_change`` and ``model``; ``share``
    (value - no_change) / (model - no_change) with ``lower`` and ``upper``; ``reason`` where there is no share: model
    and no change cannot be told apart, or a value is undefined. A share of 1: the score says no more about the model
    than about the confounder.

    Examples
    --------
    >>> from vcmetrics import baselines, datasets
    >>> demo = datasets.demo()
    >>> how = {"pert_col": demo.pert_col, "control": demo.control}
    >>> truth, replicate = baselines.halves(demo.path, **how)
    >>> table = known_only(replicate, truth, train=replicate, metrics=["delta_pearson"], **how)
    >>> bool(table.loc[("delta_pearson", "systematic variation"), "share"] > 0.3)
    True
    """
    import pandas as pd

    from vcmetrics.scoring.score import score

    rules: dict[str, Any] = {"preset": preset, "metrics": metrics, "target_map": target_map, "overrides": overrides}
    rules |= {
        k: v for k, v in how.items() if k in ("pert_col", "control", "context_col", "batch_col", "layer", "n_threads")
    }
    model = score(pred, real, **rules)
    made = predictors(real, train=train, target_map=target_map, seed=seed, **how)
    found = {name: score(cells, real, **rules) for name, cells in made.items()}
    frames = {}
    for name in PREDICTORS:
        table = calibrate(found[name], found["no change"], model, ci=ci, n_resamples=n_resamples, seed=seed)
        # the ends are the model and no change: a model that is worse has a share as well
        chosen = table[["value", "null", "ceiling", "calibrated", "lower", "upper", "reason"]].copy()
        for ours, shown in (("ceiling", "model"), ("null", "no change")):
            chosen["reason"] = chosen["reason"].str.replace(ours, shown)
        frames[name] = chosen.set_axis(["value", "no_change", "model", "share", "lower", "upper", "reason"], axis=1)
    out = pd.concat(frames, names=["predictor", "metric"]).swaplevel()
    order = [(m, p) for m in model.aggregate_values for p in PREDICTORS]
    return out.loc[order]
