"""Correlation of prediction and reality gene by gene, over perturbations or over matched cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics.backend.device import resolve_device
from vcmetrics.backend.memory import budgeted
from vcmetrics.backend.threads import resolve_threads
from vcmetrics.metrics.co_moments import FLAT, CoMoments, Floats, quotient
from vcmetrics.metrics.column_correlation import rank_correlation
from vcmetrics.metrics.gene_bootstrap import bootstrap_summary, summarize_genes
from vcmetrics.metrics.resample import check_level
from vcmetrics.metrics.study_parts import MIN_ROWS, StudyParts, study_parts
from vcmetrics.summary.effect_reference import REFERENCES, effect_reference
from vcmetrics.summary.profile_rows import ProfileRows, check_reference, matched, read_profiles

if TYPE_CHECKING:
    import pandas as pd

METHODS = ("pearson", "spearman")
SIGN_ROWS = 8  # whose intermediate results stay in the cache


@budgeted
def gene_correlation(
    pred: Any,
    real: Any,
    *,
    pert_col: str | None = None,
    control: str | None = None,
    over: str = "perturbations",
    method: str = "pearson",
    space: str | None = None,
    target_sum: float = 5e4,
    reference: str | None = None,
    within: Any = None,
    batch_col: str | None = None,
    n_min: int = 4,
    weights: Any = None,
    min_expression: float | None = None,
    min_variance: float | None = None,
    ci: float | None = None,
    n_resamples: int = 1000,
    seed: int = 0,
    layer: str | None = None,
    labels: Sequence[str] | None = None,
    var_names: Sequence[str] | None = None,
    device: str = "auto",
    n_threads: int | None = None,
    memory_budget: int | float | str | None = None,
) -> pd.DataFrame:
    """Does the prediction know which perturbations move a gene up and which down?

    For each gene the correlation, over perturbations, of predicted and observed profiles. The usual correlation over
    genes is dominated by what all profiles share, and is above 0.9 for any sane prediction; this one is not.

    Parameters
    ----------
    pred, real
        AnnData or paths of cells (n_obs × n_vars), or lists of them; or tables of profiles, one a perturbation:
        DataFrames (index labels, columns genes), or arrays with ``labels`` and ``var_names``. Both sides hold the same
        perturbations and genes, in any order.
    pert_col, control
        Column of ``obs`` with the labels, and that of the control cells, which are no row of their own.
    over
        ``"perturbations"``; or ``"cells"``: rows are single cells, of which both sides hold the same by ``obs_names``,
        in any order (needs AnnData or paths). They are read in one pass; ``control`` cells are left out where
        ``pert_col`` and ``control`` are given.
    method
        ``"pearson"`` or ``"spearman"`` (average ranks; the table has Pearson as well).
    space, target_sum, layer
        Of the profiles of cells, as in :func:`pseudobulk`; ``"log_of_sums"`` where None. Over cells ``"mean"`` (values
        as they are) or ``"mean_of_logs"`` (log1p of each cell), which must be said.
    reference
        What signs are taken against (:mod:`vcmetrics.summary.effect_reference`); None: the control where there is one,
        else nothing. ``"batch_control"``: each row's own batches (``batch_col``, or ``within``), which changes the
        correlations too. Means include all rows: one without the row itself would hand its truth to the prediction.
    within
        Column of ``obs`` (for tables: one label a row): study, batch or cell type. Rows are then (stratum,
        perturbation), and the correlation is taken apart, see Returns.
    batch_col
        Column of ``obs`` with the batches that ``"batch_control"`` matches.
    n_min
        Studies with fewer rows stay out of ``within_averaged``; at least 4.
    weights
        ``"cells"`` (observed cells of a row), or a mapping perturbation → weight; not for ranks.
    min_expression, min_variance
        Genes whose mean observed profile or observed variance (n - 1) over rows is below are not ``included``.
    ci, n_resamples, seed
        Confidence level of the intervals of the summary; bootstrap over perturbations, percentiles. None: no intervals.
    labels, var_names
        Of arrays; both sides in this order.
    device, n_threads
        ``"auto"`` or ``"cpu"``; threads (None: all that this process may use). Results do not depend on them.
    memory_budget
        Memory for cells: ``"4GiB"``, bytes, or a share of what is available; None for half of it. Results do not
        depend on it.

    Returns
    -------
    DataFrame, index gene, all genes: ``pearson`` (``spearman``), ``concordance`` (Lin), each in [-1, 1], 1 is best;
    ``dispersion_ratio`` sd_pred / sd_real (1 is right, 0 collapsed); ``sign_agreement``, share of rows whose predicted
    and observed effects have the same sign (0 is a sign of its own; not over cells); ``n`` rows used; ``expression``
    and ``variance`` of the observed side; ``constant_pred``, ``constant_real``; ``included``.

    With ``within``: ``within`` (pooled: study means taken off both sides, ``within_df`` = n - studies),
    ``within_averaged`` (Fisher's z over ``n_studies``, weights n - 3), ``between`` (of the study means, weighted by
    rows); and ``within_part`` + ``between_part`` = the correlation of all rows, by the law of total covariance: the
    second is what knowing the study alone explains.

    ``attrs`` holds ``summary`` (over included genes: mean, median, quantiles, mean of Fisher's z; with ``ci`` their
    ends), ``n_undefined``, ``share_constant_pred`` and the settings. Undefined values (a constant side, one row) are
    NaN.

    Raises
    ------
    DataError
        If perturbations or genes of the two sides differ, or data do not suit the space.

    Notes
    -----
    In a resample of few perturbations every gene's correlation is noisier than in the data, which moves the outer
    quantiles outwards: their intervals tell the spread of that noise and may leave the value itself out.

    Cost: one read of the cells, then O(rows · genes); intervals add n_resamples times that. Constant: a standard
    deviation up to 1e-13 of the root mean square.

    References
    ----------
    GEM-1's within-gene correlation; Lin (1989), Biometrics 45:255; dispersion as in Ahlmann-Eltze et al. (2025).

    Examples
    --------
    >>> import pandas as pd
    >>> real = pd.DataFrame({"g1": [1.0, 2.0, 3.0, 0.0], "g2": [1.0, 1.0, 4.0, 2.0]}, index=["A", "B", "C", "ctrl"])
    >>> pred = pd.DataFrame({"g1": [1.0, 2.0, 6.0, 0.0], "g2": [3.0, 3.0, 3.0, 2.0]}, index=["A", "B", "C", "ctrl"])
    >>> table = gene_correlation(pred, real, control="ctrl")
    >>> table[["pearson", "dispersion_ratio", "sign_agreement", "n"]].round(3).values.tolist()
    [[0.945, 2.646, 1.0, 3.0], [nan, 0.0, 0.333, 3.0]]
    >>> table.attrs["share_constant_pred"], round(table.attrs["summary"]["median"]["value"], 3)
    (0.5, 0.945)
    """
    resolve_device(device, what="gene_correlation")
    if method not in METHODS:
        msg = f"method {method!r} is not known; choose from {', '.join(METHODS)} (the table has concordance as well)"
        raise ValueError(msg)
    if method == "spearman" and weights is not None:
        msg = "weights have no meaning for ranks; leave them out, or take method='pearson'"
        raise ValueError(msg)
    if n_min < MIN_ROWS:
        msg = f"n_min is {n_min}; studies are weighted by their rows less 3, so it is at least {MIN_ROWS}"
        raise ValueError(msg)
    level = None if ci is None else check_level(ci)
    if over == "cells":
        from vcmetrics.metrics.matched_cells import CellRows, cell_table

        if method != "pearson" or level is not None or not (reference is None and batch_col is None):
            msg = "over='cells' gives Pearson without intervals, and takes no reference or batch_col"
            raise ValueError(msg)
        rows = CellRows(pert_col, control, within, space, target_sum, weights, layer, n_min)
        table, kinds = cell_table(pred, real, rows, resolve_threads(n_threads))
        include(table, min_expression, min_variance)
        found = {column: summarize_genes(table[column][table["included"]], None, None) for column in kinds}
        return frame(table, table.pop("gene"), found, method=method, space=space, over=over)
    if over != "perturbations":
        msg = f"over={over!r} is not known; pass 'perturbations' or 'cells'"
        raise ValueError(msg)
    space = space or "log_of_sums"
    how: dict[str, Any] = {
        "pert_col": pert_col,
        "control": control,
        "within": within,
        "batch_col": batch_col,
        "space": space,
        "target_sum": target_sum,
        "layer": layer,
        "labels": labels,
        "var_names": var_names,
        "n_threads": resolve_threads(n_threads),
    }
    observed = read_profiles(real, name="real", observed=True, **how)
    predicted = matched(read_profiles(pred, name="pred", **how), observed)
    reference = reference or ("none" if observed.control is None else "control")
    base = reference_of(observed, reference)
    w = row_weights(weights, observed)
    x, y, scale = predicted.table, observed.table, None
    if base.ndim == 2:
        # one profile for all rows would move no correlation: only this one is taken off
        scale = rms(CoMoments(x.shape[1]).add(x, y, weights=w, n_threads=n_threads))
        x, y = x - base, y - base
    table = columns(x, y, scale, method, w, n_threads)
    table["sign_agreement"] = sign_agreement(predicted.table, observed.table, base)
    include(table, min_expression, min_variance)
    codes = None
    if observed.strata is not None:
        codes = np.unique(np.array(observed.strata, str), return_inverse=True)[1].astype(np.int64)
        table |= by_study(x, y, codes, method, n_min, w, n_threads)
    names = {method: "total"} | ({"within": "within", "between": "between"} if codes is not None else {})
    summary = summaries(table, names, x, y, observed, codes, w, method, level, n_resamples, seed, n_threads)
    settings = {"reference": reference, "space": space, "over": over, "n_rows": len(observed.labels)}
    return frame(table, observed.genes, summary, method=method, **settings)


def include(table: dict[str, NDArray[Any]], min_expression: float | None, min_variance: float | None) -> None:
    """Say which genes pass the filters."""
    included = np.ones(table["n"].size, bool)
    if min_expression is not None:
        included &= table["expression"] >= min_expression
    if min_variance is not None:
        included &= table["variance"] >= min_variance
    table["included"] = included


def reference_of(real: ProfileRows, reference: str) -> Floats:
    """What effects are taken against: (n_genes,), or (n_rows, n_genes)."""
    if reference not in REFERENCES:
        msg = f"reference {reference!r} is not known; choose from {', '.join(REFERENCES)}"
        raise ValueError(msg)
    batch_control, batch_cells = real.batch_control, real.batch_cells
    if reference == "batch_control" and batch_control is None and real.strata is not None:
        names = sorted(set(real.strata))
        known = real.strata_control or {}
        missing = np.full(real.genes.size, np.nan)
        batch_control = np.array([known.get(s, missing) for s in names])
        batch_cells = np.array([[int(s == name) for name in names] for s in real.strata])
    check_reference(real, reference)
    if reference == "batch_control" and batch_control is None:
        msg = "reference='batch_control' needs batch_col= (or within=) and cells of the control in each batch"
        raise ValueError(msg)
    return effect_reference(
        reference,
        real.table,
        real.control,
        n_cells=real.n_cells,
        labels=real.labels,
        leave_one_out=False,
        batch_control=batch_control,
        batch_cells=batch_cells,
    )


def rms(moments: CoMoments) -> tuple[Floats, Floats]:
    """Root mean square of the columns of both tables."""
    x = np.sqrt(moments.variance_x + moments.mean_x**2)
    return x, np.sqrt(moments.variance_y + moments.mean_y**2)


def sign_agreement(x: NDArray[Any], y: NDArray[Any], base: Floats) -> Floats:
    """Share of rows in which both sides lie on the same side of ``base``, or both on it; rows in small blocks."""
    same = np.zeros(x.shape[1], np.int64)
    known = np.zeros(x.shape[1], np.int64)
    for start in range(0, len(x), SIGN_ROWS):
        rows = slice(start, start + SIGN_ROWS)
        a, b, m = x[rows], y[rows], base if base.ndim == 1 else base[rows]
        usable = np.isfinite(a) & np.isfinite(b)
        agree = ((a > m) == (b > m)) & ((a < m) == (b < m)) & usable
        same += agree.sum(0)
        known += usable.sum(0)
    return quotient(same.astype(np.float64), known.astype(np.float64), known > 0)


def row_weights(weights: Any, real: ProfileRows) -> Floats | None:
    """One weight a row."""
    if weights is None:
        return None
    if isinstance(weights, str):
        if weights != "cells":
            msg = f"weights={weights!r} is not known; pass 'cells', or a mapping perturbation → weight"
            raise ValueError(msg)
        if real.n_cells is None:
            msg = "weights='cells': a table of profiles has no cells; pass a mapping perturbation → weight"
            raise ValueError(msg)
        return real.n_cells.astype(np.float64)
    try:
        return np.array([float(weights[label]) for label in real.labels])
    except (KeyError, TypeError, IndexError) as error:
        msg = f"weights= must map every perturbation to a number ({type(error).__name__}: {error})"
        raise ValueError(msg) from None


def columns(
    x: Floats, y: Floats, scale: tuple[Floats, Floats] | None, method: str, w: Floats | None, n_threads: int | None
) -> dict[str, NDArray[Any]]:
    """The columns that need no study."""
    out = moment_columns(CoMoments(x.shape[1]).add(x, y, weights=w, n_threads=n_threads), scale)
    if method == "spearman":
        rho = rank_correlation(x, y, n_threads=n_threads)[0]
        rho[out["constant_pred"] | out["constant_real"]] = np.nan
        out = {"pearson": out.pop("pearson"), "spearman": rho} | out
    return out


def moment_columns(moments: CoMoments, scale: tuple[Floats, Floats] | None = None) -> dict[str, NDArray[Any]]:
    """Columns of the table from the co-moments; ``scale``: size of the values whose rounding is no variation."""
    scale = rms(moments) if scale is None else scale
    flat_x, flat_y = (
        np.sqrt(v) <= FLAT * s for v, s in zip((moments.variance_x, moments.variance_y), scale, strict=True)
    )
    one = moments.n < 2
    pearson, dispersion = moments.pearson(), moments.dispersion_ratio()
    pearson[flat_x | flat_y] = np.nan
    dispersion[flat_x] = 0.0
    dispersion[flat_y | one] = np.nan
    concordance = moments.concordance()
    concordance[flat_x & flat_y] = np.nan
    n = moments.n.astype(np.float64)
    variance = moments.variance_y * quotient(n, n - 1, n > 1)
    return {
        "pearson": pearson,
        "concordance": concordance,
        "dispersion_ratio": dispersion,
        "n": moments.n,
        "expression": moments.mean_y,
        "variance": variance,
        "constant_pred": flat_x,
        "constant_real": flat_y,
    }


def by_study(
    x: Floats,
    y: Floats,
    codes: NDArray[np.int64],
    method: str,
    n_min: int,
    w: Floats | None,
    n_threads: int | None,
) -> dict[str, NDArray[Any]]:
    """The columns that ``within`` adds."""
    ranked = None
    if method == "spearman":
        from vcmetrics import _core

        rows = np.arange(len(x), dtype=np.int64)
        ranked = _core.column_ranks(x, rows, y, rows, resolve_threads(n_threads))
    return part_columns(study_parts(x, y, codes, n_min=n_min, weights=w, ranked=ranked, n_threads=n_threads))


def part_columns(parts: StudyParts) -> dict[str, NDArray[Any]]:
    """Columns of the table from the parts."""
    return {
        "within": parts.within,
        "within_averaged": parts.averaged,
        "between": parts.between,
        "within_part": parts.within_part,
        "between_part": parts.between_part,
        "within_df": parts.df,
        "n_studies": parts.n_averaged,
        "constant_pred_within": parts.flat_x,
        "constant_real_within": parts.flat_y,
    }


def summaries(
    table: dict[str, NDArray[Any]],
    names: dict[str, str],
    x: Floats,
    y: Floats,
    real: ProfileRows,
    codes: NDArray[np.int64] | None,
    w: Floats | None,
    method: str,
    level: float | None,
    n_resamples: int,
    seed: int,
    n_threads: int | None,
) -> dict[str, dict[str, dict[str, float]]]:
    """Column → statistic → value and interval, over the included genes."""
    chosen = table["included"]
    replicates: Any = {}
    if level is not None:
        # a gene with a pair that is not finite has no complete resamples: it stays out of the replicates
        usable = chosen & (table["n"] == (len(x) if w is None else int((w > 0).sum())))
        units = np.unique(np.array(real.labels, str), return_inverse=True)[1].astype(np.int64)
        a, b = x[:, usable], y[:, usable]
        if usable.any():
            replicates = bootstrap_summary(
                a,
                b,
                units,
                codes if method == "pearson" else None,
                n_resamples=n_resamples,
                seed=seed,
                weights=w,
                ranked=method == "spearman",
                n_threads=n_threads,
            )
    return {column: summarize_genes(table[column][chosen], replicates.get(key), level) for column, key in names.items()}


def frame(
    table: dict[str, NDArray[Any]], genes: NDArray[Any], summary: dict[str, Any], *, method: str, **settings: Any
) -> pd.DataFrame:
    """The labelled table, with what it was made of."""
    import pandas as pd

    out = pd.DataFrame(table, index=pd.Index(genes.astype(object), name="gene"))
    chosen = table["included"]
    out.attrs |= {
        "method": method,
        **settings,
        "n_included": int(chosen.sum()),
        "n_undefined": int(np.isnan(table[method][chosen]).sum()),
        "share_constant_pred": float(table["constant_pred"][chosen].mean()) if chosen.any() else float("nan"),
        "summary": summary[method],
        **{f"summary_{name}": found for name, found in summary.items() if name != method},
    }
    return out
