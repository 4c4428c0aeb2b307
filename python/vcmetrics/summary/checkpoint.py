"""What a long pass has done so far, on the disk, so that an interrupted one goes on from there."""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics._version import __version__
from vcmetrics.summary.archive import map_archive, write_archive

Array = NDArray[Any]
FORMAT = 1
EVERY = 20.0  # seconds between two writings


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


class Checkpoint:
    """One file that holds the state of a pass.

    Parameters
    ----------
    path
        The file. It need not be there yet.
    key
        Digest of everything that decides the result: the data's fingerprint, labels, tables asked for.

    Raises
    ------
    DataError
        If the file is there, but damaged, or of other data or settings.
    """

    def __init__(self, path: str | os.PathLike[str], key: str) -> None:
        self.path = Path(path)
        self._key = key
        self._last = time.monotonic()
        self.arrays: dict[str, Array] = {}
        self.head: dict[str, Any] = {}
        if not self.path.parent.is_dir():
            msg = f"checkpoint {str(self.path)!r}: {str(self.path.parent)!r} is no directory; make it first"
            raise DataError(msg)
        self._clear()
        if self.path.exists():
            self._read()

    def _clear(self) -> None:
        """Remove what processes of this machine that were killed while writing have left."""
        for left in self.path.parent.glob(f".{glob.escape(self.path.name)}.*.part"):
            pid = left.name.split(".")[-2]
            if pid.isdecimal() and not _alive(int(pid)):
                left.unlink(missing_ok=True)

    def _read(self) -> None:
        way_out = "remove it, or pass another checkpoint="
        try:
            arrays, head = map_archive(self.path)
            known = head["key"], head["format"], head["version"]
        except Exception as error:
            msg = f"checkpoint {str(self.path)!r} cannot be read ({type(error).__name__}); {way_out}"
            raise DataError(msg) from error
        if known != (self._key, FORMAT, __version__):
            what = "data or settings" if known[0] != self._key else "versions of vcmetrics"
            msg = f"checkpoint {str(self.path)!r} was made with other {what}; {way_out}"
            raise DataError(msg)
        # the file will be replaced while the arrays are added to
        self.arrays = {name: np.array(array) for name, array in arrays.items()}
        self.head = head["state"]

    def due(self) -> bool:
        """Whether it is time to write."""
        return time.monotonic() - self._last >= EVERY

    def write(self, arrays: Mapping[str, Array], head: Mapping[str, Any]) -> None:
        """Put a state on the disk in place of the one before; it is there whole or not at all."""
        partial = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        try:
            with open(partial, "wb") as file:
                write_archive(
                    file, arrays, {"key": self._key, "format": FORMAT, "version": __version__, "state": dict(head)}
                )
            os.replace(partial, self.path)
        except OSError as error:
            msg = f"checkpoint {str(self.path)!r} cannot be written ({error.strerror or error}); pass another path"
            raise DataError(msg) from error
        finally:
            partial.unlink(missing_ok=True)
        self._last = time.monotonic()

    def finished(self) -> None:
        """Remove the file: the result is there."""
        self.path.unlink(missing_ok=True)
