"""PRESAGE: errors in units of the effect, and direction cosines."""

from __future__ import annotations

from typing import Any

from vcmetrics.presets.literature import (
    LEAK,
    OBSERVED,
    ORACLE,
    TARGET_KEPT,
    lengths,
    mean_of_logs,
    member,
    paper,
)
from vcmetrics.presets.page import Page
from vcmetrics.presets.preset import Member

_KS = (5, 10, 20, 50, 100, 200, 1000, 2000)
_MAIN = (20, 100)


def _listed(ks: tuple[int, ...]) -> tuple[Member, ...]:
    trained: dict[str, Any] = {"reference": "perturbed_mean", "leave_one_out": False}
    out: list[Member] = []
    for genes, suffix in (("top_effect:{}", "_top{}"), ("union_top_effect:{}", "_unionde{}")):
        out += [
            *lengths("norm_mse", "norm_mse" + suffix, genes, ks),
            *lengths("pn_mse", "pn_mse" + suffix, genes, ks),
            *lengths("norm_error", "norm_error" + suffix, genes, ks),
            *lengths("effect_cosine", "cossim" + suffix, genes, ks, undefined="zero"),
            *lengths("effect_cosine", "cossim_ntcmean" + suffix, genes, ks, undefined="zero", **trained),
        ]
    return tuple(out)


_FUNCTIONAL = (
    member("phenocopy_auroc", "phenocopy_auroc"),
    *(member("phenocopy_recall", f"phenocopy_recall_{k}", top_k=k) for k in (5, 20)),
    *(member("knn_recall", f"knn_recall_{k}", top_k=k) for k in (5, 20)),
    member("knn_auroc", "knn_auroc_10", top_k=10),
    member("effect_detection_auroc", "effect_detection_auroc"),
    member("effect_detection_average_precision", "effect_detection_ap"),
)


PRESET = paper(
    name="presage",
    title="PRESAGE: errors in units of the effect, cosines, norms",
    source="PRESAGE (4dc6d59)",
    version="1",
    members=(*_listed(_MAIN), *_FUNCTIONAL),
    more={"full": (*_listed(_KS), *_FUNCTIONAL)},
    page=Page(
        space=mean_of_logs(),
        control=OBSERVED,
        reference="The control; for cossim_ntcmean the mean of the training perturbations.",
        genes="The k genes of the largest observed |effect|, and the union of these lists over all perturbations; k "
        "of 20 "
        "and 100, in the profile full 5 to 2000.",
        ties="A cosine with a zero norm counts as 0.",
        aggregation="norm_mse is a ratio of sums over perturbations: 1 is a prediction of no effect. The rest are "
        "means.",
    ),
    quirks=(
        "pn_mse adds to every perturbation's own effect the 10 % quantile over the panel, so that weak ones do not "
        "decide.",
        "The relative error of norms guards the predicted norm in the source where the observed one divides; the "
        "plain one "
        "is taken.",
        "Phenocopies and neighbours compare scored with training perturbations, and are left out without train=. "
        "Detection "
        "of effects reads single cells.",
        "Virtual screens need a gene set: metrics={'virtual_screen_auroc': {'gene_set': …}}.",
        "Where a list is longer than the data have genes it holds them all.",
        LEAK,
        ORACLE,
        TARGET_KEPT,
    ),
)
