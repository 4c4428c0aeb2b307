"""The functions of vcmetrics over a Dask cluster: for data of many files, or that Dask holds.

Labels and genes are read where the function is called; values are read, and tables made, by the workers. Results have
the bits that one process gives. Needs the extra ``dask``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

try:
    import distributed
except ImportError as error:
    msg = f"vcmetrics.dask needs dask and distributed ({error}); pip install 'vcmetrics[dask]'"
    raise ImportError(msg) from error

from vcmetrics.dask.cells import open_remote
from vcmetrics.dask.cluster import active_client
from vcmetrics.summary.group_summary import GroupSummary

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from vcmetrics.results.score_result import ScoreResult
    from vcmetrics.results.score_results import ScoreResults
    from vcmetrics.sources.cells import Cells

__all__ = ["differential_expression", "pseudobulk", "score", "summarize"]


@contextmanager
def _opened(data: Any, client: distributed.Client | None, layer: str | None) -> Iterator[Cells]:
    with active_client(client) as active, open_remote(data, active, layer=layer) as cells:
        yield cells


def summarize(
    data: Any, *, client: distributed.Client | None = None, layer: str | None = None, **options: Any
) -> GroupSummary:
    """:func:`vcmetrics.summarize` over a cluster.

    Parameters
    ----------
    data
        One path or several (a list, a pattern, a mapping from names), which the workers see under the same names; or
        AnnData whose matrix Dask holds, n_obs × n_vars; or a list of both.
    client
        Of the cluster. None: the active one, else a cluster of one worker a core on this machine, for this call.
    layer
        Read this layer in place of ``X``.
    **options
        Of :func:`vcmetrics.summarize`, but for ``checkpoint``. ``progress(done, total)`` is called here as tasks are
        done. Each worker keeps to half of its memory limit.

    Returns
    -------
    GroupSummary
        The same bytes as in one process.

    Raises
    ------
    DataError
        As there; or if a worker sees another file than this process.
    TypeError
        For AnnData in memory.

    Notes
    -----
    Values are read twice: once to check them, once for the tables. Uncompressed CSR files are used where they lie.
    Of others, a compact copy (4 to 10 bytes a stored value) lies in the memory of the workers where groups are
    spread over files; sums of counts need none. Each task ranks its perturbations against a copy of the control. What a
    worker had done when it was lost is done again by others.

    Examples
    --------
    On a cluster, or on this machine (under ``if __name__ == "__main__":`` in a script, since workers are processes)::

        summary = vcmetrics.dask.summarize("plates/*.h5ad", pert_col="gene", client=Client("scheduler:8786"))
    """
    from vcmetrics.summary.summarize import summarize as here

    if options.get("checkpoint") is not None:
        msg = "checkpoint= belongs to one process; on a cluster what a lost worker had done is done again"
        raise ValueError(msg)
    with _opened(data, client, layer) as cells:
        return here(cells, layer=layer, **options)


def pseudobulk(
    data: Any, *, client: distributed.Client | None = None, layer: str | None = None, **options: Any
) -> AnnData:
    """:func:`vcmetrics.pseudobulk` over a cluster.

    Parameters
    ----------
    data, client, layer
        As of :func:`summarize`.
    **options
        Of :func:`vcmetrics.pseudobulk`.

    Returns
    -------
    AnnData
        n_groups × n_vars, float64; the same bytes as in one process.
    """
    from vcmetrics.summary.summarize import pseudobulk as here

    with _opened(data, client, layer) as cells:
        return here(cells, layer=layer, **options)


def differential_expression(
    data: Any, *, client: distributed.Client | None = None, layer: str | None = None, **options: Any
) -> pd.DataFrame:
    """:func:`vcmetrics.differential_expression` over a cluster: batches of perturbations against a copy of the control.

    Parameters
    ----------
    data, client, layer
        As of :func:`summarize`.
    **options
        Of :func:`vcmetrics.differential_expression`; ``mode`` is ``"reference"`` or ``"on_target"``.

    Returns
    -------
    DataFrame
        One row a perturbation and gene; the same bytes as in one process.

    Raises
    ------
    ValueError
        For ``mode="all"``, which ranks all cells together and so needs them in one process.
    """
    from vcmetrics.summary.summarize import differential_expression as here

    if options.get("mode") == "all":
        msg = (
            "mode='all' ranks all cells together, so no part can be done apart; call vcmetrics.differential_expression"
        )
        raise ValueError(msg)
    with _opened(data, client, layer) as cells:
        return here(cells, layer=layer, **options)


def score(
    pred: Any,
    real: Any,
    *,
    client: distributed.Client | None = None,
    layer: str | None = None,
    **options: Any,
) -> ScoreResult | ScoreResults:
    """:func:`vcmetrics.score` over a cluster.

    Parameters
    ----------
    pred, real
        As ``data`` of :func:`summarize`; ``real`` may be a :class:`~vcmetrics.GroupSummary`.
    client, layer
        As of :func:`summarize`.
    **options
        Of :func:`vcmetrics.score`.

    Returns
    -------
    ScoreResult
        The same values as in one process.

    Raises
    ------
    DataError
        As there; or for a metric that needs single cells: it is no sum over groups.

    Notes
    -----
    The baseline of ``scale="auto"`` has as many cells as ``real`` and is made and scored here; for data beyond this
    machine pass ``baseline=`` or ``bundle=``.
    """
    from vcmetrics.scoring.score import score as here

    with ExitStack() as stack:
        active = stack.enter_context(active_client(client))
        sides = [stack.enter_context(open_remote(pred, active, layer=layer, name="pred"))]
        if not isinstance(real, GroupSummary):
            sides.append(stack.enter_context(open_remote(real, active, layer=layer, name="real")))
        result: ScoreResult | ScoreResults = here(
            sides[0], real if isinstance(real, GroupSummary) else sides[1], layer=layer, **options
        )
        return result
