"""One panel of observed profiles, prepared for many predictions of it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics import _core
from vcmetrics._errors import DataError
from vcmetrics.metrics import registry
from vcmetrics.metrics.discrimination import match_distances, target_genes
from vcmetrics.metrics.pair import Pair, Profiles
from vcmetrics.presets.preset import Member, Preset
from vcmetrics.retrieval.pairs import angles
from vcmetrics.retrieval.ranks import ranks_of, tie_rule

Table = NDArray[np.float64]
ERRORS = {"expr_mae": 0, "expr_mse": 1, "delta_mae": 2, "delta_mse": 3, "delta_pearson": 4}  # columns of the kernel
RANKS = {"pds_l1": "cityblock", "pds_l2": "sqeuclidean", "pds_cosine": "product"}


class Panel:
    """The observed profiles of one context.

    Parameters
    ----------
    perturbations, genes
        Labels in the order of their codes; genes in the order of the columns.
    profiles, control_profile
        (n, n_genes) and (n_genes,).
    own
        (n,) column of each label's own gene, -1 where there is none.
    preset
        Rules.
    bulk, single
        Profiles are logs of sums; values are rounded to single precision where the preset's scorer does it.
    ranked
        Match ranks will be asked for.
    n_threads
        Threads of the preparation.
    """

    def __init__(
        self,
        perturbations: tuple[str, ...],
        genes: NDArray[Any],
        profiles: Table,
        control_profile: Table,
        own: NDArray[np.int64],
        preset: Preset,
        *,
        bulk: bool,
        single: bool,
        ranked: bool,
        n_threads: int,
    ) -> None:
        self.perturbations, self.genes, self.own, self.preset = perturbations, genes, own, preset
        self.profiles, self.control_profile = profiles, control_profile
        self.bulk, self.single = bulk, single
        self._workspace = _Workspace()
        self._ranked = _Ranked(self, n_threads) if ranked else None

    @property
    def control_code(self) -> int:
        """Code of control rows."""
        return len(self.perturbations)

    def values(
        self, members: Sequence[Member], x: NDArray[Any], codes: NDArray[np.int64], *, counts: bool, n_threads: int
    ) -> tuple[dict[str, Any], NDArray[np.int64]]:
        """Metric → value of every predicted perturbation, and their codes, for rows with ``codes`` 0 … n."""
        profiles, covered, control = self.grouped(x, codes, counts)
        if control is None:
            control = self.control_profile
        if self.single and profiles.dtype == np.float32:
            return self._rounded(members, profiles, covered, control), covered
        return self._direct(members, profiles, covered, control, n_threads), covered

    def grouped(
        self, x: NDArray[Any], codes: NDArray[np.int64], counts: bool
    ) -> tuple[NDArray[Any], NDArray[np.int64], Table | None]:
        """One profile a predicted perturbation, their codes, and the prediction's own control where it is wanted."""
        if counts and not self.bulk:
            msg = "this reference holds means of log-normalised values; pass such profiles (or cells) with counts=False"
            raise DataError(msg)
        wants_control = self.preset.control_source == "pred"
        there = np.bincount(codes, minlength=self.control_code + 1)
        covered = np.flatnonzero(there[:-1])
        if not covered.size:
            msg = "no row of x predicts a perturbation; codes are numbers of ref.perturbations"
            raise DataError(msg)
        if wants_control and not there[-1]:
            msg = (
                f"preset {self.preset.name!r} takes predicted effects against the prediction's own control; give "
                "control rows with the code ref.control_code, or pass overrides={'control_source': 'real'}"
            )
            raise DataError(msg)
        single_rows = not counts and int(there[:-1].max()) == 1 and not there[-1]
        if single_rows and np.array_equal(codes, covered):
            return x, covered, None
        order = np.argsort(codes, kind="stable")
        wanted = order if wants_control else order[codes[order] < self.control_code]
        if single_rows:
            return np.ascontiguousarray(x[wanted]), covered, None
        groups = np.append(covered, self.control_code) if wants_control else covered
        starts = np.concatenate([[0], np.cumsum(there[groups])]).astype(np.int64)
        table = np.empty((groups.size, x.shape[1]))
        for k in range(groups.size):  # group by group: no copy of all rows
            rows = x[wanted[starts[k] : starts[k + 1]]]
            table[k] = rows.sum(axis=0, dtype=np.float64)
            if not counts:
                table[k] /= len(rows)
        if counts:
            table = self._logged(table)
        elif x.dtype == np.float32 and self.single:
            table = table.astype(np.float32)
        own = np.asarray(table[-1], np.float64) if wants_control else None
        return np.ascontiguousarray(table[: covered.size]), covered, own

    def _logged(self, sums: Table) -> Table:
        if sums.size and not sums.min() >= 0:
            msg = "counts must not be negative or NaN; pass profiles with counts=False, or raw counts"
            raise DataError(msg)
        total = sums.sum(axis=1, keepdims=True)
        factor = np.divide(self.preset.bulk_target_sum, total, out=np.zeros_like(total), where=total > 0)
        return np.asarray(np.log1p(sums * factor))

    def _direct(
        self, members: Sequence[Member], x: NDArray[Any], covered: NDArray[np.int64], control: Table, n_threads: int
    ) -> dict[str, Any]:
        ranked = [m for m in members if m.metric in RANKS]
        effects = self._workspace.table(x.shape) if ranked else None
        left_out = self._ranked.left_out if self._ranked is not None else np.empty(0, np.int64)
        found = _core.profile_errors(
            x, self.profiles, covered, control, self.control_profile, effects, left_out, n_threads
        )
        values: dict[str, Any] = {name: found[:, column] for name, column in ERRORS.items()}
        if self.preset.gated:
            values["delta_pearson"] = _gated_pearson(found)
        for member in ranked:
            assert self._ranked is not None
            assert effects is not None
            values[member.metric] = self._ranked.score(member, effects, covered, n_threads)
        return values

    def _rounded(
        self, members: Sequence[Member], x: NDArray[Any], covered: NDArray[np.int64], control: Table
    ) -> dict[str, Any]:
        """By the formulas of the registry, which round to single precision where the preset's scorer does."""
        if covered.size != len(self.perturbations):
            msg = f"preset {self.preset.name!r} in single precision ranks whole panels only; predict all perturbations"
            raise DataError(msg)
        pair = Pair(
            perturbations=self.perturbations,
            genes=self.genes,
            own=self.own,
            real=Profiles(self.profiles, self.control_profile),
            pred=Profiles(x.astype(np.float64), control.astype(np.float32).astype(np.float64)),
            bulk=self.bulk,
        )
        common = {**self.preset.settings(), "single_precision": True}
        return {m.metric: registry.get(m.metric).evaluate(pair, {**common, **m.params}) for m in members}


def _gated_pearson(found: Table) -> Table:
    """Judged where the observed effect varies; a constant or undefined prediction there is worth -1."""
    gate = registry.get("delta_pearson").gate
    assert gate is not None
    low, high = found[:, 7], found[:, 8]
    with np.errstate(invalid="ignore"):
        inside = np.isfinite(low) & np.isfinite(high) & (high > low)
        flat = found[:, 5] == found[:, 6]
    out = np.where(inside, found[:, 4], np.nan)
    out[inside & (flat | ~np.isfinite(out))] = gate.worst
    return np.asarray(out)


@dataclass(frozen=True)
class _Observed:
    """Observed effects without target genes, and their squared lengths."""

    effects: Table
    squares: Table


class _Workspace(threading.local):
    """A table of each thread's own that outlives its calls: fresh memory costs as much as the work done in it."""

    def __init__(self) -> None:
        self._kept: Table = np.empty(0)

    def __reduce__(self) -> tuple[type[_Workspace], tuple[()]]:
        return _Workspace, ()

    def table(self, shape: tuple[int, ...]) -> Table:
        """A table of this shape, of any content."""
        size = int(np.prod(shape))
        if self._kept.size < size:
            self._kept = np.empty(size)
        return self._kept[:size].reshape(shape)


class _Ranked:
    """Match ranks against the observed effects."""

    def __init__(self, ref: Panel, n_threads: int) -> None:
        preset = ref.preset
        self.exclude = preset.exclude
        self._own = ref.own
        effects = ref.profiles - ref.control_profile
        self.left_out = target_genes(ref.own) if self.exclude == "panel" else np.empty(0, np.int64)
        if self.left_out.size == effects.shape[1]:
            msg = "every gene is a target of the panel, none is left to compare; pass overrides={'exclude': 'row'}"
            raise DataError(msg)
        effects[:, self.left_out] = 0.0
        self._observed = _Observed(effects, np.asarray(_core.row_squares(effects, n_threads)))
        self._settings = preset.settings()

    def score(self, member: Member, effects: Table, covered: NDArray[np.int64], n_threads: int) -> Table:
        """``1 - rank / denominator`` of every predicted effect."""
        spec = registry.get(member.metric)
        chosen = spec.parameters({**self._settings, **member.params})
        observed = self._observed
        if self.exclude == "row":
            left_out = self._own[covered]
            distance = match_distances(effects, observed.effects, chosen["metric"], left_out, n_threads=n_threads)
        else:
            distance = np.empty((effects.shape[0], observed.effects.shape[0]))
            _core.panel_sums(effects, observed.effects, RANKS[member.metric], distance, n_threads)
            if member.metric == "pds_cosine":
                angles(distance, np.asarray(_core.row_squares(effects, n_threads)), observed.squares)
        rank = ranks_of(distance, covered, tie_rule(chosen["ties"]))
        n = observed.effects.shape[0]
        return np.asarray(1.0 - rank / max(n - 1 if chosen["denominator"] == "n-1" else n, 1))
