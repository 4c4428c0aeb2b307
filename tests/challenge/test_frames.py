"""Zstandard frames of the core: zstd's own decoder gives the content back, whatever it is."""

import os
import tempfile

import numpy as np
import pytest

from vcmetrics import _core
from vcmetrics.challenge.frames import frame_sink
from vcmetrics.sources.rows import ChunkedArray

zstandard = pytest.importorskip("zstandard")

BLOCK = 1 << 17
SIZES = [
    0,
    1,
    2,
    3,
    7,
    8,
    15,
    16,
    17,
    63,
    64,
    65,
    255,
    4095,
    4096,
    16383,
    16384,
    BLOCK - 1,
    BLOCK,
    BLOCK + 1,
    2 * BLOCK,
]


def frame(parts, n_threads=1, batch=1):
    """The frame of parts, compressed ``batch`` at a time, and the content that it should have."""
    content = [part if run is None else planes(part, run) for part, run in parts]
    with tempfile.TemporaryFile() as file:
        made = _core.ZstdFrame(file.fileno(), sum(map(len, content)))
        for k, (part, run) in enumerate(parts):
            if run is None:
                made.add_bytes(np.frombuffer(part, np.uint8))
            else:
                made.add_planes(part.args(), run)
            if k % batch == batch - 1:
                made.compress(n_threads)
        size = made.finish(n_threads)
        file.seek(0)
        written = file.read()
    assert len(written) == size
    return written, b"".join(content)


def planes(part, run):
    values = np.zeros(run, part.dtype)
    values[: len(part)] = part.read(0, len(part))
    return values.view(np.uint8).reshape(run, part.dtype.itemsize).T.tobytes()


def opened(written):
    return zstandard.ZstdDecompressor().decompressobj().decompress(written)


def draw(rng, n):
    """Bytes of one of many kinds."""
    kind = rng.integers(8)
    if kind == 0:
        out = rng.integers(0, 256, n)
    elif kind == 1:
        out = np.full(n, rng.integers(256))
    elif kind == 2:
        out = rng.integers(0, rng.integers(2, 257), n)
    elif kind == 3:
        out = np.minimum(rng.geometric(rng.uniform(0.01, 0.95), n), 255)
    elif kind == 4:  # runs of one length
        out = np.repeat(rng.integers(0, 256, n), rng.integers(1, 200))[:n]
    elif kind == 5:  # from nearly constant to nearly even
        out = rng.choice(256, n, p=rng.dirichlet(np.full(256, 10.0 ** rng.uniform(-3, 1))))
    elif kind == 6:  # codes longer than allowed
        shares = 0.5 ** np.arange(24)
        out = 10 * rng.choice(24, n, p=shares / shares.sum())
    else:  # runs of all lengths
        lengths = rng.geometric(10.0 ** rng.uniform(-3, -0.3), n // 2 + 2)
        out = np.repeat(rng.integers(0, 1 + rng.integers(1, 256), lengths.size), lengths)
        out = np.resize(out, n)
    return out.astype(np.uint8)


@pytest.mark.parametrize("n", SIZES)
def test_bytes(n):
    rng = np.random.default_rng(n)
    for _ in range(12):
        written, content = frame([(draw(rng, n).tobytes(), None)])
        assert opened(written) == content


@pytest.mark.parametrize("n", [63, 64, 65, 66, 67, BLOCK - 70, BLOCK - 9, BLOCK - 1, BLOCK, BLOCK + 1, BLOCK + 17])
@pytest.mark.parametrize("symbols", [1, 2, 3, 64, 65, 256])
def test_few_symbols_and_runs_at_the_edges_of_blocks(n, symbols):
    rng = np.random.default_rng(n + symbols)
    some = rng.choice(256, symbols, replace=False).astype(np.uint8)
    even = rng.choice(some, n)
    runs = np.repeat(rng.choice(some, n), rng.integers(12, 21, n))[:n]  # around the shortest run that is told
    lone = np.full(n, some[0])
    lone[rng.integers(0, n, 3)] = some[-1]
    ends = np.resize(some, n)
    ends[:17] = ends[-17:] = some[0]
    for content in (even, runs, lone, ends):
        written, _ = frame([(content.tobytes(), None)])
        assert opened(written) == content.tobytes()


@pytest.mark.parametrize("dtype", ["<f4", "<i4", "<f8", "<i8"])
@pytest.mark.parametrize("n", [0, 1, 7, 1023, 1024, 1025, 40_000, BLOCK + 3])
def test_planes(dtype, n):
    rng = np.random.default_rng(n)
    width = int(dtype[-1])
    whole = np.concatenate([[0], draw(rng, n * width)]).astype(np.uint8)
    cuts = np.unique(np.concatenate([[0, n], rng.integers(0, n + 1, 3)]))
    # pieces in any order in the buffer, none aligned
    pieces = (
        ChunkedArray(whole, 1 + cuts[:-1] * width, cuts, np.dtype(dtype)) if n else ChunkedArray.of(np.empty(0, dtype))
    )
    for run in (max(n, 1), n + 5):
        written, content = frame([(pieces, run)])
        assert opened(written) == content


def test_content_in_many_parts_is_the_same_for_every_team_batch_and_instruction_set(monkeypatch):
    rng = np.random.default_rng(3)
    parts = []
    for _ in range(12):
        n = int(rng.integers(1, 2 * BLOCK))
        parts.append((draw(rng, n).tobytes(), None))
        parts.append((ChunkedArray.of(draw(rng, 4 * n).view(np.float32)), n))
    parts += [(ChunkedArray.of(rng.poisson(0.8, 1 << 18).astype(np.float32)), 1 << 18)] * 4
    first, content = frame(parts)
    assert opened(first) == content
    for isa in _core.isa_available():
        monkeypatch.setenv("VCMETRICS_ISA", isa)
        for n_threads, batch in ((1, 1), (2, 3), (3, 100), (7, 5)):
            assert frame(parts, n_threads, batch)[0] == first


def test_compresses_about_as_well_as_entropy_allows():
    rng = np.random.default_rng(0)
    values = rng.choice(16, 1 << 20, p=rng.dirichlet(np.ones(16))).astype(np.uint8)
    shares = np.bincount(values) / values.size
    bits = -(shares[shares > 0] * np.log2(shares[shares > 0])).sum()
    assert len(frame([(values.tobytes(), None)])[0]) < values.size * bits / 8 * 1.04
    assert len(frame([(bytes(1 << 20), None)])[0]) < 100
    noise = rng.bytes(1 << 20)
    assert len(frame([(noise, None)])[0]) < len(noise) + 100


def test_refuses():
    with tempfile.TemporaryFile() as file:
        made = _core.ZstdFrame(file.fileno(), 10)
        with pytest.raises(ValueError, match="expected the 10"):
            made.finish(1)
        with pytest.raises(ValueError, match="more content than the 10 bytes"):
            made.add_bytes(np.zeros(11, np.uint8))
        with pytest.raises(ValueError, match="4 or 8"):
            made.add_planes(ChunkedArray.of(np.zeros(1, np.int16)).args(), 1)
        with pytest.raises(ValueError, match="at least the 3"):
            made.add_planes(ChunkedArray.of(np.zeros(3, np.float32)).args(), 2)
        with pytest.raises(TypeError):
            made.add_bytes(b"0123456789")


def test_a_file_that_cannot_be_written_is_an_oserror():
    reading, writing = os.pipe()
    os.close(writing)
    with pytest.raises(OSError, match="Bad file descriptor"):
        _core.ZstdFrame(reading, 10)
    os.close(reading)


@pytest.mark.parametrize("level", [None, 1, 5])
def test_sinks_write_the_same_content(level, tmp_path):
    values = np.random.default_rng(1).poisson(1.0, 5000).astype(np.float32)
    with (tmp_path / "frame").open("wb") as file:
        sink = frame_sink(file, 16 + 6000 * 4, level, 2)
        sink.bytes(b"0123456789abcdef")
        sink.planes(ChunkedArray.of(values), 6000)
        sink.settle()
        sink.finish()
    assert opened((tmp_path / "frame").read_bytes()) == b"0123456789abcdef" + planes(ChunkedArray.of(values), 6000)
