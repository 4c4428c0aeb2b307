"""Scores of predicted profiles in milliseconds, for training loops: the observed side is prepared once."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics import _core
from vcmetrics._errors import DataError
from vcmetrics.backend.device import resolve_device
from vcmetrics.backend.host import host_array, host_table
from vcmetrics.metrics import registry
from vcmetrics.metrics.aggregate import aggregate
from vcmetrics.metrics.discrimination import match_distances, target_genes
from vcmetrics.metrics.pair import Pair, Profiles
from vcmetrics.presets.preset import Member, Preset
from vcmetrics.retrieval.pairs import angles
from vcmetrics.retrieval.ranks import ranks_of, tie_rule
from vcmetrics.scoring.evaluate import Needs, own_genes, recipes_of, summary_of
from vcmetrics.scoring.jobs import make_input
from vcmetrics.scoring.reading import default_column, read_groups
from vcmetrics.scoring.settings import resolve_settings
from vcmetrics.scoring.spaces import PairSpace
from vcmetrics.sources import open_cells
from vcmetrics.sources.genes import some
from vcmetrics.summary.group_summary import gather

Table = NDArray[np.float64]
ERRORS = {"expr_mae": 0, "expr_mse": 1, "delta_mae": 2, "delta_mse": 3, "delta_pearson": 4}  # columns of the kernel
RANKS = {"pds_l1": "cityblock", "pds_l2": "sqeuclidean", "pds_cosine": "product"}


class Reference:
    """The observed side of a score, prepared for many predictions of profiles.

    Parameters
    ----------
    real
        AnnData, or the path of an ``.h5ad`` or ``.zarr``: the observed cells × genes, control cells among them.
    preset
        Rule set, which decides the space of the profiles: logs of sums scaled to 50,000 counts under ``vcc2026``, means
        of log-normalised values under ``vcc2025``.
    metrics
        Names; None takes all of the preset's profile metrics: errors, correlation and match ranks. Metrics that need
        single cells, differential expression or sampling variances are computed by :func:`vcmetrics.score` only.
    pert_col, control, layer, target_map, overrides
        As in :func:`vcmetrics.score`.
    context_col, context
        Score this context of ``real`` alone.
    device
        ``"auto"`` or ``"cpu"``.
    n_threads
        Threads; None for all that this process may use. The values do not depend on it.

    Attributes
    ----------
    perturbations
        Labels in the order of their codes: 0 … n - 1.
    control_code
        Code of control rows: n.
    genes
        Names of the genes, in the order of the columns of predictions.
    profiles, control_profile
        The observed profiles, (n, n_genes) and (n_genes,).

    Notes
    -----
    Construction reads ``real`` once. Memory: the observed profiles and, where match ranks are asked for, observed and
    predicted effects, 8 bytes a number each. Calls from several threads do not disturb each other.

    Examples
    --------
    >>> from vcmetrics import datasets
    >>> demo = datasets.demo()
    >>> ref = Reference(demo.path, pert_col=demo.pert_col, control=demo.control, metrics=["expr_mae", "pds_cosine"])
    >>> ref.score_arrays(ref.profiles, range(len(ref.perturbations)))
    {'expr_mae': 0.0, 'pds_cosine': 1.0}
    """

    def __init__(
        self,
        real: Any,
        *,
        preset: str | Preset = "vcc2026",
        metrics: Iterable[str] | None = None,
        pert_col: str | None = None,
        control: str | None = None,
        context_col: str | None = None,
        context: str | None = None,
        layer: str | None = None,
        target_map: Mapping[str, str | None] | None = None,
        overrides: Mapping[str, Any] | None = None,
        device: str = "auto",
        n_threads: int | None = None,
    ) -> None:
        resolve_device(device, what="Reference")
        if (context is None) != (context_col is None):
            msg = "context and context_col go together: the column of contexts and the one to score"
            raise ValueError(msg)
        settings = resolve_settings(
            preset,
            None,
            None if metrics is None else list(metrics),
            overrides=overrides,
            target_map=target_map,
            embed_key=None,
            arithmetic="f64",
            n_threads=n_threads,
            progress=None,
        )
        self.preset = settings.preset
        self.n_threads = settings.n_threads
        self._members = settings.members if metrics is not None else _profile_members(self.preset)
        _check_members(self._members)
        control = self.preset.control if control is None else control
        with open_cells(real, layer=layer, name="real") as cells:
            by_context = read_groups(cells, pert_col, control, context_col, self.preset)
            if context not in by_context:
                there = some(sorted(map(str, by_context)))
                msg = f"{cells.name}: no cell has the context {context!r} (contexts: {there})"
                raise DataError(msg)
            groups = by_context[context]
            if groups.control_code < 0:
                column = default_column(cells, self.preset) if pert_col is None else pert_col
                msg = f"{cells.name}: no cell is labelled {control!r} in {column!r}; pass control="
                raise DataError(msg)
            one = make_input(cells, groups, settings, predicted=False, reference_median=None)
            bulk = self.preset.comparator == "bulk_lognorm" and one.kind == "counts"
            needs = Needs(profiles=True, correction=False, de=False)
            recipe = recipes_of(one, self.preset, needs, bulk=bulk, arithmetic="f64").profile
            assert recipe is not None
            tables = gather([(one.side, None)], recipe, n_threads=self.n_threads)[0]
            n = tables.pop("n")
            summary = summary_of(one, cells.genes, {recipe.name: tables}, n)
        space = PairSpace(self.preset, bulk, (one.single, one.single), "f64")
        table = space.table(summary, recipe, single=one.single)
        self.perturbations: tuple[str, ...] = tuple(label for label in summary.labels if label != control)
        self.genes = summary.genes
        self.profiles: Table = np.ascontiguousarray(table[summary.rows_of(self.perturbations)])
        self.control_profile: Table = np.ascontiguousarray(table[summary.control_code])
        self._bulk = bulk
        self._single = one.single and self.preset.round_profiles
        targets = own_genes(self.perturbations, self.genes, self.preset, target_map, read=True)
        at = {str(gene): k for k, gene in enumerate(self.genes)}
        self._own = np.array([-1 if t is None else at[t] for t in targets], np.int64)
        self._code = {label: k for k, label in enumerate(self.perturbations)}
        self._code[control] = self.control_code
        self._workspace = _Workspace()
        self._ranked = _Ranked(self) if any(m.metric in RANKS for m in self._members) else None

    @property
    def control_code(self) -> int:
        """Code of control rows."""
        return len(self.perturbations)

    def codes(self, labels: Iterable[Any]) -> NDArray[np.int64]:
        """Codes of labels; the control's is ``control_code``.

        Raises
        ------
        DataError
            If a label is not among the perturbations.
        """
        given = [str(label) for label in labels]
        unknown = sorted({label for label in given if label not in self._code})
        if unknown:
            msg = f"labels that the reference does not have: {some(unknown)}; leave their rows out"
            raise DataError(msg)
        return np.array([self._code[label] for label in given], np.int64)

    def score_arrays(
        self,
        x: Any,
        codes: Any,
        *,
        counts: bool = False,
        metrics: Iterable[str] | None = None,
        per_perturbation: bool = False,
        n_threads: int | None = None,
    ) -> dict[str, Any]:
        """Score predicted profiles.

        Parameters
        ----------
        x
            (n_rows, n_genes) in host memory: NumPy, or whatever has DLPack (PyTorch, JAX); float32 and float64 are read
            where they lie, and never written to. Profiles in the space of the preset; rows of one code are averaged.
        codes
            (n_rows,): which perturbation each row predicts, a number or a label. Control rows (``control_code``) are
            the prediction's own control where the preset wants it, else ignored. Not every perturbation need be there.
        counts
            Rows are cells of raw counts: those of one code are added up, scaled and logged as the preset does it.
        metrics
            Some of those that the reference was made for; None for all.
        per_perturbation
            Return a value a perturbation in place of their mean.
        n_threads
            None: as the reference.

        Returns
        -------
        Metric → float under the preset's names; or metric → (n_perturbations,) with NaN where nothing was predicted.

        Raises
        ------
        DeviceError
            If ``x`` lies on a GPU: there are no kernels for it yet.
        DataError, ValueError, TypeError
            If shapes, codes or values do not fit.

        Notes
        -----
        The values are those of :func:`vcmetrics.score` for the same profiles, up to rounding (1e-12). Cost: one visit
        of both tables for errors and correlations, O(n_rows · n_perturbations · n_genes) for a match rank.
        """
        members = self._chosen(metrics)
        threads = self.n_threads if n_threads is None else n_threads
        given = host_table(_detached(x), "x", what="score_arrays")
        if given.shape[1] != len(self.genes):
            msg = f"x has {given.shape[1]} genes, the reference has {len(self.genes)}; give its columns in ref.genes"
            raise ValueError(msg)
        profiles, covered, control = self._grouped(given, self.as_codes(codes, len(given)), counts)
        if control is None:
            control = self.control_profile
        values = (
            self._rounded(members, profiles, covered, control)
            if self._single and profiles.dtype == np.float32
            else self._direct(members, profiles, covered, control, threads)
        )
        out: dict[str, Any] = {}
        for member in members:
            found = values[member.metric]
            if per_perturbation:
                whole = np.full(len(self.perturbations), np.nan)
                whole[covered] = np.ma.filled(found, np.nan)
                out[member.output] = whole
            else:
                out[member.output] = aggregate({member.metric: found}, member.metric, nan=self.preset.nan_rule)[0]
        return out

    def _chosen(self, metrics: Iterable[str] | None) -> tuple[Member, ...]:
        if metrics is None:
            return self._members
        have = {m.metric: m for m in self._members}
        names = [registry.get(name).name for name in metrics]
        unknown = [name for name in names if name not in have]
        if unknown:
            msg = f"the reference was not made for {some(unknown)}; make it with metrics=[…]"
            raise ValueError(msg)
        return tuple(have[name] for name in names)

    def as_codes(self, codes: Any, n: int) -> NDArray[np.int64]:
        """``codes`` as :meth:`score_arrays` takes them (numbers or labels, a tensor or a list), checked: (n,)."""
        given = list(codes) if isinstance(codes, range) else codes
        found = host_array(_detached(given), "codes", what="score_arrays")
        if found.dtype.kind in "OUST":
            found = self.codes(found.tolist())
        if found.shape != (n,) or found.dtype.kind not in "iu":
            msg = f"codes must be {n} numbers or labels, one a row of x; got {found.dtype} of shape {found.shape}"
            raise ValueError(msg)
        if n and (found.min() < 0 or found.max() > self.control_code):
            msg = f"codes run from {found.min()} to {found.max()}; expected 0 … {self.control_code} (the control)"
            raise ValueError(msg)
        return found.astype(np.int64)

    def _grouped(
        self, x: NDArray[Any], codes: NDArray[np.int64], counts: bool
    ) -> tuple[NDArray[Any], NDArray[np.int64], Table | None]:
        """One profile a predicted perturbation, their codes, and the prediction's own control where it is wanted."""
        if counts and not self._bulk:
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
        elif x.dtype == np.float32 and self._single:
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
            own=self._own,
            real=Profiles(self.profiles, self.control_profile),
            pred=Profiles(x.astype(np.float64), control.astype(np.float32).astype(np.float64)),
            bulk=self._bulk,
        )
        common = {**self.preset.settings(), "single_precision": True}
        return {m.metric: registry.get(m.metric).evaluate(pair, {**common, **m.params}) for m in members}


def _profile_members(preset: Preset) -> tuple[Member, ...]:
    """The preset's metrics of profiles, those of all its lists, each once."""
    found: dict[str, Member] = {}
    for members in (preset.profiles.get("full", ()), *preset.profiles.values()):
        for member in members:
            if (member.metric in ERRORS or member.metric in RANKS) and not member.params.get("embedding"):
                found.setdefault(member.metric, member)
    return tuple(found.values())


def _check_members(members: Sequence[Member]) -> None:
    other = [m.metric for m in members if m.metric not in ERRORS and m.metric not in RANKS]
    if other:
        msg = (
            f"{some(other)} cannot be computed from profiles alone; use vcmetrics.score "
            f"(profiles give {', '.join([*ERRORS, *RANKS])})"
        )
        raise ValueError(msg)


def _detached(data: Any) -> Any:
    """A tensor without its gradient; anything else as it is."""
    return data.detach() if getattr(data, "requires_grad", False) and hasattr(data, "detach") else data


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

    def table(self, shape: tuple[int, ...]) -> Table:
        """A table of this shape, of any content."""
        size = int(np.prod(shape))
        if self._kept.size < size:
            self._kept = np.empty(size)
        return self._kept[:size].reshape(shape)


class _Ranked:
    """Match ranks against the observed effects."""

    def __init__(self, ref: Reference) -> None:
        preset = ref.preset
        self.exclude = preset.exclude
        self._own = ref._own
        effects = ref.profiles - ref.control_profile
        self.left_out = target_genes(ref._own) if self.exclude == "panel" else np.empty(0, np.int64)
        if self.left_out.size == effects.shape[1]:
            msg = "every gene is a target of the panel, none is left to compare; pass overrides={'exclude': 'row'}"
            raise DataError(msg)
        effects[:, self.left_out] = 0.0
        self._observed = _Observed(effects, np.asarray(_core.row_squares(effects, ref.n_threads)))
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
