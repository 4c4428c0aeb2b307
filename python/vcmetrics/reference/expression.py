"""Meaning of the expression metrics: one perturbation, then one gene at a time."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from vcmetrics.metrics.pair import Pair, Profiles, no_rows

Values = NDArray[np.float64]


def _f32(x: float, single_precision: bool) -> float:
    return float(np.float32(x)) if single_precision else float(x)


def _profile(side: Profiles, i: int, single: bool) -> list[float]:
    return [_f32(x, single) for x in side.mean[i]]


def _effect(side: Profiles, i: int, single: bool) -> list[float]:
    control = [_f32(x, single) for x in side.control]
    return [_f32(x - c, single) for x, c in zip(_profile(side, i, single), control, strict=True)]


def expr_mae(pair: Pair, *, single_precision: bool = False) -> Values:
    """Mean over genes of |prediction - reality|."""
    pred, real = pair.profiles()
    out = []
    for i in range(pair.n):
        x, y = _profile(pred, i, single_precision), _profile(real, i, single_precision)
        out.append(math.fsum(abs(a - b) for a, b in zip(x, y, strict=True)) / len(x))
    return np.array(out, np.float64)


def expr_mse(pair: Pair, *, single_precision: bool = False) -> Values:
    """Mean over genes of (prediction - reality)²."""
    pred, real = pair.profiles()
    out = []
    for i in range(pair.n):
        x, y = _profile(pred, i, single_precision), _profile(real, i, single_precision)
        out.append(math.fsum((a - b) ** 2 for a, b in zip(x, y, strict=True)) / len(x))
    return np.array(out, np.float64)


def delta_mae(pair: Pair, *, single_precision: bool = False) -> Values:
    """Mean over genes of |predicted effect - observed effect|."""
    pred, real = pair.profiles()
    out = []
    for i in range(pair.n):
        x, y = _effect(pred, i, single_precision), _effect(real, i, single_precision)
        out.append(math.fsum(abs(a - b) for a, b in zip(x, y, strict=True)) / len(x))
    return np.array(out, np.float64)


def delta_mse(pair: Pair, *, single_precision: bool = False) -> Values:
    """Mean over genes of (predicted effect - observed effect)²."""
    pred, real = pair.profiles()
    out = []
    for i in range(pair.n):
        x, y = _effect(pred, i, single_precision), _effect(real, i, single_precision)
        out.append(math.fsum((a - b) ** 2 for a, b in zip(x, y, strict=True)) / len(x))
    return np.array(out, np.float64)


def pearson(x: list[float], y: list[float]) -> float:
    """Pearson correlation; NaN for fewer than two values or where one side is constant."""
    if len(x) < 2 or len(set(x)) == 1 or len(set(y)) == 1:
        return math.nan
    mx, my = math.fsum(x) / len(x), math.fsum(y) / len(y)
    sxy = math.fsum((a - mx) * (b - my) for a, b in zip(x, y, strict=True))
    sxx = math.fsum((a - mx) ** 2 for a in x)
    syy = math.fsum((b - my) ** 2 for b in y)
    if sxx == 0 or syy == 0:
        return math.nan
    return max(-1.0, min(1.0, sxy / (math.sqrt(sxx) * math.sqrt(syy))))


def delta_pearson(pair: Pair, *, single_precision: bool = False) -> Values:
    """Pearson correlation of predicted and observed effects over genes."""
    pred, real = pair.profiles()
    out = [pearson(_effect(pred, i, single_precision), _effect(real, i, single_precision)) for i in range(pair.n)]
    return np.array(out, np.float64)


def _others(pair: Pair, i: int) -> list[int]:
    """Genes other than the perturbation's own target."""
    return [g for g in range(len(pair.genes)) if g != pair.own[i]]


def _corrections(pair: Pair, i: int) -> tuple[float, float]:
    pred, real = pair.profiles()
    assert pred.correction is not None
    assert real.correction is not None
    return float(pred.correction[i]), float(real.correction[i])


def _squared_error(pair: Pair, i: int) -> float:
    pred, real = pair.profiles()
    return math.fsum((float(pred.mean[i, g]) - float(real.mean[i, g])) ** 2 for g in _others(pair, i))


def expr_mse_unbiased(pair: Pair) -> Values:
    """(squared error - both corrections) / genes, own target left out."""
    out = []
    for i in range(pair.n):
        c_pred, c_real = _corrections(pair, i)
        out.append((_squared_error(pair, i) - c_pred - c_real) / len(_others(pair, i)))
    return np.array(out, np.float64)


def correction_share(pair: Pair) -> float:
    """min(1, spread of the predictions over the panel / capped corrections)."""
    pred, _ = pair.profiles()
    weight = [1.0 / len(_others(pair, i)) for i in range(pair.n)]
    claim = math.fsum(min(_corrections(pair, i)) * weight[i] for i in range(pair.n))
    if claim <= 0:
        return 1.0
    spread = 0.0
    for g in range(len(pair.genes)):
        rows = [i for i in range(pair.n) if pair.own[i] != g]
        if len(rows) < 2:
            continue
        middle = math.fsum(weight[i] * float(pred.mean[i, g]) for i in rows) / math.fsum(weight[i] for i in rows)
        spread += math.fsum(weight[i] * (float(pred.mean[i, g]) - middle) ** 2 for i in rows)
    return min(1.0, spread / claim)


def expr_mse_unbiased_capped(pair: Pair) -> Values:
    """(squared error - share x smaller correction - observed correction) / genes, own target left out."""
    share = correction_share(pair)
    out = []
    for i in range(pair.n):
        c_pred, c_real = _corrections(pair, i)
        out.append((_squared_error(pair, i) - share * min(c_pred, c_real) - c_real) / len(_others(pair, i)))
    return np.array(out, np.float64)


def expr_distance_unbiased(pair: Pair) -> Values:
    """(squared distance from control - both corrections) / genes, own target left out; real data only."""
    _, real = pair.profiles()
    assert real.correction is not None
    assert real.control_correction is not None
    out = []
    for i in range(pair.n):
        genes = _others(pair, i)
        squared = math.fsum((float(real.mean[i, g]) - float(real.control[g])) ** 2 for g in genes)
        out.append((squared - float(real.correction[i]) - real.control_correction) / len(genes))
    return np.array(out, np.float64)


def expr_real_mass_ratio(pair: Pair) -> Values:
    """Sum over genes of expm1(profile) / target sum."""
    _, real = pair.profiles()
    if pair.target_sum is None:
        return np.full(pair.n, np.nan)
    return np.array([math.fsum(math.expm1(x) for x in row) / pair.target_sum for row in real.mean], np.float64)


def panel_only(pair: Pair) -> Values:
    """No value a perturbation."""
    return no_rows(pair.n)
