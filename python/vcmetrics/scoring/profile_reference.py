"""Scores of predicted profiles in milliseconds, for training loops: the observed side is prepared once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.backend.device import resolve_device
from vcmetrics.backend.host import host_array, host_table
from vcmetrics.metrics import registry
from vcmetrics.metrics.aggregate import aggregate
from vcmetrics.presets.preset import Member, Preset
from vcmetrics.scoring.evaluate import own_genes
from vcmetrics.scoring.observed import Observed, of_cells, of_summary
from vcmetrics.scoring.profile_panel import ERRORS, RANKS, Panel, Table
from vcmetrics.scoring.settings import Settings, resolve_settings
from vcmetrics.scoring.spaces import PairSpace
from vcmetrics.sources.genes import some
from vcmetrics.summary.group_summary import GroupSummary


class Reference:
    """The observed side of a score, prepared for many predictions of profiles.

    Parameters
    ----------
    real
        AnnData, or the path of an ``.h5ad`` or ``.zarr``: the observed cells × genes, control cells among them. Or a
        :class:`GroupSummary` of them with the sums that the preset's profiles are made of (``fields=["sum"]`` for
        counts under ``vcc2026``).
    preset
        Rule set, which decides the space of the profiles: logs of sums scaled to 50,000 counts under ``vcc2026``, means
        of log-normalised values under ``vcc2025``.
    metrics
        Names; None takes all of the preset's profile metrics: errors, correlation and match ranks. Metrics that need
        single cells, differential expression or sampling variances are computed by :func:`vcmetrics.score` only.
    pert_col, control, layer, target_map, overrides
        As in :func:`vcmetrics.score`.
    context_col, context
        The column of contexts: each is a panel of its own, and values are means over contexts. With ``context`` this
        one alone.
    device
        ``"auto"`` or ``"cpu"``.
    n_threads
        Threads; None for all that this process may use. The values do not depend on it.

    Attributes
    ----------
    perturbations
        Labels in the order of their codes: 0 … n - 1; of several contexts one behind the other.
    contexts, context_of
        Names of the contexts, ``(None,)`` without; and the context of each code.
    control_codes, n_codes
        Codes of the contexts' control rows: n, n + 1, …; and the number of all codes.
    genes
        Names of the genes, in the order of the columns of predictions.

    Notes
    -----
    Construction reads ``real`` once. Memory: the observed profiles and, where match ranks are asked for, observed and
    predicted effects, 8 bytes a number each. Calls from several threads do not disturb each other. A reference can be
    pickled, so workers of a ``DataLoader`` and processes of a trainer may hold it.

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
        if context is not None and context_col is None:
            msg = "context is one of the names in a column; pass context_col= as well"
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
        if isinstance(real, GroupSummary):
            if not (pert_col is context_col is layer is None) or control not in (None, real.control):
                msg = (
                    "a summary has its labels and its control already; leave pert_col, control, context_col, layer out"
                )
                raise ValueError(msg)
            found: Iterator[Observed] = of_summary(real, settings)
        else:
            label = self.preset.control if control is None else control
            found = of_cells(real, settings, label, pert_col, context_col, context, layer)
        self._panels: dict[str | None, Panel] = {}
        for one in found:
            self._panels[one.context] = self._panel(one, settings)
        first, *others = self._panels.values()
        self.contexts: tuple[str | None, ...] = tuple(self._panels)
        self.genes = first.genes
        self.perturbations: tuple[str, ...] = sum((p.perturbations for p in others), first.perturbations)
        sizes = [p.control_code for p in self._panels.values()]
        self.context_of: tuple[str | None, ...] = tuple(np.repeat(np.array(self.contexts, object), sizes).tolist())
        self._starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        named = zip(self.context_of, self.perturbations, strict=True)
        self._code = {(name, label): k for k, (name, label) in enumerate(named)}
        self._code |= {(name, one.control): code for name, code in zip(self.contexts, self.control_codes, strict=True)}

    def _panel(self, one: Observed, settings: Settings) -> Panel:
        summary, preset = one.summary, self.preset
        space = PairSpace(preset, one.bulk, (one.single, one.single), "f64")
        table = space.table(summary, one.recipe, single=one.single)
        labels = tuple(label for label in summary.labels if label != summary.control)
        targets = own_genes(labels, summary.genes, preset, settings.target_map, read=True)
        at = {str(gene): k for k, gene in enumerate(summary.genes)}
        return Panel(
            labels,
            summary.genes,
            np.ascontiguousarray(table[summary.rows_of(labels)]),
            np.ascontiguousarray(table[summary.control_code]),
            np.array([-1 if t is None else at[t] for t in targets], np.int64),
            preset,
            bulk=one.bulk,
            single=one.single and preset.round_profiles,
            ranked=any(m.metric in RANKS for m in self._members),
            n_threads=self.n_threads,
        )

    @property
    def n_codes(self) -> int:
        """Number of codes, those of control rows among them."""
        return len(self.perturbations) + len(self.contexts)

    @property
    def control_codes(self) -> tuple[int, ...]:
        """Code of the control rows of each context."""
        return tuple(range(len(self.perturbations), self.n_codes))

    @property
    def control_code(self) -> int:
        """Code of control rows, where there is one context."""
        if len(self.contexts) > 1:
            msg = "each context has a control of its own; use control_codes"
            raise ValueError(msg)
        return len(self.perturbations)

    @property
    def profiles(self) -> Table:
        """The observed profiles by code, (n, n_genes); a copy where there are several contexts."""
        parts = [panel.profiles for panel in self._panels.values()]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    @property
    def control_profile(self) -> Table:
        """The observed control, (n_genes,); of several contexts (n_contexts, n_genes)."""
        parts = [panel.control_profile for panel in self._panels.values()]
        return parts[0] if len(parts) == 1 else np.stack(parts)

    def codes(self, labels: Iterable[Any], contexts: Iterable[Any] | None = None) -> NDArray[np.int64]:
        """Codes of labels, of several contexts with the context of each; the control's label is one of them.

        Raises
        ------
        DataError
            If a label is not among the perturbations.
        """
        given = [str(label) for label in labels]
        if len(self.contexts) == 1:
            where: list[str | None] = [self.contexts[0]] * len(given)
        elif contexts is None:
            msg = "the reference has several contexts; pass contexts=, one a label"
            raise ValueError(msg)
        else:
            where = [str(name) for name in contexts]
        pairs = list(zip(where, given, strict=True))
        unknown = sorted(
            {
                label if name is None else f"{label} in {name}"
                for name, label in pairs
                if (name, label) not in self._code
            }
        )
        if unknown:
            msg = f"labels that the reference does not have: {some(unknown)}; leave their rows out"
            raise DataError(msg)
        return np.array([self._code[pair] for pair in pairs], np.int64)

    def score_arrays(
        self,
        x: Any,
        codes: Any,
        *,
        contexts: Any = None,
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
        contexts
            (n_rows,): the context of each row, where ``codes`` are labels and the reference has several.
        metrics
            Some of those that the reference was made for; None for all.
        per_perturbation
            Return a value a perturbation in place of their mean.
        n_threads
            None: as the reference.

        Returns
        -------
        Metric → float under the preset's names, of several contexts the mean over those that were predicted; or
        metric → (n_perturbations,) with NaN where nothing was predicted.

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
        given = host_table(detached(x), "x", what="score_arrays")
        if given.shape[1] != len(self.genes):
            msg = f"x has {given.shape[1]} genes, the reference has {len(self.genes)}; give its columns in ref.genes"
            raise ValueError(msg)
        whole = {m.output: np.full(len(self.perturbations), np.nan) for m in members}
        means: dict[str, list[float]] = {m.output: [] for m in members}
        for start, panel, rows, local in self._split(given, self.as_codes(codes, len(given), contexts)):
            values, covered = panel.values(members, rows, local, counts=counts, n_threads=threads)
            for member in members:
                found = values[member.metric]
                if per_perturbation:
                    whole[member.output][start + covered] = np.ma.filled(found, np.nan)
                else:
                    mean = aggregate({member.metric: found}, member.metric, nan=self.preset.nan_rule)[0]
                    means[member.output].append(mean)
        return dict(whole) if per_perturbation else {name: float(np.mean(found)) for name, found in means.items()}

    def _split(
        self, x: NDArray[Any], codes: NDArray[np.int64]
    ) -> Iterator[tuple[int, Panel, NDArray[Any], NDArray[np.int64]]]:
        """First code, panel, rows and their codes in the panel, of every context that is predicted."""
        n = len(self.perturbations)
        if len(self.contexts) == 1:
            yield 0, self._panels[self.contexts[0]], x, codes
            return
        of_row = np.where(codes < n, np.searchsorted(self._starts, codes, "right") - 1, codes - n)
        if not (codes < n).any():
            msg = "no row of x predicts a perturbation; codes are numbers of ref.perturbations"
            raise DataError(msg)
        for k, panel in enumerate(self._panels.values()):
            rows = np.flatnonzero(of_row == k)
            mine = codes[rows]
            if not (mine < n).any():
                continue
            lies_together = rows[-1] - rows[0] == rows.size - 1
            part = x[rows[0] : rows[-1] + 1] if lies_together else x[rows]
            start = int(self._starts[k])
            yield start, panel, part, np.where(mine < n, mine - start, panel.control_code)

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

    def as_codes(self, codes: Any, n: int, contexts: Any = None) -> NDArray[np.int64]:
        """``codes`` as :meth:`score_arrays` takes them (numbers or labels, a tensor or a list), checked: (n,)."""
        given = list(codes) if isinstance(codes, range) else codes
        found = host_array(detached(given), "codes", what="score_arrays")
        if found.dtype.kind in "OUST":
            found = self.codes(found.tolist(), None if contexts is None else list(contexts))
        if found.shape != (n,) or found.dtype.kind not in "iu":
            msg = f"codes must be {n} numbers or labels, one a row of x; got {found.dtype} of shape {found.shape}"
            raise ValueError(msg)
        if n and (found.min() < 0 or found.max() >= self.n_codes):
            controls = "the control" if len(self.contexts) == 1 else "the last are controls"
            msg = f"codes run from {found.min()} to {found.max()}; expected 0 … {self.n_codes - 1} ({controls})"
            raise ValueError(msg)
        return found.astype(np.int64)


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


def detached(data: Any) -> Any:
    """A tensor without its gradient; anything else as it is."""
    return data.detach() if getattr(data, "requires_grad", False) and hasattr(data, "detach") else data
