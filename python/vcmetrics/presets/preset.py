"""What a rule set is made of, and how one is found by its name."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from importlib import import_module
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

from vcmetrics._errors import DataError
from vcmetrics.presets.names import ALIASES, MODULES
from vcmetrics.presets.page import Page
from vcmetrics.presets.policy import ScalePolicy

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Member(NamedTuple):
    """One metric of a profile: its registry name, the name it is reported under, its own parameters."""

    metric: str
    output: str
    params: Mapping[str, Any] = _NOTHING

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled with its parameters as a plain dictionary."""
        return Member, (self.metric, self.output, dict(self.params))


@dataclass(frozen=True)
class DERules:
    """How the differential expression tables are made and read.

    Attributes
    ----------
    mean
        ``arithmetic``: mean of the linear values x; ``geometric``: expm1(mean(log1p x)).
    epsilon, clip
        log2 fold change is log2((m + epsilon) / (m_control + epsilon)). With ``clip`` = c epsilon is not used: both
        means 0 give 0, only the control's 0 gives log2 c, only the target's 0 gives -log2 c.
    fdr_scope
        Benjamini-Hochberg per target (``per_pert``) or once over all rows (``global``), after the gate.
    cpm_gate, gate_on
        Keep a gene where the CPM is strictly above ``cpm_gate`` (None: no gate). ``control``: the control's mean of
        per-cell CPM alone decides, for all targets alike; ``either``: pdex's rule, group mean over the sum of group
        means, target or control; ``none``: the gate is off.
    continuity
        Subtract ½ from |U - mn/2| (pdex, gpudge); scanpy does not.
    alpha, min_abs_log2fc
        Significant: p_adj < alpha strictly; rows with abs(lfc) < min_abs_log2fc count as p_adj = 1.
    nan_lfc
        A fold change 0/0: ``mask`` p_adj = 1, ``keep`` as NaN, ``zero`` set to 0.
    sort_by
        Order of the ranked lists of significant genes.
    auc_floor
        What a predicted p_adj of 0 counts as in pr_auc and roc_auc.
    single_precision
        Compare and rank the columns after rounding them to float32.
    key
        What is ranked when the data are counts: ``ratio`` y/ℓ, ``raw`` the counts, ``lognorm32`` scanpy's float32
        log1p(y / (ℓ / target_sum)). Data that are logs are ranked as stored.
    """

    mean: Literal["arithmetic", "geometric"] = "arithmetic"
    epsilon: float = 1e-9
    clip: float | None = None
    fdr_scope: Literal["per_pert", "global"] = "per_pert"
    cpm_gate: float | None = 5.0
    gate_on: Literal["control", "either", "none"] = "control"
    continuity: bool = True
    alpha: float = 0.05
    min_abs_log2fc: float = 0.0
    nan_lfc: Literal["mask", "keep", "zero"] = "mask"
    sort_by: Literal["abs_log2_fold_change", "log2_fold_change", "p_value", "p_adj"] = "abs_log2_fold_change"
    auc_floor: Literal["min_nonzero", "clip", "replace_zero", "preserve"] = "min_nonzero"
    single_precision: bool = False
    key: Literal["ratio", "raw", "lognorm32"] = "ratio"

    def __post_init__(self) -> None:
        _check_types(self, "de.")
        _check(0.0 < self.alpha <= 1.0, "de.alpha", self.alpha, "a level above 0 and at most 1")
        _check(self.epsilon >= 0.0, "de.epsilon", self.epsilon, "0 or more")
        _check(self.clip is None or self.clip > 0.0, "de.clip", self.clip, "a positive fold change or null")
        _check(self.min_abs_log2fc >= 0.0, "de.min_abs_log2fc", self.min_abs_log2fc, "0 or more")


@dataclass(frozen=True)
class Preset:
    """One scorer's rules, complete: everything that decides a number, and nothing that computes one.

    Attributes
    ----------
    name, title, source, version
        What it is called here, in words, where the rules come from and which release is reproduced.
    profiles, default_profile
        Lists of metrics by name.
    naming
        ``v2``: the names of cell-eval2; ``v1``: those of cell-eval.
    pert_cols, control
        Columns that are tried, in this order, when none is given; the control's label.
    control_source
        ``real``: predicted effects and tests are taken against the observed control cells; ``pred``: against the
        prediction's own.
    prediction_needs_control
        The prediction must hold control cells.
    needs_control
        The observed side must hold control cells; else one without them is scored, effects being the values themselves.
    inputs
        What the rules cannot do without beside the two sides: names of arguments of :func:`vcmetrics.score`.
    input_type
        ``counts`` and ``lognorm`` are demanded. ``autodetect``: each side alone, logs where one of up to 500 row
        sums is more than 1e-6 from an integer. ``guess``: each side alone, logs where a value has a fraction
        above 1e-3. ``values``: scored as they are, of either sign (principal components, z-scores, signed
        -log10 p).
    check_values
        Refuse values that do not fit the input type.
    allow_fractional
        Predicted counts may have fractions.
    max_counts_per_cell
        Largest row total allowed; None: any.
    discrete
        Counts are scored as they are, without normalisation.
    target_sum
        Depth that cells are scaled to: a number, ``median_real_control`` (median of the positive totals of the
        observed control cells, for both sides) or ``median_own`` (median of all totals, each side its own).
    bulk_target_sum
        Depth of the log of sums.
    comparator
        Space of the profiles. ``bulk_lognorm``: logs of sums where both sides are counts, else as ``lognorm``;
        ``lognorm``: means of logs, which are taken in single precision where the counts are stored so;
        ``mean_of_logs``: the same in double precision always.
    log_base
        Of the logs that are taken of counts; values that are no counts are in their own unit already.
    round_profiles
        Group means are rounded to the data's own precision before anything is derived from them.
    same_gene_order
        Both sides must list the same genes in the same order; else they are aligned by name.
    exclude, ties, denominator
        Match ranks: which target genes are left out, what equal distances mean, what the rank is divided by.
    needs_targets
        Refuse data in which no label resolves to a gene.
    gated
        Judge only where the reference can be judged and charge undefined predictions the worst value.
    nan_rule
        Means of a metric: ``skip`` undefined values or ``propagate`` them; omitted rows are skipped always.
    layout
        Of ``results.csv``: ``long`` (perturbation, metric, value) or ``wide`` (one column a metric).
    policies
        How values become scores, by registry name; a metric without one is reported and not scored.
    de_variants
        Other sets of DE rules that ``replace(de="name")`` selects.
    quirks
        What a reader of the numbers should know, one sentence each.
    page
        The rules in words.
    spellings
        Other names of the settings that :meth:`replace` accepts.
    """

    name: str
    title: str
    source: str
    version: str
    profiles: Mapping[str, tuple[Member, ...]]
    default_profile: str
    quirks: tuple[str, ...]
    page: Page
    de: DERules = field(default_factory=DERules)
    naming: Literal["v1", "v2"] = "v2"
    pert_cols: tuple[str, ...] = ("target", "target_gene")
    control: str = "non-targeting"
    control_source: Literal["real", "pred"] = "real"
    prediction_needs_control: bool = False
    needs_control: bool = True
    inputs: tuple[str, ...] = ()
    input_type: Literal["counts", "lognorm", "autodetect", "guess", "values"] = "counts"
    check_values: bool = True
    allow_fractional: bool = False
    max_counts_per_cell: float | None = 1e6
    discrete: bool = False
    target_sum: float | Literal["median_real_control", "median_own"] = 1e6
    bulk_target_sum: float = 5e4
    comparator: Literal["bulk_lognorm", "lognorm", "mean_of_logs"] = "bulk_lognorm"
    log_base: Literal["e", "2"] = "e"
    round_profiles: bool = False
    same_gene_order: bool = True
    exclude: Literal["panel", "row", "none"] = "panel"
    ties: Literal["midrank", "position", "first", "last", "optimistic", "pessimistic"] = "midrank"
    denominator: Literal["n-1", "n"] = "n-1"
    needs_targets: bool = True
    gated: bool = True
    nan_rule: Literal["skip", "propagate"] = "skip"
    layout: Literal["long", "wide"] = "long"
    policies: Mapping[str, ScalePolicy] = field(default_factory=dict)
    de_variants: Mapping[str, DERules] = field(default_factory=dict)
    spellings: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_types(self, "")
        _check(self.default_profile in self.profiles, "default_profile", self.default_profile, "a profile's name")
        if not isinstance(self.target_sum, str):
            _check(self.target_sum > 0.0, "target_sum", self.target_sum, "a positive depth")
        _check(self.bulk_target_sum > 0.0, "bulk_target_sum", self.bulk_target_sum, "a positive depth")
        limit = self.max_counts_per_cell
        _check(limit is None or limit > 0.0, "max_counts_per_cell", limit, "a positive total or null")

    def __getstate__(self) -> dict[str, Any]:
        """Fields, read-only mappings as plain ones: those cannot be pickled."""
        return {
            name: dict(value) if isinstance(value, MappingProxyType) else value for name, value in vars(self).items()
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Fields, mappings read-only again."""
        for name, value in state.items():
            object.__setattr__(self, name, MappingProxyType(value) if isinstance(value, dict) else value)

    def members(self, profile: str | None = None) -> tuple[Member, ...]:
        """Metrics of a profile, in the order of its source.

        Parameters
        ----------
        profile
            Name of a profile; None takes the default one.

        Raises
        ------
        DataError
            If there is no such profile.
        """
        chosen = self.default_profile if profile is None else profile
        if chosen not in self.profiles:
            msg = f"preset {self.name!r} has no profile {chosen!r}; choose from {', '.join(self.profiles)}"
            raise DataError(msg)
        return self.profiles[chosen]

    def scored(self, profile: str | None = None) -> tuple[Member, ...]:
        """Those members of a profile that enter the overall score."""
        return tuple(m for m in self.members(profile) if m.metric in self.policies)

    def output_name(self, metric: str) -> str:
        """Name that a registry metric is reported under; its registry name where no profile lists it."""
        for members in self.profiles.values():
            for member in members:
                if member.metric == metric:
                    return member.output
        return metric

    def settings(self) -> dict[str, Any]:
        """Parameters for the registry's formulas."""
        return {
            "alpha": self.de.alpha,
            "sort_by": self.de.sort_by,
            "auc_floor": self.de.auc_floor,
            "single_precision": self.de.single_precision,
            "exclude": self.exclude,
            "ties": self.ties,
            "denominator": self.denominator,
            "gated": self.gated,
        }

    def as_dict(self) -> dict[str, Any]:
        """Every setting that decides a number, flat, under the names that :meth:`replace` takes."""
        flat = {f.name: getattr(self, f.name) for f in fields(self) if f.name in _CHANGEABLE}
        flat["pert_cols"] = list(self.pert_cols)
        flat.update({f"de.{f.name}": getattr(self.de, f.name) for f in fields(self.de)})
        return flat

    def replace(self, changes: Mapping[str, Any] | None = None, /, **more: Any) -> Preset:
        """Return a copy with some settings changed.

        Parameters
        ----------
        changes, more
            Settings by dotted name (``"de.alpha"``, ``"ties"``); ``"de"`` takes the name of a DE variant. The
            spellings of the reproduced scorer's own configuration are understood as well.

        Raises
        ------
        DataError
            For a name that does not exist or a value it cannot take.

        Examples
        --------
        >>> get_preset("vcc2026").replace({"de.alpha": 0.1}).de.alpha
        0.1
        """
        top: dict[str, Any] = {}
        inner: dict[str, Any] = {}
        de = self.de
        for key, value in {**(changes or {}), **more}.items():
            name = self.spellings.get(key, key)
            if name == "de":
                de = self._variant(value)
            elif name.startswith("de.") and name[3:] in _names(DERules):
                inner[name[3:]] = value
            elif name in _CHANGEABLE:
                top[name] = tuple(value) if isinstance(value, list) else value
            else:
                known = [*sorted(_CHANGEABLE), *(f"de.{n}" for n in sorted(_names(DERules))), *self.spellings]
                near = get_close_matches(key, known, 3)
                hint = (
                    f"did you mean {', '.join(near)}?" if near else f"`vcmetrics info --preset {self.name}` lists all"
                )
                msg = f"preset {self.name!r} has no setting {key!r}; {hint}"
                raise DataError(msg)
        return replace(self, de=replace(de, **inner), **top)

    def _variant(self, value: Any) -> DERules:
        if isinstance(value, DERules):
            return value
        if not isinstance(value, str) or value not in self.de_variants:
            names = ", ".join(self.de_variants) or "none"
            msg = f"de={value!r} is not a set of DE rules of preset {self.name!r} (there are: {names})"
            raise DataError(msg)
        return self.de_variants[value]


# what makes a rule set the one it is; everything else is a setting
_FIXED = frozenset({"name", "title", "source", "version", "profiles", "quirks", "page", "de", "naming"})
_CHANGEABLE = frozenset(f.name for f in fields(Preset)) - _FIXED - {"policies", "de_variants", "spellings"}


def list_presets() -> list[str]:
    """Names of all rule sets.

    Examples
    --------
    >>> "vcc2026" in list_presets()
    True
    """
    return list(MODULES)


def get_preset(name: str | Preset) -> Preset:
    """Rule set by its name or an alias; a :class:`Preset` is returned as it is.

    Raises
    ------
    DataError
        If there is no such rule set.

    Examples
    --------
    >>> get_preset("VCC_2026").name
    'vcc2026'
    """
    if isinstance(name, Preset):
        return name
    key = name.strip().lower().replace("_", "-")
    key = ALIASES.get(key, key)
    if key not in MODULES:
        msg = f"there is no preset {name!r}; choose from {', '.join(MODULES)}"
        raise DataError(msg)
    preset = import_module(f"vcmetrics.presets.{MODULES[key]}").PRESET
    assert isinstance(preset, Preset)
    return preset


def parse_override(text: str) -> tuple[str, Any]:
    """Read ``"de.alpha=0.1"`` as a name and a value (JSON where it is JSON, else the text itself).

    Examples
    --------
    >>> parse_override("de.cpm_gate=null")
    ('de.cpm_gate', None)
    >>> parse_override("ties=position")
    ('ties', 'position')
    """
    key, sep, value = text.partition("=")
    if not sep or not key.strip():
        msg = f"{text!r} is not of the form NAME=VALUE"
        raise DataError(msg)
    try:
        return key.strip(), json.loads(value)
    except json.JSONDecodeError:
        return key.strip(), value.strip()


def _names(cls: type) -> set[str]:
    return {f.name for f in fields(cls)}


def _check(good: bool, name: str, value: Any, wanted: str) -> None:
    if not good:
        msg = f"setting {name} must be {wanted}, not {value!r}"
        raise DataError(msg)


def _accepted(kind: Any) -> Iterator[Any]:
    """Flatten ``float | Literal["a"] | None`` to its alternatives; Literal gives its values."""
    if get_origin(kind) is Literal:
        yield from get_args(kind)
    elif isinstance(kind, type) or kind is type(None):
        yield kind
    else:
        for part in get_args(kind):
            yield from _accepted(part)


def _check_types(owner: Any, prefix: str) -> None:
    """Refuse a value that its annotation does not allow; only plain values and choices are judged."""
    for name, kind in get_type_hints(type(owner)).items():
        accepted = list(_accepted(kind))
        value = getattr(owner, name)
        choices = [a for a in accepted if isinstance(a, str)]
        numeric = float in accepted and isinstance(value, (int, float)) and not isinstance(value, bool)
        if numeric or (value is None and type(None) in accepted) or value in choices:
            continue
        if accepted == [bool]:
            _check(isinstance(value, bool), prefix + name, value, "true or false")
        elif choices or float in accepted:
            words = [repr(c) for c in choices] + ["a number"] * (float in accepted)
            words += ["null"] * (type(None) in accepted)
            _check(False, prefix + name, value, " or ".join(words))
