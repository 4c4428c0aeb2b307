"""Names of the rule sets, the modules that hold them, and other spellings."""

from __future__ import annotations

from types import MappingProxyType

# presets by name; the module of each is imported when it is asked for
MODULES = MappingProxyType(
    {
        "vcc2026": "vcc2026",
        "vcc2025": "vcc2025",
        "cell-eval2": "cell_eval2",
        "cell-eval2-v1": "cell_eval2_v1",
        "cell-eval2-0.7.6": "cell_eval2_076",
        "cell-eval": "cell_eval",
        "systema": "systema",
        "diversity-by-design": "diversity_by_design",
        "shift-calibrated": "shift_calibrated",
        "gears": "gears",
        "cpa": "cpa",
        "txpert": "txpert",
        "presage": "presage",
        "pereggrn": "pereggrn",
        "perturbench": "perturbench",
        "cellflow": "cellflow",
        "scldm": "scldm",
        "ahlmann-eltze": "ahlmann_eltze",
        "open-problems-2023": "open_problems_2023",
        "broad-obesity-1": "broad_obesity_1",
        "broad-obesity-2": "broad_obesity_2",
        "gem1": "gem1",
        "cellforge": "cellforge",
        "prophet": "prophet",
        "pdgrapher": "pdgrapher",
    }
)
ALIASES = MappingProxyType(
    {
        "vcc-2026": "vcc2026",
        "vcc-2025": "vcc2025",
        "cell-eval2-v2": "cell-eval2",
        "v2": "cell-eval2",
        "corrected": "cell-eval2",
        "v1": "cell-eval2-v1",
        "legacy": "cell-eval2-v1",
        "cell-eval-0.7.6": "cell-eval2-0.7.6",
        "cell-eval-0-7-6": "cell-eval2-0.7.6",
        "cell-eval2-076": "cell-eval2-0.7.6",
        "cell-eval-0.8.2": "cell-eval",
        "needles": "diversity-by-design",
        "dbd": "diversity-by-design",
        "shift": "shift-calibrated",
        "open-problems": "open-problems-2023",
        "gem-1": "gem1",
    }
)
