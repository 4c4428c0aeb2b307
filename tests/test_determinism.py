"""The same bytes for every number of threads and every instruction set, twice."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vcmetrics import _core

A = Path(__file__).parent / "golden" / "cell_eval2" / "inputs"
SCRIPT = """
import sys, hashlib
from pathlib import Path
import vcmetrics as vcm
from vcmetrics import _core
preset, threads, out, pred, real = sys.argv[1:]
result = vcm.score(pred, real, preset=preset, n_threads=int(threads))
result.write(out)
h = hashlib.sha256()
for name in ("results.csv", "agg_results.csv", "scores.csv"):
    h.update((Path(out) / name).read_bytes())
for table in (result.contexts[0].de_real, result.contexts[0].de_pred):
    for array in (table.lfc, table.p_value, table.p_adj):
        h.update(array.tobytes())
print(_core.isa(), h.hexdigest())
"""


def digest(preset, threads, isa, folder):
    env = dict(os.environ, VCMETRICS_ISA=isa)
    out = subprocess.run(
        [sys.executable, "-c", SCRIPT, preset, str(threads), str(folder), A / "a_noise.h5ad", A / "a_real.h5ad"],
        env=env,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert out[0] == isa
    return out[1]


@pytest.mark.parametrize("preset", ["vcc2026", "cell-eval2-v1"])
def test_results_do_not_depend_on_threads_or_instruction_set(preset, tmp_path):
    best = _core.isa_available()[-1]
    found = {(t, best): digest(preset, t, best, tmp_path / f"{t}") for t in (1, 2, 3, 7)}
    found |= {(2, isa): digest(preset, 2, isa, tmp_path / isa) for isa in _core.isa_available()}
    found[2, "again"] = digest(preset, 2, best, tmp_path / "again")
    assert len(set(found.values())) == 1, found


def test_the_digest_sees_a_changed_result(tmp_path):
    best = _core.isa_available()[-1]
    assert digest("vcc2026", 1, best, tmp_path / "a") != digest("cell-eval2", 1, best, tmp_path / "b")
