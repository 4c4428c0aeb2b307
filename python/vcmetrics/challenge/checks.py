"""The rules of the contract that need no value: columns, labels, contexts, genes, sizes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics.challenge.contract import Contract, Problem
from vcmetrics.challenge.panel import Panel
from vcmetrics.sources.genes import some
from vcmetrics.sources.stored import Store

Labels = NDArray[np.object_]
MISSING = "nan"  # what data frames write for a missing label
GUIDE = re.compile(r"-\d$")


@dataclass
class Annotations:
    """Columns of ``obs`` that could be read, and what is wrong with them."""

    labels: Labels | None = None
    contexts: Labels | None = None
    celltypes: Labels | None = None
    problems: list[Problem] = field(default_factory=list)


def check_annotations(store: Store, panel: Panel, contract: Contract) -> Annotations:
    """Check everything in ``obs``."""
    out = Annotations()
    out.labels = _column(store, contract.pert_col, "perturbation", "pert_col", out.problems)
    if contract.celltype_col is not None:
        out.celltypes = _column(store, contract.celltype_col, "cell type", "celltype_col", out.problems)
    if panel.contexts:
        out.contexts = _column(store, contract.context_col, "context", "context_col", out.problems)
    if contract.max_cells is not None and store.n_obs > contract.max_cells:
        text = f"{store.n_obs} cells, more than the {contract.max_cells} that scoring accepts; predict fewer"
        out.problems.append(Problem("too_many_cells", text, store.n_obs))
    if out.labels is not None:
        out.problems += _controls(out.labels, contract)
    if out.contexts is not None:
        out.problems += _contexts(out.contexts, panel)
    if out.labels is not None and panel.perturbations is not None:
        out.problems += _perturbations(out.labels, out.contexts, panel, contract)
    return out


def _column(store: Store, name: str, what: str, option: str, problems: list[Problem]) -> Labels | None:
    have = store.columns()
    if name not in have:
        text = (
            f"no {what} column {name!r} in obs (columns: {some(have, 12) or 'none'}); add it, or name another with "
            f"{option}= (command line: --{option.replace('_', '-')})"
        )
        problems.append(Problem(f"no_{option}", text))
        return None
    labels = store.column(name).copy()
    labels[np.array([label is None for label in labels.tolist()], bool)] = MISSING
    return labels


def _controls(labels: Labels, contract: Contract) -> list[Problem]:
    n = int((labels == contract.control).sum())
    if contract.with_control and n == 0:
        text = f"no cell is labelled {contract.control!r} in {contract.pert_col!r}; control cells are needed here"
        return [Problem("no_controls", text)]
    if not contract.with_control and n:
        first = int(np.argmax(labels == contract.control))
        text = (
            f"{n} cells are labelled {contract.control!r} (first: cell {first}), but control cells must not be "
            "submitted (scoring uses the held-out ones); drop them"
        )
        return [Problem("controls", text, n)]
    return []


def _contexts(contexts: Labels, panel: Panel) -> list[Problem]:
    counts = Counter(contexts.tolist())
    out = []
    unknown = sorted(set(counts) - set(panel.contexts))
    if unknown:
        n = sum(counts[c] for c in unknown)
        text = (
            f"{n} cells have a context that this phase does not score: {some(unknown)}; the contexts are "
            f"{', '.join(panel.contexts)}"
        )
        out.append(Problem("unknown_context", text, n))
    missing = [c for c in panel.contexts if c not in counts]
    if missing:
        text = f"no cells for context {', '.join(missing)}; a submission covers all of {', '.join(panel.contexts)}"
        out.append(Problem("missing_context", text, len(missing)))
    return out


def _perturbations(labels: Labels, contexts: Labels | None, panel: Panel, contract: Contract) -> list[Problem]:
    if not panel.contexts:
        wanted = panel.expected(None) or {}
        return _labels("", Counter(labels.tolist()), wanted, contract)
    if contexts is None:  # said already
        return []
    out = []
    for context in panel.contexts:
        expected = panel.expected(context)
        where = f"context {context}: "
        if expected is None:
            text = f"{where}the list of perturbations has no entry for it; use the pert_counts.csv of this phase"
            out.append(Problem("context_not_listed", text))
            continue
        found = Counter(labels[contexts == context].tolist())
        if not found:  # a missing context is one problem, not one for each of its perturbations
            continue
        out += _labels(where, found, expected, contract)
        if contract.check_cell_counts:
            out += _counts(where, found, expected)
    return out


def _labels(
    where: str, found: Mapping[str, int], wanted: Mapping[str, int | None], contract: Contract
) -> list[Problem]:
    out = []
    missing = sorted(set(wanted) - set(found))
    if missing:
        text = f"{where}{len(missing)} perturbations are not predicted: {some(missing)}; predict every one on the list"
        out.append(Problem("missing_perturbation", text, len(missing)))
    unexpected = sorted(set(found) - set(wanted) - {contract.control})
    if unexpected:
        text = f"{where}{len(unexpected)} labels are not on the list: {some(unexpected)}; drop or rename their cells"
        if any(GUIDE.search(label) for label in unexpected):
            text += " (a label is the gene symbol, 'ADNP', not the construct, 'ADNP-1')"
        out.append(Problem("unexpected_perturbation", text, len(unexpected)))
    return out


def _counts(where: str, found: Mapping[str, int], wanted: Mapping[str, int | None]) -> list[Problem]:
    wrong = [(label, found[label], n) for label, n in sorted(wanted.items()) if n and found.get(label, n) != n]
    if not wrong:
        return []
    shown = ", ".join(f"{label!r} has {have} of {n}" for label, have, n in wrong[:5])
    more = ", …" if len(wrong) > 5 else ""
    text = f"{where}{len(wrong)} perturbations have another number of cells than asked for: {shown}{more}"
    return [Problem("cell_count", f"{text}; predict exactly as many", len(wrong))]


def check_genes(genes: Sequence[str] | NDArray[Any], panel: Panel) -> tuple[list[Problem], NDArray[np.int64] | None]:
    """Compare the genes with the list; and where each listed gene lies, None where all are in order."""
    have = [str(gene) for gene in genes]
    counts = Counter(have)
    out = []
    twice = sorted(gene for gene, n in counts.items() if n > 1)
    if twice:
        text = f"{len(twice)} gene names occur more than once: {some(twice)}; make them unique"
        out.append(Problem("duplicate_genes", text, len(twice)))
    missing = [gene for gene in panel.genes if gene not in counts]
    if missing:
        text = f"{len(missing)} genes of the list are missing: {some(missing)}; predict every gene on the list"
        out.append(Problem("missing_genes", text, len(missing)))
    extra = sorted(set(have) - set(panel.genes))
    if extra:
        text = f"{len(extra)} genes are not on the list: {some(extra)}; drop them"
        out.append(Problem("extra_genes", text, len(extra)))
    if out or tuple(have) == panel.genes:
        return out, None
    at = {gene: k for k, gene in enumerate(have)}
    return out, np.array([at[gene] for gene in panel.genes], np.int64)
