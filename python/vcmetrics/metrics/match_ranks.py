"""Match ranks as the literature asks for them: one formula, and the settings that tell the papers apart."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.backend.threads import resolve_threads
from vcmetrics.metrics.pair import Pair
from vcmetrics.metrics.referenced_effects import reference_profiles, referenced_effects
from vcmetrics.metrics.registry import MetricSpec, Need, Parity, Values, register
from vcmetrics.reference import match_ranks as reference_of
from vcmetrics.retrieval.conventions import check_denominator
from vcmetrics.retrieval.discrimination import sampled_candidates, score_of
from vcmetrics.retrieval.pairs import metric_name
from vcmetrics.retrieval.panel import Panel
from vcmetrics.retrieval.ranking import make_task, rank_all
from vcmetrics.retrieval.ranks import tie_rule as rule_of_ties
from vcmetrics.retrieval.targets import Targets, target_sets

Table = NDArray[np.float64]


def match_rank(
    pair: Pair,
    *,
    metric: str = "cosine",
    reference: str = "control",
    scope: str = "panel",
    candidates: str = "scored",
    direction: str = "pred_to_real",
    tie_rule: str = "mid",
    divide_by: str = "n-1",
    norm_match: str = "none",
    residual: bool = False,
    sample: int | None = None,
    output: str = "score",
) -> Values:
    """Place of the own observed profile among all candidates, seen from each prediction.

    Parameters
    ----------
    pair
        Profiles of both sides; ``train`` where training perturbations are candidates, ``batches`` for
        ``reference="batch_control"``.
    metric
        Distance of profiles, any name that :func:`vcmetrics.discrimination` takes.
    reference
        What both sides' profiles are taken against: ``none``, ``control`` (each side's own in the pair), or another
        name of :mod:`vcmetrics.summary.effect_reference`, its mean over all observed (training) profiles: one that
        leaves each row's own truth out would hand it over.
    scope
        Target genes that are left out: ``none``, ``row``, ``panel``, ``pair``.
    candidates
        ``scored``: the perturbations that are predicted; ``all``: those of ``pair.train`` too.
    direction
        ``pred_to_real``, or ``real_to_pred``: the place of the own prediction among all, seen from each truth.
    tie_rule
        Place among equal distances: ``mid``, ``first`` (in the order of the labels), ``last``, ``optimistic``,
        ``pessimistic``.
    divide_by
        ``n-1``, ``n``, or ``n, from 1`` (ranks count from 1, so that the best is 1 - 1/n).
    norm_match, residual
        As :func:`vcmetrics.discrimination` takes them: ``none``, ``self``, ``panel``, ``unit``; take the mean of the
        panel off both sides.
    sample
        So many candidates, drawn with seed 0, beside the own one; None: all.
    output
        ``score`` (1 - share, 1 is best) or ``rank`` (the share itself, 0 is best).

    Returns
    -------
    (n_perturbations,), in [0, 1]; 0.5 is chance where ties take the middle and the divisor is n - 1.

    Raises
    ------
    DataError
        If every gene is a target, or the reference cannot be made of what the pair holds.

    Notes
    -----
    Cost O(n · n_candidates · n_genes). One candidate alone is found.

    Examples
    --------
    Prediction 2; own truth 3, another 2.5 and a third 9: one of two others is nearer, 1 - 1/2 = 0.5.
    """
    check_denominator(divide_by)
    panel = panel_of(pair, reference, candidates)
    threads = resolve_threads(None)
    how: dict[str, Any] = {"scope": scope, "direction": direction, "norm_match": norm_match, "residual": residual}
    task = make_task(panel, metric=metric_name(metric), n_threads=threads, **how)
    facing = panel.n_candidates if direction == "pred_to_real" else len(panel.scored)
    counted, n_candidates = sampled_candidates(task.own, facing, sample)
    found = rank_all(task, rule_of_ties(tie_rule), None, counted)
    out = np.empty(pair.n)
    out[label_order(pair)] = score_of(found.rank, n_candidates, divide_by, output)
    return out


def label_order(pair: Pair) -> NDArray[np.int64]:
    """Perturbations by label: ties by name do not depend on the order of the rows."""
    return np.argsort(np.array(pair.perturbations, str), kind="stable")


def panel_of(pair: Pair, reference: str, candidates: str) -> Panel:
    """Queries and candidates, sorted by label."""
    if candidates not in ("scored", "all"):
        msg = f"candidates {candidates!r} is not known; pass 'scored' or 'all' (training perturbations too)"
        raise ValueError(msg)
    effects = referenced_effects(pair, reference, leave_one_out=False)
    predicted, rows = (np.asarray(side(slice(None)), np.float64) for side in (effects.pred, effects.real))
    labels = list(pair.perturbations)
    if candidates == "all" and pair.train is not None:
        known = set(labels)
        extra = [k for k, label in enumerate(pair.train.labels) if label not in known]
        if extra:
            seen = training_rows(pair, reference)[extra]
            rows = np.concatenate([rows, seen])
            labels += [pair.train.labels[k] for k in extra]
    order = np.argsort(np.array(labels, str), kind="stable")
    place = np.argsort(order, kind="stable")
    mine = label_order(pair)
    names = tuple(labels[k] for k in order)
    return Panel(
        context=None,
        names=names,
        real=np.ascontiguousarray(rows[order]),
        pred=np.ascontiguousarray(predicted[mine]),
        scored=place[mine],
        targets=own_targets(pair, names),
        training_names=(),
        training_rows=np.empty((0, rows.shape[1])),
        left_out=(),
    )


def own_targets(pair: Pair, names: tuple[str, ...]) -> Targets:
    """Own genes of labels: the pair's where it knows one, else those that the label names."""
    found = target_sets(names, pair.genes, required=False)
    at = {label: int(gene) for label, gene in zip(pair.perturbations, pair.own, strict=True)}
    table = found.table.copy()
    for k, name in enumerate(names):
        if name in at and (at[name] >= 0 or table.shape[1] == 1 or table[k, 1] < 0):
            table[k] = -1
            table[k, 0] = at[name]
    return Targets(table, found.unresolved, found.declared)


def training_rows(pair: Pair, reference: str) -> Table:
    """Observed profiles of the training perturbations, taken against the same."""
    train = pair.train
    assert train is not None
    if reference == "control":
        control = pair.profiles()[1].control if train.control is None else train.control
        return np.asarray(train.mean - control)
    base = None if reference == "batch_control" else reference_profiles(pair, reference, leave_one_out=False)
    if base is None or base.ndim == 2:
        msg = (
            f"reference={reference!r} is one profile a row, which training perturbations do not have here; pass "
            "candidates='scored', or reference='control'"
        )
        raise DataError(msg)
    return np.asarray(train.mean - base)


_DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {
        "metric": "cosine",
        "reference": "control",
        "scope": "panel",
        "candidates": "scored",
        "direction": "pred_to_real",
        "tie_rule": "mid",
        "divide_by": "n-1",
        "norm_match": "none",
        "residual": False,
        "sample": None,
        "output": "score",
    }
)
_EUCLID = {"metric": "euclidean", "reference": "none", "scope": "none", "tie_rule": "pessimistic"}
_TXPERT = {
    "metric": "pearson",
    "reference": "batch_control",
    "scope": "none",
    "tie_rule": "first",
    "divide_by": "n, from 1",
}
_PERTURBENCH = {"scope": "none", "direction": "real_to_pred", "output": "rank"}
_TARGET = "No target gene is left out: a prediction that knows only its own target can come out near the best value."
_LOSS = "A tie is a loss: one profile for all perturbations scores 0 under direct comparison of equal candidates."
# name, what sets it apart, needs, best, chance, definition, pitfalls, source
_ROWS: tuple[tuple[str, Mapping[str, Any], tuple[Need, ...], float | None, float | None, str, Any, str], ...] = (
    ("centroid_accuracy", {**_EUCLID, "candidates": "all"}, (), 1.0, 0.5,
     "share of other centroids, training ones too, that lie farther from the prediction than its own",
     ("Candidates include training perturbations where they are given.", _LOSS, _TARGET),
     "Systema (fe087c9), centroid accuracy"),
    ("nir", _EUCLID, (), 1.0, 0.5,
     "share of other scored centroids that lie farther from the prediction than its own",
     (_LOSS, _TARGET, "Raw profiles are compared, so genes of high variance between perturbations decide."),
     "Shift study (08db3c1), normalised inverse rank"),
    ("normed_retrieval", _TXPERT, ("batches",), None, None,
     "1 - rank of 1 - Pearson(d̂_p, d_q) / n, ranks from 1, batch-matched effects",
     ("A perfect prediction scores (n - 1)/n, never 1.", "Ties stand in the order of the labels.",
      "Training candidates cannot be matched by batch and stay out.", _TARGET),
     "TxPert (162df96), normed_retrieval"),
    ("fast_retrieval", {**_TXPERT, "sample": 100}, ("batches",), None, None,
     "normed_retrieval among 100 drawn candidates and the own one",
     ("Depends on the draw, which is this package's (seed 0).", "Never 1.", _TARGET),
     "TxPert (162df96), fast_retrieval"),
    ("cosine_rank", _PERTURBENCH, (), 0.0, 0.5,
     "share of other predictions that lie nearer to the truth than its own, 1 - cos of effects",
     ("Lower is better.", "The question is turned round: predictions are ranked, seen from each truth.", _TARGET),
     "PerturBench, rank of the cosine of log fold changes; ties by mid-rank in place of a shuffle"),
    ("rmse_rank", {**_PERTURBENCH, "metric": "euclidean", "reference": "none"}, (), 0.0, 0.5,
     "share of other predictions that lie nearer to the truth than its own, Euclidean",
     ("Lower is better.", "The question is turned round: predictions are ranked, seen from each truth.", _TARGET),
     "PerturBench, rank of the rmse of means; ties by mid-rank in place of a shuffle"),
    ("pds_pair", {"scope": "pair"}, (), 1.0, 0.5,
     "share of duels of p and q won by p, 1 - cos without the target genes of both, ties by half",
     ("Each duel has its own genes, so distances of different candidates are not comparable with each other.",),
     "pair scope, proposed for the target-gene problem in 2025; one profile for all scores 0.5"),
    ("pds_l2_selfnorm", {"metric": "euclidean", "norm_match": "self"}, (), 1.0, 0.5,
     "1 - rank of |d̂_p |d_p|/|d̂_p| - d_q| / (n - 1)",
     ("The norm comes from the truth: it is an oracle for magnitude.",), "names of this package; L2 without its scale"),
    ("pds_l2_panelnorm", {"metric": "euclidean", "norm_match": "panel"}, (), 1.0, 0.5,
     "1 - rank of |a d̂_p - d_q| / (n - 1), a the quotient of the median norms",
     ("One factor from the truths is given to all predictions; relative magnitudes still count.",),
     "names of this package; L2 without its scale"),
    ("pds_l2_unit", {"metric": "euclidean", "norm_match": "unit"}, (), 1.0, 0.5,
     "1 - rank of |d̂_p/|d̂_p| - d_q/|d_q|| / (n - 1)",
     ("Ranks are those of the cosine.",), "names of this package; L2 without its scale"),
)  # fmt: skip
register(
    MetricSpec(
        name="match_rank",
        family="match_ranks",
        needs=frozenset({"profiles"}),
        better="higher",
        best=1.0,
        chance=0.5,
        bounds=(0.0, 1.0),
        definition="1 - rank of the distance to the own truth among the candidates / (n - 1), all rules by parameter",
        formula=match_rank,
        reference=reference_of.match_rank,
        defaults=_DEFAULTS,
        invariants=("gene_order", "perturbation_order", "scale_degree_0", "common_shift", "prediction_scale"),
        parity=Parity(rtol=0.0, atol=1e-12),
        source="the common form of match ranks; rows beside it are the settings of published scorers",
        pitfalls=(
            "Candidates, distance, ties and divisor each change the number: two papers' values are not comparable.",
            "L1 and L2 change with the size of the predicted effects alone; angles do not.",
        ),
    )
)
for _name, _rules, _needs, _best, _chance, _definition, _pitfalls, _source in _ROWS:
    _settings = {**_DEFAULTS, **_rules}
    _angle = _settings["metric"] in ("cosine", "pearson") or _settings["norm_match"] != "none"
    _turned = _settings["direction"] == "real_to_pred"
    _against = _settings["reference"] == "control"
    register(
        MetricSpec(
            name=_name,
            family="match_ranks",
            needs=frozenset({"profiles", *_needs}),
            better="lower" if _settings["output"] == "rank" else "higher",
            best=_best,
            chance=_chance,
            bounds=(0.0, 1.0),
            definition=_definition,
            formula=match_rank,
            reference=reference_of.match_rank,
            defaults=MappingProxyType(_settings),
            invariants=(
                "gene_order",
                "perturbation_order",
                "scale_degree_0",
                "common_shift",
                *(("prediction_scale",) if _angle and _against else ()),
            ),
            parity=Parity(rtol=0.0, atol=1e-12),
            source=_source,
            pitfalls=tuple(_pitfalls),
        )
    )
