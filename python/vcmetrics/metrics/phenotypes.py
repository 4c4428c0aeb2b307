"""Is a predicted profile nearer to the observed profiles of its own phenotype than to those of another?"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from vcmetrics._errors import DataError
from vcmetrics.metrics.pair import Pair
from vcmetrics.metrics.registry import MetricSpec, Parity, Values, register
from vcmetrics.metrics.roc import roc_area
from vcmetrics.reference import phenotypes as reference


def class_codes(pair: Pair, classes: Mapping[str, str] | None) -> tuple[list[str], NDArray[np.int64]]:
    """Names of the classes, and the class of every perturbation, -1 for none."""
    if classes is None:
        msg = "classes= is missing: pass a mapping perturbation → class, such as a pathway or phenotype"
        raise DataError(msg)
    given = [classes.get(label) for label in pair.perturbations]
    names = sorted({str(name) for name in given if name is not None})
    if len(names) < 2:
        msg = f"classes= puts the scored perturbations into {len(names)} classes; at least two are told apart"
        raise DataError(msg)
    return names, np.array([-1 if name is None else names.index(str(name)) for name in given], np.int64)


def nearness(pair: Pair, codes: NDArray[np.int64], n_classes: int, *, leave_one_out: bool) -> Values:
    """Minus the mean squared difference of each prediction and each class's prototype, (n_perturbations, n_classes).

    NaN where nothing is left for a prototype.
    """
    pred, real = pair.profiles()
    sums = np.zeros((n_classes, real.mean.shape[1]))
    for row, code in zip(real.mean, codes.tolist(), strict=True):
        if code >= 0:
            sums[code] += row
    sizes = np.bincount(codes[codes >= 0], minlength=n_classes)
    out = np.full((pair.n, n_classes), np.nan)
    for c in range(n_classes):
        out[:, c] = -((pred.mean - sums[c] / sizes[c]) ** 2).mean(1)
    if not leave_one_out:
        return out
    for i in np.flatnonzero(codes >= 0).tolist():
        c = int(codes[i])
        if sizes[c] == 1:
            out[i, c] = np.nan
            continue
        others = np.flatnonzero((codes == c) & (np.arange(pair.n) != i))
        out[i, c] = -((pred.mean[i] - real.mean[others].mean(0)) ** 2).mean()
    return out


def phenotype_auroc(pair: Pair, *, classes: Mapping[str, str] | None = None, leave_one_out: bool = True) -> Values:
    """Area under the ROC curve of telling two phenotypes apart by the nearer prototype, averaged over pairs of them.

    The prototype of a class is the mean observed profile of its perturbations; a prediction's score for a class is
    minus its mean squared difference from the prototype; two classes are told apart by the difference of the scores.

    Parameters
    ----------
    pair
        Profiles of both sides.
    classes
        Perturbation → class; perturbations that it does not name stay out. Must be given.
    leave_one_out
        Leave a perturbation's own truth out of its class's prototype, which it would otherwise find again; one that is
        alone in its class then stays out.

    Returns
    -------
    (n_perturbations,), the same value in each, in [0, 1]; 1 is best, 0.5 is chance. NaN where no pair of classes has
    perturbations on both sides.

    Notes
    -----
    Cost O(n · n_classes · n_genes).

    Examples
    --------
    Two classes at 0 and 10 in one gene, predictions 1, 2 of the first and 8, 9 of the second: 1.
    """
    names, codes = class_codes(pair, classes)
    near = nearness(pair, codes, len(names), leave_one_out=leave_one_out)
    areas = []
    for a in range(len(names)):
        for b in range(a + 1, len(names)):
            lead = near[:, a] - near[:, b]
            used = ((codes == a) | (codes == b)) & ~np.isnan(lead)
            areas.append(roc_area(codes[used] == a, lead[used]))
    defined = [area for area in areas if not np.isnan(area)]
    return np.full(pair.n, np.mean(defined) if defined else np.nan)


register(
    MetricSpec(
        name="phenotype_auroc",
        family="phenotypes",
        needs=frozenset({"profiles"}),
        better="higher",
        best=1.0,
        chance=0.5,
        bounds=(0.0, 1.0),
        definition="mean over pairs of classes of the AUROC of |μ̂_p - prototype_B|² - |μ̂_p - prototype_A|² for A",
        formula=phenotype_auroc,
        reference=reference.phenotype_auroc,
        defaults=MappingProxyType({"classes": None, "leave_one_out": True}),
        required=("classes",),
        invariants=("gene_order", "perturbation_order", "scale_degree_0", "common_shift"),
        panel="whole",
        parity=Parity(rtol=1e-9, atol=1e-12),
        source="Systema (fe087c9), coarse phenotype retrieval; there prototypes hold the perturbation itself",
        pitfalls=(
            "leave_one_out=False, as published, lets each perturbation's truth into its own prototype.",
            "Even reality need not score 1: classes may overlap. Compare with the score of a replicate.",
            "Raw profiles are compared, so genes of high variance decide.",
        ),
    )
)
