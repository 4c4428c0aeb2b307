"""All pairs of profiles, beside SciPy and the products of a BLAS; the metrics of tables."""

from __future__ import annotations

import numpy as np
import pytest

from vcmetrics import _core
from vcmetrics.backend.threads import resolve_threads
from vcmetrics.metrics.pair import Pair, Profiles
from vcmetrics.metrics.registry import get
from vcmetrics.presets.preset import get_preset
from vcmetrics.summary.de_table import DETable
from vcmetrics.summary.differential_expression import benjamini_hochberg

SIZES = [(50, 18_533), (300, 18_533)]


@pytest.fixture(scope="module", params=SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def tables(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=request.param), rng.normal(size=request.param)


def scipy_pairs(x: np.ndarray, y: np.ndarray, term: str) -> np.ndarray:
    from scipy.spatial.distance import cdist

    return x @ y.T if term == "product" else cdist(x, y, term)


@pytest.mark.parametrize("by", ["vcmetrics", "scipy"])
@pytest.mark.parametrize("term", ["cityblock", "sqeuclidean", "product"])
def test_all_pairs(benchmark, tables, term: str, by: str) -> None:
    x, y = tables
    n_threads = resolve_threads()
    benchmark.group = f"pairs {term} {x.shape[0]}"
    benchmark.extra_info |= {"n_groups": x.shape[0], "n_vars": x.shape[1], "isa": _core.isa(), "threads": n_threads}
    np.testing.assert_allclose(
        _core.pairwise_sums(x, y, term, None, n_threads), scipy_pairs(x, y, term), rtol=1e-9, atol=1e-9
    )
    if by == "scipy":
        benchmark.pedantic(scipy_pairs, (x, y, term), rounds=3)
    else:
        benchmark.pedantic(_core.pairwise_sums, (x, y, term, None, n_threads), rounds=5, warmup_rounds=1)


def pair_of(n: int, n_genes: int, n_tested: int) -> Pair:
    rng = np.random.default_rng(1)
    genes = np.array([f"GENE{k}" for k in range(n_genes)])
    control = np.abs(rng.normal(size=n_genes))
    real, pred = (
        Profiles(np.abs(control + 0.1 * rng.normal(size=(n, n_genes))), control, rng.uniform(size=n), 0.5)
        for _ in range(2)
    )
    shared = 2 * rng.normal(size=(n, n_tested))

    def table() -> DETable:
        lfc = shared + rng.normal(size=shared.shape)
        p = np.exp(-(lfc**2))
        p_adj = benjamini_hochberg(p, "per_pert")
        return DETable(tuple(genes[:n].tolist()), genes[:n_tested], lfc, p, p_adj)

    return Pair(
        perturbations=tuple(genes[:n].tolist()),
        genes=genes,
        own=np.arange(n),
        real=real,
        pred=pred,
        de_real=table(),
        de_pred=table(),
    )


@pytest.mark.parametrize("profile", ["vcc2026", "full"])
@pytest.mark.parametrize(("n", "n_genes", "n_tested"), [(50, 18_533, 9_300), (300, 18_533, 9_300)])
def test_metrics_of_tables(benchmark, profile: str, n: int, n_genes: int, n_tested: int) -> None:
    preset = get_preset("vcc2026")
    specs = [get(member.metric) for member in preset.members(profile)]
    benchmark.group = f"metrics {profile} {n}"
    benchmark.extra_info |= {"n_groups": n, "n_vars": n_genes, "n_tested": n_tested, "n_metrics": len(specs)}

    def run(fresh: Pair) -> None:
        for spec in specs:
            spec.evaluate(fresh, preset.settings())

    # a new pair each round: what metrics share is made anew
    benchmark.pedantic(run, setup=lambda: ((pair_of(n, n_genes, n_tested),), {}), rounds=3, warmup_rounds=1)
