"""Maximization over the unit box from many starts at once.

A global phase (Adam, or L-BFGS) with projection, then a projected quasi-Newton polish (BFGS on the free variables)
that drives the projected gradient to round-off. The loop runs on the host and calls two compiled functions for whole
batches of points, so that nothing is compiled twice and the search stops when every start has arrived. Where a point
fails its value is -inf and its gradient zero: the step is not taken, and no other start notices.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

Values = Callable[[np.ndarray], np.ndarray]
Slopes = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclasses.dataclass
class Front:
    """Where the starts are: points `z` [s, k] of the unit box, their values [s] (-inf: failed), gradients [s, k]."""

    z: np.ndarray
    value: np.ndarray
    gradient: np.ndarray

    @property
    def kkt(self) -> np.ndarray:
        """Largest entry of the projected gradient of each start, infinite where it failed."""
        size = np.max(np.abs(projected_gradient(self.z, self.gradient)), axis=1)
        return np.where(np.isfinite(self.value), size, np.inf)

    def take(self, other: "Front", where: np.ndarray) -> "Front":
        """The other front's starts where told, this one's elsewhere."""
        pick = where[:, None]
        return Front(
            np.where(pick, other.z, self.z),
            np.where(where, other.value, self.value),
            np.where(pick, other.gradient, self.gradient),
        )


def projected_gradient(z: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    r"""$P(z + \nabla f) - z$ on the unit box: zero where the first-order conditions hold."""
    return np.clip(z + gradient, 0.0, 1.0) - z


def adam(slopes: Slopes, start: Front, steps: int, *, rate: float = 0.05, tolerance: float = 1e-3) -> Front:
    """Projected Adam with a cosine schedule; returns the best point that each start saw."""
    import optax

    rule: Any = optax.adam(optax.cosine_decay_schedule(rate, steps))
    update = jax.jit(rule.update)
    here, best, memory = start, start, rule.init(start.z)
    for _ in range(steps):
        change, memory = update(-here.gradient, memory)
        z = np.clip(here.z + np.asarray(change), 0.0, 1.0)
        # A start on failed ground goes halfway back to its best point, or toward the center if it has none.
        home = np.where(np.isfinite(best.value)[:, None], best.z, 0.5)
        z = np.where(np.isfinite(here.value)[:, None], z, 0.5 * (here.z + home))
        here = Front(z, *slopes(z))
        best = best.take(here, here.value > best.value)
        if np.all(best.kkt <= tolerance):
            break
    return best


def _trials(front: Front, direction: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    return np.clip(front.z[:, None] + lengths[:, None] * direction[:, None], 0.0, 1.0)


def _best_trial(values: Values, trials: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Best of the trial points `[s, t, k]` of each start, and its value."""
    s, t, k = trials.shape
    found = values(trials.reshape(s * t, k)).reshape(s, t)
    pick = np.argmax(found, axis=1)
    rows = np.arange(s)
    return trials[rows, pick], found[rows, pick]


def lbfgs(values: Values, slopes: Slopes, start: Front, steps: int, *, tolerance: float = 1e-3) -> Front:
    """Projected L-BFGS (optax) on the free variables, with a search over fixed step lengths."""
    import optax

    rule: Any = optax.scale_by_lbfgs(memory_size=10)
    update = jax.jit(jax.vmap(rule.update))
    lengths = np.array([1.0, 0.5, 0.1, 0.01, 1e-3, 1e-4])
    here, memory = start, jax.vmap(rule.init)(start.z)
    for _ in range(steps):
        uphill = np.where(projected_gradient(here.z, here.gradient) != 0, here.gradient, 0.0)
        change, memory = update(-uphill, memory, here.z)
        direction = np.where((uphill != 0) & np.isfinite(change), -np.asarray(change), 0.0)
        rises = np.sum(direction * uphill, axis=1, keepdims=True) > 0
        z, value = _best_trial(values, _trials(here, np.where(rises, direction, uphill), lengths))
        moved = value > here.value
        here = here.take(Front(z, *slopes(z)), moved)
        if np.all(here.kkt <= tolerance) or not np.any(moved):
            break
    return here


def polish(values: Values, slopes: Slopes, start: Front, steps: int = 60, *, tolerance: float = 1e-11) -> Front:
    """Projected BFGS: quasi-Newton on the variables that no bound holds, to round-off."""
    s, k = start.z.shape
    eye = np.broadcast_to(np.eye(k, dtype=start.z.dtype), (s, k, k))
    lengths = np.array([4.0, 1.0, 0.5, 0.1, 0.01, 1e-3, 1e-5])
    noise = float(np.finfo(start.z.dtype).eps) ** 0.6
    here, curvature, rest = start, eye.copy(), 0
    for _ in range(steps):
        g = here.gradient
        free = ~(((here.z <= 0) & (g <= 0)) | ((here.z >= 1) & (g >= 0)))
        pairs = free[:, :, None] & free[:, None, :]
        direction = np.linalg.solve(np.where(pairs, curvature, eye), np.where(free, g, 0.0)[..., None])[..., 0]
        trials = _trials(here, direction, lengths)
        z, value = _best_trial(values, trials)
        climbs = value > here.value + noise
        # Near the optimum values differ by round-off only: there the full step is taken if it lowers the residual.
        there = np.where(climbs[:, None], z, trials[:, 1])
        found = Front(there, *slopes(there))
        alive = np.isfinite(here.value) & np.isfinite(found.value)
        change = np.where(alive, found.value, 0.0) - np.where(alive, here.value, 0.0)
        settles = (np.abs(change) <= noise) & (found.kkt < here.kkt)
        moved = alive & (climbs | settles)
        step, bend = found.z - here.z, here.gradient - found.gradient
        sy = np.sum(step * bend, axis=1)
        bs = np.einsum("sij,sj->si", curvature, step)
        sbs = np.sum(step * bs, axis=1)
        # A step that was not taken still tells the curvature.
        valid = alive & (sy > 1e-10 * np.sum(step**2, axis=1)) & (sbs > 0)
        sy, sbs = np.where(valid, sy, 1.0)[:, None, None], np.where(valid, sbs, 1.0)[:, None, None]
        updated = curvature + bend[:, :, None] * bend[:, None] / sy - bs[:, :, None] * bs[:, None] / sbs
        # No progress and nothing learned: a shorter step next.
        keep = np.where(moved[:, None, None], curvature, 4.0 * curvature)
        curvature = np.where(valid[:, None, None], updated, keep)
        here = here.take(found, moved)
        rest = 0 if np.any(moved) else rest + 1
        if rest == 8 or np.all((here.kkt <= tolerance) | ~np.isfinite(here.value)):
            break
    return here
