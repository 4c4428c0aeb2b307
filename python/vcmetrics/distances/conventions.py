"""Named conventions: what a library's own call computes, as values of our parameters.

A convention sets defaults only; whatever the caller passes wins. It never changes a formula: every number it gives
can be had by explicit parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from vcmetrics.metrics.distance.registry import DistanceSpec, get


@dataclass(frozen=True)
class Counting:
    """How a permutation test turns null values into p-values.

    ``ties`` counts null values equal to the observed one as exceeding it; ``plus_one`` takes (b + 1)/(B + 1), else
    max(1, b)/B. ``reference_row`` is the p-value with which the reference itself enters the family of tests: None (it
    is no test), ``"least"`` (1/B), or ``"one"``.
    """

    ties: bool = True
    plus_one: bool = True
    reference_row: str | None = None
    correction: str = "fdr_bh"


@dataclass(frozen=True)
class Convention:
    """Defaults of one library.

    ``names`` maps its names of distances to rows of ours with other parameters; ``parameters`` gives values by row, and
    ``resampled`` those that its bootstrap and its test use instead. ``order``, ``obsm`` (read where neither layer nor
    obsm is named), ``diagonal`` and ``mirror`` are those of :func:`~vcmetrics.distances.matrix.distance_matrix`.
    ``reads_x`` are rows that read ``X`` even so. ``draws`` names the bootstrap's draws, ``scale_control`` whether a
    scaled comparison scales the control too. ``pooled`` says that several references are one, their union.
    """

    name: str
    source: str
    names: Mapping[str, tuple[str, Mapping[str, Any]]] = field(default_factory=dict)
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    resampled: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    order: str = "categories"
    obsm: str | None = None
    reads_x: frozenset[str] = frozenset()
    diagonal: str = "value"
    mirror: str | None = None
    draws: str = "own"
    scale_control: bool = True
    pooled: bool = False
    counting: Counting = field(default_factory=Counting)
    quirks: tuple[str, ...] = ()


_ONE = {"one_cell": "zero"}
_PERTPY_NAMES: Mapping[str, tuple[str, Mapping[str, Any]]] = MappingProxyType(
    {"root_mean_squared_error": ("euclidean", {})}
)
_PERTPY_ROWS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "edistance": {"estimator": "v", "cell_metric": "euclidean", **_ONE},
        "mean_pairwise": {"estimator": "v", **_ONE},
        "kendall": {"unit": "pairs"},
        "mmd": {"kernel": "linear", "gamma": 1.0, "estimator": "v"},
        "wasserstein": {"not_finite": 1.0},
        "sym_kldiv": {"one_cell": "floor"},
    }
)
_PERTPY_QUIRKS = (
    "root_mean_squared_error is the Euclidean distance, without the division by the number of features",
    "kendalltau_distance is (1 - tau_b) D (D - 1)/4",
    "the diagonal is 0 by decree, also for wasserstein and mean_pairwise, which are not 0 there",
    "asymmetric distances are computed once a pair, from the group that appears first, and mirrored",
    "the bootstrap restarts its generator for every pair; all but edistance and mean_pairwise draw both groups with "
    "the size of the first",
    "a scaled comparison scales prediction and perturbed cells, but not the control",
    "a cost that is not finite is returned as 1; where all costs of a pair are equal wasserstein is 1 there, and that "
    "cost here; r2_distance of a constant first profile is 1 there, and NaN here",
    "the reference counts as one more test, with p = 1/B; p-values here stay with their groups, which pertpy's do not",
)

_CONVENTIONS: dict[str, Convention] = {}


def _add(convention: Convention) -> None:
    _CONVENTIONS[convention.name] = convention


_PERTPY: dict[str, Any] = {
    "names": _PERTPY_NAMES,
    "order": "appearance",
    "obsm": "X_pca",
    "reads_x": frozenset({"classifier_cp"}),
    "diagonal": "zero",
    "mirror": "upper",
    "draws": "pertpy",
    "scale_control": False,
    "counting": Counting(ties=False, plus_one=False, reference_row="least", correction="holm-sidak"),
}
_add(
    Convention(
        name="pertpy-1.0",
        source="pertpy 1.0.0 to 1.0.3, Distance and DistanceTest",
        parameters=_PERTPY_ROWS,
        quirks=("edistance is the V-statistic of Euclidean distances", *_PERTPY_QUIRKS),
        **_PERTPY,
    )
)
_add(
    Convention(
        name="pertpy-1.2",
        source="pertpy 1.0.4 to 1.2.0, Distance and DistanceTest",
        parameters={**_PERTPY_ROWS, "edistance": {"estimator": "u", "cell_metric": "euclidean", **_ONE}},
        resampled={"edistance": {"estimator": "v"}},
        quirks=(
            "edistance is the U-statistic of Euclidean distances (it may be negative), but the V-statistic in the "
            "bootstrap and in the test",
            *_PERTPY_QUIRKS,
        ),
        **_PERTPY,
    )
)
_add(
    Convention(
        name="scperturb",
        source="scperturb 0.1.0, edist, edist_to_control, etest",
        parameters={
            "edistance": {"estimator": "u", "cell_metric": "sqeuclidean", "one_cell": "nan"},
            "mean_pairwise": {"estimator": "u", "cell_metric": "sqeuclidean", "one_cell": "nan"},
        },
        order="appearance",
        obsm="X_pca",
        pooled=True,
        counting=Counting(ties=True, plus_one=False, reference_row="one", correction="holm-sidak"),
        quirks=(
            "squared Euclidean distances; sample_correct=False is estimator='v'",
            "several controls are one: distances go to their union, the inside mean is the unweighted mean of each "
            "control's own, and a control's distances to the union are divided by N (n - 1)",
            "the control counts as one more test, with p = 1",
        ),
    )
)
_add(
    Convention(
        name="rapids",
        source="rapids-singlecell 0.15, ptg.Distance",
        names={**_PERTPY_NAMES},
        parameters={
            "edistance": {"estimator": "u", "cell_metric": "euclidean", **_ONE},
            "wasserstein": {"not_finite": 1.0},
        },
        obsm="X_pca",
        diagonal="zero",
        quirks=(
            "groups come in the order of the categories; wasserstein stops by its marginals here, by the change of its "
            "potentials there; the variances that its bootstrap adds up as if independent are not reproduced",
            "sums here are float64, there they have the precision of the embedding",
        ),
    )
)
_add(
    Convention(
        name="cell-eval",
        source="cell-eval 0.8, edistance",
        parameters={"edistance": {"estimator": "v", "cell_metric": "euclidean"}},
        quirks=("edistance is the V-statistic of Euclidean distances, on X unless an embedding is named",),
    )
)
_add(
    Convention(
        name="cellflow",
        source="CellFlow (July 2026), its metric set",
        names={
            "r_squared": ("r2", {"similarity": True}),
            "sinkhorn_div_1": ("sinkhorn_divergence", {"epsilon": 1.0}),
            "sinkhorn_div_10": ("sinkhorn_divergence", {"epsilon": 10.0}),
            "sinkhorn_div_100": ("sinkhorn_divergence", {"epsilon": 100.0}),
            "scalar_mmd": ("mmd", {"kernel": "rbf", "gamma": (2.0, 1.0, 0.5, 0.1, 0.01, 0.005), "combine": "mean"}),
        },
        parameters={
            "edistance": {"estimator": "v", "cell_metric": "sqeuclidean"},
            "mmd": {"kernel": "rbf", "gamma": (2.0, 1.0, 0.5, 0.1, 0.01, 0.005), "combine": "mean", "estimator": "v"},
            "sinkhorn_divergence": {"epsilon": 0.01},
        },
        quirks=(
            "squared Euclidean energy distance, V-statistic",
            "mmd is the mean over six bandwidths; r_squared is R² with the first group as the truth",
        ),
    )
)
_add(
    Convention(
        name="perturbench",
        source="PerturBench (August 2024); mmd of its commit c84038b",
        names={
            "cosine": ("cosine", {"similarity": True}),
            "pearson": ("pearson", {"similarity": True}),
            "r2_score": ("r2", {"similarity": True}),
            "energy": ("edistance", {"estimator": "u", "cell_metric": "sqeuclidean", "one_cell": "nan"}),
            "mmd": ("edistance", {"estimator": "v", "cell_metric": "euclidean", "floor": 1e-8, "halved": True}),
        },
        quirks=(
            "cosine, pearson and r2_score are similarities; the prediction is the truth of r2_score",
            "mmd is half a Euclidean energy distance whose distances are at least 1e-4",
        ),
    )
)
for _crunch, _sigma in ((1, 2326.0), (2, 849.0)):
    _add(
        Convention(
            name=f"broad-obesity-{_crunch}",
            source=f"Broad obesity challenge, crunch {_crunch}, MMD",
            parameters={
                "mmd": {
                    "kernel": "rbf",
                    "gamma": tuple(1.0 / (_sigma * factor) for factor in (0.25, 0.5, 1.0, 2.0, 4.0)),
                    "combine": "sum",
                    "estimator": "v",
                    "truncate": True,
                }
            },
            quirks=(
                f"mmd is the sum of exp(-d²/b) over five b around {_sigma:g}, both groups cut to the first cells of "
                "the smaller one",
            ),
        )
    )


@dataclass(frozen=True)
class Choice:
    """A row of the registry with the values of its parameters."""

    spec: DistanceSpec
    parameters: Mapping[str, Any]
    convention: Convention

    def resampled(self, given: Mapping[str, Any]) -> Choice:
        """The same for bootstraps and tests, which some libraries compute by other parameters."""
        if self.spec.context:
            msg = (
                f"distance {self.spec.name!r} reads all groups at once, so two of them cannot be resampled alone; "
                "pass another metric, such as 'classifier_proba'"
            )
            raise ValueError(msg)
        other = {k: v for k, v in self.convention.resampled.get(self.spec.name, {}).items() if k not in given}
        return Choice(self.spec, {**self.parameters, **other}, self.convention)


PLAIN = Convention(name="", source="")


def list_conventions() -> list[str]:
    """Names of the conventions.

    Examples
    --------
    >>> "pertpy-1.0" in list_conventions()
    True
    """
    return list(_CONVENTIONS)


def get_convention(name: str | None) -> Convention:
    """A convention by its name; None is our own."""
    if name is None:
        return PLAIN
    if name not in _CONVENTIONS:
        msg = f"convention {name!r} is not known; choose from {', '.join(_CONVENTIONS)}"
        raise ValueError(msg)
    return _CONVENTIONS[name]


def choose(metric: str, convention: str | None, given: Mapping[str, Any]) -> Choice:
    """Settle the row and the values of its parameters: what is given, else the convention's, else the row's own."""
    rules = get_convention(convention)
    preset: Mapping[str, Any]
    if metric in rules.names:
        row, preset = rules.names[metric]
        spec = get(row)
    else:
        spec, preset = get(metric), {}
    values = {k: v for k, v in rules.parameters.get(spec.name, {}).items() if k in spec.defaults}
    spec.require()
    return Choice(spec, spec.parameters({**values, **preset, **given}), rules)
