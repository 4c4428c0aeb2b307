"""Rows of the literature over profiles of 300 perturbations, beside loops of NumPy and SciPy over the same tables."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from vcmetrics import _core
from vcmetrics.metrics.pair import Pair, Profiles
from vcmetrics.metrics.registry import get

N, G = 300, 18_533


@pytest.fixture(scope="module")
def pair() -> Pair:
    rng = np.random.default_rng(0)
    control = rng.gamma(0.3, 1.0, G)

    def side() -> Profiles:
        mean = control + 0.2 * rng.normal(size=(N, G))
        return Profiles(
            mean,
            control,
            n_cells=rng.integers(100, 400, N),
            control_n_cells=3000,
            variance=rng.gamma(0.3, 1.0, (N, G)),
            control_variance=np.ones(G),
        )

    names = tuple(f"p{k}" for k in range(N))
    return Pair(
        names, np.array([f"g{k}" for k in range(G)]), rng.integers(0, G, N), real=side(), pred=side(), bulk=False
    )


def t_against_control(pair: Pair) -> np.ndarray:
    real = pair.real
    return np.array(
        [
            stats.ttest_ind_from_stats(
                real.mean[p],
                np.sqrt(real.variance[p]),
                real.n_cells[p],
                real.control,
                np.sqrt(real.control_variance),
                real.control_n_cells,
                equal_var=False,
            ).statistic
            for p in range(N)
        ]
    )


def errors_of_top(pair: Pair) -> np.ndarray:
    t = np.abs(t_against_control(pair))
    out = []
    for p in range(N):
        listed = np.argsort(-t[p], kind="stable")[:20]
        out.append(((pair.pred.mean[p, listed] - pair.real.mean[p, listed]) ** 2).mean())
    return np.array(out)


def looped(function: Callable[[np.ndarray, np.ndarray], float]) -> Callable[[Pair], np.ndarray]:
    def run(pair: Pair) -> np.ndarray:
        return np.array([function(x, y) for x, y in zip(pair.pred.effect, pair.real.effect, strict=True)])

    return run


def directions(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.mean(np.sign(x) == np.sign(y)))


PEERS: dict[str, tuple[dict[str, object], Callable[[Pair], np.ndarray]]] = {
    "squared_error": ({}, looped(lambda x, y: float(((x - y) ** 2).mean()))),
    "squared_error, t_test:20": ({"genes": "t_test:20"}, errors_of_top),
    "effect_pearson": ({}, looped(lambda x, y: float(stats.pearsonr(x, y).statistic))),
    "effect_spearman": ({}, looped(lambda x, y: float(stats.spearmanr(x, y).statistic))),
    "direction_correct": ({}, looped(directions)),
}


@pytest.mark.parametrize("by", ["vcmetrics", "loop"])
@pytest.mark.parametrize("case", PEERS)
def test_row(benchmark, pair: Pair, case: str, by: str) -> None:
    from dataclasses import replace

    parameters, peer = PEERS[case]
    spec = get(case.split(",")[0])
    np.testing.assert_allclose(spec.evaluate(pair, parameters), peer(pair), rtol=1e-9)
    benchmark.group = f"{case} {N}x{G}"
    benchmark.extra_info |= {"n_groups": N, "n_vars": G, "isa": _core.isa()}
    if by == "vcmetrics":  # a new pair each time: nothing is kept from the last
        benchmark.pedantic(spec.evaluate, setup=lambda: ((replace(pair), parameters), {}), rounds=5)
    else:
        benchmark.pedantic(peer, (pair,), rounds=3)
