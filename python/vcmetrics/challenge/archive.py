"""The packed submission: a tar archive of ``meta.json`` and the compressed prediction."""

from __future__ import annotations

import json
import os
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics._version import __version__
from vcmetrics.backend.threads import resolve_threads
from vcmetrics.challenge.contract import Contract, ContractError
from vcmetrics.challenge.frames import frame_sink
from vcmetrics.challenge.h5ad_stream import H5adStream, Sink
from vcmetrics.challenge.panel import read_panel
from vcmetrics.challenge.validate import Inspection, PathLike, Progress, inspect, read_values
from vcmetrics.challenge.values import ValueCheck
from vcmetrics.results.staging import staged_file
from vcmetrics.sources.blocks import row_blocks
from vcmetrics.sources.cells import open_store
from vcmetrics.sources.compact import canonical, rows_in_place
from vcmetrics.sources.packed import MEMBER
from vcmetrics.sources.rows import ChunkedArray, Rows
from vcmetrics.sources.stored import Store, as_path


@dataclass(frozen=True)
class Packed:
    """What was written.

    Attributes
    ----------
    path, size
        The archive and its bytes.
    n_obs, n_vars, nnz
        Cells, genes, stored values.
    notes
        What the user may want to know.
    """

    path: Path
    size: int
    n_obs: int
    n_vars: int
    nnz: int
    notes: tuple[str, ...]


class Untidy(Exception):
    """Rows are unsorted or repeat columns: they cannot be passed on as they lie."""


def pack(
    data: Any,
    output: PathLike,
    *,
    genes: PathLike | Iterable[str],
    perturbations: PathLike | Iterable[str] | None = None,
    contexts: Sequence[str] | None = None,
    contract: Contract | None = None,
    names: Mapping[str, str] | None = None,
    level: int | None = None,
    overwrite: bool = False,
    n_threads: int | None = None,
    progress: Progress | None = None,
) -> Packed:
    """Check a prediction and write it as a submission to the 2026 challenge.

    Parameters
    ----------
    data, genes, perturbations, contexts, contract, n_threads, progress
        As in :func:`vcmetrics.challenge.validate`.
    output
        The ``.vcc`` file; it appears whole or not at all.
    names
        Columns under other names in the archive: ``{"pert_col": …, "celltype_col": …}``.
    level
        zstd's level: higher is smaller and slower (extra ``vcc``). None: no matches are searched, the fastest.
    overwrite
        Replace ``output`` if it is there.

    Returns
    -------
    What was written. The same prediction gives the same bytes, whatever the number of threads and the machine's clock.

    Raises
    ------
    ContractError
        If anything is wrong with the prediction; ``problems`` lists all of it, and nothing is written.
    DataError
        If ``output`` exists, is an input, or cannot be written.

    Notes
    -----
    Only X (CSR, genes in the order of the list) and the columns of perturbations, contexts and cell types are kept.
    Cost: one read of the file and the work of compressing. Disk: the archive; where rows must be put in order, a
    scratch copy of X beside it. Memory: some 300 MB beside the labels.

    Examples
    --------
    >>> import anndata, numpy as np, tempfile
    >>> made = anndata.AnnData(np.array([[1.0, 2.0]], np.float32))
    >>> made.var_names, made.obs["target_gene"] = ["A1BG", "TP53"], "TP53"
    >>> contract = Contract(cells_per_pert=1, n_genes=2)
    >>> lists = {"genes": ["A1BG", "TP53"], "perturbations": ["TP53"], "contexts": []}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     done = pack(made, f"{folder}/mine.vcc", contract=contract, **lists)
    >>> done.n_obs, done.nnz
    (1, 2)
    """
    contract = contract or Contract()
    threads = resolve_threads(n_threads)
    final = Path(output)
    check_output(final, [data, genes, perturbations], overwrite)
    panel = read_panel(genes, perturbations, contexts=contexts, cells_per_pert=contract.cells_per_pert)
    store = open_store(data)
    try:
        seen = inspect(store, panel, contract)
        if seen.problems:
            raise ContractError(store.name, seen.problems + read_values(store, seen, contract, threads, progress))
        with staged_file(final) as stage:
            work = _Work(store, seen, contract, stage, threads, progress)
            obs = work.columns(names or {})
            meta = {
                "schema": 1,
                "n_obs": store.n_obs,
                "n_vars": len(panel.genes),
                "cli_version": f"vcmetrics-{__version__}",
                "contexts": list(panel.contexts),
                "perts_fingerprint": panel.fingerprint,
                "panel_id": panel.panel_id,
            }
            try:
                nnz = work.straight(obs, meta, level)
            except Untidy:
                nnz = work.in_order(obs, meta, level)
        return Packed(final, final.stat().st_size, store.n_obs, len(panel.genes), nnz, tuple(seen.notes))
    finally:
        store.close()


def check_output(final: Path, inputs: Iterable[Any], overwrite: bool) -> None:
    """Refuse an output that is one of the inputs, or that exists."""
    for given in inputs:
        path = as_path(given)
        if path is not None and path.exists() and final.exists() and os.path.samefile(path, final):
            msg = f"{final}: is one of the inputs and would be destroyed; pass another output"
            raise DataError(msg)
    if final.exists() and not overwrite:
        msg = f"{final}: exists already; pass overwrite=True (command line: --force) or another output"
        raise DataError(msg)


class _Work:
    """The two ways from a checked store to an archive."""

    def __init__(
        self,
        store: Store,
        seen: Inspection,
        contract: Contract,
        stage: Path,
        n_threads: int,
        progress: Progress | None,
    ) -> None:
        self.store, self.seen, self.contract, self.stage = store, seen, contract, stage
        self.n_threads, self.progress = n_threads, progress
        self.dtype = np.dtype(np.float32 if contract.encoding == 32 else np.float64)
        self.check = self._new_check()

    def _new_check(self) -> ValueCheck:
        return ValueCheck(self.store.n_obs, self.store.genes(), self.contract, self.n_threads)

    def columns(self, names: Mapping[str, str]) -> dict[str, NDArray[np.object_]]:
        """Columns of obs in the archive."""
        found = self.seen.annotations
        pairs = (
            (names.get("pert_col", "target_gene"), found.labels),
            (names.get("celltype_col", "celltype"), found.celltypes),
            (names.get("context_col", "context"), found.contexts),
        )
        return {name: labels for name, labels in pairs if labels is not None}

    def blocks(self) -> Iterator[tuple[Any, Rows]]:
        """Blocks, checked."""
        assert self.seen.matrix is not None
        for block in row_blocks(self.seen.matrix, self.n_threads):
            rows = self.check.add(block)
            yield block, rows
            self.store.release()
            if self.progress is not None:
                self.progress(block.first + rows.n_rows, self.store.n_obs)

    def settle(self) -> None:
        """Refuse what the values showed."""
        problems = self.check.problems(self.seen.annotations.labels)
        if problems:
            raise ContractError(self.store.name, problems)

    def straight(self, obs: Mapping[str, NDArray[np.object_]], meta: Mapping[str, Any], level: int | None) -> int:
        """Check and pass on the values where they lie, in one read."""
        assert self.seen.matrix is not None
        rows = rows_in_place(self.seen.matrix)
        if rows is None or self.seen.order is not None or rows.data.dtype != self.dtype or rows.indices.dtype != "i4":
            raise Untidy
        done = 0
        with archive(
            self.stage, meta, rows.indptr, self.dtype, obs, self.seen.panel.genes, level, self.n_threads
        ) as to:
            for block, given in self.blocks():
                if given is not block.rows:
                    self.check = self._new_check()
                    raise Untidy
                done += given.nnz
                to.advance(rows.data, rows.indices, done)
            self.settle()
        return rows.nnz

    def in_order(self, obs: Mapping[str, NDArray[np.object_]], meta: Mapping[str, Any], level: int | None) -> int:
        """Check the values and put them in order in a scratch file, then pass that on."""
        panel = self.seen.panel
        gene_map = None
        if self.seen.order is not None:
            gene_map = np.empty(self.store.n_vars, np.int64)
            gene_map[self.seen.order] = np.arange(self.seen.order.size)
        with Scratch(self.stage.parent, self.store.n_obs, self.dtype) as scratch:
            for _, rows in self.blocks():
                if self.check.stray is None:
                    scratch.add(canonical(rows, self.n_threads, gene_map, len(panel.genes)))
            self.settle()
            rows = scratch.rows(len(panel.genes))
            how = (self.dtype, obs, panel.genes, level, self.n_threads)
            with archive(self.stage, meta, rows.indptr, *how) as to:
                for stop in range(0, rows.nnz, 1 << 23):
                    to.advance(rows.data, rows.indices, stop)
                    scratch.release()
                to.advance(rows.data, rows.indices, rows.nnz)
            return rows.nnz


class Scratch:
    """Rows on disk, in the types of the archive, gone when the block ends."""

    def __init__(self, folder: Path, n_rows: int, dtype: np.dtype[Any]) -> None:
        self._indptr = np.zeros(n_rows + 1, np.int64)
        self._row = 0
        self._dtype = dtype
        self._files = [tempfile.TemporaryFile(dir=folder) for _ in range(2)]  # noqa: SIM115
        self._maps: list[np.memmap[Any, Any]] = []

    def __enter__(self) -> Scratch:
        return self

    def __exit__(self, *exc: object) -> None:
        self._maps = []
        for file in self._files:
            file.close()

    def add(self, rows: Rows, values: NDArray[Any] | None = None) -> None:
        """Append a block, with other values where given."""
        at = int(self._indptr[self._row])
        self._indptr[self._row + 1 : self._row + rows.n_rows + 1] = rows.indptr[1:] + at
        self._row += rows.n_rows
        own = rows.data.read(0, rows.nnz) if values is None else values
        arrays = own.astype(self._dtype, copy=False), rows.indices.read(0, rows.nnz).astype(np.int32, copy=False)
        for file, array in zip(self._files, arrays, strict=True):
            file.write(np.ascontiguousarray(array).view(np.uint8).data)

    def rows(self, n_cols: int) -> Rows:
        """All rows, mapped."""
        arrays = []
        for file, dtype in zip(self._files, (self._dtype, np.dtype(np.int32)), strict=True):
            file.flush()
            if self._indptr[-1]:
                self._maps.append(np.memmap(file, np.uint8, "r"))
                arrays.append(ChunkedArray.of(np.asarray(self._maps[-1]).view(dtype)))
            else:
                arrays.append(ChunkedArray.of(np.empty(0, dtype)))
        data, indices = arrays
        return Rows(self._indptr.size - 1, n_cols, self._indptr, indices, data)

    def release(self) -> None:
        """Give mapped pages back to the system."""
        import mmap

        for kept in self._maps:
            under: Any = kept.base if isinstance(kept.base, mmap.mmap) else getattr(kept, "_mmap", None)
            if under is not None and hasattr(mmap, "MADV_DONTNEED"):
                under.madvise(mmap.MADV_DONTNEED)


class _Advance:
    """Where :func:`archive` takes values."""

    def __init__(self, stream: H5adStream, sink: Sink) -> None:
        self._stream, self._sink = stream, sink

    def advance(self, data: ChunkedArray, indices: ChunkedArray, stop: int) -> None:
        """The first ``stop`` values of both arrays may be read."""
        self._stream.advance(self._sink, data, indices, stop)


@contextmanager
def archive(
    path: Path,
    meta: Mapping[str, Any] | None,
    indptr: NDArray[np.int64],
    dtype: np.dtype[Any],
    obs: Mapping[str, NDArray[np.object_]],
    genes: Sequence[str],
    level: int | None,
    n_threads: int,
    after: Mapping[str, bytes] | None = None,
) -> Iterator[_Advance]:
    """Write an archive whose values are handed over inside the block; ``after`` are members behind the prediction."""
    stream = H5adStream(indptr, dtype, obs, genes, path.parent)
    try:
        with path.open("wb") as file:
            if meta is not None:
                known = {key: value for key, value in {**meta, "nnz": stream.nnz}.items() if value is not None}
                _member(file, "meta.json", json.dumps(known, sort_keys=True).encode())
            head = file.tell()
            file.write(bytes(tarfile.BLOCKSIZE))
            file.flush()
            sink = frame_sink(file, stream.size, level, n_threads)
            yield _Advance(stream, sink)
            stream.finish(sink)
            sink.finish()
            file.seek(0, os.SEEK_END)
            size = file.tell() - head - tarfile.BLOCKSIZE
            file.write(bytes(-size % tarfile.BLOCKSIZE))
            for name, content in (after or {}).items():
                _member(file, name, content)
            file.write(bytes(2 * tarfile.BLOCKSIZE))
            file.write(bytes(-file.tell() % tarfile.RECORDSIZE))
            file.seek(head)
            file.write(_header(MEMBER, size))
    except OSError as error:
        msg = f"cannot write {path.parent}: {error.strerror or error}; free some space or pass another output"
        raise DataError(msg) from error
    finally:
        stream.close()


def _member(file: IO[bytes], name: str, content: bytes) -> None:
    file.write(_header(name, len(content)))
    file.write(content + bytes(-len(content) % tarfile.BLOCKSIZE))


def _header(name: str, size: int) -> bytes:
    """One block that tells nothing of the user or the time; the GNU form holds any size in it."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o644
    return entry.tobuf(tarfile.GNU_FORMAT)
