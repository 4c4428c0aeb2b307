"""Meaning of the classifier distances: softmax regression with half a squared norm as penalty, by plain optimisation.

x is (n, D), y is (m, D), float64.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Cells = NDArray[np.float64]


def _softmax(groups: Sequence[Cells], test: Cells) -> Cells:
    """Probabilities of the groups at ``test``: the least Σ log-loss + |W|²/2, intercepts free."""
    from scipy.optimize import minimize

    x = np.concatenate(groups)
    k, d = len(groups), x.shape[1]
    truth = np.repeat(np.eye(k), [len(g) for g in groups], axis=0)

    def probabilities(w: Cells, at: Cells) -> Cells:
        scores = at @ w[:, :d].T + w[:, d]
        scores = np.exp(scores - scores.max(1, keepdims=True))
        return np.asarray(scores / scores.sum(1, keepdims=True))

    def loss(flat: Cells) -> tuple[float, Cells]:
        w = flat.reshape(k, d + 1)
        p = probabilities(w, x)
        slope = np.concatenate([(p - truth).T @ x + w[:, :d], (p - truth).sum(0)[:, None]], axis=1)
        with np.errstate(divide="ignore"):
            value = -float(np.log((p * truth).sum(1)).sum()) + float((w[:, :d] ** 2).sum()) / 2
        return value, slope.ravel()

    found = minimize(loss, np.zeros(k * (d + 1)), jac=True, method="L-BFGS-B", options={"maxiter": 2000, "ftol": 1e-15})
    return probabilities(found.x.reshape(k, d + 1), test)


def classifier_proba(x: Cells, y: Cells, *, holdout: float = 0.2, random_state: Any = 0) -> float:
    """Mean probability of y at held-out cells of y; two classes share one weight vector, as w and -w at half the norm.

    ``random_state`` is the generator that draws the held-out cells.
    """
    if len(y) < 2:
        return math.nan
    held = random_state.choice(len(y), max(1, int(len(y) * holdout)), replace=False)
    kept = np.setdiff1d(np.arange(len(y)), held)
    return float(_logistic(x, y[kept], y[held]).mean())


def _logistic(x: Cells, y: Cells, test: Cells) -> Cells:
    """Probability of y at ``test``: the least Σ log-loss + |w|²/2, intercept free."""
    from scipy.optimize import minimize

    both = np.concatenate([x, y])
    sign = np.repeat([-1.0, 1.0], [len(x), len(y)])
    d = both.shape[1]

    def loss(w: Cells) -> tuple[float, Cells]:
        margin = sign * (both @ w[:d] + w[d])
        pull = -sign / (1 + np.exp(margin))
        value = float(np.logaddexp(0, -margin).sum()) + float(w[:d] @ w[:d]) / 2
        return value, np.append(both.T @ pull + w[:d], pull.sum())

    found = minimize(loss, np.zeros(d + 1), jac=True, method="L-BFGS-B", options={"maxiter": 2000, "ftol": 1e-15})
    return np.asarray(1 / (1 + np.exp(-(test @ found.x[:d] + found.x[d]))))


def classifier_cp(x: Cells, y: Cells, *, others: Sequence[Cells] = ()) -> float:
    """1 - mean probability of x, among x and the other groups, at the cells of y."""
    if not others:
        return math.nan
    if len(others) == 1:
        return float(_logistic(x, others[0], y).mean())
    return float(1 - _softmax([x, *others], y)[:, 0].mean())
