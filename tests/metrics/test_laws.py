"""What must hold whatever the data: order, scale and duplicates, as each registry row declares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from vcmetrics.metrics.aggregate import aggregate
from vcmetrics.metrics.pair import Pair, Profiles
from vcmetrics.metrics.registry import MetricSpec, get, rows
from vcmetrics.summary.de_table import DETable

# what a random pair does not hold, or what has no default, is tested beside its row
SUMMARY_METRICS = [
    spec for spec in rows() if not spec.needs & {"cells", "train"} and spec.extra is None and not spec.required
]
LAWS = (
    "gene_order",
    "perturbation_order",
    "scale_homogeneous",
    "scale_invariant",
    "common_shift",
    "scale_degree_0",
    "scale_degree_1",
    "scale_degree_2",
    "duplicate_rows_tie",
    "prediction_scale",
    "prediction_offset",
)


def holding(law: str) -> list[MetricSpec]:
    return [spec for spec in SUMMARY_METRICS if law in spec.invariants]


def close(spec: MetricSpec, got: np.ndarray, want: np.ndarray) -> None:
    np.testing.assert_array_equal(np.ma.getmaskarray(got), np.ma.getmaskarray(want), spec.name)
    np.testing.assert_allclose(
        np.ma.filled(got, 0.0), np.ma.filled(want, 0.0), rtol=1e-9, atol=1e-12, err_msg=spec.name
    )


def moved(side: Profiles, rows: np.ndarray, genes: np.ndarray) -> Profiles:
    return replace(
        side,
        mean=side.mean[rows][:, genes],
        control=side.control[genes],
        correction=side.correction[rows],
        n_cells=side.n_cells[rows],
        variance=side.variance[rows][:, genes],
        control_variance=side.control_variance[genes],
    )


def moved_table(table: DETable, genes: np.ndarray) -> DETable:
    fields = {
        name: None if getattr(table, name) is None else getattr(table, name)[:, genes]
        for name in ("lfc", "p_value", "p_adj", "present", "null", "position")
    }
    return replace(table, genes=table.genes[genes], **fields)


def permuted(pair: Pair, rows: np.ndarray, genes: np.ndarray) -> Pair:
    place = np.argsort(genes)
    own = pair.own[rows]
    n_tested = pair.de_real.genes.size
    return replace(
        pair,
        perturbations=tuple(pair.perturbations[k] for k in rows),
        genes=pair.genes[genes],
        own=np.where(own >= 0, place[own], -1),
        own_de=tuple(pair.own_de[k] for k in rows),
        real=moved(pair.real, rows, genes),
        pred=moved(pair.pred, rows, genes),
        de_real=moved_table(pair.de_real, genes[genes < n_tested]),
        train=replace(pair.train, mean=pair.train.mean[:, genes], control=pair.train.control[genes]),
        batches=replace(
            pair.batches,
            control=pair.batches.control[:, genes],
            real_cells=pair.batches.real_cells[rows],
            pred_cells=pair.batches.pred_cells[rows],
        ),
    )


def scaled(pair: Pair, by: float, sides: tuple[str, ...]) -> Pair:
    """Effects of ``sides`` times ``by``; the control stays at zero."""
    zero = np.zeros(len(pair.genes))
    out = {}
    for name in ("real", "pred"):
        side = getattr(pair, name)
        out[name] = replace(side, mean=side.mean * (by if name in sides else 1.0), control=zero)
    return replace(pair, **out)


def mapped(pair: Pair, change: Callable[[np.ndarray], np.ndarray], variance: float = 1.0) -> Pair:
    """All profiles of the pair, controls and training rows changed alike; variances times a number."""

    def side(one: Profiles) -> Profiles:
        return replace(
            one,
            mean=change(one.mean),
            control=change(one.control),
            variance=one.variance * variance,
            control_variance=one.control_variance * variance,
        )

    return replace(
        pair,
        real=side(pair.real),
        pred=side(pair.pred),
        train=replace(pair.train, mean=change(pair.train.mean), control=change(pair.train.control)),
        batches=replace(pair.batches, control=change(pair.batches.control)),
    )


def smooth(pair: Pair, seed: int = 0) -> Pair:
    """The pair with profiles in which no two numbers are equal."""
    rng = np.random.default_rng(seed)
    real, pred = (
        replace(side, mean=side.mean + 0.1 * rng.normal(size=side.mean.shape)) for side in (pair.real, pair.pred)
    )
    return replace(pair, real=real, pred=pred)


@pytest.mark.parametrize("spec", holding("common_shift"), ids=lambda spec: spec.name)
def test_a_vector_added_to_all_profiles_changes_nothing(spec: MetricSpec, make_pair: Callable[..., Pair]) -> None:
    pair = smooth(make_pair(21, 6, 30, rough=False))
    shift = np.random.default_rng(3).normal(size=30)
    close(spec, spec.evaluate(mapped(pair, lambda x: x + shift)), spec.evaluate(pair))


@pytest.mark.parametrize("degree", [0, 1, 2])
@pytest.mark.parametrize("factor", [3.0, 0.125])
def test_degree_in_the_scale_of_the_data(make_pair: Callable[..., Pair], factor: float, degree: int) -> None:
    pair = smooth(make_pair(22, 6, 30, rough=False))
    other = mapped(pair, lambda x: x * factor, factor**2)
    for spec in holding(f"scale_degree_{degree}"):
        close(spec, spec.evaluate(other), spec.evaluate(pair) * factor**degree)


def foretold(pair: Pair, factor: float, offset: float = 0.0) -> Pair:
    """Predicted effects times a factor, and a number added to those of all genes."""
    effect = pair.pred.mean - pair.pred.control
    return replace(pair, pred=replace(pair.pred, mean=pair.pred.control + factor * effect + offset))


@pytest.mark.parametrize("spec", holding("prediction_scale"), ids=lambda spec: spec.name)
def test_size_of_the_predicted_effect_changes_nothing(spec: MetricSpec, make_pair: Callable[..., Pair]) -> None:
    pair = smooth(make_pair(23, 6, 30, rough=False))
    for factor in (1e-6, 2.5, 1e6):
        close(spec, spec.evaluate(foretold(pair, factor)), spec.evaluate(pair))


@pytest.mark.parametrize("spec", holding("prediction_offset"), ids=lambda spec: spec.name)
def test_a_number_added_to_the_predicted_effect_changes_nothing(
    spec: MetricSpec, make_pair: Callable[..., Pair]
) -> None:
    pair = smooth(make_pair(24, 6, 30, rough=False))
    close(spec, spec.evaluate(foretold(pair, 1.0, 3.0)), spec.evaluate(pair))


@pytest.mark.parametrize("rough", [False, True])
@pytest.mark.parametrize("spec", holding("perturbation_order"), ids=lambda spec: spec.name)
def test_perturbation_order(spec: MetricSpec, make_pair: Callable[..., Pair], rough: bool) -> None:
    pair = make_pair(11, 7, 40, rough=rough)
    rows = np.random.default_rng(0).permutation(pair.n)
    other = permuted(pair, rows, np.arange(len(pair.genes)))
    close(spec, spec.evaluate(other), spec.evaluate(pair)[rows])


@pytest.mark.parametrize("spec", holding("gene_order"), ids=lambda spec: spec.name)
def test_gene_order(spec: MetricSpec, make_pair: Callable[..., Pair]) -> None:
    pair = smooth(make_pair(12, 7, 40, rough=False))
    other = permuted(pair, np.arange(pair.n), np.random.default_rng(1).permutation(40))
    close(spec, spec.evaluate(other), spec.evaluate(pair))


@pytest.mark.parametrize("spec", holding("scale_homogeneous"), ids=lambda spec: spec.name)
def test_errors_scale_with_the_data(spec: MetricSpec, make_pair: Callable[..., Pair]) -> None:
    pair = make_pair(13, 5, 30)
    power = 2 if "mse" in spec.name else 1
    both = ("real", "pred")
    close(spec, spec.evaluate(scaled(pair, 3.0, both)), spec.evaluate(scaled(pair, 1.0, both)) * 3.0**power)


@pytest.mark.parametrize("spec", holding("scale_invariant"), ids=lambda spec: spec.name)
def test_common_scale_changes_nothing(spec: MetricSpec, make_pair: Callable[..., Pair]) -> None:
    pair = make_pair(14, 6, 30)
    both = ("real", "pred")
    want = spec.evaluate(scaled(pair, 1.0, both))
    close(spec, spec.evaluate(scaled(pair, 0.125, both)), want)
    if spec.name in ("pds_cosine", "delta_pearson"):
        close(spec, spec.evaluate(scaled(pair, 4.0, ("pred",))), want)


@pytest.mark.parametrize("spec", holding("duplicate_rows_tie"), ids=lambda spec: spec.name)
def test_duplicates_share_their_rank(spec: MetricSpec, make_pair: Callable[..., Pair]) -> None:
    rng = np.random.default_rng(15)
    mean = rng.normal(size=(6, 500))
    mean[3] = mean[1]
    pair = make_pair(15, 6, 500)
    pair = replace(
        pair,
        own=np.full(6, -1),
        real=replace(pair.real, mean=mean, control=np.zeros(500)),
        pred=replace(pair.pred, mean=mean + 1e-3 * rng.normal(size=mean.shape), control=np.zeros(500)),
    )
    np.testing.assert_array_equal(spec.evaluate(pair), [1, 0.9, 1, 0.9, 1, 1])


def test_all_declared_laws_are_tested() -> None:
    assert {law for spec in SUMMARY_METRICS for law in spec.invariants} == set(LAWS)


# targets are the truth that target ranks are judged by, not profiles
OF_REALITY = [s for s in SUMMARY_METRICS if s.best is not None and s.family != "target_ranking"]


@pytest.mark.parametrize("spec", OF_REALITY, ids=lambda spec: spec.name)
def test_reality_itself_is_the_best_prediction(spec: MetricSpec, make_pair: Callable[..., Pair]) -> None:
    pair = make_pair(16, 8, 60, rough=False)
    same = replace(pair, pred=pair.real, de_pred=pair.de_real)
    if spec.aggregate == "ratio_of_sums":
        unbiased = replace(pair.real, correction=np.zeros(8), control_correction=0.0)
        same = replace(same, real=unbiased, pred=unbiased)
        value, _ = aggregate({part: get(part).evaluate(same) for part in (spec.numerator, spec.denominator)}, spec.name)
        assert value == spec.best
        return
    values = spec.evaluate(same)
    assert not np.ma.getmaskarray(values).all()
    np.testing.assert_allclose(np.ma.compressed(values), spec.best, rtol=1e-12, atol=1e-12)
