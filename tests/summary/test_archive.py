"""Arrays in one file: mapped as they were written, or refused."""

import re
import zipfile

import numpy as np
import pytest

from vcmetrics.summary.archive import map_archive, write_archive

ARRAYS = {
    "genes": np.array(["A", "βeta"]),
    "table/ratio@1e+06/sum": np.arange(15.0).reshape(3, 5),
    "n": np.array([1, 2, 3], np.int32),
    "bytes": np.arange(201, dtype=np.uint8),
    "none": np.empty((0, 4)),
    "turned": np.asfortranarray(np.arange(100.0, 106.0).reshape(2, 3)),
}


@pytest.fixture
def path(tmp_path):
    with open(tmp_path / "a.npz", "wb") as file:
        write_archive(file, ARRAYS, {"format": 7, "name": "x"})
    return tmp_path / "a.npz"


def test_what_was_written_comes_back_mapped_and_aligned(path):
    arrays, head = map_archive(path)
    assert head == {"format": 7, "name": "x"}
    assert list(arrays) == list(ARRAYS)
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, ARRAYS[name])
        assert array.dtype == ARRAYS[name].dtype
        assert not array.flags.writeable
        assert array.size == 0 or array.ctypes.data % 64 == 0


def test_numpy_reads_it_too(path):
    with np.load(path) as file:
        for name, array in ARRAYS.items():
            np.testing.assert_array_equal(file[name], array)


def test_every_flipped_byte_of_the_arrays_is_noticed(path):
    whole = path.read_bytes()
    for name, array in ARRAYS.items():
        if array.size == 0:
            continue
        at = whole.find(array.tobytes())
        for k in {at, at + array.nbytes // 2, at + array.nbytes - 1}:
            damaged = bytearray(whole)
            damaged[k] ^= 4
            path.write_bytes(damaged)
            with pytest.raises(ValueError, match=re.escape(f"array '{name}' is not as it was written")):
                map_archive(path)


def test_cut_files_are_refused(path):
    whole = path.read_bytes()
    for cut in range(0, len(whole), 97):
        path.write_bytes(whole[:cut])
        with pytest.raises((ValueError, KeyError, OSError, zipfile.BadZipFile)):
            map_archive(path)


def test_foreign_archives_are_refused(tmp_path):
    np.savez_compressed(tmp_path / "z.npz", a=np.zeros(5))
    with pytest.raises(ValueError, match="is compressed"):
        map_archive(tmp_path / "z.npz")
    np.savez(tmp_path / "p.npz", a=np.array([None], object))
    with pytest.raises(ValueError, match="unusual kind"):
        map_archive(tmp_path / "p.npz")
