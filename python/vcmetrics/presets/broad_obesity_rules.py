"""What the crunches of the Broad obesity challenge have in common."""

from __future__ import annotations

from vcmetrics.distances.conventions import get_convention
from vcmetrics.presets.literature import (
    LEAK,
    PER_PERTURBATION,
    SKIPPED,
    mean_of_logs,
    member,
    paper,
)
from vcmetrics.presets.page import Page
from vcmetrics.presets.preset import Preset


def crunch(number: int, *, sigma: int, n_genes: int, reference: str, reference_text: str, notebook: str) -> Preset:
    """The rule set of a crunch: its kernels' ``sigma``, tuned for ``n_genes``, and what effects are taken against."""
    name = f"broad-obesity-{number}"
    return paper(
        name=name,
        title=f"Broad obesity challenge, crunch {number}: correlation, MMD, L1",
        source="crunchdao/competitions (97e279e)",
        version="1",
        members=(
            member("effect_pearson", "pearson", reference=reference, leave_one_out=False),
            member("cells_mmd", "mmd", **get_convention(name).parameters["mmd"]),
            member("absolute_error", "l1"),
        ),
        page=Page(
            space=mean_of_logs("10,000", "log2"),
            control="None is read.",
            reference=reference_text,
            genes=f"The genes given; the challenge scores {n_genes} hidden ones.",
            ties=SKIPPED,
            aggregation=PER_PERTURBATION + " How the three make a leaderboard rank was not in the code.",
        ),
        quirks=(
            f"MMD is the sum of five kernels around sigma {sigma}, without a factor 2, the diagonal in: one repeated "
            f"centroid has a block of 5 exactly. sigma was tuned for {n_genes} genes and is wrong for other numbers.",
            "Both sides are cut to the first cells of the smaller one, so the value depends on the order of the cells.",
            "The challenge's own references come with its files; train= gives other data for them.",
            notebook,
            "Depth: the challenge states total normalisation and log2(1 + x); 10,000 is taken where counts are given. "
            "Program proportions are scored by a function of their own.",
            LEAK,
        ),
        control="NC",
        pert_cols=("gene", "target", "target_gene"),
        needs_control=False,
        log_base="2",
    )
