r"""Aggregates of many worlds as smooth functions with exact derivatives: mean, CVaR, worst case. NumPy; `f` [n], larger is better.

With a temperature T every aggregate is smooth, and as T falls it goes to the exact one:

- mean: $\sum_i w_i f_i$;
- CVaR of the worst share $\alpha$ (Rockafellar & Uryasev 2000): $\max_t t - \frac1\alpha \sum_i w_i (t - f_i)^+$, with
  $(x)^+ \approx T \ln(1 + e^{x/T})$; t is solved for, so that the envelope theorem gives the slope;
- worst: $-T \ln \sum_i e^{-f_i/T}$, a lower bound of $\min_i f_i$ that misses by $T \ln n$ at most.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Smooth(NamedTuple):
    """Value of an aggregate of f [n], its slope by f, and the second derivative as a function of slopes of f [n, k]: `[k, k]`."""

    value: float
    weights: np.ndarray
    spread: Callable[[np.ndarray], np.ndarray]


def mean(f: np.ndarray, w: np.ndarray) -> Smooth:
    """Weighted mean."""
    return Smooth(float(w @ f), w, lambda g: np.zeros((g.shape[1], g.shape[1])))


def cvar(f: np.ndarray, w: np.ndarray, share: float, temperature: float) -> Smooth:
    """Smoothed mean over the worst `share` of the worlds."""
    if share >= 1:
        return mean(f, w)
    # Imported late: these packages take longer to load than a model to solve.
    from scipy.optimize import brentq
    from scipy.special import expit

    T = temperature

    def excess(t: float) -> float:
        return float(w @ expit((t - f) / T)) - share

    t: Any = brentq(excess, f.min() - 60 * T, f.max() + 60 * T, xtol=1e-14)
    tail = expit((t - f) / T)
    weights = w * tail / share
    short = w * tail * (1 - tail) / (share * T)

    def spread(g: np.ndarray) -> np.ndarray:
        # t moves with f: the second derivative is minus a weighted covariance of slopes.
        total = short.sum()
        if total <= 0:
            return np.zeros((g.shape[1], g.shape[1]))
        center = short @ g / total
        return -np.einsum("n,nk,nl->kl", short, g - center, g - center)

    value = t - float(w @ (T * np.logaddexp(0.0, (t - f) / T))) / share
    return Smooth(value, weights / weights.sum(), spread)


def worst(f: np.ndarray, temperature: float) -> Smooth:
    """Smoothed minimum over the worlds."""
    T, low = temperature, f.min()
    e = np.exp(-(f - low) / T)
    weights = e / e.sum()

    def spread(g: np.ndarray) -> np.ndarray:
        center = weights @ g
        return -np.einsum("n,nk,nl->kl", weights, g - center, g - center) / T

    return Smooth(float(low - T * np.log(e.sum())), weights, spread)


def exact_cvar(f: np.ndarray, w: np.ndarray, share: float) -> float:
    """Mean over the worst `share` of the worlds; a world on the edge counts in part."""
    order = np.argsort(f)
    taken = np.clip(share - np.concatenate([[0.0], np.cumsum(w[order])[:-1]]), 0.0, w[order])
    return float(taken @ f[order] / share)
