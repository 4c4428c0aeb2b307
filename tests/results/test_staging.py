import errno
import os

import pytest

from vcmetrics import DataError
from vcmetrics.results.staging import staged_directory, staged_file


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_new_folder_with_missing_parents_appears_whole(tmp_path):
    target = tmp_path / "a" / "b" / "out"
    with staged_directory(target) as stage:
        (stage / "x.csv").write_text("1")
        assert not target.exists()
    assert names(target) == ["x.csv"]
    assert names(target.parent) == ["out"]


def test_failure_leaves_nothing_not_even_the_parents(tmp_path):
    with pytest.raises(KeyboardInterrupt), staged_directory(tmp_path / "a" / "b" / "out") as stage:
        (stage / "x.csv").write_text("1")
        raise KeyboardInterrupt
    assert names(tmp_path) == []


def test_existing_folder_keeps_its_other_files(tmp_path):
    target = tmp_path / "out"
    target.mkdir()
    (target / "old.txt").write_text("kept")
    (target / "x.csv").write_text("before")
    with staged_directory(target) as stage:
        (stage / "x.csv").write_text("after")
        assert (target / "x.csv").read_text() == "before"
    assert (target / "x.csv").read_text() == "after"
    assert names(target) == ["old.txt", "x.csv"]
    assert names(tmp_path) == ["out"]


def test_failure_leaves_an_existing_folder_as_it_was(tmp_path):
    target = tmp_path / "out"
    target.mkdir()
    (target / "x.csv").write_text("before")
    with pytest.raises(OSError, match="full"), staged_directory(target) as stage:
        (stage / "x.csv").write_text("after")
        raise OSError(errno.ENOSPC, "full")
    assert (target / "x.csv").read_text() == "before"
    assert names(tmp_path) == ["out"]


def test_permissions_are_the_usual_ones(tmp_path):
    mask = os.umask(0o022)
    try:
        with staged_directory(tmp_path / "out") as stage:
            (stage / "x").write_text("1")
        with staged_file(tmp_path / "file.txt") as path:
            path.write_text("1")
    finally:
        os.umask(mask)
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "file.txt").stat().st_mode & 0o777 == 0o644


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(DataError, match="is a file"), staged_directory(tmp_path / "out"):
        pass
    with (
        pytest.raises(DataError, match=r"cannot write to .*Not a directory"),
        staged_directory(tmp_path / "out" / "sub"),
    ):
        pass


def test_staged_file(tmp_path):
    target = tmp_path / "x.h5ad"
    with staged_file(target) as path:
        assert path.suffix == ".h5ad"
        path.write_text("new")
    assert target.read_text() == "new"
    with pytest.raises(ValueError, match="broken"), staged_file(target) as path:
        path.write_text("half")
        raise ValueError("broken")
    assert target.read_text() == "new"
    assert names(tmp_path) == ["x.h5ad"]
    with pytest.raises(DataError, match="folder"), staged_file(tmp_path):
        pass
    with pytest.raises(DataError, match="No such file or directory"), staged_file(tmp_path / "no" / "x.h5ad"):
        pass
