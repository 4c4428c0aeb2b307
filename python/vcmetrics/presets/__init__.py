"""Rule sets of the scorers: parameters and quirks, no formulas."""

from vcmetrics.presets.preset import DERules, Member, Preset, get_preset, list_presets, parse_override

__all__ = ["DERules", "Member", "Preset", "get_preset", "list_presets", "parse_override"]
