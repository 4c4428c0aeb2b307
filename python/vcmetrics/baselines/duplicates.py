"""The experiment done again: halves of the cells, and the interpolated duplicate."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.baselines.emission import Place, copied
from vcmetrics.baselines.formulas import Floats, Source, average, interpolated
from vcmetrics.baselines.inputs import Reading, Side, read_side, reading
from vcmetrics.metrics.t_statistics import p_values, rest_moments, welch
from vcmetrics.scoring.replicate import split_halves
from vcmetrics.sources.cell_groups import CellGroups
from vcmetrics.sources.genes import some
from vcmetrics.summary.differential_expression import benjamini_hochberg
from vcmetrics.summary.single_precision import log_normalised

if TYPE_CHECKING:
    from anndata import AnnData


def half_of(side: Side, how: Reading, seed: int) -> NDArray[np.int8]:
    """0 for cells of the truth's half, 1 for the duplicate's, -1 for odd and unlabelled cells.

    Raises
    ------
    DataError
        If a group has one cell alone.
    """
    s = side.source
    contexts = sorted(set(s.contexts))
    places = sorted([*zip(s.contexts, s.labels, strict=True), *((c, how.control) for c in contexts)])
    at = {place: k for k, place in enumerate(places)}
    pairs = zip(side.contexts.tolist(), side.labels.tolist(), strict=True)
    codes = np.array([at.get(pair, -1) for pair in pairs], np.int32)
    sizes = np.bincount(codes[codes >= 0], minlength=len(places))
    thin = [" / ".join(filter(None, place)) for place, n in zip(places, sizes, strict=True) if n < 2]
    if thin:
        msg = f"{side.name}: groups with one cell cannot be halved: {some(thin)}; leave them out"
        raise DataError(msg)
    return split_halves(codes, len(places), seed)


def halves(
    real: Any,
    *,
    pert_col: str | None = None,
    control: str = "non-targeting",
    context_col: str | None = None,
    batch_col: str | None = None,
    layer: str | None = None,
    seed: int = 0,
    n_threads: int | None = None,
) -> tuple[AnnData, AnnData]:
    """Cut every group of cells in two: one half to be the truth, the other to predict it.

    Parameters
    ----------
    real
        AnnData or path; n_obs × n_vars.
    pert_col, control, context_col, batch_col, layer, n_threads
        As in :func:`make`. The control is cut as well, so that the halves share no cell.
    seed
        Of the cut.

    Returns
    -------
    Truth and duplicate; CSR, ``obs`` with these columns alone. The duplicate is what
    :func:`technical_duplicate` gives for the same seed. An odd cell goes to neither.

    Raises
    ------
    DataError
        If a group has one cell alone.

    Examples
    --------
    >>> from vcmetrics import datasets
    >>> demo = datasets.demo()
    >>> truth, duplicate = halves(demo.path, pert_col=demo.pert_col, control=demo.control)
    >>> truth.shape, duplicate.shape
    ((3479, 299), (3479, 299))
    """
    how = reading(
        pert_col=pert_col,
        control=control,
        context_col=context_col,
        batch_col=batch_col,
        layer=layer,
        space="mean",
        target_sum=1.0,
        separator="",
        n_threads=n_threads,
    )
    side = read_side(real, "real", how)
    half = half_of(side, how, seed)
    truth, duplicate = (copied(side, np.flatnonzero(half == k), how) for k in (0, 1))
    return truth, duplicate


def p_adjusted(means: Floats, squares: Floats, sizes: NDArray[np.int64]) -> Floats:
    """Adjusted p-values of every group against the cells of all other groups, gene by gene.

    Welch's t-test in which the rest is taken for as small as the group (an overestimate of its variance), two-sided,
    Benjamini-Hochberg within each group; 1 where nothing varies and the means are equal.

    Parameters
    ----------
    means, squares, sizes
        (n_groups, n_genes) means and Σ (x - mean)² and (n_groups,) numbers of cells.

    Returns
    -------
    (n_groups, n_genes).

    References
    ----------
    scanpy, ``rank_genes_groups(method="t-test_overestim_var", reference="rest")``.
    """
    out = np.ones(means.shape)
    if len(sizes) < 2:
        return out
    with np.errstate(divide="ignore", invalid="ignore"):
        variances = squares / (sizes - 1.0)[:, None]  # of one cell: undefined
    others = rest_moments(means, variances, sizes)
    for k, (mean, variance, n) in enumerate(zip(*others, strict=True)):
        t, df = welch(means[k], variances[k], float(sizes[k]), mean, variance, float(n), overestimated=True)
        p = p_values(t, df)
        out[k] = np.where(np.isnan(p), 1.0, p)
    return benjamini_hochberg(out, "per_pert")


def second_half(side: Side, seed: int, how: Reading) -> Side:
    """The duplicate's half as a side of its own, control cells included."""
    cells = copied(side, np.flatnonzero(half_of(side, how, seed) == 1), how)
    return read_side(cells, f"the second half of {side.name}", replace(how, pert_col=side.pert_col, layer=None))


def interpolated_profiles(half: Side, trained: Source | None, how: Reading) -> dict[Place, Floats]:
    """Profiles between a half's own and the mean: the more certain an effect in that half, the nearer to its own."""
    s = half.source
    logs = half.rows
    if half.whole and how.space != "mean":
        logs = log_normalised(half.rows, half.totals, how.target_sum)
    out: dict[Place, Floats] = {}
    for context in sorted(set(s.contexts)):
        rows = [k for k, c in enumerate(s.contexts) if c == context]
        at = {s.labels[row]: k for k, row in enumerate(rows)}
        inside = (half.contexts == context).tolist()
        codes = [at.get(x, -1) if here else -1 for x, here in zip(half.labels.tolist(), inside, strict=True)]
        cells = CellGroups(tuple(at), np.array(codes, np.int32), rows=logs, n_threads=how.n_threads)
        p = p_adjusted(cells.means, cells.squares, cells.sizes)
        source = s if trained is None else trained
        mean = average(source.take(np.array([c == context for c in source.contexts])), "perturbations")
        for row, label in zip(rows, at, strict=True):
            out[context, label] = interpolated(s.mean[row], p[at[label]], mean)
    return out
