"""Everything about a run that is not data: preset, metrics, parameters."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from vcmetrics._errors import VcmetricsWarning
from vcmetrics.backend.threads import resolve_threads
from vcmetrics.metrics import registry
from vcmetrics.metrics.gene_sets import T_TESTS
from vcmetrics.presets.preset import Member, Preset, get_preset
from vcmetrics.scoring.evaluate import Needs
from vcmetrics.scoring.steps import Progress, Steps
from vcmetrics.sources.genes import some

EXTRAS = {"cluster": ("sklearn", "igraph"), "ot": ("ot",)}  # what an extra brings
EMBEDDED = ("pds_l2", "pds_cosine")  # ranks that read an embedding where one is named
# metrics that leave own target genes out and refuse a panel without one, of profiles and of DE tables
_WITHOUT_OWN = ("pds_", "expr_mse_unbiased", "expr_distance_unbiased")
_WITHOUT_OWN_DE = tuple(
    f"de_wilcoxon_{name}"
    for name in (*("direction_fidelity", "direction_coverage", "direction_yield", "direction_reach"),)
)


@dataclass(frozen=True)
class Settings:
    """Everything about a run that is not data."""

    preset: Preset
    profile: str
    members: tuple[Member, ...]
    target_map: Mapping[str, str | None] | None
    embed_key: str | None
    arithmetic: str
    n_threads: int
    progress: Steps | None
    named: bool = False  # metrics asked for by name: what does not suit the data is then an error

    @property
    def needs(self) -> Needs:
        """What the metrics read."""
        wanted: set[str] = {need for spec in self.specs() for need in spec.needs}
        wanted |= {need for m in self.members for need in needs_of(m.params)}
        return Needs(
            profiles=bool(wanted & {"profiles", "correction", "variance", "batches"}),
            correction="correction" in wanted,
            de="de" in wanted,
            variance="variance" in wanted,
            batches="batches" in wanted,
        )

    @property
    def needs_cells(self) -> bool:
        """Whether any metric reads single cells."""
        return any("cells" in spec.needs for spec in self.specs())

    def needs_own_genes(self, *, de: bool) -> bool:
        """Whether any metric of profiles, or of DE tables, refuses a panel in which no label resolves to a gene."""
        chosen = _WITHOUT_OWN_DE if de else _WITHOUT_OWN
        return any(spec.name.startswith(chosen) for spec in self.specs())

    def specs(self) -> Iterator[registry.MetricSpec]:
        """Registry rows of the metrics and of what they are derived from."""
        for member in self.members:
            spec = registry.get(member.metric)
            yield spec
            for part in (spec.numerator, spec.denominator):
                if part is not None:
                    yield registry.get(part)

    def describe(self) -> dict[str, Any]:
        """Everything that decides a number, for records and digests."""
        return {
            "preset": self.preset.name,
            "profile": self.profile,
            "metrics": [m.output for m in self.members],
            "target_map": None if self.target_map is None else dict(self.target_map),
            "embed_key": self.embed_key,
            "arithmetic": self.arithmetic,
            **self.preset.as_dict(),
        }


def resolve_settings(
    preset: str | Preset,
    profile: str | None,
    metrics: Iterable[str] | Mapping[str, Mapping[str, Any]] | None,
    *,
    overrides: Mapping[str, Any] | None,
    target_map: Mapping[str, str | None] | None,
    embed_key: str | None,
    arithmetic: str,
    n_threads: int | None,
    progress: Progress | None,
) -> Settings:
    """Settle preset, profile and metrics before any data is read."""
    if arithmetic not in ("f64", "gpu32"):
        msg = f"arithmetic {arithmetic!r} is not known; pass 'f64' or 'gpu32'"
        raise ValueError(msg)
    chosen = get_preset(preset)
    if overrides:
        chosen = chosen.replace(overrides)
    members = tuple(m for m in chosen.members(profile) if metrics is not None or at_hand(m))
    if metrics is not None:
        own = metrics if isinstance(metrics, Mapping) else {name: {} for name in metrics}
        members = tuple(one_member(chosen, name, parameters) for name, parameters in own.items())
    if embed_key is not None:
        # as the scorers do: only these two ranks read an embedding, and no gene can be left out of it
        there = {"embedding": embed_key, "exclude": "none"}
        members = tuple(m._replace(params={**m.params, **there}) if m.metric in EMBEDDED else m for m in members)
    return Settings(
        preset=chosen,
        profile=chosen.default_profile if profile is None else profile,
        members=members,
        target_map=target_map,
        embed_key=embed_key,
        arithmetic=arithmetic,
        n_threads=resolve_threads(n_threads),
        progress=None if progress is None else Steps(progress),
        named=metrics is not None,
    )


def needs_of(parameters: Mapping[str, Any]) -> set[str]:
    """What a metric reads by its parameters, beside what its row says: batches, variances, DE tables."""
    found = {"batches"} if parameters.get("reference") == "batch_control" else set()
    genes = parameters.get("genes")
    if isinstance(genes, str):
        kind = genes.removeprefix("union_").partition(":")[0]
        found |= {"variance"} if kind in T_TESTS else {"de"} if kind == "de" else set()
    return found


def at_hand(member: Member) -> bool:
    """Whether a profile's metric can run here; one whose extra is not installed is left out, with a warning."""
    extra = registry.get(member.metric).extra
    missing = [name for name in EXTRAS.get(extra or "", ()) if find_spec(name) is None]
    if missing:
        text = f"{member.output} is left out: it needs {' and '.join(missing)}; pip install 'vcmetrics[{extra}]'"
        warnings.warn(text, VcmetricsWarning, stacklevel=4)
    return not missing


def one_member(preset: Preset, name: str, parameters: Mapping[str, Any]) -> Member:
    """A metric asked for by name: as the preset's profiles list it, with ``parameters`` on top."""
    spec = registry.get(name)
    unknown = set(parameters) - set(spec.defaults) - {"embedding"}
    if unknown:
        msg = f"metric {name!r} has no parameter {some(sorted(unknown))} (it has: {some(sorted(spec.defaults))})"
        raise ValueError(msg)
    listed = (m for members in preset.profiles.values() for m in members if m.metric == spec.name)
    member = next(listed, Member(spec.name, preset.output_name(spec.name)))
    return member._replace(params={**member.params, **parameters})
