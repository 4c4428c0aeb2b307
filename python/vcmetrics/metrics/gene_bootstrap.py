"""Correlations of all genes in every resample of the perturbations, and what a summary of them varies by."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from vcmetrics.backend.threads import resolve_threads
from vcmetrics.metrics.co_moments import Floats, quotient
from vcmetrics.metrics.resample import percentile_interval, resample_counts, resampled_sums

Codes = NDArray[np.int64]

QUANTILES = (0.05, 0.25, 0.75, 0.95)
STATISTICS = ("mean", "median", *(f"q{round(100 * q):02d}" for q in QUANTILES), "fisher_mean")
GENES = 2048  # columns that are worked on together
RESAMPLES = 256
FLAT = 1e-12  # of a gene's own variance: what is left of it in a resample that drew equal values is rounding


def summary_of(r: Floats) -> Floats:
    """Statistics over the defined genes of each row of ``r``, (n_rows, n_statistics); NaN where no gene is defined.

    The mean, the median, quantiles (linear between neighbours), and the mean of Fisher's z brought back.
    """
    ordered = np.sort(r, axis=1)  # NaN last
    n = (~np.isnan(ordered)).sum(1)
    some = n > 0
    filled = np.where(np.isnan(ordered), 0.0, ordered)
    out = [quotient(filled.sum(1), n.astype(np.float64), some)]
    rows = np.arange(r.shape[0])
    for share in (0.5, *QUANTILES):
        place = share * np.maximum(n - 1, 0)
        low = np.floor(place).astype(np.int64)
        a, b = ordered[rows, low], ordered[rows, np.minimum(low + 1, np.maximum(n - 1, 0))]
        out.append(np.where(some, a + (b - a) * (place - low), np.nan))
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.arctanh(filled)
        out.append(np.tanh(quotient(z.sum(1), n.astype(np.float64), some)))
    return np.stack(out, 1)


def summarize_genes(r: Floats, replicates: Floats | None, ci: float | None) -> dict[str, dict[str, float]]:
    """Statistic → value and, with ``replicates`` (n_resamples, n_statistics), the ends of its interval."""
    value = summary_of(r[None])[0] if r.size else np.full(len(STATISTICS), np.nan)
    out = {name: {"value": float(v)} for name, v in zip(STATISTICS, value, strict=True)}
    if replicates is not None and ci is not None:
        low, high = percentile_interval(replicates, ci)
        for k, name in enumerate(STATISTICS):
            out[name] |= {"lower": float(low[k]), "upper": float(high[k])}
    return out


class PartSums:
    """Weighted sums of the rows of one study, for each resample and gene."""

    def __init__(self, counts: Floats, x: Floats, y: Floats, n_threads: int | None) -> None:
        def sums(values: Floats) -> Floats:
            return resampled_sums(counts, values, n_threads)

        self.n = counts.sum(1)[:, None]
        self.x, self.y = sums(x), sums(y)
        self.xx, self.yy, self.xy = sums(x * x), sums(y * y), sums(x * y)

    def moments(self) -> tuple[Floats, Floats, Floats]:
        """Centred second moments; the values had been centred on the whole sample, so little is lost."""
        n = np.maximum(self.n, 1.0)
        return self.xx - self.x * self.x / n, self.yy - self.y * self.y / n, self.xy - self.x * self.y / n


def resampled_correlations(
    counts: Floats, x: Floats, y: Floats, codes: Codes | None, n_threads: int | None
) -> dict[str, Floats]:
    """Pearson correlation of every gene in every resample.

    Parameters
    ----------
    counts
        How often each row counts, (n_resamples, n_rows).
    x, y
        (n_rows, n_genes), finite.
    codes
        Study of each row, for ``within`` (pooled) and ``between``.
    n_threads
        Threads.

    Returns
    -------
    ``total`` and, with studies, ``within`` and ``between``; each (n_resamples, n_genes), NaN where a side is constant.
    """
    names = ("total",) if codes is None else ("total", "within", "between")
    out = {name: np.empty((counts.shape[0], x.shape[1])) for name in names}
    for start in range(0, x.shape[1], GENES):
        part = slice(start, start + GENES)
        a, b = x[:, part] - x[:, part].mean(0), y[:, part] - y[:, part].mean(0)
        floor = FLAT * (a * a).sum(0), FLAT * (b * b).sum(0)
        whole = PartSums(counts, a, b, n_threads).moments()
        out["total"][:, part] = _ratio(whole, floor)
        if codes is None:
            continue
        within = [np.zeros_like(whole[0]) for _ in range(3)]
        for study in range(int(codes.max()) + 1):
            rows = codes == study
            for k, m in enumerate(PartSums(counts[:, rows], a[rows], b[rows], n_threads).moments()):
                within[k] += m
        out["within"][:, part] = _ratio((within[0], within[1], within[2]), floor)
        between = tuple(w - m for w, m in zip(whole, within, strict=True))
        out["between"][:, part] = _ratio((between[0], between[1], between[2]), floor)
    return out


def _ratio(moments: tuple[Floats, Floats, Floats], floor: tuple[Floats, Floats]) -> Floats:
    xx, yy, xy = moments
    fine = (xx > floor[0]) & (yy > floor[1])
    return np.clip(quotient(xy, np.sqrt(np.abs(xx * yy)), fine), -1.0, 1.0)


def bootstrap_summary(
    x: Floats,
    y: Floats,
    units: Codes,
    codes: Codes | None,
    *,
    n_resamples: int,
    seed: int,
    weights: Floats | None = None,
    ranked: bool = False,
    n_threads: int | None = None,
) -> Mapping[str, Floats]:
    """Statistics of the correlations of all genes in every resample of the perturbations.

    Parameters
    ----------
    x, y
        (n_rows, n_genes), the genes that are summarised.
    units
        Perturbation of each row: the rows of one are drawn together.
    codes
        Study of each row, or None.
    n_resamples, seed
        Number of resamples, and what they are drawn from.
    weights
        One a row.
    ranked
        Spearman in place of Pearson: the rows are ranked anew in every resample (``total`` only).
    n_threads
        Threads.

    Returns
    -------
    ``total``, ``within``, ``between`` → (n_resamples, n_statistics).
    """
    from vcmetrics import _core

    drawn = resample_counts(int(units.max()) + 1, n_resamples, seed)
    parts: dict[str, list[Floats]] = {}
    for start in range(0, n_resamples, RESAMPLES):
        counts = drawn[start : start + RESAMPLES][:, units]
        if ranked:
            a, b, c = (np.ascontiguousarray(t, np.float64) for t in (x, y, counts))
            found = {"total": np.asarray(_core.resampled_rank_correlations(a, b, c, resolve_threads(n_threads)))}
        else:
            found = resampled_correlations(counts if weights is None else counts * weights, x, y, codes, n_threads)
        for name, r in found.items():
            parts.setdefault(name, []).append(summary_of(r))
    return {name: np.concatenate(blocks) for name, blocks in parts.items()}
