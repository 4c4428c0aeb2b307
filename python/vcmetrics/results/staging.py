"""All files of a run appear together, or none does."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vcmetrics._errors import DataError


def _missing_parents(folder: Path) -> list[Path]:
    """Folders to create so that ``folder`` exists, outermost first."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    return missing[::-1]


@contextmanager
def staged_directory(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary folder beside ``target`` whose files move into ``target`` when the block succeeds.

    Entering it proves that ``target`` can be written, so enter it before long work. When the block fails, nothing
    stays: neither the temporary folder, nor ``target`` and those of its parents that were not there before.

    Raises
    ------
    DataError
        If ``target`` cannot be written; the message names the path and the cause.
    """
    final = Path(target).absolute()
    made: list[Path] = []
    stage: Path | None = None
    done = False
    try:
        try:
            if final.exists() and not final.is_dir():
                msg = f"{final} is a file, not a folder; pass another output folder"
                raise DataError(msg)
            for folder in _missing_parents(final.parent):
                folder.mkdir()
                made.append(folder)
            if final.exists():
                # files move in by rename, so the folder itself must take new names
                with tempfile.NamedTemporaryFile(dir=final, prefix=".vcmetrics-"):
                    pass
            stage = Path(tempfile.mkdtemp(prefix=f".{final.name}-", dir=final.parent))
        except OSError as error:
            msg = f"cannot write to {final}: {error.strerror or error}; pass another output folder"
            raise DataError(msg) from error
        yield stage
        _move_in(stage, final)
        done = True
    finally:
        if stage is not None:
            shutil.rmtree(stage, ignore_errors=True)
        if not done:
            for folder in reversed(made):
                with contextlib.suppress(OSError):
                    folder.rmdir()


def _move_in(stage: Path, final: Path) -> None:
    """One rename where ``final`` is new, else one rename a file."""
    mode = 0o777 & ~_umask()
    stage.chmod(mode)  # mkdtemp made it private
    if not final.exists():
        stage.rename(final)
        return
    for file in sorted(stage.iterdir()):
        if file.is_dir() and (final / file.name).is_dir():
            _move_in(file, final / file.name)
        else:
            file.replace(final / file.name)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextmanager
def staged_file(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside ``target`` that is renamed to ``target`` when the block succeeds."""
    final = Path(target).absolute()
    if final.is_dir():
        msg = f"{final} is a folder; pass the name of a file"
        raise DataError(msg)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{final.name}-", suffix=final.suffix, dir=final.parent)
        os.close(handle)
    except OSError as error:
        msg = f"cannot write {final}: {error.strerror or error}; pass another file name"
        raise DataError(msg) from error
    stage = Path(name)
    try:
        yield stage
        stage.chmod(0o666 & ~_umask())
        stage.replace(final)
    finally:
        stage.unlink(missing_ok=True)
