"""Genetic interactions: the null, its thresholds, and what predictions find of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vcmetrics._errors import DataError
from vcmetrics.metrics.empirical_null import density, empirical_null
from vcmetrics.metrics.interactions import deviations, interaction_curve
from vcmetrics.metrics.pair import Pair, Profiles, Training
from vcmetrics.metrics.registry import get
from vcmetrics.reference.empirical_null import empirical_null as slow_null

NAMES = ("interaction_tpr", "interaction_average_precision")


def doubles(seed: int, n_singles: int = 5, g: int = 60, planted: int = 20, noise: float = 0.2) -> Pair:
    """All doubles of some singles, half of them known from training only; ``planted`` interactions of ±1.5."""
    rng = np.random.default_rng(seed)
    names = [f"g{k}" for k in range(n_singles)]
    control = rng.gamma(2.0, 1.0, g)
    singles = rng.normal(size=(n_singles, g)) / 2
    labels, rows, guesses = [], [], []
    for a in range(n_singles):
        for b in range(a + 1, n_singles):
            e = 0.05 * rng.normal(size=g)
            real = singles[a] + singles[b]
            labels.append(f"{names[a]}+{names[b]}")
            rows.append(control + real + e)
            guesses.append(control + real + noise * rng.normal(size=g) / 4)
    rows, guesses = np.array(rows), np.array(guesses)
    for place in rng.choice(rows.size, planted, replace=False):
        size = rng.choice([-1.5, 1.5])
        rows.flat[place] += size
        guesses.flat[place] += size * rng.uniform(0.3, 1.2)
    scored = (names[0], *labels)
    return Pair(
        perturbations=scored,
        genes=np.array([f"g{k}" for k in range(g)]),
        own=np.full(len(scored), -1),
        real=Profiles(np.concatenate([(control + singles[0])[None], rows]), control),
        pred=Profiles(np.concatenate([(control + singles[0])[None], guesses]), control),
        train=Training(tuple(names[1:]), control + singles[1:] + 0.3, np.full(n_singles - 1, 9), control + 0.3),
    )


def test_null_of_a_mixture() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(0.3, 2.0, 19_000), rng.normal(12, 1, 700), rng.normal(-15, 1, 300)])
    found = empirical_null(values)
    assert abs(found.mean - 0.3) < 0.1
    assert abs(found.sd - 2.0) < 0.1
    assert abs(found.p0 - 0.95) < 0.03
    assert 5 < found.upper < 12
    assert -14 < found.lower < -5


@pytest.mark.parametrize("seed", range(5))
def test_null_equals_its_reference(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = np.concatenate([rng.normal(0.1, 1.0, 800), rng.normal(5, 1, 60), rng.standard_t(2, 200) - 1])
    fast, slow = empirical_null(values, 0.1), slow_null(values, 0.1)
    np.testing.assert_allclose(fast[:3], slow[:3], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(fast[3:], slow[3:])


def test_density_is_the_sum_of_its_kernels() -> None:
    stats = pytest.importorskip("scipy.stats")
    values = np.concatenate([np.random.default_rng(1).normal(size=500), [40.0, -7.0]])
    q25, q75 = np.quantile(values, [0.25, 0.75])
    width = 0.9 * min(values.std(ddof=1), (q75 - q25) / 1.34) * values.size**-0.2
    peer = stats.gaussian_kde(values, bw_method=width / values.std(ddof=1))
    np.testing.assert_allclose(density(values), peer(values), rtol=2e-4)


def test_null_is_the_same_in_any_unit() -> None:
    values = np.random.default_rng(2).standard_t(3, 3000)
    one, other = empirical_null(values), empirical_null(5 + 100 * values)
    np.testing.assert_allclose(np.array(other[:2]), [5 + 100 * one.mean, 100 * one.sd], rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(other[3:], 5 + 100 * np.array(one[3:]), rtol=1e-9)
    assert empirical_null(values[::-1])[3:] == one[3:]


def test_pure_noise_has_no_discoveries() -> None:
    found = empirical_null(np.random.default_rng(3).normal(size=5000))
    assert found.upper > 3
    assert found.lower < -3
    assert found.p0 > 0.97
    with pytest.raises(DataError, match="middle half of the values is one number"):
        empirical_null(np.zeros(10))


def test_deviations_by_hand() -> None:
    control = np.array([1.0, 2.0])
    effects = np.array([[1.0, 0.0], [0.0, 3.0], [2.0, 3.0]])
    side = Profiles(control + effects, control)
    guess = Profiles(control + np.array([[9.0, 9.0], [9.0, 9.0], [1.0, 2.0]]), control)
    pair = Pair(("A", "B", "A+B"), np.array(["x", "y"]), np.full(3, -1), real=side, pred=guess)
    found = deviations(pair)
    assert found.doubles == ("A+B",)
    # 2 - (1 + 0), 3 - (0 + 3); the singles are the observed ones on both sides
    np.testing.assert_array_equal(found.real, [1, 0])
    np.testing.assert_array_equal(found.pred, [0, -1])
    np.testing.assert_array_equal(deviations(pair, "top_expressed:1").real, [0])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", NAMES)
def test_row_equals_its_reference(name: str, seed: int) -> None:
    spec = get(name)
    pair = doubles(seed, noise=(0.0, 0.5, 2.0, 8.0)[seed])
    for more in ({}, {"genes": "top_expressed:30", "level": 0.2}):
        fast, slow = spec.evaluate(pair, more), spec.evaluate(pair, more, slow=True)
        np.testing.assert_allclose(fast, slow, rtol=spec.parity.rtol, atol=spec.parity.atol)
        assert 0 <= fast[0] <= 1


@pytest.mark.parametrize("name", NAMES)
def test_best_and_additive(name: str) -> None:
    spec = get(name)
    pair = doubles(5)
    np.testing.assert_allclose(spec.evaluate(replace(pair, pred=pair.real)), 1.0, rtol=1e-12)
    effects = dict(zip(pair.train.labels, pair.train.mean - pair.train.control, strict=True))
    effects["g0"] = pair.real.effect[0]
    sums = np.array([sum(effects[part] for part in p.split("+")) for p in pair.perturbations])
    # a prediction that is the sum, to the last bit
    exact = replace(pair.pred, mean=sums, control=np.zeros(60))
    np.testing.assert_array_equal(spec.evaluate(replace(pair, pred=exact)), 0.0)
    # sides count: all deviations the wrong way round find nothing
    turned = replace(pair.pred, mean=2 * sums - pair.real.effect, control=np.zeros(60))
    assert spec.evaluate(replace(pair, pred=turned))[0] < 0.05


@pytest.mark.parametrize("name", NAMES)
def test_laws(name: str) -> None:
    spec = get(name)
    pair = doubles(6)
    want = spec.evaluate(pair)
    rng = np.random.default_rng(0)
    rows, genes = rng.permutation(pair.n), rng.permutation(60)

    def changed(f: object) -> Pair:
        sides = {
            key: replace(side, mean=f(side.mean), control=f(side.control))
            for key, side in (("real", pair.real), ("pred", pair.pred))
        }
        train = replace(pair.train, mean=f(pair.train.mean), control=f(pair.train.control))
        return replace(pair, **sides, train=train)

    for law, move in (
        ("gene_order", lambda t: t[..., genes]),
        ("scale_degree_0", lambda t: 4 * t),
        ("common_shift", lambda t: t + np.arange(60) / 4),
    ):
        assert law in spec.invariants
        np.testing.assert_allclose(spec.evaluate(changed(move)), want, rtol=1e-9, err_msg=law)
    turned = replace(
        pair,
        perturbations=tuple(pair.perturbations[k] for k in rows),
        real=replace(pair.real, mean=pair.real.mean[rows]),
        pred=replace(pair.pred, mean=pair.pred.mean[rows]),
    )
    np.testing.assert_allclose(spec.evaluate(turned), want, rtol=1e-9)


def test_curve_falls_from_certain_to_all() -> None:
    curve = interaction_curve(doubles(7))
    assert (np.diff(curve.threshold) < 0).all()
    assert (np.diff(curve.tpr) >= 0).all()
    assert curve.fdp[0] == 0
    assert curve.fdp[-1] > 0.9


def test_what_is_missing_is_named() -> None:
    pair = doubles(8)
    with pytest.raises(DataError, match="no scored double 'A\\+B' has both single perturbations"):
        get(NAMES[0]).evaluate(replace(pair, train=None))
    with pytest.raises(ValueError, match="level is 2"):
        get(NAMES[0]).evaluate(pair, {"level": 2})
