"""The challenge's own DE rules of 2025 against the scorer that the challenge ran."""

import csv
from pathlib import Path

import numpy as np
import pytest

from vcmetrics.scoring.score import score

GOLDEN = Path(__file__).parents[1] / "golden"


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module", params=["base", "counts"])
def run(request):
    pair = (GOLDEN / "cell_eval" / "inputs" / f"{request.param}_{side}.h5ad" for side in ("pred", "real"))
    result = score(*pair, preset="vcc2025", overrides={"de": "pdex-0.1.27"}, n_threads=1)
    return request.param, result.contexts[0]


def test_results(run):
    name, context = run
    want = rows(GOLDEN / "vcc2025" / f"{name}_results.csv")
    assert list(context.perturbations) == [row["perturbation"] for row in want]
    for metric, limit in (("overlap_at_N", 1e-12), ("discrimination_score_l1", 1e-12), ("mae", 1e-6)):
        np.testing.assert_allclose(context.values[metric], [float(row[metric]) for row in want], rtol=limit, atol=1e-14)


@pytest.mark.parametrize("side", ["real", "pred"])
def test_tables(run, side):
    name, context = run
    table = context.de_real if side == "real" else context.de_pred
    target = {label: k for k, label in enumerate(table.targets)}
    gene = {str(label): k for k, label in enumerate(table.genes)}
    want = rows(GOLDEN / "vcc2025" / f"{name}_{side}_de.csv")
    assert len(want) == table.lfc.size
    at = tuple(np.array([(target[row["target"]], gene[row["feature"]]) for row in want]).T)
    for column, values, limit in (
        ("fold_change", 2.0**table.lfc, 2e-5),
        ("p_value", table.p_value, 2e-5),
        ("fdr", table.p_adj, 2e-5),
    ):
        np.testing.assert_allclose(values[at], [float(row[column]) for row in want], rtol=limit, atol=0, err_msg=column)
