"""Whole ``vcmetrics validate`` and ``pack`` processes beside the challenge's own tool, over a submission of 2 GB."""

from __future__ import annotations

import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

VCMETRICS = [sys.executable, "-m", "vcmetrics"]
BLOCK = 1 << 22


def lists(submission: tuple[Path, Path, Path]) -> list[str]:
    file, genes, perts = submission
    return [str(file), "-g", str(genes), "--perts", str(perts), "--contexts", "A,B,C"]


def vcc(python: str, submission: tuple[Path, Path, Path], *options: str) -> list[str]:
    return [str(Path(python).with_name("vcc")), "prep", *lists(submission), *options]


def unpacked(archive: Path, file: Path) -> Path:
    """The prediction in an archive, by zstd's own decoder."""
    import zstandard

    with tarfile.open(archive) as tar, file.open("wb") as out:
        zstandard.ZstdDecompressor().copy_stream(tar.extractfile("pred.h5ad.zst"), out)
    return file


def assert_equal_archives(mine: Path, theirs: Path, folder: Path) -> None:
    """Both hold the same cells, read block by block through HDF5's own filters."""
    import h5py
    from anndata.io import read_elem

    paths = unpacked(mine, folder / "mine.h5ad"), unpacked(theirs, folder / "theirs.h5ad")
    with h5py.File(paths[0]) as a, h5py.File(paths[1]) as b:
        np.testing.assert_array_equal(a["X/indptr"][:], b["X/indptr"][:])
        for part in ("data", "indices"):
            for at in range(0, a["X/data"].shape[0], BLOCK):
                np.testing.assert_array_equal(a["X"][part][at : at + BLOCK], b["X"][part][at : at + BLOCK])
        assert read_elem(a["obs"]).astype(str).equals(read_elem(b["obs"]).astype(str))
        assert read_elem(a["var"]).index.tolist() == read_elem(b["var"]).index.tolist()
    for path in paths:
        path.unlink()


@pytest.mark.benchmark(group="pack a submission of 2 GB")
class TestPack:
    @pytest.mark.parametrize("who", ["vcmetrics"])
    def test_pack(self, who, measure, submission, tmp_path, benchmark):
        out = tmp_path / "mine.vcc"
        measure([*VCMETRICS, "pack", *lists(submission), "-f", "-o", str(out)], rounds=5)
        benchmark.extra_info["archive_MiB"] = round(out.stat().st_size / 2**20, 1)

    @pytest.mark.parametrize("who", ["vcc prep"])
    def test_pack_peer(self, who, measure, submission, vcc_python, tmp_path, benchmark):
        theirs, mine = tmp_path / "theirs.vcc", tmp_path / "mine.vcc"
        measure(vcc(vcc_python, submission, "-f", "-o", str(theirs)), rounds=2)
        benchmark.extra_info["archive_MiB"] = round(theirs.stat().st_size / 2**20, 1)
        from bench.process import run

        run([*VCMETRICS, "pack", *lists(submission), "-o", str(mine)])
        assert_equal_archives(mine, theirs, tmp_path)


@pytest.mark.benchmark(group="validate a submission of 2 GB")
class TestValidate:
    @pytest.mark.parametrize("who", ["vcmetrics"])
    def test_validate(self, who, measure, submission):
        measure([*VCMETRICS, "validate", *lists(submission)], rounds=5)

    @pytest.mark.parametrize("who", ["vcc prep"])
    def test_validate_peer(self, who, measure, submission, vcc_python):
        measure(vcc(vcc_python, submission, "--dry-run"), rounds=2)
