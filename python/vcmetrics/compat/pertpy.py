"""pertpy's ``Distance`` and ``DistanceTest`` on the kernels of this package.

``from vcmetrics.compat.pertpy import Distance, DistanceTest`` in place of ``pertpy.tools``; nothing else in a script
changes. ``convention`` chooses whose numbers: ``"pertpy-1.0"`` (1.0.0 to 1.0.3) or ``"pertpy-1.2"`` (1.0.4 to 1.2.0),
which differ in the energy distance. What is not carried over:

* p-values stay with their own groups; pertpy attaches them to others unless groups appear in sorted order;
* permutations have a seed (``random_state``, 0), so two calls agree;
* nothing is precomputed or kept in ``adata.obsp``, so an edited embedding or another layer gets its own numbers;
* values are computed in float64 whatever the precision of the cells;
* ``metric_fct`` and the classes behind it are not there: distances are chosen by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from vcmetrics._errors import DataError
from vcmetrics.distances.bootstrap import bootstrap_distance
from vcmetrics.distances.compare import compare_distance
from vcmetrics.distances.matrix import distance_matrix, distances_to
from vcmetrics.distances.permutation import permutation_test

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["METRICS", "Distance", "DistanceTest", "MeanVar"]

METRICS = (
    "edistance",
    "euclidean",
    "root_mean_squared_error",
    "mse",
    "mean_absolute_error",
    "pearson_distance",
    "spearman_distance",
    "kendalltau_distance",
    "cosine_distance",
    "r2_distance",
    "mean_pairwise",
    "mmd",
    "wasserstein",
    "sym_kldiv",
    "t_test",
    "ks_test",
    "nb_ll",
    "classifier_proba",
    "classifier_cp",
    "mean_var_distribution",
    "mahalanobis",
)
CONVENTIONS = ("pertpy-1.0", "pertpy-1.2")
_BY_CELLS = ("edistance", "mean_pairwise")  # what pertpy computes from a matrix of cells × cells
_PROFILES = (
    "euclidean",
    "root_mean_squared_error",
    "mse",
    "mean_absolute_error",
    "pearson_distance",
    "spearman_distance",
    "kendalltau_distance",
    "cosine_distance",
    "r2_distance",
)
_EPSILON = {"sym_kldiv": "std_floor", "t_test": "var_floor"}  # what it is called here


class MeanVar(NamedTuple):
    """Mean and variance of a bootstrapped distance."""

    mean: float
    variance: float


class Distance:
    """Distance between groups of cells, with pertpy's interface.

    Parameters
    ----------
    metric
        One of :data:`METRICS`.
    agg_fct
        Makes the pseudobulk of a group: ``numpy.mean``, ``numpy.median`` or any ``f(cells, axis=0)``.
    layer_key, obsm_key
        Read this layer, or this embedding; ``obsm["X_pca"]`` where neither is named.
    cell_wise_metric
        Distance of two cells for ``edistance`` and ``mean_pairwise``, in the calls where pertpy heeds it.
    convention
        Whose numbers: ``"pertpy-1.0"`` or ``"pertpy-1.2"``.

    Examples
    --------
    >>> near, far = np.array([[0.0], [2.0]]), np.array([[5.0], [7.0]])
    >>> Distance("euclidean")(near, far)
    5.0
    """

    def __init__(
        self,
        metric: str = "edistance",
        agg_fct: Callable[..., Any] = np.mean,
        layer_key: str | None = None,
        obsm_key: str | None = None,
        cell_wise_metric: str = "euclidean",
        *,
        convention: str = "pertpy-1.0",
    ) -> None:
        if metric not in METRICS:
            msg = f"Metric {metric} not recognized."
            raise ValueError(msg)
        if layer_key and obsm_key:
            msg = "Cannot use 'layer_key' and 'obsm_key' at the same time; provide only one of the two keys."
            raise ValueError(msg)
        if convention not in CONVENTIONS:
            msg = f"convention {convention!r} is not one of pertpy's; choose from {', '.join(CONVENTIONS)}"
            raise ValueError(msg)
        self.metric = metric
        self.aggregation_func = agg_fct
        self.layer_key = layer_key
        self.obsm_key = obsm_key if layer_key or obsm_key else "X_pca"
        self.cell_wise_metric = cell_wise_metric
        self.convention = convention

    def __call__(self, X: Any, Y: Any, **kwargs: Any) -> float:
        """Distance of two blocks of cells × features; cells are compared by their Euclidean distance, as there.

        Raises
        ------
        ValueError
            If one of them is empty.
        """
        cells, labels = _stacked(X, Y)
        found = distances_to(
            cells, "Y", pert_col=labels, groups=["X"], metric=self.metric, **self._parameters(kwargs, by_cells=False)
        )
        return float(found["X"])

    def bootstrap(self, X: Any, Y: Any, *, n_bootstrap: int = 100, random_state: int = 0, **kwargs: Any) -> MeanVar:
        """Mean and variance of the distance of two blocks over resamples, with pertpy's draws."""
        cells, labels = _stacked(X, Y)
        found = bootstrap_distance(
            cells,
            "Y",
            pert_col=labels,
            groups=["X"],
            metric=self.metric,
            n_bootstrap=n_bootstrap,
            random_state=random_state,
            draws="pertpy-arrays",
            **self._parameters(kwargs, by_cells=False),
        )
        return MeanVar(float(found.mean["X"]), float(found.variance["X"]))

    def pairwise(
        self,
        adata: Any,
        groupby: str,
        groups: Sequence[Any] | None = None,
        bootstrap: bool = False,
        n_bootstrap: int = 100,
        random_state: int = 0,
        show_progressbar: bool = True,
        n_jobs: int = -1,
        **kwargs: Any,
    ) -> pd.DataFrame | tuple[pd.DataFrame, pd.DataFrame]:
        """Distances between all groups.

        Parameters
        ----------
        adata, groupby, groups
            AnnData, the column of ``obs``, and the groups (all, in order of appearance).
        bootstrap, n_bootstrap, random_state
            Resample the cells; the mean and the variance are returned.
        show_progressbar
            Without effect.
        n_jobs
            Threads; -1 for all that this process may use.
        **kwargs
            Of the metric, such as ``kernel`` and ``gamma`` of ``mmd``.

        Returns
        -------
        DataFrame, rows and columns in the order of ``groups``, 0 on the diagonal; asymmetric distances go from the
        group that comes first. With ``bootstrap`` two of them, mean and variance.
        """
        labels, texts = _groups(adata, groupby, groups)
        how = self._adata(groupby, n_jobs, kwargs, resampled=bootstrap)
        if not bootstrap:
            found = distance_matrix(adata, groups=texts, metric=self.metric, **how)
            return _table(found.to_numpy(), labels, groupby, f"pairwise {self.metric}")
        made = bootstrap_distance(
            adata, groups=texts, metric=self.metric, n_bootstrap=n_bootstrap, random_state=random_state, **how
        )
        mean, variance = (table.fillna(0).to_numpy() for table in made)
        name = f"pairwise {self.metric}"
        return _table(mean, labels, groupby, name), _table(variance, labels, groupby, f"{name} variance")

    def onesided_distances(
        self,
        adata: Any,
        groupby: str,
        selected_group: Any = None,
        groups: Sequence[Any] | None = None,
        bootstrap: bool = False,
        n_bootstrap: int = 100,
        random_state: int = 0,
        show_progressbar: bool = True,
        n_jobs: int = -1,
        **kwargs: Any,
    ) -> pd.Series | tuple[pd.Series, pd.Series]:
        """Distances from every group to one.

        Parameters
        ----------
        adata, groupby, groups, bootstrap, n_bootstrap, random_state, show_progressbar, n_jobs, **kwargs
            As for :meth:`pairwise`.
        selected_group
            The group that all others are compared with.

        Returns
        -------
        Series, index = group, 0 for the selected group. With ``bootstrap`` two of them, mean and variance.

        Raises
        ------
        NotImplementedError
            For the bootstrap of ``classifier_cp``, as there.
        """
        if selected_group is None:
            msg = "selected_group is needed: the group that all others are compared with"
            raise ValueError(msg)
        if self.metric == "classifier_cp" and bootstrap:
            msg = "classifier_cp has no bootstrap"
            raise NotImplementedError(msg)
        labels, texts = _groups(adata, groupby, groups)
        how = self._adata(groupby, n_jobs, kwargs, resampled=bootstrap)
        reference = str(selected_group)
        name = f"{self.metric} to {selected_group}"
        if not bootstrap:
            found = distances_to(adata, reference, groups=texts, metric=self.metric, **how)
            return _series(found.to_numpy(), labels, groupby, name)
        made = bootstrap_distance(
            adata,
            reference,
            groups=texts,
            metric=self.metric,
            n_bootstrap=n_bootstrap,
            random_state=random_state,
            **how,
        )
        mean, variance = (table.fillna(0).to_numpy() for table in made)
        other = f"pairwise {self.metric} variance to {selected_group}"
        return _series(mean, labels, groupby, name), _series(variance, labels, groupby, other)

    def precompute_distances(self, adata: Any, n_jobs: int = -1) -> None:
        """Do nothing: no matrix of cells × cells is made here. It is there so that scripts run."""

    def compare_distance(
        self,
        pert: Any,
        pred: Any,
        ctrl: Any,
        mode: Literal["simple", "scaled"] = "simple",
        fit_to_pert_and_ctrl: bool = False,
        **kwargs: Any,
    ) -> float:
        """Distance of a prediction from the perturbed cells over its distance from the control.

        Parameters
        ----------
        pert, pred, ctrl
            Cells × features.
        mode
            ``"scaled"``: every feature of ``pert`` and ``pred`` mapped by its range in ``ctrl``; ``ctrl`` itself stays
            as it is, as there.
        fit_to_pert_and_ctrl
            Take the range in ``pert`` and ``ctrl`` together.
        **kwargs
            Of the metric.

        Returns
        -------
        Below 1 where the prediction is nearer to the perturbed cells.
        """
        return compare_distance(
            pert,
            pred,
            ctrl,
            metric=self.metric,
            mode=mode,
            fit="both" if fit_to_pert_and_ctrl else "control",
            **self._parameters(kwargs, by_cells=False),
        )

    def _parameters(self, given: dict[str, Any], *, by_cells: bool) -> dict[str, Any]:
        """Convention and parameters of the distance under the names that they have here."""
        out = {_EPSILON.get(self.metric, key) if key == "epsilon" else key: value for key, value in given.items()}
        if by_cells and self.metric in _BY_CELLS and self.cell_wise_metric != "euclidean":
            out.setdefault("cell_metric", self.cell_wise_metric)
        if self.metric in _PROFILES and self.aggregation_func is not np.mean:
            median = self.aggregation_func is np.median
            out.setdefault("aggregate", "median" if median else self.aggregation_func)
        return {"convention": self.convention, **out}

    def _adata(self, groupby: str, n_jobs: int, given: dict[str, Any], *, resampled: bool) -> dict[str, Any]:
        """Where the cells are read from, threads and parameters."""
        # from 1.0.4 on only the bootstrap and the test of edistance heed cell_wise_metric
        heeded = self.convention == "pertpy-1.0" or resampled or self.metric != "edistance"
        reads_x = self.metric == "classifier_cp"
        return {
            "pert_col": groupby,
            "layer": None if reads_x else self.layer_key,
            "obsm": None if reads_x or self.layer_key else self.obsm_key,
            "n_threads": None if n_jobs is None or n_jobs < 1 else n_jobs,
            **self._parameters(given, by_cells=heeded),
        }


class DistanceTest:
    """Permutation test of every group against one, with pertpy's interface.

    Parameters
    ----------
    metric, layer_key, obsm_key, cell_wise_metric, convention
        As for :class:`Distance`.
    n_perms
        Number of permutations.
    alpha
        Level of ``significant`` and ``significant_adj``.
    correction
        Any method of statsmodels' ``multipletests`` (extra ``stats``), or ``"fdr_bh"`` and ``"fdr_by"`` without it.
    random_state
        Seed of the permutations.

    Examples
    --------
    >>> import anndata
    >>> cells = anndata.AnnData(np.zeros((40, 1)))
    >>> cells.obsm["X_pca"] = np.random.default_rng(0).normal(size=(40, 3)) + 2.0 * (np.arange(40) < 20)[:, None]
    >>> cells.obs["perturbation"] = ["drug"] * 20 + ["control"] * 20
    >>> table = DistanceTest("edistance", n_perms=99, correction="fdr_bh")(cells, "perturbation", "control")
    >>> round(float(table.loc["drug", "pvalue"]), 3)
    0.01
    """

    def __init__(
        self,
        metric: str,
        n_perms: int = 1000,
        layer_key: str | None = None,
        obsm_key: str | None = None,
        alpha: float = 0.05,
        correction: str = "holm-sidak",
        cell_wise_metric: str | None = None,
        *,
        convention: str = "pertpy-1.0",
        random_state: int = 0,
    ) -> None:
        self.distance = Distance(
            metric,
            layer_key=layer_key,
            obsm_key=obsm_key,
            cell_wise_metric=cell_wise_metric or "euclidean",
            convention=convention,
        )
        self.metric = metric
        self.n_perms = n_perms
        self.layer_key = self.distance.layer_key
        self.obsm_key = self.distance.obsm_key
        self.alpha = alpha
        self.correction = correction
        self.cell_wise_metric = self.distance.cell_wise_metric
        self.random_state = random_state

    def __call__(self, adata: Any, groupby: str, contrast: Any, show_progressbar: bool = True) -> pd.DataFrame:
        """Test every group.

        Parameters
        ----------
        adata, groupby
            AnnData and the column of ``obs``.
        contrast
            The group that all others are tested against.
        show_progressbar
            Without effect.

        Returns
        -------
        DataFrame, index = group: ``distance``, ``pvalue``, ``significant``, ``pvalue_adj``, ``significant_adj``. The
        contrast is a test too, with p = 1 / n_perms, when p-values are corrected; its own row shows 0 and 1, as there.

        Raises
        ------
        ValueError
            If no cell is labelled ``contrast``.
        """
        labels, texts = _groups(adata, groupby, None)
        if str(contrast) not in texts:
            msg = f"Contrast group {contrast} not found in {groupby} of adata.obs."
            raise ValueError(msg)
        found = permutation_test(
            adata,
            str(contrast),
            metric=self.metric,
            n_permutations=self.n_perms,
            random_state=self.random_state,
            correction=self.correction,
            alpha=self.alpha,
            **self.distance._adata(groupby, -1, {}, resampled=True),
        )
        out = found.loc[texts]
        out.index = labels
        out.index.name = None
        out.attrs = {}
        return out

    def test_xy(self, adata: Any, groupby: str, contrast: Any, show_progressbar: bool = True) -> pd.DataFrame:
        """The same test."""
        return self(adata, groupby, contrast, show_progressbar)

    def test_precomputed(self, adata: Any, groupby: str, contrast: Any, verbose: bool = True) -> pd.DataFrame:
        """The same test, for the metrics that pertpy computes from distances of cells.

        Raises
        ------
        ValueError
            For another metric.
        """
        if self.metric not in (*_BY_CELLS, "wasserstein"):
            msg = f"Metric {self.metric} does not accept precomputed distances."
            raise ValueError(msg)
        return self(adata, groupby, contrast, verbose)


def _stacked(x: Any, y: Any) -> tuple[Any, list[str]]:
    """Two blocks as one, with the label of each cell."""
    x, y = (block if hasattr(block, "tocsr") else np.asarray(block) for block in (x, y))
    if x.shape[0] == 0 or y.shape[0] == 0:
        msg = "Neither X nor Y can be empty."
        raise ValueError(msg)
    dense = [block.toarray() if hasattr(block, "tocsr") else block for block in (x, y)]
    return np.vstack(dense), ["X"] * x.shape[0] + ["Y"] * y.shape[0]


def _groups(adata: Any, groupby: str, groups: Sequence[Any] | None) -> tuple[Any, list[str]]:
    """Groups as an index, and their labels as text."""
    import pandas as pd

    if groupby not in adata.obs:
        msg = f"{groupby!r} is not a column of obs (columns: {', '.join(map(str, adata.obs.columns)) or 'none'})"
        raise DataError(msg)
    labels = pd.Index(adata.obs[groupby].dropna().unique() if groups is None else groups)
    return labels, [str(label) for label in labels]


def _table(values: Any, labels: Any, groupby: str, name: str) -> pd.DataFrame:
    import pandas as pd

    out = pd.DataFrame(values, index=labels, columns=labels)
    out.index.name = out.columns.name = groupby
    out.name = name
    return out


def _series(values: Any, labels: Any, groupby: str, name: str) -> pd.Series:
    import pandas as pd

    out = pd.Series(values, index=labels, name=name)
    out.index.name = groupby
    return out
