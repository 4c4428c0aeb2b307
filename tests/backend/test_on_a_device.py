"""What only a device can show: streams, memory, arrays of other libraries that stay where they are."""

from __future__ import annotations

import numpy as np
import pytest

from vcmetrics import VcmetricsWarning, arrays
from vcmetrics.backend.gpu import device_table, engine

pytestmark = pytest.mark.gpu


def tables(n=500, width=700):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, width)).astype(np.float32), rng.normal(size=(n, width)).astype(np.float32)


def test_results_stay_on_the_device():
    cupy = engine().xp
    x, y = map(cupy.asarray, tables())
    for got in (arrays.cdist(x, y, "l1"), arrays.match_rank(arrays.cdist(x, y, "l1")), arrays.column_correlation(x, y)):
        assert isinstance(got, cupy.ndarray)
    before = x.copy()
    arrays.cdist(x, y, "pearson")
    assert bool((x == before).all())


def test_work_is_left_on_the_callers_stream():
    cupy = engine().xp
    x, y = tables()
    want = arrays.cdist(x, y, "l1")
    streams = [cupy.cuda.Stream(non_blocking=True) for _ in range(2)]
    found = []
    for stream in streams * 3:
        with stream:
            found.append(arrays.cdist(cupy.asarray(x), cupy.asarray(y), "l1"))
    for stream in streams:
        stream.synchronize()
    for got in found:
        np.testing.assert_array_equal(cupy.asnumpy(got), want)


def test_the_same_bytes_every_time():
    cupy = engine().xp
    x, y = map(cupy.asarray, tables())
    runs = [cupy.asnumpy(arrays.column_correlation(x, y)).tobytes() for _ in range(5)]
    assert len(set(runs)) == 1


def test_tensors_of_pytorch_are_not_copied():
    torch = pytest.importorskip("torch")
    found = engine()
    x = torch.randn(100, 30, device="cuda")
    table = device_table(x, "x", found, what="cdist")
    assert table.data.ptr == x.data_ptr()
    got = found.to_host(arrays.cdist(x, x, "cosine"))
    host = x.cpu().numpy()
    np.testing.assert_allclose(got, arrays.cdist(host, host, "cosine"), rtol=1e-12, atol=1e-13)


def test_little_memory_makes_smaller_batches():
    found = engine()
    pool = found.xp.get_default_memory_pool()
    x, y = tables(4000, 50)
    want = arrays.cdist(x, y, "l1")
    found.release()
    pool.set_limit(size=pool.used_bytes() + 40_000_000)  # the result has 128 MB
    try:
        with pytest.warns(VcmetricsWarning, match="out of memory on the device; going on with batches of"):
            got = arrays.cdist(x, y, "l1", device="cuda")
    finally:
        pool.set_limit(size=0)
    np.testing.assert_array_equal(got, want)


def test_large_indices():
    """More than 2³¹ distances, of which the last rows are looked at."""
    found = engine()
    if found.free() < 40 << 30:
        pytest.skip("needs 40 GiB")
    cupy = found.xp
    x = cupy.arange(46_500 * 2, dtype=np.float32).reshape(-1, 2) % 1013
    got = arrays.cdist(x, x[::-1].copy(), "l1")
    host = cupy.asnumpy(x)
    want = arrays.cdist(host[-3:], host[::-1].copy(), "l1")
    np.testing.assert_array_equal(cupy.asnumpy(got[-3:]), want)
