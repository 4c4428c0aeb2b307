"""Retrieval baselines: what predictions without knowledge of the perturbation find, to stand beside a score."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics.backend.device import resolve_device
from vcmetrics.backend.memory import budgeted
from vcmetrics.backend.threads import resolve_threads
from vcmetrics.retrieval.conventions import check_denominator
from vcmetrics.retrieval.discrimination import CONTROL, discrimination, matching_of, score_of, whole_ks
from vcmetrics.retrieval.inputs import Inputs, read_panels
from vcmetrics.retrieval.pairs import PairDistances
from vcmetrics.retrieval.panel import Panel
from vcmetrics.retrieval.ranking import Task, make_task, rank_all
from vcmetrics.retrieval.ranks import ranks_of
from vcmetrics.retrieval.scales import norms

if TYPE_CHECKING:
    import pandas as pd

Table = NDArray[np.float64]
_ROWS = 512  # predictions whose distances to all are held at a time
BASELINES = {
    "prediction": "the prediction itself",
    "nearest training perturbation": "the observed effect of another perturbation that lies nearest to the prediction",
    "magnitude only": "candidates ordered by how close their norm is to that of the prediction",
    "mean response": "one profile for all: the mean observed effect",
    "random": "the expectation of a random order of the candidates",
}


@budgeted
def retrieval_baselines(
    pred: Any,
    real: Any,
    *,
    pert_col: str | None = None,
    control: str | None = CONTROL,
    top_k: tuple[int, ...] = (1, 5, 10),
    device: str = "auto",
    n_threads: int | None = None,
    memory_budget: int | float | str | None = None,
    **how: Any,
) -> pd.DataFrame:
    """Scores of a prediction beside those of baselines that know nothing of its perturbations.

    Parameters
    ----------
    pred, real, pert_col, control, top_k, device, n_threads, memory_budget
        As in :func:`vcmetrics.discrimination`.
    **how
        Its other arguments, ``train`` among them: then the nearest training perturbation and the mean response come
        from the training perturbations alone, and these are no candidates unless ``candidates`` says so.

    Returns
    -------
    DataFrame
        Index ``baseline`` (with ``context_col``: context, baseline): ``score``, ``rank``, ``reciprocal_rank`` and
        ``top1`` and so on, means over perturbations; ``n_scored``, ``n_candidates``.

        * ``prediction``: what is scored.
        * ``nearest training perturbation``: each prediction is replaced by the observed effect that lies nearest to it
          and belongs to another perturbation. A model that scores no better recalls what it has seen.
        * ``magnitude only``: candidates are ordered by the difference of their norm to the prediction's.
        * ``mean response``: one profile for all; 0.5 unless the scope or the ties favour it.
        * ``random``: exact expectation of a random order.

    Raises
    ------
    DataError, ValueError, TypeError
        As :func:`vcmetrics.discrimination`; ``direction="real_to_pred"`` and conventions that
        sample candidates are a ValueError.

    Notes
    -----
    Without ``train`` the sources are the other candidates, so the nearest one is a wrong candidate by construction: its
    score says how far the second best goes. The magnitude is taken over all genes that the scope leaves.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> real = rng.normal(size=(30, 50))
    >>> table = retrieval_baselines(real + rng.normal(size=(30, 50)), real, labels=list(map(str, range(30))),
    ...     control=None, reference="none", exclude_targets="none")
    >>> table.loc[["prediction", "mean response", "random"], "score"].round(2).tolist()
    [1.0, 0.5, 0.5]
    """
    import pandas as pd

    resolve_device(device, what="retrieval_baselines")
    settings, inputs, matching, ks = _arguments(pert_col, control, top_k, n_threads, how)
    panels = read_panels(pred, real, inputs, matching)
    tables = {panel.context: _of_panel(panel, settings, ks, inputs.n_threads) for panel in panels}
    if inputs.context_col is None:
        return tables[None]
    return pd.concat(list(tables.values()), keys=list(tables), names=[inputs.context_col, "baseline"])


def _arguments(
    pert_col: str | None, control: str | None, top_k: tuple[int, ...], n_threads: int | None, how: dict[str, Any]
) -> Any:
    """The arguments of discrimination, settled as it settles them."""
    import inspect

    from vcmetrics.retrieval.conventions import DEFAULTS, refuse, settle
    from vcmetrics.retrieval.pairs import metric_name
    from vcmetrics.retrieval.ranks import tie_rule

    takes = inspect.signature(discrimination).parameters
    unknown = sorted(set(how) - set(takes)) + sorted(set(how) & {"return_distances"})
    if unknown:
        msg = f"retrieval_baselines takes no argument {unknown[0]!r}; it takes those of discrimination"
        raise TypeError(msg)

    def get(name: str) -> Any:
        return how.get(name, takes[name].default)

    settings = settle(get("convention"), {name: how.get(name) for name in DEFAULTS if name in takes})
    refuse(settings, ("direction", "sample"), "retrieval_baselines")
    check_denominator(settings["denominator"])
    if get("train") is not None and how.get("candidates") is None:
        settings["candidates"] = "untrained"
    settings |= {"metric": metric_name(settings["metric"]), "ties": tie_rule(settings["ties"])}
    inputs = Inputs(
        pert_col, control, get("context_col"), get("batch_col"), get("layer"), get("obsm"), settings["space"],
        get("target_sum"), get("labels"), get("real_labels"), get("genes"), resolve_threads(n_threads),
        get("progress"),
    )  # fmt: skip
    matching = matching_of(
        settings,
        get("leave_one_out"),
        get("train"),
        get("unmatched"),
        get("target_map"),
        get("separator"),
        get("obsm"),
    )
    return settings, inputs, matching, whole_ks(top_k)


def _of_panel(panel: Panel, settings: dict[str, Any], ks: tuple[int, ...], n_threads: int) -> pd.DataFrame:
    import pandas as pd

    def task_of(one: Panel) -> Task:
        return make_task(
            one,
            metric=settings["metric"],
            scope=settings["exclude_targets"],
            norm_match=settings["norm_match"],
            residual=settings["residual"],
            n_threads=n_threads,
        )

    own = task_of(panel)
    trained = len(panel.training_rows) > 0
    sources = panel.training_rows if trained else panel.real
    mean = np.repeat(sources.mean(0, dtype=np.float64)[None], len(panel.pred), axis=0)
    found = {
        "prediction": rank_all(own, settings["ties"]).rank,
        "nearest training perturbation": rank_all(
            task_of(replace(panel, pred=_nearest(panel, own, sources, trained))), settings["ties"]
        ).rank,
        "magnitude only": _by_magnitude(own, settings),
        "mean response": rank_all(task_of(replace(panel, pred=mean)), settings["ties"]).rank,
    }
    n, width = len(panel.pred), panel.n_candidates
    rows = {name: _means(rank, np.full(n, width), settings, ks) for name, rank in found.items()}
    every = np.arange(width, dtype=np.float64)
    rows["random"] = _means(every, np.full(width, width), settings, ks)
    out = pd.DataFrame.from_dict(rows, orient="index")
    out.index.name = "baseline"
    return out.assign(n_scored=n, n_candidates=width)


def _means(rank: Table, width: NDArray[Any], settings: dict[str, Any], ks: tuple[int, ...]) -> dict[str, float]:
    score = score_of(rank, width, settings["denominator"], settings["output"])
    return {
        "score": float(score.mean()),
        "rank": float(rank.mean()),
        "reciprocal_rank": float((1 / (rank + 1)).mean()),
        **{f"top{k}": float((rank <= k - 1).mean()) for k in ks},
    }


def _nearest(panel: Panel, own: Task, sources: NDArray[Any], trained: bool) -> NDArray[Any]:
    """For each prediction the nearest source of another perturbation, over the genes that the metric sees."""
    x, y = own.x, own.y
    if trained:
        y = sources if x.shape[1] == sources.shape[1] else np.delete(sources, panel.targets.union, axis=1)
        y = np.ascontiguousarray(y)
    pairs = PairDistances(x, y, own.metric, own.n_threads, own.without)
    out = np.empty((len(x), sources.shape[1]))
    for first in range(0, len(x), _ROWS):
        last = min(first + _ROWS, len(x))
        table = pairs.block(first, last, rooted=False)
        if not trained:
            table[np.arange(last - first), own.own[first:last]] = np.inf
        out[first:last] = sources[np.argmin(np.where(np.isnan(table), np.inf, table), axis=1)]
    return out


def _by_magnitude(task: Task, settings: dict[str, Any]) -> Table:
    of_x, of_y = (norms(rows, task.metric, n_threads=task.n_threads, gone=task.without) for rows in (task.x, task.y))
    out = np.empty(len(of_x))
    for first in range(0, len(of_x), _ROWS):
        rows = slice(first, first + _ROWS)
        out[rows] = ranks_of(np.abs(of_x[rows, None] - of_y[None, :]), task.own[rows], settings["ties"])
    return out
