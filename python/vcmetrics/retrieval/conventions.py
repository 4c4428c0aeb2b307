"""Named rule sets that reproduce how others ask the same question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

# what vcmetrics.discrimination takes where neither a convention nor the caller says otherwise
DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {
        "space": "log_of_sums",
        "metric": "cosine",
        "exclude_targets": "panel",
        "ties": "mid",
        "denominator": "n-1",
        "norm_match": "none",
        "residual": False,
        "direction": "pred_to_real",
        "reference": "control",
        "control_source": "real",
        "candidates": "real",
        "sample": None,
        "output": "score",
    }
)
# who divides by what: (offset of the rank, whether one is taken from the number of candidates)
DENOMINATORS: Mapping[str, tuple[int, int]] = MappingProxyType({"n-1": (0, 1), "n": (0, 0), "n, from 1": (1, 0)})


def check_denominator(denominator: str) -> None:
    """Refuse another word."""
    if denominator not in DENOMINATORS:
        msg = f"denominator {denominator!r} is not one of {', '.join(DENOMINATORS)}"
        raise ValueError(msg)


@dataclass(frozen=True)
class Convention:
    """A rule set: what it sets, who uses it, and what it is known to do.

    ``perfect`` and ``constant`` say what a perfect prediction and one profile for all perturbations score.
    """

    source: str
    settings: Mapping[str, Any]
    perfect: str
    constant: str
    notes: str = ""
    other: Mapping[str, Any] = field(default_factory=dict)


_CELL_EVAL = {
    "space": "mean",
    "metric": "cityblock",
    "exclude_targets": "row",
    "ties": "first",
    "denominator": "n",
    "reference": "control",
    "control_source": "own",
    "candidates": "scored",
}
_TXPERT = {
    "space": "mean",
    "metric": "pearson",
    "exclude_targets": "none",
    "ties": "first",
    "denominator": "n, from 1",
    "reference": "batch_control",
    "candidates": "real",
}
_PERTURBENCH = {
    "space": "mean",
    "metric": "cosine",
    "exclude_targets": "none",
    "ties": "mid",
    "denominator": "n-1",
    "reference": "control",
    "candidates": "scored",
    "output": "rank",
}
CONVENTIONS: Mapping[str, Convention] = MappingProxyType(
    {
        "cell-eval": Convention(
            "cell-eval 0.8.2, discrimination_score_l1 (metric='l2' or 'cosine' for its others)",
            _CELL_EVAL,
            "1",
            "(n + 1)/(2n)",
            "effects against each side's own control; equals stand in label order",
        ),
        "vcc2025": Convention(
            "Virtual Cell Challenge 2025, PDS (cell-eval's profile vcc)", _CELL_EVAL, "1", "(n + 1)/(2n)", "= cell-eval"
        ),
        "vcc2026": Convention(
            "Virtual Cell Challenge 2026, pds_cosine (cell-eval2 0.20.0)",
            {
                "space": "log_of_sums",
                "metric": "cosine",
                "exclude_targets": "panel",
                "ties": "mid",
                "denominator": "n-1",
                "reference": "control",
                "control_source": "real",
                "candidates": "real",
            },
            "1",
            "1/2",
        ),
        "systema": Convention(
            "Systema, centroid accuracy",
            {
                "space": "mean",
                "metric": "euclidean",
                "exclude_targets": "none",
                "ties": "pessimistic",
                "denominator": "n-1",
                "reference": "none",
                "candidates": "real",
            },
            "1",
            "1/2 where every candidate is queried and none tie",
            "candidates are all observed perturbations, training ones too; a tie is a loss",
        ),
        "shift-nir": Convention(
            "Shift study, normalised inverse rank",
            {
                "space": "mean",
                "metric": "euclidean",
                "exclude_targets": "none",
                "ties": "pessimistic",
                "denominator": "n-1",
                "reference": "none",
                "candidates": "scored",
            },
            "1",
            "1/2 where none tie",
            "candidates are the scored perturbations; a tie is a loss",
        ),
        "txpert-normed": Convention(
            "TxPert, normed_retrieval",
            _TXPERT,
            "(n - 1)/n",
            "(n - 1)/(2n)",
            "batch-matched effects (batch_col=); equals stand in label order; never 1",
        ),
        "txpert-fast": Convention(
            "TxPert, fast_retrieval",
            {**_TXPERT, "sample": 100},
            "(n - 1)/n",
            "depends on the sample",
            "100 candidates and the own one; the sample is ours (seed 0), for theirs is not documented",
        ),
        "perturbench": Convention(
            "PerturBench, rank (metric='euclidean' for its rmse rank)",
            {**_PERTURBENCH, "direction": "real_to_pred"},
            "0",
            "1/2",
            "for every truth, the place of its own prediction among all predictions; 0 is best; equals by mid-rank "
            "where PerturBench shuffles",
        ),
        "perturbench-transposed": Convention(
            "PerturBench, rank with transpose=True",
            {**_PERTURBENCH, "direction": "pred_to_real"},
            "0",
            "1/2",
            "for every prediction, the place of its own truth; 0 is best",
        ),
    }
)


def settle(convention: str | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings: the caller's where given (not None), else the convention's, else the defaults.

    Raises
    ------
    ValueError
        If there is no such convention; ``pdgrapher`` asks another question and names its function.

    Examples
    --------
    >>> settle("systema", {"metric": "l1", "ties": None})["metric"], settle("systema", {})["ties"]
    ('l1', 'pessimistic')
    """
    rules: Mapping[str, Any] = {}
    if convention == "pdgrapher":
        msg = (
            "convention 'pdgrapher' ranks genes as targets of a perturbation, not profiles: call "
            "vcmetrics.arrays.target_rank(scores, targets)"
        )
        raise ValueError(msg)
    if convention is not None:
        if convention not in CONVENTIONS:
            msg = f"convention {convention!r} is not known; choose from {', '.join(CONVENTIONS)}, pdgrapher"
            raise ValueError(msg)
        rules = CONVENTIONS[convention].settings
    return {**DEFAULTS, **rules, **{name: value for name, value in given.items() if value is not None}}


def refuse(settings: Mapping[str, Any], names: tuple[str, ...], what: str) -> None:
    """Refuse settings other than the defaults that ``what`` does not follow.

    Raises
    ------
    ValueError
        If a convention or an argument asks for one of them.
    """
    for name in names:
        if settings[name] != DEFAULTS[name]:
            able = [
                key
                for key, rule in CONVENTIONS.items()
                if all(rule.settings.get(n, DEFAULTS[n]) == DEFAULTS[n] for n in names)
            ]
            msg = f"{what} does not follow {name}={settings[name]!r}; conventions without it: {', '.join(able)}"
            raise ValueError(msg)
