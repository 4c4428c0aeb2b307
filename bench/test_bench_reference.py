"""Scores of predicted profiles inside a training loop, beside NumPy and SciPy."""

from __future__ import annotations

import numpy as np
import pytest

from vcmetrics import _core
from vcmetrics.backend.threads import resolve_threads
from vcmetrics.scoring.profile_reference import Reference

N, N_GENES = 300, 18_533
ERRORS = ["expr_mae", "expr_mse", "delta_mae", "delta_mse", "delta_pearson"]


@pytest.fixture(scope="module")
def reference() -> Reference:
    """300 perturbations of one cell each and a control, every cell the counts of a whole group."""
    import anndata
    import pandas as pd

    rng = np.random.default_rng(0)
    base = rng.lognormal(0.0, 2.2, N_GENES)
    rates = base * np.exp(0.2 * rng.normal(size=(N + 1, N_GENES)))
    genes = [f"GENE{k}" for k in range(N_GENES)]
    counts = np.minimum(rng.poisson(rates), 60_000).astype(np.float32)
    counts *= np.minimum(1.0, 9e5 / counts.sum(1, keepdims=True))
    obs = pd.DataFrame({"target": [*genes[:N], "non-targeting"]}, index=[f"c{k}" for k in range(N + 1)])
    adata = anndata.AnnData(np.floor(counts), obs=obs, var=pd.DataFrame(index=genes))
    return Reference(adata)


@pytest.fixture(scope="module", params=[np.float32, np.float64], ids=["float32", "float64"])
def profiles(request: pytest.FixtureRequest, reference: Reference) -> np.ndarray:
    noise = np.random.default_rng(1).normal(0, 0.1, reference.profiles.shape)
    return (reference.profiles + noise).astype(request.param)


def plain(ref: Reference, x: np.ndarray, metrics: list[str]) -> dict[str, float]:
    """The same in NumPy and SciPy."""
    from scipy.spatial.distance import cdist

    pred, real = x - ref.control_profile, ref.profiles - ref.control_profile
    difference = x - ref.profiles
    out = {}
    for name in metrics:
        if name.endswith("_mae"):
            out[name] = float(np.abs(difference).mean(1).mean())
        elif name.endswith("_mse"):
            out[name] = float((difference**2).mean(1).mean())
        elif name == "delta_pearson":
            a, b = pred - pred.mean(1, keepdims=True), real - real.mean(1, keepdims=True)
            r = (a * b).sum(1) / np.sqrt((a * a).sum(1) * (b * b).sum(1))
            out[name] = float(r.mean())
        else:
            kept = slice(N, None)  # the first genes are the targets
            distance = cdist(pred[:, kept], real[:, kept], {"pds_l1": "cityblock", "pds_cosine": "cosine"}[name])
            out[name] = float(1 - ((distance < np.diag(distance)[:, None]).sum(1) / (N - 1)).mean())
    return out


@pytest.mark.parametrize("by", ["vcmetrics", "numpy"])
@pytest.mark.parametrize(
    "metrics", [ERRORS, ["pds_cosine"], ["pds_l1"]], ids=["errors and correlation", "pds_cosine", "pds_l1"]
)
def test_score_arrays(benchmark, reference: Reference, profiles: np.ndarray, metrics: list[str], by: str) -> None:
    codes = np.arange(N)
    found = reference.score_arrays(profiles, codes, metrics=metrics)
    expected = plain(reference, profiles, metrics)
    assert found == pytest.approx(expected, rel=1e-9)
    benchmark.group = f"{metrics[0] if len(metrics) == 1 else 'errors and correlation'} {profiles.dtype}"
    benchmark.extra_info |= {"n_groups": N, "n_vars": N_GENES, "isa": _core.isa(), "threads": resolve_threads()}
    if by == "numpy":
        benchmark.pedantic(plain, (reference, profiles, metrics), rounds=3)
    else:
        benchmark.pedantic(reference.score_arrays, (profiles, codes), {"metrics": metrics}, rounds=9, warmup_rounds=2)
