"""An interrupted pass goes on where it was, and ends with the same bytes."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

import vcmetrics as vcm
from vcmetrics.backend import memory
from vcmetrics.sources import hdf5
from vcmetrics.summary import cell_pass, checkpoint

FIELDS = ("sum", "linear", "log1p", "square", "nonzero", "rank", "jackknife")
SUMS = ("sum", "linear", "log1p")
KEYWORDS = {"pert_col": "p", "control": "control", "gate": 5.0}


@pytest.fixture(autouse=True)
def often(monkeypatch):
    monkeypatch.setattr(checkpoint, "EVERY", 0.0)
    monkeypatch.setattr(memory, "SMALLEST", 1)
    monkeypatch.setattr(hdf5, "_SMALL_BYTES", 0)


class Stop(Exception):
    """Ends a pass from its progress callback."""


def stopped_at(count):
    calls = []

    def progress(_done, _total):
        calls.append(1)
        if len(calls) == count:
            raise Stop

    return progress


def interrupted(data, path, count, **keywords):
    """Run until the callback's call number ``count``; whether it was stopped."""
    try:
        vcm.summarize(data, checkpoint=path, progress=stopped_at(count), **keywords)
    except Stop:
        return True
    return False


@pytest.mark.parametrize("fields", [SUMS, FIELDS])
@pytest.mark.parametrize("file", [False, True])
def test_resume(fields, file, tmp_path, screen, same_bytes):
    adata = screen(order="shuffled")
    data = adata
    if file:
        data = tmp_path / "x.h5ad"
        adata.write_h5ad(data)
    keywords = {**KEYWORDS, "fields": fields}
    whole = vcm.summarize(adata, **keywords)
    for count in (2, 3, 5):
        at = tmp_path / f"state{count}"
        assert interrupted(data, at, count, **keywords, memory_budget=20_000)
        assert at.exists()
        for budget in (20_000, 90_000):  # the rest may be cut in another way
            again = tmp_path / "again"
            again.write_bytes(at.read_bytes())
            same_bytes(whole, vcm.summarize(data, **keywords, checkpoint=again, memory_budget=budget))
            assert not again.exists()


def test_resume_by_genes(tmp_path, monkeypatch, screen, same_bytes):
    adata = screen(order="shuffled")
    data = tmp_path / "x.h5ad"
    adata.write_h5ad(data)
    whole = vcm.summarize(adata, **KEYWORDS, fields=FIELDS)
    at = tmp_path / "state"
    monkeypatch.setattr(cell_pass, "plan_cut", lambda *_, **__: cell_pass.Cut("genes", 5, "as told"))
    assert interrupted(data, at, 3, **KEYWORDS, fields=FIELDS, memory_budget=20_000)
    assert checkpoint.map_archive(at)[1]["state"]["kind"] == "genes"
    same_bytes(whole, vcm.summarize(data, **KEYWORDS, fields=FIELDS, checkpoint=at, memory_budget=20_000))


@pytest.mark.parametrize("fields", [SUMS, FIELDS])
def test_killed(fields, tmp_path, screen, same_bytes):
    """kill -9 in the middle of the run: the next one has the same bytes, and no other file is left."""
    adata = screen(n=600, order="shuffled")
    data, at = tmp_path / "x.h5ad", tmp_path / "state"
    adata.write_h5ad(data, compression="gzip")
    code = f"""
        import os, signal
        import vcmetrics as vcm
        from vcmetrics.backend import memory
        from vcmetrics.summary import checkpoint
        checkpoint.EVERY, memory.SMALLEST = 0.0, 1

        def progress(done, total):
            if os.path.exists({str(at)!r}) and done > total / 2:
                os.kill(os.getpid(), signal.SIGKILL)

        vcm.summarize({str(data)!r}, **{KEYWORDS!r}, fields={fields!r}, checkpoint={str(at)!r}, progress=progress,
                      memory_budget=30_000)
    """
    spill = tmp_path / "spill"
    spill.mkdir()
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)], env={**os.environ, "TMPDIR": str(spill)}
    )
    assert run.returncode == -signal.SIGKILL
    assert sorted(p.name for p in tmp_path.iterdir()) == ["spill", "state", "x.h5ad"]
    assert not list(spill.iterdir())
    whole = vcm.summarize(adata, **KEYWORDS, fields=fields)
    same_bytes(whole, vcm.summarize(data, **KEYWORDS, fields=fields, checkpoint=at, memory_budget=30_000))
    assert not at.exists()


def test_other_data_are_refused(tmp_path, screen):
    adata, at = screen(), tmp_path / "state"
    assert interrupted(adata, at, 2, **KEYWORDS, fields=SUMS, memory_budget=20_000)
    with pytest.raises(vcm.DataError, match="other data or settings; remove it, or pass another checkpoint="):
        vcm.summarize(screen(seed=1), **KEYWORDS, fields=SUMS, checkpoint=at)
    with pytest.raises(vcm.DataError, match="other data or settings"):
        vcm.summarize(adata, **KEYWORDS, fields=("sum",), checkpoint=at)
    content = bytearray(at.read_bytes())
    content[len(content) // 2] ^= 1
    at.write_bytes(content)
    with pytest.raises(vcm.DataError, match="cannot be read"):
        vcm.summarize(adata, **KEYWORDS, fields=SUMS, checkpoint=at)
    with pytest.raises(vcm.DataError, match="is no directory"):
        vcm.summarize(adata, **KEYWORDS, fields=SUMS, checkpoint=tmp_path / "nowhere" / "state")


def test_what_a_killed_writer_left_is_removed(tmp_path, screen):
    adata, at = screen(), tmp_path / "state"
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for name in (f".state.{gone.pid}.part", f".state.{os.getppid()}.part", ".state.x.part", f".other.{gone.pid}.part"):
        (tmp_path / name).write_bytes(b"half")
    vcm.summarize(adata, **KEYWORDS, fields=SUMS, checkpoint=at)
    left = {p.name for p in tmp_path.iterdir()}
    assert left == {f".state.{os.getppid()}.part", ".state.x.part", f".other.{gone.pid}.part"}


def test_begun_whole_and_resumed_in_blocks(tmp_path, monkeypatch, screen, same_bytes):
    """A matrix stored by gene is turned over where the budget holds it, and read in bands where not."""
    adata, data, at = screen(order="shuffled"), tmp_path / "x.h5ad", tmp_path / "state"
    made = adata.copy()
    made.X = made.X.tocsc()
    made.write_h5ad(data)
    whole = vcm.summarize(adata, **KEYWORDS, fields=SUMS)
    monkeypatch.setattr(cell_pass, "BLOCK_VALUES", 100)
    for first, then in ((1 << 30, 20_000), (20_000, 1 << 30)):
        assert interrupted(data, at, 2, **KEYWORDS, fields=SUMS, memory_budget=first)
        assert at.exists()
        same_bytes(whole, vcm.summarize(data, **KEYWORDS, fields=SUMS, checkpoint=at, memory_budget=then))


@pytest.mark.parametrize("size", [0, 1, 100, -1])
def test_truncated(size, tmp_path, screen):
    adata, at = screen(), tmp_path / "state"
    assert interrupted(adata, at, 2, **KEYWORDS, fields=SUMS, memory_budget=20_000)
    at.write_bytes(at.read_bytes()[:size])
    with pytest.raises(vcm.DataError, match="cannot be read"):
        vcm.summarize(adata, **KEYWORDS, fields=SUMS, checkpoint=at)


@pytest.mark.parametrize("compression", [None, "gzip"])
@pytest.mark.parametrize("value", [float("nan"), -2.0])
def test_a_bad_value_behind_the_first_blocks_is_named(value, compression, tmp_path, screen):
    adata, data = screen(order="shuffled"), tmp_path / "x.h5ad"
    adata.X.data = adata.X.data.astype("f4")
    k = adata.X.data.size * 3 // 4
    adata.X.data[k] = value
    row = int(adata.X.indptr.searchsorted(k, "right")) - 1
    adata.write_h5ad(data, compression=compression)
    for fields in (SUMS, FIELDS):
        with pytest.raises(vcm.DataError, match=rf"first: {value} in cell {row}, gene {adata.X.indices[k]}\)"):
            vcm.summarize(data, **KEYWORDS, fields=fields, memory_budget=5_000)
