"""Is it biology, or the number of cells? ``vcm.confounders``.

Quantities that a score may follow for the wrong reason, their correlation with it, and what predictors reach that know
nothing else; collapse of predictions, and scores that change where nothing was learnt.
"""

from vcmetrics.confounders.collapse import collapse, effective_rank, magnitudes
from vcmetrics.confounders.correlations import adjusted_scores, correlations, stratified_scores
from vcmetrics.confounders.covariates import COVARIATES, covariates, systematic_variation
from vcmetrics.confounders.known_only import PREDICTORS, known_only, predictors
from vcmetrics.confounders.rescored import TRANSFORMS, control_tampering, target_scopes, transform_tests

__all__ = [
    "COVARIATES",
    "PREDICTORS",
    "TRANSFORMS",
    "adjusted_scores",
    "collapse",
    "control_tampering",
    "correlations",
    "covariates",
    "effective_rank",
    "known_only",
    "magnitudes",
    "predictors",
    "stratified_scores",
    "systematic_variation",
    "target_scopes",
    "transform_tests",
]
