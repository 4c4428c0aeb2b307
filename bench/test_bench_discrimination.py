"""Discrimination of thousands of perturbations, and beside cell-eval's own function on a few hundred."""

from __future__ import annotations

import json
import os
import subprocess

import numpy as np
import pytest

import vcmetrics as vcm
from bench.ceiling import floor_seconds
from vcmetrics import _core
from vcmetrics.backend.threads import resolve_threads

N_GENES = 18_533
PEER = """
import json, sys, time
import anndata, numpy as np, pandas as pd
from cell_eval._types import PerturbationAnndataPair
from cell_eval.metrics._anndata import discrimination_score
sides = []
for name in sys.argv[1:3]:
    table = np.load(name)
    labels = ["ctrl", *(f"g{k}" for k in range(len(table)))]
    obs = pd.DataFrame({"p": labels}, index=[str(k) for k in range(len(labels))])
    rows = np.vstack([np.zeros((1, table.shape[1]), table.dtype), table])
    sides.append(anndata.AnnData(rows, obs=obs, var=pd.DataFrame(index=[f"g{k}" for k in range(table.shape[1])])))
pair = PerturbationAnndataPair(real=sides[1], pred=sides[0], pert_col="p", control_pert="ctrl")
start = time.perf_counter()
found = discrimination_score(pair, metric=sys.argv[3])
print(json.dumps({"seconds": time.perf_counter() - start, "scores": found}))
"""


def profiles(n: int, dtype: str) -> tuple[np.ndarray, np.ndarray, dict[str, object]]:
    rng = np.random.default_rng(0)
    real = rng.standard_normal((n, N_GENES), dtype=np.float32)
    pred = real + 12 * rng.standard_normal((n, N_GENES), dtype=np.float32)
    how = {"labels": [f"g{k}" for k in range(n)], "genes": [f"g{k}" for k in range(N_GENES)]}
    return pred.astype(dtype), real.astype(dtype), how | {"reference": "none", "control": None}


@pytest.mark.parametrize("n", [1000, 5000])
@pytest.mark.parametrize("scope", ["panel", "pair"])
@pytest.mark.parametrize("metric", ["cosine", "cityblock", "euclidean"])
def test_discrimination(benchmark, metric: str, scope: str, n: int) -> None:
    if n > 1000 and (not os.environ.get("VCM_BENCH_LARGE") or (scope, metric) == ("pair", "euclidean")):
        pytest.skip("5,000 perturbations: python -m bench --large")
    pred, real, how = profiles(n, "float32")
    benchmark.group = f"discrimination {metric} {n} × {n} × {N_GENES:,} float32"
    run = lambda: vcm.discrimination(pred, real, metric=metric, exclude_targets=scope, **how)  # noqa: E731
    benchmark.pedantic(run, rounds=3 if n == 1000 else 1, warmup_rounds=int(n == 1000))
    floor = floor_seconds(metric, n, n, N_GENES, resolve_threads())
    benchmark.extra_info |= {
        "n_groups": n,
        "n_vars": N_GENES,
        "isa": _core.isa(),
        "threads": resolve_threads(),
        "floor_s": round(floor, 3),
        "fraction_of_floor": round(floor / benchmark.stats.stats.median, 3),
    }


@pytest.mark.parametrize("metric", ["l1", "l2", "cosine"])
def test_sweep(benchmark, metric: str) -> None:
    pred, real, how = profiles(300, "float32")
    benchmark.group = "discrimination_sweep, 61 scales, 300 × 300"
    run = lambda: vcm.discrimination_sweep(pred, real, metric=metric, **how)  # noqa: E731
    benchmark.pedantic(run, rounds=1, warmup_rounds=0)


@pytest.mark.parametrize("by", ["vcmetrics", "cell-eval"])
@pytest.mark.parametrize("metric", ["l1", "cosine"])
def test_beside_cell_eval(benchmark, peer_python: str, tmp_path, metric: str, by: str) -> None:
    n = 200
    pred, real, how = profiles(n, "float64")
    benchmark.group = f"cell-eval discrimination_score_{metric} {n} × {N_GENES:,}, profiles at hand"
    mine = vcm.discrimination(pred, real, convention="cell-eval", metric=metric, **(how | {"control_source": "real"}))
    if by == "vcmetrics":
        run = lambda: vcm.discrimination(  # noqa: E731
            pred, real, convention="cell-eval", metric=metric, **(how | {"control_source": "real"})
        )
        benchmark.pedantic(run, rounds=3, warmup_rounds=1)
        return
    for name, table in (("pred", pred), ("real", real)):
        np.save(tmp_path / f"{name}.npy", table)
    done = subprocess.run(
        [peer_python, "-c", PEER, tmp_path / "pred.npy", tmp_path / "real.npy", metric],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    found = json.loads(done.stdout.splitlines()[-1])
    assert mine["score"].to_dict() == pytest.approx(found["scores"], abs=1e-12)
    # the function alone, without its process
    benchmark.extra_info["function_s"] = found["seconds"]
    benchmark.pedantic(lambda: None, rounds=1)
