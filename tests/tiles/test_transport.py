"""Sinkhorn's iteration: the published numbers, the reference's iterates where scalings alone would overflow, the same
bits on every path."""

from __future__ import annotations

import math
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from vcmetrics import _core
from vcmetrics.reference.transport import sinkhorn_cost

GOLDEN = Path(__file__).parents[1] / "golden" / "pertpy"
PAIR = np.array([[0, 1]], np.int32)


def stacked(*groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.concatenate(groups), np.repeat(np.arange(len(groups), dtype=np.int32), [len(g) for g in groups])


def clouds(seed: int, n: int = 60, m: int = 75, width: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, width)), rng.normal(size=(m, width)) + 0.7


def equals_reference(x: np.ndarray, y: np.ndarray, rtol: float = 1e-12, **options) -> None:
    cells, codes = stacked(x, y)
    cost, iterations, converged = _core.sinkhorn_costs(cells, codes, 2, PAIR, **options)
    want = sinkhorn_cost(x, y, **options)
    assert (iterations[0], converged[0]) == want[1:]
    assert cost[0] == pytest.approx(want[0], rel=rtol, abs=1e-13)


@pytest.fixture(params=_core.isa_available())
def isa(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("VCMETRICS_ISA", request.param)
    return request.param


@pytest.mark.parametrize("name", ["pca64", "pca32"])
def test_published_numbers(isa: str, name: str) -> None:
    given, want = np.load(GOLDEN / "inputs.npz"), np.load(GOLDEN / "outputs.npz")
    groups = given["groups"].tolist()
    codes = np.array([groups.index(label) for label in given["labels"]], np.int32)
    cells = given["pca"].astype(np.float32 if name == "pca32" else np.float64)
    first, second = np.triu_indices(len(groups), 1)
    pairs = np.stack([first, second], 1).astype(np.int32)
    cost, _, converged = _core.sinkhorn_costs(cells, codes, len(groups), pairs, n_threads=2)
    assert converged.all()
    np.testing.assert_allclose(cost, want[f"pertpy/pairwise/{name}/wasserstein"][first, second], rtol=1e-13)


@pytest.mark.parametrize("sizes", [(1, 1), (1, 9), (7, 1), (8, 8), (9, 65), (33, 63), (64, 64), (255, 257), (300, 7)])
def test_sizes_around_blocks(isa: str, sizes: tuple[int, int]) -> None:
    equals_reference(*clouds(sum(sizes), *sizes))


@pytest.mark.parametrize("width", [1, 255, 256, 257])
def test_features_around_blocks(width: int) -> None:
    equals_reference(*clouds(width, 20, 30, width))


@pytest.mark.parametrize("shift", [0.0, 1e3, 1e6])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_offset_and_scale(shift: float, scale: float) -> None:
    x, y = clouds(1)
    equals_reference(x * scale + shift, y * scale + shift)


@pytest.mark.parametrize("far", ["x", "y", "both"])
def test_far_cells_leave_the_range_of_scalings(isa: str, far: str) -> None:
    x, y = clouds(2)
    if far != "y":
        x[0] += 1e4
    if far != "x":
        y[3] -= 1e4
    equals_reference(x, y)
    equals_reference(x, y, epsilon=0.3, max_iterations=40)


@pytest.mark.parametrize("epsilon", [1e-5, 1e-3, 0.1, 1.0, 100.0])
def test_given_epsilon(epsilon: float) -> None:
    equals_reference(*clouds(3), epsilon=epsilon, max_iterations=120)


@pytest.mark.parametrize("options", [{"max_iterations": 25}, {"check_every": 7}, {"threshold": 1e-9}, {"scale": 0.3}])
def test_options(options: dict[str, float]) -> None:
    equals_reference(*clouds(4), **options)


def test_what_has_not_converged_says_so() -> None:
    cells, codes = stacked(*clouds(5))
    cost, iterations, converged = _core.sinkhorn_costs(cells, codes, 2, PAIR, epsilon=1e-4, max_iterations=30)
    assert (iterations[0], converged[0]) == (30, False)
    assert math.isfinite(cost[0])
    assert cost[0] != 1.0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e200])
def test_costs_that_are_not_finite(bad: float) -> None:
    x, y = clouds(6)
    x[4, 2] = bad
    cells, codes = stacked(x, y, *clouds(6))
    cost, iterations, converged = _core.sinkhorn_costs(cells, codes, 4, np.array([[0, 1], [2, 3], [1, 0]], np.int32))
    assert np.isnan(cost).tolist() == [True, False, True]
    assert converged.tolist() == [False, True, False]
    assert iterations[0] == 0


def test_every_plan_costs_the_same() -> None:
    cells = np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 4.0], [0.0, 0.0]])
    codes = np.array([0, 1, 1, 0], np.int32)
    cost, iterations, converged = _core.sinkhorn_costs(cells, codes, 2, np.array([[0, 1], [0, 0]], np.int32))
    np.testing.assert_array_equal(cost, [25.0, 0.0])
    np.testing.assert_array_equal(iterations, 0)
    assert converged.all()


def test_empty_groups_and_no_pairs() -> None:
    cells, codes = stacked(*clouds(7))
    cost, _, converged = _core.sinkhorn_costs(cells, codes, 3, np.array([[0, 2], [2, 2]], np.int32))
    assert np.isnan(cost).all()
    assert not converged.any()
    assert _core.sinkhorn_costs(cells, codes, 3, np.zeros((0, 2), np.int32))[0].shape == (0,)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_same_bits_on_every_path(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(8)
    cells = rng.normal(size=(1130, 33)).astype(dtype)
    cells[0] += 3e3  # one pair goes through the potentials
    codes = np.repeat(np.arange(4, dtype=np.int32), [300, 520, 280, 30])
    order = rng.permutation(len(codes))
    cells, codes = cells[order], codes[order]
    pairs = np.array(list(product(range(4), repeat=2)), np.int32)
    found = set()
    for name, n_threads, kept in product(_core.isa_available(), (1, 2, 3, 7), (2**25, 100_000, 0)):
        if name in ("baseline", "v3") and n_threads in (2, 7) and kept == 0:
            continue
        monkeypatch.setenv("VCMETRICS_ISA", name)
        result = _core.sinkhorn_costs(cells, codes, 4, pairs, max_iterations=30, n_threads=n_threads, kept_entries=kept)
        found.add(b"".join(a.tobytes() for a in result))
    assert len(found) == 1


def test_sides_may_change_places() -> None:
    cells, codes = stacked(*clouds(9, 40, 40))
    pairs = np.array([[0, 1], [1, 0]], np.int32)
    cost, _, converged = _core.sinkhorn_costs(cells, codes, 2, pairs, threshold=1e-12, max_iterations=20_000)
    assert converged.all()
    assert cost[0] == pytest.approx(cost[1], rel=1e-9)


def test_small_epsilon_is_exact_transport() -> None:
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    x, y = clouds(10, 30, 30)
    costs = cdist(x, y, "sqeuclidean")
    exact = costs[linear_sum_assignment(costs)].mean()
    cells, codes = stacked(x, y)
    gaps = []
    for epsilon in (2.0, 0.5, 0.1):
        cost, _, converged = _core.sinkhorn_costs(
            cells, codes, 2, PAIR, epsilon=epsilon, threshold=1e-5, max_iterations=50_000
        )
        assert converged[0]
        # KL(P | 1/n²) of a permutation is log n
        assert 0 <= cost[0] - exact <= epsilon * math.log(30) + 1e-4
        gaps.append(cost[0] - exact)
    assert gaps == sorted(gaps, reverse=True)


def test_wrong_calls_are_refused() -> None:
    cells, codes = stacked(*clouds(11))
    for options, words in (
        ({"epsilon": 0.0}, "epsilon is 0.0; expected a positive number, or None"),
        ({"epsilon": math.nan}, "epsilon is nan"),
        ({"scale": -1.0}, "scale is -1"),
        ({"threshold": -1.0}, "threshold is -1"),
        ({"max_iterations": 0}, "max_iterations is 0"),
        ({"check_every": 0}, "check_every is 0"),
        ({"n_threads": 0}, "n_threads is 0"),
    ):
        with pytest.raises(ValueError, match=words):
            _core.sinkhorn_costs(cells, codes, 2, PAIR, **options)
    with pytest.raises(ValueError, match="pairs holds 1; expected 0 … 0"):
        _core.sinkhorn_costs(cells, np.zeros_like(codes), 1, PAIR)


def test_inputs_are_left_alone() -> None:
    cells, codes = stacked(*clouds(12))
    before = cells.tobytes(), codes.tobytes()
    _core.sinkhorn_costs(cells, codes, 2, PAIR)
    assert (cells.tobytes(), codes.tobytes()) == before
