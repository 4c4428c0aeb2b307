"""The Broad Institute's obesity challenge: files of its three crunches, and the metrics that can be computed locally.

Crunches 1 and 2 are submitted as ``prediction.h5ad`` (log2(1 + normalised counts), the same number of cells for every
perturbation) and ``predict_program_proportion.csv``; crunch 3 as ``prediction.parquet``, a ranking of gene pairs.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.backend.threads import resolve_threads
from vcmetrics.challenge.contract import Contract, Problem
from vcmetrics.challenge.values import ValueCheck
from vcmetrics.sources.blocks import row_blocks
from vcmetrics.sources.cells import open_store
from vcmetrics.sources.genes import some

Table = NDArray[np.float64]
PathLike = str | os.PathLike[str]
SLACK = 1e-3
TINY = 1e-20  # added to a denominator that may be 0
BANDWIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True)
class Crunch:
    """One crunch.

    ``cells`` of each of ``perturbations`` are asked for; ``sigma`` is the bandwidth of the MMD; ``programs`` are the
    columns of the proportions.
    """

    cells: int
    perturbations: int
    sigma: float
    programs: tuple[str, ...]


_PROGRAMS = ("pre_adipo", "adipo", "lipo", "other")
CRUNCHES = MappingProxyType(
    {
        1: Crunch(100, 2_863, 2326.0, _PROGRAMS),
        2: Crunch(100, 62, 849.0, (*_PROGRAMS, "lipo_adipo")),
    }
)
PAIRS, SIGNATURES = 4_474_413, 12


def validate_cells(
    data: Any,
    *,
    genes: Iterable[str],
    perturbations: Iterable[str] | None = None,
    crunch: int = 1,
    n_threads: int | None = None,
) -> list[Problem]:
    """Check ``prediction.h5ad`` of crunch 1 or 2.

    Parameters
    ----------
    data
        Path or AnnData: ``obs`` with the single column ``gene``, the genes in the order of the list.
    genes
        Genes to predict, in order.
    perturbations
        Perturbations to predict; None checks their number only.
    crunch
        1 or 2.
    n_threads
        Threads.

    Returns
    -------
    All problems.

    Examples
    --------
    >>> import anndata, numpy as np
    >>> made = anndata.AnnData(np.zeros((100, 1), np.float32))
    >>> made.var_names, made.obs["gene"] = ["A1BG"], "TP53"
    >>> validate_cells(made, genes=["A1BG"], perturbations=["TP53"])
    []
    """
    rules = _crunch(crunch)
    store = open_store(data)
    try:
        problems: list[Problem] = []
        have = store.columns()
        if have != ["gene"]:
            text = f"obs must have exactly one column, 'gene', but has {some(have) or 'none'}; drop or rename"
            problems.append(Problem("obs_columns", text, len(have)))
        if "gene" in have:
            labels = ["nan" if label is None else label for label in store.column("gene").tolist()]
            problems += _labels(Counter(labels), perturbations, rules)
        problems += _genes([str(g) for g in store.genes()], [str(g) for g in genes])
        threads = resolve_threads(n_threads)
        contract = Contract(max_stored=None, max_counts_per_cell=None)
        check = ValueCheck(store.n_obs, store.genes(), contract, threads, counts=False)
        try:
            for block in row_blocks(store.matrix(None), threads):
                check.add(block)
                store.release()
        except DataError as error:
            return [*problems, Problem("structure", f"the matrix cannot be used: {error}")]
        problems += check.problems(None)
        if check.low < 0:
            text = f"the smallest value is {check.low:g}; log2(1 + normalised counts) is 0 or more"
            problems.append(Problem("negative", text))
        return problems
    finally:
        store.close()


def _crunch(number: int) -> Crunch:
    if number not in CRUNCHES:
        msg = f"crunch must be 1 or 2, not {number!r}"
        raise ValueError(msg)
    return CRUNCHES[number]


def _labels(found: Mapping[str, int], wanted: Iterable[str] | None, rules: Crunch) -> list[Problem]:
    out = []
    if wanted is None:
        if len(found) != rules.perturbations:
            text = f"{len(found)} perturbations in place of {rules.perturbations}; predict all of them"
            out.append(Problem("perturbations", text, len(found)))
    else:
        out += _difference("perturbation", found, [str(label) for label in wanted])
    wrong = [(label, n) for label, n in sorted(found.items()) if n != rules.cells]
    if wrong:
        shown = ", ".join(f"{label!r} has {n}" for label, n in wrong[:5])
        text = f"{len(wrong)} perturbations do not have {rules.cells} cells: {shown}; predict exactly as many"
        out.append(Problem("cell_count", text, len(wrong)))
    return out


def _difference(what: str, found: Iterable[str], wanted: Sequence[str]) -> list[Problem]:
    have, want = set(found), set(wanted)
    out = []
    missing, extra = sorted(want - have), sorted(have - want)
    if missing:
        text = f"{len(missing)} {what}s of the list are missing: {some(missing)}; predict them"
        out.append(Problem(f"missing_{what}s", text, len(missing)))
    if extra:
        text = f"{len(extra)} {what}s are not on the list: {some(extra)}; drop them"
        out.append(Problem(f"extra_{what}s", text, len(extra)))
    return out


def _genes(have: list[str], want: list[str]) -> list[Problem]:
    out = _difference("gene", have, want)
    if not out and have != want:
        k = next((k for k, (a, b) in enumerate(zip(have, want, strict=False)) if a != b), min(len(have), len(want)))
        text = f"the genes are not in the order of the list (from number {k + 1} on), or repeat; reorder the columns"
        out.append(Problem("gene_order", text))
    return out


def validate_proportions(data: Any, *, perturbations: Iterable[str] | None = None, crunch: int = 1) -> list[Problem]:
    """Check ``predict_program_proportion.csv`` of crunch 1 or 2.

    Parameters
    ----------
    data
        Path or DataFrame with ``gene``, ``pre_adipo``, ``adipo``, ``lipo``, ``other`` (crunch 2: ``lipo_adipo`` too).
    perturbations
        Perturbations to predict; None checks their number only.
    crunch
        1 or 2.

    Returns
    -------
    All problems: missing columns or rows, values that are no numbers, sums of pre_adipo, adipo and other other than 1
    (±1e-3), lipo above adipo, and (crunch 2) lipo_adipo other than lipo / adipo (±1e-3).

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"gene": ["TP53"], "pre_adipo": 0.5, "adipo": 0.3, "lipo": 0.4, "other": 0.2})
    >>> [problem.code for problem in validate_proportions(table, perturbations=["TP53"])]
    ['lipo']
    """
    rules = _crunch(crunch)
    frame = _frame(data)
    absent = [name for name in ("gene", *rules.programs) if name not in frame.columns]
    if absent:
        text = f"no column {', '.join(map(repr, absent))} (columns: {some([str(c) for c in frame.columns], 12)})"
        return [Problem("columns", text, len(absent))]
    labels = [str(label) for label in frame["gene"].tolist()]
    out = []
    counts = Counter(labels)
    twice = sorted(label for label, n in counts.items() if n > 1)
    if twice:
        out.append(Problem("repeated", f"{len(twice)} perturbations have several rows: {some(twice)}", len(twice)))
    if perturbations is not None:
        out += _difference("perturbation", labels, [str(label) for label in perturbations])
    elif len(counts) != rules.perturbations:
        text = f"{len(counts)} perturbations in place of {rules.perturbations}; predict all of them"
        out.append(Problem("perturbations", text, len(counts)))
    values = {name: _numbers(frame[name]) for name in rules.programs}
    bad = ~np.all([np.isfinite(v) for v in values.values()], axis=0)
    out += _rows("nonfinite", bad, labels, "hold NaN, infinity or text; predict numbers")
    good = ~bad
    total = values["pre_adipo"] + values["adipo"] + values["other"]
    out += _rows("sum", good & (np.abs(total - 1) > SLACK), labels, "have pre_adipo + adipo + other other than 1")
    out += _rows("lipo", good & (values["lipo"] > values["adipo"]), labels, "have lipo above adipo")
    if "lipo_adipo" in values:
        ratio = values["lipo"] / (values["adipo"] + TINY)
        off = good & (np.abs(values["lipo_adipo"] - ratio) > SLACK)
        out += _rows("lipo_adipo", off, labels, "have lipo_adipo other than lipo / adipo")
    return out


def _frame(data: Any) -> Any:
    if not isinstance(data, str | os.PathLike):
        return data
    import pandas as pd

    try:
        return pd.read_csv(data)
    except (OSError, ValueError) as error:
        msg = f"{os.fspath(data)!r}: cannot be read as a table ({str(error).splitlines()[0]})"
        raise DataError(msg) from error


def _numbers(column: Any) -> Table:
    import pandas as pd

    return np.asarray(pd.to_numeric(column, errors="coerce"), np.float64)


def _rows(code: str, wrong: NDArray[np.bool_], labels: Sequence[str], text: str) -> list[Problem]:
    hits = [label for label, is_wrong in zip(labels, wrong.tolist(), strict=True) if is_wrong]
    return [Problem(code, f"{len(hits)} perturbations {text}: {some(hits)}", len(hits))] if hits else []


def validate_ranking(data: Any, *, n_pairs: int | None = PAIRS) -> list[Problem]:
    """Check ``prediction.parquet`` of crunch 3.

    Parameters
    ----------
    data
        Path or DataFrame: ``GenePairID``, 12 signatures (z-scores), ``FinalAggScore``, ``Rank``.
    n_pairs
        Rows asked for; None for any number.

    Returns
    -------
    All problems: columns, rows, repeated pairs, values that are no numbers, a FinalAggScore other than the mean of the
    three largest signatures, ranks that are no 1 … n or do not follow the score (1 is the highest).

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> table = pd.DataFrame(np.eye(2, 12), columns=[f"s{k}" for k in range(12)])
    >>> table.insert(0, "GenePairID", ["A|B", "A|C"])
    >>> table["FinalAggScore"], table["Rank"] = 1 / 3, [1, 2]
    >>> validate_ranking(table, n_pairs=2)
    []
    """
    frame = _parquet(data)
    names = [str(name) for name in frame.columns]
    absent = [name for name in ("GenePairID", "FinalAggScore", "Rank") if name not in names]
    signatures = [name for name in names if name not in ("GenePairID", "FinalAggScore", "Rank")]
    if absent or len(signatures) != SIGNATURES:
        text = (
            f"{len(signatures)} signatures in place of {SIGNATURES}, missing columns: {some(absent) or 'none'}; give "
            "GenePairID, 12 signatures, FinalAggScore and Rank"
        )
        return [Problem("columns", text, len(names))]
    out = []
    if n_pairs is not None and len(frame) != n_pairs:
        text = f"{len(frame):,} rows in place of {n_pairs:,}; rank every pair"
        out.append(Problem("rows", text, len(frame)))
    repeated = int(frame["GenePairID"].duplicated().sum())
    if repeated:
        out.append(Problem("repeated", f"{repeated} gene pairs occur more than once; rank each once", repeated))
    z = np.stack([_numbers(frame[name]) for name in signatures], axis=1)
    score, rank = _numbers(frame["FinalAggScore"]), frame["Rank"].to_numpy()
    bad = int((~np.isfinite(z).all(axis=1) | ~np.isfinite(score)).sum())
    if bad:
        return [*out, Problem("nonfinite", f"{bad} rows hold NaN, infinity or text; give numbers", bad)]
    best = np.sort(z, axis=1)[:, -3:].mean(axis=1)
    off = int((np.abs(best - score) > 1e-5 * np.maximum(1, np.abs(best))).sum())
    if off:
        text = f"{off} rows have a FinalAggScore other than the mean of their three largest signatures"
        out.append(Problem("score", text, off))
    if rank.dtype.kind not in "iu":
        return [*out, Problem("rank", f"Rank is {rank.dtype}, not whole numbers; make it int64")]
    order = np.argsort(rank, kind="stable")
    if not np.array_equal(rank[order], np.arange(1, rank.size + 1)):
        out.append(Problem("rank", f"Rank is not 1 … {rank.size}, each once"))
    elif np.any(np.diff(score[order]) > 0):
        out.append(Problem("rank", "Rank does not follow FinalAggScore; 1 is the highest"))
    return out


def _parquet(data: Any) -> Any:
    if not isinstance(data, str | os.PathLike):
        return data
    from vcmetrics.results.files import require_parquet

    require_parquet()
    import pandas as pd

    try:
        return pd.read_parquet(data)
    except (OSError, ValueError) as error:
        msg = f"{os.fspath(data)!r}: cannot be read as parquet ({str(error).splitlines()[0]})"
        raise DataError(msg) from error


def pearson(pred: Table, real: Table, centroid: Table) -> float:
    """Correlation over genes of mean predicted and mean observed cell, both less the mean of the perturbed cells.

    Parameters
    ----------
    pred, real
        Cells × genes of one perturbation.
    centroid
        (n_genes,): mean of the perturbed training cells.

    Returns
    -------
    In [-1, 1]; 1 is best; NaN where a difference is constant (a model that predicts the centroid itself).

    Examples
    --------
    >>> pearson(np.array([[1.0, 2.0, 4.0]]), np.array([[2.0, 4.0, 8.0]]), np.zeros(3))
    1.0
    """
    x, y = pred.mean(axis=0) - centroid, real.mean(axis=0) - centroid
    x, y = x - x.mean(), y - y.mean()
    norm = np.sqrt(x @ x) * np.sqrt(y @ y)
    return float(np.clip(x @ y / norm, -1, 1)) if norm > 0 else float("nan")


def mmd(pred: Table, real: Table, sigma: float) -> float:
    """Squared maximum mean discrepancy under the sum of five Gaussian kernels ``exp(-r² / (sigma * b))``.

    Both sides are cut to the first ``min(n, m)`` rows; means run over all pairs, the diagonal included.

    Parameters
    ----------
    pred, real
        Cells × genes of one perturbation.
    sigma
        Bandwidth: 2326 in crunch 1 (made for 1,000 genes), 849 in crunch 2 (for 500).

    Returns
    -------
    0 or more, at most 10; 0 is best.

    Examples
    --------
    >>> x = np.array([[0.0, 1.0], [1.0, 0.0]])
    >>> mmd(x, x, 1.0)
    0.0
    """
    from vcmetrics import _core

    n = min(len(pred), len(real))
    x, y = (np.ascontiguousarray(side[:n], np.float64) for side in (pred, real))

    def mean(a: Table, b: Table) -> float:
        squared = _core.pairwise_sums(a, b, "sqeuclidean")
        return float(sum(np.exp(-squared / (sigma * b)).mean() for b in BANDWIDTHS))

    return mean(x, x) + mean(y, y) - 2 * mean(x, y)


def program_distance(pred: Mapping[str, float], real: Mapping[str, float]) -> float:
    """How far predicted program proportions lie from the observed ones.

    ``0.75 (|Δpre_adipo| + |Δadipo| + |Δother|) + 0.25 |Δ(lipo / adipo)|``.

    Parameters
    ----------
    pred, real
        Proportions of one perturbation by program.

    Returns
    -------
    In [0, 1.75]; 0 is best.

    Examples
    --------
    >>> one = {"pre_adipo": 0.5, "adipo": 0.25, "lipo": 0.125, "other": 0.25}
    >>> program_distance(one, {**one, "lipo": 0.25})
    0.125
    """
    parts = sum(abs(pred[name] - real[name]) for name in ("pre_adipo", "adipo", "other"))
    ratios = [side["lipo"] / (side["adipo"] + TINY) for side in (pred, real)]
    return 0.75 * parts + 0.25 * abs(ratios[0] - ratios[1])


def score(
    prediction: Any,
    truth: Any,
    *,
    proportions: Any = None,
    true_proportions: Any = None,
    centroid: Mapping[str, Any] | Any = None,
    crunch: int = 1,
) -> Any:
    """Score a prediction of crunch 1 or 2 as its platform does.

    Parameters
    ----------
    prediction, truth
        AnnData or paths; cells × genes with the perturbations in ``obs["gene"]``. The truth's perturbations and, where
        it has ``uns["scoring_gene_mask"]``, those of its genes are scored.
    proportions, true_proportions
        Tables (or paths) of program proportions; None leaves that metric out.
    centroid
        (n_genes,) mean of the perturbed training cells, or ``{"single": …, "double": …}`` by the number of guides in
        ``A+B``. None takes ``perturbed_centroid_train`` of the truth's ``uns``, or its
        ``single_perturbed_centroid_train`` and ``double_perturbed_centroid_train``.
    crunch
        1 or 2.

    Returns
    -------
    DataFrame, index perturbation, columns ``pearson`` (NaN where undefined), ``mmd``, ``program_distance``; the
    platform takes their means.

    Raises
    ------
    DataError
        If a perturbation, gene or the centroid is missing.

    Examples
    --------
    >>> import anndata
    >>> cells = anndata.AnnData(np.array([[1.0, 2.0, 5.0], [2.0, 1.0, 3.0]]))
    >>> cells.obs["gene"], cells.uns["perturbed_centroid_train"] = "TP53", np.zeros(3)
    >>> score(cells, cells)["mmd"].tolist()
    [0.0]
    """
    import pandas as pd

    rules = _crunch(crunch)
    pred, real = _adata(prediction), _adata(truth)
    where = real.var_names.get_indexer(pred.var_names)
    at = {gene: k for k, gene in enumerate(pred.var_names)}
    mask = np.asarray(real.uns.get("scoring_gene_mask", np.ones(real.n_vars, bool)), bool).reshape(-1)
    scored = real.var_names[mask]
    absent = [gene for gene in scored if gene not in at]
    if absent or mask.size != real.n_vars or where.size == 0:
        msg = f"the prediction lacks genes that are scored: {some(absent) or 'the mask does not fit the truth'}"
        raise DataError(msg)
    columns = np.array([at[gene] for gene in scored])
    centres = _centroids(real, centroid)
    tables = [None if t is None else _frame(t).set_index("gene") for t in (proportions, true_proportions)]
    labels = [str(label) for label in pd.unique(real.obs["gene"].astype(str))]
    pred_labels, real_labels = pred.obs["gene"].astype(str).to_numpy(), real.obs["gene"].astype(str).to_numpy()
    rows = []
    for label in labels:
        x, y = _cells(pred, pred_labels == label, columns), _cells(real, real_labels == label, np.flatnonzero(mask))
        if not len(x):
            msg = f"perturbation {label!r} is not predicted; predict all {len(labels)} of the truth"
            raise DataError(msg)
        centre = centres["double" if "+" in label and "double" in centres else "single"]
        row = {"pearson": pearson(x, y, centre[mask]), "mmd": mmd(x, y, rules.sigma)}
        if tables[0] is not None and tables[1] is not None:
            row["program_distance"] = program_distance(tables[0].loc[label], tables[1].loc[label])
        rows.append(row)
    return pd.DataFrame(rows, index=pd.Index(labels, name="perturbation"))


def _adata(data: Any) -> Any:
    if not isinstance(data, str | os.PathLike):
        return data
    import anndata

    open_store(data).close()  # says in one line what is wrong with the path
    return anndata.read_h5ad(data)


def _cells(adata: Any, rows: NDArray[np.bool_], columns: NDArray[np.int64]) -> Table:
    values = adata.X[np.flatnonzero(rows)][:, columns]
    return np.asarray(values.toarray() if hasattr(values, "toarray") else values, np.float64)


def _centroids(truth: Any, given: Any) -> dict[str, Table]:
    if isinstance(given, Mapping):
        found = dict(given)
    elif given is not None:
        found = {"single": given}
    elif "perturbed_centroid_train" in truth.uns:
        found = {"single": truth.uns["perturbed_centroid_train"]}
    else:
        keys = {kind: f"{kind}_perturbed_centroid_train" for kind in ("single", "double")}
        found = {kind: truth.uns[key] for kind, key in keys.items() if key in truth.uns}
    if "single" not in found:
        msg = "the truth holds no centroid of the perturbed training cells in uns; pass centroid="
        raise DataError(msg)
    return {kind: np.asarray(value, np.float64).reshape(-1) for kind, value in found.items()}
