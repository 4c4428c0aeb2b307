"""``EvalConfig``: cell-eval2's settings, checked when they are made."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from numbers import Real
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Self

from vcmetrics._errors import DataError
from vcmetrics.compat.cell_eval2.yaml_text import dump, load

_CHOICES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "version": ("v1", "v2"),
        "control_source": ("pred", "real"),
        "input_type": ("counts", "lognorm"),
        "device": ("auto", "cuda", "cpu"),
        "distance": ("l1", "l2", "cosine"),
        "rank_denominator": ("n", "n-1"),
        "tie_policy": ("midrank", "position"),
        "exclusion_scope": ("row", "panel"),
        "sort_by": ("abs_log2_fold_change", "log2_fold_change", "p_value", "p_adj"),
        "method": ("wilcoxon", "deseq2"),
        "backend": ("auto", "gpudge", "pdex", "scanpy", "deseq2"),
        "mean_calc": ("arithmetic", "geometric"),
        "nan_lfc_policy": ("keep", "mask"),
        "fdr_scope": ("global", "per_pert"),
        "auc_pval_floor": ("preserve", "clip", "replace_zero", "min_nonzero"),
    }
)


def _refuse(name: str, value: Any, wanted: str) -> None:
    msg = f"{name} must be {wanted}, not {value!r}"
    raise DataError(msg)


def _choices(owner: Any) -> None:
    for item in fields(owner):
        if item.name in _CHOICES and getattr(owner, item.name) not in _CHOICES[item.name]:
            _refuse(item.name, getattr(owner, item.name), f"one of {', '.join(_CHOICES[item.name])}")


def _number(
    owner: Any, name: str, *, low: float, strict: bool = False, high: float = math.inf, null: bool = False
) -> None:
    value = getattr(owner, name)
    if value is None and null:
        return
    good = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    if not good or value < low or (strict and value == low) or value > high:
        edge = (
            f"a finite number {'above' if strict else 'of at least'} {low:g}" if low > -math.inf else "a finite number"
        )
        _refuse(
            name, value, edge + (f" and at most {high:g}" if high < math.inf else "") + (" or null" if null else "")
        )


@dataclass
class FilterParams:
    """Which genes are tested; ``filter_gene_min_cpm_cell`` None: all."""

    filter_gene_min_cpm_cell: float | None = 5.0

    def __post_init__(self) -> None:
        _number(self, "filter_gene_min_cpm_cell", low=-math.inf, null=True)


@dataclass
class DiscriminationParams:
    """Match ranks; ``distance`` is a label, the metric's name decides."""

    distance: Literal["l1", "l2", "cosine"] = "cosine"
    rank_denominator: Literal["n", "n-1"] = "n-1"
    exclude_target_gene: bool = True
    embed_key: str | None = None
    tie_policy: Literal["midrank", "position"] = "midrank"
    exclusion_scope: Literal["row", "panel"] = "panel"

    def __post_init__(self) -> None:
        _choices(self)


@dataclass(frozen=True)
class DEParams:
    """Differential expression; ``method`` follows ``backend``."""

    p_adj_threshold: float = 0.05
    min_abs_log2fc: float = 0.0
    sort_by: Literal["abs_log2_fold_change", "log2_fold_change", "p_value", "p_adj"] = "abs_log2_fold_change"
    method: Literal["wilcoxon", "deseq2"] = "wilcoxon"
    nan_lfc_policy: Literal["keep", "mask"] = "mask"
    backend: Literal["auto", "gpudge", "pdex", "scanpy", "deseq2"] = "auto"
    replicate_col: str | None = None
    mean_calc: Literal["arithmetic", "geometric"] = "arithmetic"
    epsilon: float = 1e-9
    clip_value: float | None = None
    fdr_scope: Literal["global", "per_pert"] = "per_pert"
    auc_pval_floor: Literal["preserve", "clip", "replace_zero", "min_nonzero"] = "min_nonzero"
    auc_pval_floor_value: float = 1e-10

    def __post_init__(self) -> None:
        _choices(self)
        if not isinstance(self.replicate_col, (str, type(None))):
            _refuse("replicate_col", self.replicate_col, "text or null")
        _number(self, "min_abs_log2fc", low=0.0)
        _number(self, "epsilon", low=0.0)
        _number(self, "clip_value", low=1.0, strict=True, null=True)
        _number(self, "p_adj_threshold", low=0.0, high=1.0)
        _number(self, "auc_pval_floor_value", low=0.0, strict=True, high=1.0)
        object.__setattr__(self, "method", "deseq2" if self.backend == "deseq2" else "wilcoxon")


_SECTIONS: Mapping[str, Any] = MappingProxyType(
    {"filter": FilterParams, "discrimination": DiscriminationParams, "de": DEParams}
)
# what version 1 has otherwise; presets are these with a few fields more
_V1: Mapping[str, Any] = MappingProxyType(
    {
        "version": "v1",
        "control_source": "pred",
        "input_type": "lognorm",
        "target_sum": None,
        "max_counts_per_cell": 1e9,
        "filter": {"filter_gene_min_cpm_cell": None},
        "discrimination": {
            "distance": "l1",
            "rank_denominator": "n",
            "tie_policy": "position",
            "exclusion_scope": "row",
        },
        "de": {
            "nan_lfc_policy": "keep",
            "mean_calc": "geometric",
            "epsilon": 0.0,
            "clip_value": 20.0,
            "fdr_scope": "global",
            "auc_pval_floor": "replace_zero",
        },
    }
)
_V076: Mapping[str, Any] = MappingProxyType(
    {
        **_V1,
        "target_sum": 1e4,
        "filter": {"filter_gene_min_cpm_cell": 5.0},
        "de": {
            "nan_lfc_policy": "keep",
            "mean_calc": "geometric",
            "epsilon": 1e-9,
            "auc_pval_floor": "clip",
        },
    }
)
_PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "v2": {},
        "v1": _V1,
        "vcc2026": {"metrics": "vcc2026", "cache_strict": True},
        "cell-eval-0.7.6": _V076,
    }
)
_ALIASES: Mapping[str, str] = MappingProxyType(
    {
        **{name: name for name in _PRESETS},
        "legacy": "v1",
        "corrected": "v2",
        "cell_eval_0_7_6": "cell-eval-0.7.6",
        "vcc-2026": "vcc2026",
        "vcc_2026": "vcc2026",
    }
)


@dataclass
class EvalConfig:
    """Everything about a run that is not data; fields, defaults and order are those of cell-eval2 0.20.0.

    Examples
    --------
    >>> EvalConfig.from_preset("vcc2026").de.p_adj_threshold
    0.05
    """

    metrics: str | list[str] = "full"
    pert_col: str = "target"
    control: str = "non-targeting"
    version: Literal["v1", "v2"] = "v2"
    control_source: Literal["pred", "real"] = "real"
    input_type: Literal["counts", "lognorm"] = "counts"
    max_counts_per_cell: float = 1_000_000.0
    target_sum: float | None = 1_000_000.0
    allow_discrete: bool = False
    allow_fractional_counts: bool = False
    autodetect_input_type: bool = False
    validate_input: bool = True
    filter: FilterParams = field(default_factory=FilterParams)
    num_threads: int = -1
    device: Literal["auto", "cuda", "cpu"] = "auto"
    pert_chunk: int = 512
    outdir: str | None = None
    cache_real: str | None = None
    cache_pred: str | None = None
    cache_strict: bool = False
    discrimination: DiscriminationParams = field(default_factory=DiscriminationParams)
    de: DEParams = field(default_factory=DEParams)
    gather_threads: int = -1
    target_gene_map: dict[str, str | None] | None = None
    bulk_target_sum: float = 50_000.0

    def __post_init__(self) -> None:
        for name, kind in _SECTIONS.items():
            value = getattr(self, name)
            if value is None or isinstance(value, dict):
                setattr(self, name, kind(**(value or {})))
        _choices(self)
        _number(self, "target_sum", low=0.0, strict=True, null=True)
        _number(self, "bulk_target_sum", low=0.0, strict=True)
        _number(self, "max_counts_per_cell", low=0.0, strict=True)
        for name in ("num_threads", "gather_threads"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value == 0 or value < -1:
                _refuse(name, value, "-1 or a positive whole number")
        if self.pert_chunk <= 0:
            _refuse("pert_chunk", self.pert_chunk, "positive")
        if self.version == "v1" and self.de.backend == "deseq2":
            _refuse("de.backend", "deseq2", "a rank test under version v1")
        mapped = self.target_gene_map or {}
        if mapped.get("*") is not None:
            _refuse("target_gene_map['*']", mapped["*"], "null: it declares that labels have no target gene")
        if None in mapped.values() and any(not isinstance(label, str) for label in mapped):
            _refuse("target_gene_map", [x for x in mapped if not isinstance(x, str)], "of labels that are text")
        both = self.cache_real, self.cache_pred
        if both[0] is not None and both[1] is not None and os.path.realpath(both[0]) == os.path.realpath(both[1]):
            _refuse("cache_pred", self.cache_pred, "another folder than cache_real")

    @classmethod
    def for_version(cls, version: str) -> Self:
        """The conventions of ``"v1"`` or ``"v2"``."""
        if version not in ("v1", "v2"):
            _refuse("version", version, "'v1' or 'v2'")
        return cls.from_dict(_PRESETS[version])

    @classmethod
    def v1(cls) -> Self:
        """The conventions of cell-eval."""
        return cls.for_version("v1")

    @classmethod
    def v2(cls) -> Self:
        """The corrected conventions; the defaults."""
        return cls.for_version("v2")

    @classmethod
    def legacy(cls) -> Self:
        """Another name of :meth:`v1`."""
        return cls.v1()

    @classmethod
    def corrected(cls) -> Self:
        """Another name of :meth:`v2`."""
        return cls.v2()

    @classmethod
    def from_preset(cls, name: str) -> Self:
        """``"vcc2026"``, ``"v2"``, ``"v1"`` or ``"cell-eval-0.7.6"``."""
        if name not in _ALIASES:
            msg = f"there is no preset {name!r}; choose from {', '.join(sorted(_ALIASES))}"
            raise DataError(msg)
        if _ALIASES[name] in ("v1", "cell-eval-0.7.6"):
            text = f"preset {name!r} is deprecated in cell-eval2: v1 presets will be removed in a later release of it"
            warnings.warn(text, FutureWarning, stacklevel=2)
        return cls.from_dict(_PRESETS[_ALIASES[name]])

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """From nested mappings; a name that does not exist raises."""
        if not isinstance(data, Mapping):
            msg = f"a configuration is a mapping of settings, not {type(data).__name__}"
            raise DataError(msg)
        known = {item.name: None for item in fields(cls)}
        given = {name: value for name, value in data.items() if value is not None or name not in _SECTIONS}
        unknown = sorted(str(name) for name in set(given) - set(known))
        for name, kind in _SECTIONS.items():
            if isinstance(given.get(name), Mapping):
                inner = {item.name for item in fields(kind)}
                unknown += [f"{name}.{key}" for key in sorted(set(given[name]) - inner)]
        if unknown:
            msg = f"there is no setting {', '.join(unknown)}; see EvalConfig().to_dict()"
            raise DataError(msg)
        made = {n: _SECTIONS[n](**v) if n in _SECTIONS and isinstance(v, Mapping) else v for n, v in given.items()}
        return cls(**made)

    def to_dict(self) -> dict[str, Any]:
        """Nested dictionaries."""
        return asdict(self)

    def to_yaml(self, path: str | os.PathLike[str]) -> None:
        """Write as YAML."""
        Path(path).write_text(dump(self.to_dict()), encoding="utf-8")

    @classmethod
    def from_yaml(cls, path: str | os.PathLike[str]) -> Self:
        """Read a YAML file."""
        found = load(Path(path).read_text(encoding="utf-8"), str(path))
        if not isinstance(found, Mapping):
            msg = f"{path} holds no settings: a configuration is a mapping"
            raise DataError(msg)
        return cls.from_dict(found)


def with_overrides(config: EvalConfig | None, overrides: Mapping[str, Any]) -> EvalConfig:
    """A configuration with fields changed by name; ``filter_gene_min_cpm_cell`` is understood as well."""
    chosen = EvalConfig() if config is None else config
    changes = dict(overrides)
    cpm = changes.pop("filter_gene_min_cpm_cell", None)
    unknown = sorted(set(changes) - {item.name for item in fields(EvalConfig)})
    if unknown:
        msg = f"there is no setting {', '.join(unknown)}; see EvalConfig().to_dict()"
        raise DataError(msg)
    for name, kind in _SECTIONS.items():
        if isinstance(changes.get(name), dict):
            changes[name] = kind(**changes[name])
    chosen = replace(chosen, **changes)
    return chosen if cpm is None else replace(chosen, filter=replace(chosen.filter, filter_gene_min_cpm_cell=cpm))


def set_by_path(config: EvalConfig, path: str, value: Any) -> EvalConfig:
    """A configuration with the field at a dotted path changed."""
    flat = config.to_dict()
    *outer, last = path.split(".")
    section: Any = flat
    for name in outer:
        section = section.get(name) if isinstance(section, dict) else None
    if not isinstance(section, dict) or last not in section:
        msg = f"there is no setting {path!r}"
        raise DataError(msg)
    if isinstance(section[last], dict):
        msg = f"{path!r} is a group of settings; set one of them ({path}.{next(iter(section[last]), '…')}=…)"
        raise DataError(msg)
    section[last] = value
    return EvalConfig.from_dict(flat)
