"""Groups × genes tables of one side, gathered in one pass over its cells.

A :class:`GroupSummary` is all that profile metrics and differential expression see of a data set: additive
tables (they merge by addition), fields derived from a complete group and a complete control (they do
not), and the control cells themselves, against which another data set can be ranked later.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.backend.memory import current_budget
from vcmetrics.backend.threads import resolve_threads
from vcmetrics.sources.rows import ChunkedArray, Rows, RowsElsewhere
from vcmetrics.summary.archive import map_archive, write_archive
from vcmetrics.summary.plan import Groups
from vcmetrics.summary.single_precision import exponentiated, log_normalised, per_million

if TYPE_CHECKING:
    from vcmetrics.summary.checkpoint import Checkpoint

Array = NDArray[Any]
Progress = Callable[[int, int], None]

SINGLE_PRECISION = {"lognorm32": log_normalised, "cpm32": per_million}  # keys whose values NumPy makes first
ADDITIVE = ("sum", "linear", "log1p", "log1p_square", "expm1", "expm1_32", "square", "nonzero")
LOGS = frozenset({"log1p", "log1p_square"})  # what a pass can also sum at other depths than its own
DERIVED = ("u2", "tie", "jackknife")
FORMAT = 2


@dataclass(frozen=True)
class Recipe:
    """What one pass gathers.

    ``key`` says what a stored entry y of a cell with total ℓ stands for. ``"ratio"``: a count, on the linear scale
    y/(ℓ/scale), ranked by y/ℓ. ``"raw"``: itself. ``"lognorm32"``: its log1p-normalised form to ``scale``, in float32
    as the common preprocessing leaves it. ``"cpm32"``: y·float32(scale/ℓ), as scorers on a GPU have it. ``fields`` are
    names of tables, with ``"rank"`` for ``u2`` and ``tie``. ``gate``: genes whose control mean on the linear scale is
    not above it are not ranked.
    """

    key: str
    scale: float
    fields: frozenset[str]
    gate: float | None = None
    jackknife_target: float = 5e4

    @property
    def name(self) -> str:
        """Prefix of the tables that this recipe fills."""
        return f"{self.key}@{self.scale:g}"


@dataclass(frozen=True)
class Side:
    """Cells of one data set as a pass takes them."""

    rows: Rows
    totals: NDArray[np.float64]
    groups: Groups

    def used(self) -> Side:
        """The cells of the groups alone, left where they lie; ``self`` where they are most of them."""
        chosen = np.flatnonzero(self.groups.codes >= 0)
        if 2 * chosen.size > self.groups.codes.size:
            return self
        codes = self.groups.codes[chosen]
        return Side(self.rows.take(chosen), self.totals[chosen], replace(self.groups, codes=codes))

    def control_cells(self) -> Side:
        """The control cells alone, copied compactly."""
        from vcmetrics.sources.compact import copied_rows

        chosen = np.flatnonzero(self.groups.codes == self.groups.control_code)
        groups = Groups((self.groups.control,), np.zeros(chosen.size, np.int32), self.groups.control)
        return Side(copied_rows(self.rows, chosen, resolve_threads(None)), self.totals[chosen], groups)


@dataclass(frozen=True)
class GroupSummary:
    """Tables of one data set: ``tables["ratio@1e+06"]["sum"]`` is (n_groups, n_genes).

    ``control_side`` holds the control cells where rank sums of other data were or will be taken against them.
    """

    name: str
    genes: NDArray[np.str_]
    labels: tuple[str, ...]
    control: str
    n: NDArray[np.int64]
    totals: NDArray[np.float64]
    tables: Mapping[str, Mapping[str, Array]]
    control_side: Side | None = None
    control_digest: str = ""
    fingerprint: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def control_code(self) -> int:
        """Row of the control, -1 where there is none."""
        return self.labels.index(self.control) if self.control in self.labels else -1

    def rows_of(self, wanted: Sequence[str]) -> NDArray[np.int64]:
        """Rows of the labels ``wanted``, in that order."""
        where = {x: k for k, x in enumerate(self.labels)}
        return np.array([where[x] for x in wanted], np.int64)

    def table(self, recipe: Recipe | str, name: str) -> Array:
        """One table; a KeyError names what was gathered instead."""
        key = recipe if isinstance(recipe, str) else recipe.name
        try:
            return self.tables[key][name]
        except KeyError:
            have = [f"{k}/{f}" for k, t in self.tables.items() for f in t]
            msg = f"{self.name}: table {key}/{name} was not gathered (there are: {', '.join(have)})"
            if name in DERIVED:
                msg += "; for merged summaries, merge_summaries(..., data=) computes it"
            raise KeyError(msg) from None

    def has(self, recipe: Recipe) -> bool:
        """Whether every table of ``recipe`` is there."""
        wanted = set(recipe.fields) - {"rank"} | ({"u2", "tie"} if "rank" in recipe.fields else set())
        return wanted <= set(self.tables.get(recipe.name, ()))

    def merge(self, other: GroupSummary) -> GroupSummary:
        """The summary of both data sets together.

        Additive tables are added, label by label. Rank sums and jackknife terms are kept for labels that only one side
        holds, when both were taken against the same control; where any label is on both sides, or the
        controls differ, they are left out: :func:`vcmetrics.merge_summaries` computes them again from the cells.
        Control cells that differ are put together.

        Raises
        ------
        DataError
            If the genes, the control label, the gathered tables or the settings differ.
        """
        self._check_alike(other)
        labels = tuple(sorted(set(self.labels) | set(other.labels)))
        shared = set(self.labels) & set(other.labels)
        same_cells = bool(self.control_digest) and self.control_digest == other.control_digest
        same_control = same_cells and shared <= {self.control}
        at = {x: k for k, x in enumerate(labels)}
        mine = np.array([at[x] for x in self.labels], np.int64)
        theirs = np.array([at[x] for x in other.labels], np.int64)

        def put(a: Array, b: Array, fill: float, add: bool) -> Array:
            out = np.full((len(labels), *a.shape[1:]), fill, a.dtype)
            out[mine] = a
            if add:
                out[theirs] += b
            else:
                out[theirs] = b
            return out

        # one control counted twice would be wrong: the same control cells are kept once
        keep_control = same_control and self.control in shared
        tables: dict[str, dict[str, Array]] = {}
        for key, mine_tables in self.tables.items():
            tables[key] = {}
            for name, a in mine_tables.items():
                b = other.tables[key].get(name)
                if name in ADDITIVE:
                    assert b is not None
                    merged = put(a, b, 0, add=True)
                    if keep_control:
                        merged[at[self.control]] = a[self.labels.index(self.control)]
                    tables[key][name] = merged
                elif b is not None and (same_control or (name == "jackknife" and not shared)):
                    tables[key][name] = put(a, b, -1, add=False)
        n = put(self.n, other.n, 0, add=True)
        totals = put(self.totals, other.totals, 0, add=True)
        if keep_control:
            row = self.labels.index(self.control)
            n[at[self.control]], totals[at[self.control]] = self.n[row], self.totals[row]
        control, print_of = self.control_side, self.control_digest
        if not same_control:
            control = _both(self.control_side, other.control_side)
            known = self.control_digest and other.control_digest
            print_of = digest(self.control_digest, other.control_digest) if known else ""
        return replace(
            self,
            name=f"{self.name}+{other.name}",
            labels=labels,
            n=n,
            totals=totals,
            tables=tables,
            control_side=control,
            control_digest=print_of,
            fingerprint=digest(self.fingerprint, other.fingerprint),
            facts=self._facts_of_both(other),
        )

    def _check_alike(self, other: GroupSummary) -> None:
        """Refuse to merge what was not gathered alike."""
        pair = f"{self.name} and {other.name} cannot be merged"
        if not np.array_equal(self.genes, other.genes):
            from vcmetrics.sources.genes import align_genes

            try:
                align_genes(other.genes, self.genes, pred_name=other.name, real_name=self.name)
                what = "they are the same in another order"
            except DataError as error:
                what = str(error)
            msg = f"{pair}: their genes differ ({what}); summarise them over the same genes"
            raise DataError(msg)
        if self.control != other.control:
            msg = f"{pair}: their controls are {self.control!r} and {other.control!r}; summarise them with one control="
            raise DataError(msg)
        mine, theirs = (
            {f"{k}/{f}" for k, t in s.tables.items() for f in t if f in ADDITIVE} | set(s.tables) for s in (self, other)
        )
        if mine != theirs:
            only = ", ".join(sorted(mine ^ theirs))
            msg = f"{pair}: only one of them has {only}; summarise them with the same fields= and target_sum="
            raise DataError(msg)
        for fact in ("kind", "gate", "jackknife_target"):
            a, b = self.facts.get(fact), other.facts.get(fact)
            if fact in self.facts and fact in other.facts and a != b:
                msg = f"{pair}: {fact} is {a!r} in one and {b!r} in the other; summarise them alike"
                raise DataError(msg)

    def _facts_of_both(self, other: GroupSummary) -> dict[str, Any]:
        """Facts that hold of both; values are of single precision where all are."""
        facts = {key: value for key, value in self.facts.items() if key in other.facts and other.facts[key] == value}
        if "single" in self.facts and "single" in other.facts:
            facts["single"] = bool(self.facts["single"] and other.facts["single"])
        return facts

    def finish(self, side: Side, recipe: Recipe, control: Side | None = None, **how: Any) -> GroupSummary:
        """Compute the derived fields (rank sums, jackknife) of ``recipe`` from the cells of all labels.

        ``side`` holds the cells that this summary was made of; ``control`` other data's control cells, else its own.
        """
        derived = replace(recipe, fields=recipe.fields & {"rank", "jackknife"} | {"linear"})
        (fresh,) = gather([(side, control)], derived, **how)
        found = {k: v for k, v in fresh.items() if k in DERIVED}
        tables = {k: dict(t) for k, t in self.tables.items()}
        tables.setdefault(recipe.name, {}).update(found)
        return replace(self, tables=tables)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to ``path`` (``.npz``); the file appears whole or not at all."""
        arrays: dict[str, Array] = {"genes": self.genes, "n": self.n, "totals": self.totals}
        for key, tables in self.tables.items():
            for name, table in tables.items():
                arrays[f"table/{key}/{name}"] = table
        if self.control_side is not None:
            rows = self.control_side.rows
            arrays |= {
                "control/indptr": rows.indptr,
                "control/indices": rows.indices.read(0, rows.nnz),
                "control/data": rows.data.read(0, rows.nnz),
                "control/totals": self.control_side.totals,
            }
        head: dict[str, Any] = {
            "format": FORMAT,
            "name": self.name,
            "labels": self.labels,
            "control": self.control,
            "control_digest": self.control_digest,
            "fingerprint": self.fingerprint,
            "facts": dict(self.facts),
        }
        path = Path(path)
        partial = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with open(partial, "wb") as file:
                write_archive(file, arrays, head)
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> GroupSummary:
        """Open what :meth:`save` wrote; the tables stay in the mapped file and are read-only.

        Raises
        ------
        DataError
            If the file is not such a summary, damaged, or of another format.
        """
        try:
            arrays, head = map_archive(path)
        except FileNotFoundError:
            msg = f"{path}: no such file"
            raise DataError(msg) from None
        except Exception as e:
            msg = f"{path}: not a readable summary ({type(e).__name__}); make it again with vcmetrics.summarize"
            raise DataError(msg) from e
        if head.get("format") != FORMAT:
            msg = f"{path}: summary of format {head.get('format')}, this version reads {FORMAT}; make it again"
            raise DataError(msg)
        tables: dict[str, dict[str, Array]] = {}
        for key, value in arrays.items():
            if key.startswith("table/"):
                _, recipe, name = key.split("/")
                tables.setdefault(recipe, {})[name] = value
        control_side = None
        if "control/indptr" in arrays:
            indptr = arrays["control/indptr"]
            rows = Rows(
                indptr.size - 1,
                arrays["genes"].size,
                indptr,
                ChunkedArray.of(arrays["control/indices"]),
                ChunkedArray.of(arrays["control/data"]),
            )
            groups = Groups((head["control"],), np.zeros(rows.n_rows, np.int32), head["control"])
            control_side = Side(rows, arrays["control/totals"], groups)
        return cls(
            name=head["name"],
            genes=arrays["genes"],
            labels=tuple(head["labels"]),
            control=head["control"],
            n=arrays["n"],
            totals=arrays["totals"],
            tables=tables,
            control_side=control_side,
            control_digest=head["control_digest"],
            fingerprint=head["fingerprint"],
            facts=head["facts"],
        )


def _both(a: Side | None, b: Side | None) -> Side | None:
    """Control cells of two data sets together; None where those of one are not kept."""
    if a is None or b is None:
        return None
    groups = Groups(a.groups.labels, np.concatenate([a.groups.codes, b.groups.codes]), a.groups.control)
    return Side(Rows.joined([a.rows, b.rows]), np.concatenate([a.totals, b.totals]), groups)


def digest(*parts: object) -> str:
    """Short digest of the parts' texts."""
    h = hashlib.sha256()
    for part in parts:
        h.update(repr(part).encode() + b"\0")
    return h.hexdigest()[:32]


def gather_together(
    pairs: Sequence[tuple[Side, Side | None]],
    recipes: Sequence[Recipe],
    *,
    n_threads: int | None = None,
    progress: Progress | None = None,
) -> list[dict[str, dict[str, Array]]]:
    """Run several recipes, in as few passes as they allow: for each side, tables by the recipe's name.

    Counts whose logs are wanted at several depths are read once for all of them, and ranked once: the ratio of a count
    and its cell's total ranks alike at every depth.
    """
    wanted = recipes
    recipes = ranked_once(recipes)
    counts = [r for r in recipes if r.key == "ratio"]
    carrier = next((r for r in counts if not r.fields <= LOGS), counts[0] if counts else None)
    deeper = [r for r in counts if r is not carrier and r.fields <= LOGS]
    out: list[dict[str, dict[str, Array]]] = [{} for _ in pairs]
    for recipe in recipes:
        if recipe in deeper:
            continue
        also = deeper if recipe is carrier else []
        found = gather(pairs, recipe, deeper=also, n_threads=n_threads, progress=progress)
        for side, tables in zip(out, found, strict=True):
            for other, logs in zip(also, tables.pop("depths", []), strict=True):
                side[other.name] = {**logs, "n": tables["n"]}
            side[recipe.name] = tables
    ranks = [r.name for r in recipes if r.key == "ratio" and "rank" in r.fields]
    for recipe in wanted:
        if recipe.key == "ratio" and "rank" in recipe.fields and recipe.name not in ranks:
            for side in out:
                side[recipe.name] |= {name: side[ranks[0]][name] for name in ("u2", "tie")}
    return out


def ranked_once(recipes: Sequence[Recipe]) -> list[Recipe]:
    """The recipes with the ranks of counts in one of them; ungated where not all have its gate."""
    ranked = [r for r in recipes if r.key == "ratio" and "rank" in r.fields]
    if len(ranked) < 2:
        return list(recipes)
    chosen = next((r for r in ranked if not r.fields - {"rank"} <= LOGS), ranked[0])
    same = all((r.gate, r.scale) == (chosen.gate, chosen.scale) or r.gate is chosen.gate is None for r in ranked)
    return [
        r
        if r not in ranked
        else replace(r, gate=r.gate if same else None)
        if r is chosen
        else replace(r, fields=r.fields - {"rank"}, gate=None)
        for r in recipes
    ]


def gather(
    pairs: Sequence[tuple[Side, Side | None]],
    recipe: Recipe,
    *,
    deeper: Sequence[Recipe] = (),
    n_threads: int | None = None,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> list[dict[str, Any]]:
    """Run the pass: one dict of tables a side.

    Each element of ``pairs`` is a side and the side whose control it is ranked against (None: its own, if any). The
    pass keeps within the memory budget in force; ``checkpoint`` (of one pair) holds what an earlier run has done.
    ``deeper`` are recipes of counts that want logs only, at other depths: their tables come under ``depths``.
    """
    from vcmetrics.summary import cell_pass

    how: dict[str, Any] = {"n_threads": n_threads, "progress": progress}
    elsewhere = [s.rows for pair in pairs for s in pair if s is not None and isinstance(s.rows, RowsElsewhere)]
    if deeper:
        if not elsewhere and recipe.key == "ratio" and cell_pass.plan_cut(pairs, recipe).kind == "whole":
            return run_pass(pairs, recipe, deeper, **how)
        found: list[dict[str, Any]] = [dict(tables) for tables in gather(pairs, recipe, **how)]
        for other in deeper:
            for tables, logs in zip(found, gather(pairs, other, **how), strict=True):
                tables.setdefault("depths", []).append(logs)
        return found
    if elsewhere:
        return list(elsewhere[0].gather(pairs, recipe, progress))
    kernel = SINGLE_PRECISION.get(recipe.key)
    if "expm1_32" in recipe.fields:
        out = gather(pairs, replace(recipe, fields=recipe.fields - {"expm1_32"}), **how)
        plain = Recipe("raw", 1.0, frozenset({"sum"}))
        for (side, _), tables in zip(pairs, out, strict=True):
            sums = cell_pass.summed(side, plain, n_threads=n_threads, value_of=lambda rows, _: exponentiated(rows))
            tables["expm1_32"] = sums["sum"]
        return out
    if recipe.fields <= set(cell_pass.SUMS):
        value_of = None if kernel is None else lambda rows, totals: kernel(rows, totals, recipe.scale)
        whole = sum(side.rows.nnz for side, _ in pairs)
        done, out = 0, []
        for side, _ in pairs:
            out.append(
                cell_pass.summed(
                    side,
                    recipe,
                    n_threads=n_threads,
                    progress=_behind(progress, done, whole),
                    value_of=value_of,
                    checkpoint=checkpoint,
                )
            )
            done += side.rows.nnz
        return out
    begun = None if checkpoint is None else checkpoint.head.get("kind")
    cut = cell_pass.plan_cut(pairs, recipe, kind=begun, kept=checkpoint is not None)
    if cut.kind == "whole":
        return run_pass(pairs, recipe, **how)
    current_budget().note(f"rank sums by {cut.words}")
    make = cell_pass.by_groups if cut.kind == "groups" else cell_pass.by_genes
    return list(make(pairs, recipe, cut, run_pass, **how, checkpoint=checkpoint))


def _behind(progress: Progress | None, before: int, whole: int) -> Progress | None:
    """Progress of work of which ``before`` of ``whole`` was done when this part began."""
    return None if progress is None else lambda done, _: progress(before + done, whole)


def run_pass(
    pairs: Sequence[tuple[Side, Side | None]],
    recipe: Recipe,
    deeper: Sequence[Recipe] = (),
    *,
    n_threads: int | None,
    progress: Progress | None,
) -> list[dict[str, Any]]:
    """One call of the compiled pass, on values that NumPy makes first where the recipe wants them."""
    from vcmetrics import _core

    if "log1p_square" in recipe.fields and "log1p" not in recipe.fields:
        # the compiled pass makes both or none
        both = replace(recipe, fields=recipe.fields | {"log1p"})
        found = run_pass(pairs, both, deeper, n_threads=n_threads, progress=progress)
        return [{name: table for name, table in tables.items() if name != "log1p"} for tables in found]

    kernel = SINGLE_PRECISION.get(recipe.key)
    if kernel is not None:
        made: dict[int, Side] = {}
        for s in (s for pair in pairs for s in pair if s is not None and id(s) not in made):
            used = s.used()
            made[id(s)] = replace(used, rows=kernel(used.rows, used.totals, recipe.scale))
        pairs = [(made[id(s)], None if c is None else made[id(c)]) for s, c in pairs]
        recipe = replace(recipe, key="raw")

    sides: list[Side] = []
    for s in [side for side, _ in pairs] + [control for _, control in pairs if control is not None]:
        if not any(s is known for known in sides):
            sides.append(s)
    at = {id(s): k for k, s in enumerate(sides)}
    against = {at[id(s)]: (s if c is None else c) for s, c in pairs}
    calls = []
    for k, side in enumerate(sides):
        control = against.get(k)
        code = -1 if control is None else control.groups.control_code
        ranked_at = -1 if control is None or code < 0 else at[id(control)]
        groups = side.groups
        calls.append((side.rows.args(), side.totals, groups.codes, len(groups.labels), ranked_at, code))
    out = _core.gather(
        calls,
        sides[0].rows.n_cols,
        recipe.key,
        recipe.scale,
        recipe.gate,
        set(recipe.fields).union(*(r.fields & {"log1p_square"} for r in deeper)),
        recipe.jackknife_target,
        resolve_threads(n_threads),
        progress,
        len(pairs),
        [r.scale for r in deeper],
    )
    return list(out[: len(pairs)])


def group_totals(side: Side) -> NDArray[np.float64]:
    """Sum of the cells' totals per group; exact for counts."""
    return totals_of_groups(side.totals, side.groups)


def totals_of_groups(totals: NDArray[np.float64], groups: Groups) -> NDArray[np.float64]:
    """The same of totals and groups."""
    used = groups.codes >= 0
    return np.bincount(groups.codes[used], weights=totals[used], minlength=len(groups.labels)).astype(np.float64)
