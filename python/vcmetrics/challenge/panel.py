"""What the organisers hand out: genes, perturbations, contexts."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vcmetrics._errors import DataError
from vcmetrics.sources.genes import some

HEADERS = frozenset({"gene_name", "gene", "gene_symbol", "gene_names", "genes"})
MISSING = frozenset({"", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "<NA>", "n/a"})  # no label at all
LARGEST_MANIFEST = 256 << 10
PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class Panel:
    """Genes in their order; contexts; per context each perturbation's number of cells (None: any).

    ``perturbations`` under the key None hold for every context; an empty mapping says that none are known, and labels
    are not checked. Without ``contexts`` cells need none.
    """

    genes: tuple[str, ...]
    contexts: tuple[str, ...] = ()
    perturbations: Mapping[str | None, Mapping[str, int | None]] | None = None
    fingerprint: str | None = None
    panel_id: str | None = None

    def expected(self, context: str | None) -> Mapping[str, int | None] | None:
        """Perturbations of one context; None where the list has no entry for it."""
        known = self.perturbations or {}
        if context is None:
            return known.get(None) or {label: n for rows in known.values() for label, n in rows.items()}
        return known.get(context, known.get(None))


def read_panel(
    genes: PathLike | Iterable[str],
    perturbations: PathLike | Iterable[str] | None = None,
    *,
    contexts: Sequence[str] | None = None,
    cells_per_pert: int | None = 400,
    control: str = "non-targeting",
) -> Panel:
    """Read the files of the controls bundle.

    Parameters
    ----------
    genes
        ``gene_names.csv`` (first column, with or without a header), or the names.
    perturbations
        ``pert_counts.csv`` (column ``target_gene``, optionally ``context`` and ``n_cells``), or the labels. None:
        labels are not checked.
    contexts
        Contexts that a submission must cover; none at all where empty. None takes them from the ``manifest.json``
        beside one of the files.
    cells_per_pert
        Cells of a perturbation where the file does not say.
    control
        Label of control cells, left out of the perturbations.

    Raises
    ------
    DataError
        If a file cannot be read, lists a gene twice or no perturbation, or if the contexts are not known.

    Examples
    --------
    >>> read_panel(["A1BG", "TP53"], ["TP53"], contexts=["A"]).expected("A")
    {'TP53': 400}
    """
    near = [Path(p).expanduser() for p in (perturbations, genes) if isinstance(p, str | os.PathLike)]
    manifest = _manifest(near)
    if contexts is None:
        if manifest is None:
            msg = (
                "which contexts a submission must cover is not known: no manifest.json lies beside the gene or "
                "perturbation list; pass contexts= (command line: --contexts A,B,C)"
            )
            raise DataError(msg)
        contexts = manifest["contexts"]
    wanted = tuple(dict.fromkeys(contexts))
    ours = manifest is not None and set(manifest["contexts"]) == set(wanted)
    names = _read_genes(genes) if isinstance(genes, str | os.PathLike) else [str(g) for g in genes]
    _check_genes(names, genes)
    labels: Mapping[str | None, Mapping[str, int | None]] | None = None
    print_of: str | None = None
    if isinstance(perturbations, str | os.PathLike):
        labels = _read_perturbations(Path(perturbations), cells_per_pert, control)
        print_of = _fingerprint_of_file(Path(perturbations))
    elif perturbations is not None:
        given = [str(label) for label in perturbations]
        labels = {None: {label: cells_per_pert for label in given if label != control}}
        print_of = fingerprint(given)
    return Panel(tuple(names), wanted, labels, print_of, manifest["panel_id"] if ours and manifest else None)


def fingerprint(labels: Iterable[str]) -> str | None:
    """Name a set of labels: ``sha256:`` over the sorted labels, one a line; None for none."""
    names = sorted({label.strip() for label in labels} - {""})
    return f"sha256:{hashlib.sha256(chr(10).join(names).encode()).hexdigest()}" if names else None


def _rows(path: Path) -> list[list[str]]:
    """Rows of a CSV that hold anything; read without pandas, whose import takes longer than the rest."""
    try:
        with path.expanduser().open(newline="", encoding="utf-8-sig") as file:
            return [row for row in csv.reader(file) if any(cell.strip() for cell in row)]
    except FileNotFoundError as error:
        msg = f"{str(path)!r}: no such file; it comes with the controls bundle of the challenge"
        raise DataError(msg) from error
    except (OSError, ValueError, csv.Error) as error:
        msg = f"{str(path)!r}: cannot be read as a table ({str(error).strip().splitlines()[0]}); it must be a CSV"
        raise DataError(msg) from error


def read_names(path: PathLike) -> list[str]:
    """A plain list: the first column of a text file, one name a line."""
    return [row[0].strip() for row in _rows(Path(path))]


def _read_genes(path: PathLike) -> list[str]:
    names = [row[0] for row in _rows(Path(path))]
    return names[1:] if names and names[0].strip().lower() in HEADERS else names


def _check_genes(names: list[str], given: object) -> None:
    where = repr(os.fspath(given)) if isinstance(given, str | os.PathLike) else "the gene list"
    if not names:
        msg = f"{where}: holds no genes; pass the gene_names.csv of the challenge"
        raise DataError(msg)
    seen: set[str] = set()
    twice = sorted({name for name in names if name in seen or seen.add(name)})  # type: ignore[func-returns-value]
    if twice:
        msg = f"{where}: lists genes more than once: {some(twice)}; pass the gene_names.csv of the challenge"
        raise DataError(msg)


def _read_perturbations(path: Path, cells: int | None, control: str) -> dict[str | None, dict[str, int | None]]:
    header, *rows = _rows(path) or [[]]
    if "target_gene" not in header:
        msg = f"{str(path)!r}: has no column 'target_gene' (columns: {some(header, 12) or 'none'})"
        raise DataError(msg)
    place = {name: k for k, name in enumerate(header)}

    def cell(row: list[str], name: str) -> str:
        k = place.get(name, len(row))
        return row[k].strip() if k < len(row) else ""

    out: dict[str | None, dict[str, int | None]] = {}
    for row in rows:
        context = cell(row, "context") if "context" in place else None
        listed = out.setdefault(context, {})
        label = cell(row, "target_gene")
        if label not in MISSING and label != control:
            listed[label] = _count(cell(row, "n_cells")) if "n_cells" in place else cells
    if not any(out.values()):
        msg = f"{str(path)!r}: lists no perturbations; pass the pert_counts.csv of the challenge"
        raise DataError(msg)
    return out


def _count(value: Any) -> int | None:
    """A stated number of cells; None where it is none, or below 1: nothing is expected then."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return int(number) if math.isfinite(number) and number >= 1 else None


def _fingerprint_of_file(path: Path) -> str | None:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return fingerprint((row.get("target_gene") or "") for row in csv.DictReader(file))


def _manifest(near: Iterable[Path]) -> dict[str, Any] | None:
    """The bundle's manifest beside one of the files; None where there is none that can be used."""
    for path in near:
        file = path.resolve().parent / "manifest.json"
        try:
            if not file.is_file() or file.stat().st_size > LARGEST_MANIFEST:
                continue
            found = json.loads(file.read_text("utf-8"))
        except (OSError, ValueError, RecursionError):
            continue
        contexts = found.get("contexts") if isinstance(found, dict) else None
        if isinstance(contexts, list) and contexts and all(isinstance(c, str) and c.strip() for c in contexts):
            panel = found.get("panel_id")
            return {
                "contexts": tuple(c.strip() for c in contexts),
                "panel_id": panel if isinstance(panel, str) and panel else None,
            }
    return None
