"""The Virtual Cell Challenge 2026: cell-eval2's ten-member profile, six of them scored."""

from __future__ import annotations

from dataclasses import replace

from vcmetrics.presets.cell_eval2 import PRESET as _V2

PRESET = replace(
    _V2,
    name="vcc2026",
    title="Virtual Cell Challenge 2026",
    source="cell-eval2 (preset vcc2026, rule version 3) with pdex 0.3.0",
    default_profile="vcc2026",
    # the upload contract names the column target_gene; cell-eval2's own files call it target
    pert_cols=("target_gene", "target"),
    quirks=(
        *_V2.quirks,
        "Six members are scored: pds_cosine, expr_mse_unbiased_capped_norm, lfc_nmae, direction_fidelity_yield_raw, "
        "direction_reach_raw, sig_jaccard; their scaled values between baseline and replicate are averaged plainly.",
        "Only the error ratio is clamped to [0, 1] and lfc_nmae floored at -6: a score can pass 1, and a reproduction "
        "of the reference does.",
        "A prediction without control cells is accepted, as the upload contract demands; cell-eval2 itself wants the "
        "label on both sides.",
        "The organisers' CUDA run rounds profiles and per-cell CPM to float32; arithmetic='gpu32' does so too.",
    ),
)
