"""What goes wrong in the middle of a stream ends in one clear line, and leaves nothing behind."""

import errno
import os
import resource
import signal
import subprocess
import sys
import textwrap
import threading

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import vcmetrics as vcm
from vcmetrics.backend import memory
from vcmetrics.sources import hdf5, spill
from vcmetrics.sources.ahead import ahead

pytestmark = [
    pytest.mark.filterwarnings("ignore::vcmetrics.VcmetricsWarning"),
    pytest.mark.filterwarnings("ignore:Writing zarr v2"),
]
KEYWORDS = {"pert_col": "p", "control": "a"}


@pytest.fixture(autouse=True)
def small_budgets(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "SMALLEST", 1)
    monkeypatch.setattr(hdf5, "_SMALL_BYTES", 0)
    (tmp_path / "spill").mkdir()
    monkeypatch.setenv(spill.FOLDER, str(tmp_path / "spill"))


@pytest.fixture
def adata():
    rng = np.random.default_rng(0)
    x = sp.csr_matrix(rng.poisson(1.0, (400, 120)).astype(np.float32))
    obs = pd.DataFrame({"p": rng.choice(["a", "b", "c"], 400)}, index=[str(i) for i in range(400)])
    return anndata.AnnData(x, obs=obs, var=pd.DataFrame(index=[f"g{j}" for j in range(120)]))


def one_line_and_nothing_left(error, tmp_path):
    assert "\n" not in str(error.value)
    assert not list((tmp_path / "spill").iterdir())


@pytest.mark.parametrize("kept", [0, 3000])
def test_full_disk(adata, tmp_path, monkeypatch, kept):
    path = tmp_path / "x.h5ad"
    adata.write_h5ad(path, compression="gzip")
    room = [kept]
    real_open = spill.tempfile.TemporaryFile

    class Full:
        """A file on a disk with ``kept`` bytes of room."""

        def __init__(self, file):
            self._file = file

        def write(self, view):
            if room[0] < len(view):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            room[0] -= len(view)
            return self._file.write(view)

        def close(self):
            self._file.close()

    monkeypatch.setattr(spill.tempfile, "TemporaryFile", lambda **keywords: Full(real_open(**keywords)))
    with pytest.raises(vcm.DataError, match=r"No space left on device.*set VCMETRICS_SPILL_DIR") as error:
        vcm.summarize(path, **KEYWORDS, memory_budget=4000)
    one_line_and_nothing_left(error, tmp_path)


def test_limit_on_the_size_of_files(adata, tmp_path):
    """The system's own refusal, in a process of its own."""
    path, out = tmp_path / "x.h5ad", tmp_path / "de.csv"
    adata.write_h5ad(path, compression="gzip")
    code = f"""
        import resource, signal, sys
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        from vcmetrics.backend import memory
        memory.SMALLEST = 1
        from vcmetrics.cli.entry import run
        sys.exit(run(["de", {str(path)!r}, "--pert-col", "p", "--control", "a", "-o", {str(out)!r},
                      "--memory-budget", "9000", "--spill-dir", {str(tmp_path / "spill")!r}]))
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1
    assert "File too large" in lines[0]
    assert not out.exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["spill", "x.h5ad"]
    assert not list((tmp_path / "spill").iterdir())
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 4096


def test_no_such_folder(adata, tmp_path, monkeypatch):
    path = tmp_path / "x.h5ad"
    adata.write_h5ad(path, compression="gzip")
    monkeypatch.setenv(spill.FOLDER, str(tmp_path / "nowhere"))
    with pytest.raises(vcm.DataError, match=r"nowhere.*No such file or directory") as error:
        vcm.summarize(path, **KEYWORDS, memory_budget=4000)
    one_line_and_nothing_left(error, tmp_path)


@pytest.mark.parametrize("compression", ["gzip", None])
def test_truncated_while_read(adata, tmp_path, compression):
    """The file loses its end after its head was read: an error, not numbers of half the cells."""
    path = tmp_path / "x.h5ad"
    adata.write_h5ad(path, compression=compression)
    with h5py.File(path) as file:
        ends = []
        for part in ("data", "indices"):
            table = file["X"][part].id
            ends += [table.get_chunk_info(k).byte_offset for k in range(table.get_num_chunks())] or [table.get_offset()]
    code = f"""
        import os, sys
        from vcmetrics.backend import memory
        memory.SMALLEST = 1
        from vcmetrics.sources import hdf5
        hdf5._SMALL_BYTES = 0
        import vcmetrics as vcm
        from vcmetrics.sources import open_cells
        cells = open_cells({str(path)!r})
        os.truncate({str(path)!r}, {max(ends) + 8})
        try:
            vcm.summarize(cells, pert_col="p", control="a", memory_budget=4000)
        except vcm.DataError as error:
            print(error)
            sys.exit(3)
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 3, (done.returncode, done.stderr)
    assert len(done.stdout.strip().splitlines()) == 1
    assert "truncated" in done.stdout or "damaged" in done.stdout
    assert not list((tmp_path / "spill").iterdir())


@pytest.mark.parametrize("fields", [("sum",), ("sum", "rank")])
def test_bad_checksum_of_hdf5(adata, tmp_path, fields):
    path = tmp_path / "x.h5ad"
    adata.write_h5ad(path)
    x = adata.X
    with h5py.File(path, "r+") as file:
        del file["X/data"]
        made = file["X"].create_dataset("data", data=x.data, chunks=(1000,), compression="gzip", fletcher32=True)
        info = made.id.get_chunk_info(made.id.get_num_chunks() - 2)
    content = bytearray(path.read_bytes())
    content[info.byte_offset + info.size - 2] ^= 255  # inside the checksum
    path.write_bytes(content)
    with pytest.raises(vcm.DataError, match="cannot read the matrix") as error:
        vcm.summarize(path, **KEYWORDS, fields=fields, memory_budget=4000)
    one_line_and_nothing_left(error, tmp_path)


@pytest.mark.parametrize("fields", [("sum",), ("sum", "rank")])
def test_bad_checksum_of_zarr(adata, tmp_path, fields):
    import zarr

    path = tmp_path / "x.zarr"
    adata.write_zarr(path)
    group = zarr.open_group(str(path), mode="r+")
    x = np.asarray(adata.X.data)
    del group["X"]["data"]
    from zarr.codecs import BytesCodec, Crc32cCodec

    out = zarr.create_array(
        str(tmp_path / "data.zarr"),
        shape=x.shape,
        chunks=(1000,),
        dtype=x.dtype,
        compressors=[Crc32cCodec()],
        serializer=BytesCodec(),
        zarr_format=3,
    )
    out[:] = x
    chunk = sorted(p for p in (tmp_path / "data.zarr" / "c").iterdir())[-1]
    content = bytearray(chunk.read_bytes())
    content[5] ^= 1
    chunk.write_bytes(content)
    from vcmetrics.sources.arrays import MemoryArray
    from vcmetrics.sources.checked_blocks import checked_blocks
    from vcmetrics.sources.matrix import sparse_matrix
    from vcmetrics.sources.stored import ZarrArray

    data = ZarrArray(zarr.open_array(str(tmp_path / "data.zarr"), mode="r"), "'x.zarr'")
    matrix = sparse_matrix("csr", adata.shape, data, MemoryArray(adata.X.indices), adata.X.indptr)
    with memory.spending(4000), pytest.raises(vcm.DataError, match=r"x\.zarr.: cannot read the matrix") as error:
        list(checked_blocks(matrix, "'x.zarr'", 2))
    one_line_and_nothing_left(error, tmp_path)


@pytest.mark.parametrize("fields", [("sum",), ("sum", "rank")])
def test_ctrl_c(adata, tmp_path, fields, request):
    """Ctrl-C out of the middle of a pass: KeyboardInterrupt, no thread, no file."""
    # a shell's background jobs ignore the signal
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    path = tmp_path / "x.h5ad"
    adata.write_h5ad(path, compression="gzip")

    def progress(_done, _total):
        os.kill(os.getpid(), signal.SIGINT)

    threads = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        vcm.summarize(path, **KEYWORDS, fields=fields, memory_budget=4000, progress=progress)
    assert threading.active_count() == threads
    assert not list((tmp_path / "spill").iterdir())


def test_reader_stops_with_its_caller():
    made = []

    def items():
        for k in range(100):
            made.append(k)
            yield k

    reader = ahead(items())
    assert next(reader) == 0
    reader.close()
    assert len(made) <= 4
    with pytest.raises(ZeroDivisionError):
        list(ahead(1 // k for k in (1, 0)))
    assert list(ahead(iter(range(5)))) == [0, 1, 2, 3, 4]
