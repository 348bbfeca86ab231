r"""Weighted least squares from very many starts at once: Levenberg-Marquardt in a box, one compiled call a step for all of them.

Parameters $\theta = l + (h - l)/(1 + e^{-z})$, residuals $r = R(m(\theta) - m^{obs})$ with $R'R = W$. Every step solves

$$ (J'J + \lambda\,\mathrm{diag}(J'J))\,dz = -J'r, \qquad J = R\,\partial m/\partial z $$

for all starts that still move, and asks the model for moments and Jacobian at their trial points. The damping follows the ratio of the
actual to the predicted decrease (Nielsen 1999). A start that the model does not solve is dropped; a trial that it does not solve is turned
down like one that does not descend.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

# `look(theta [n, k]) -> (moments [n, m], jacobian by theta [n, m, k], status [n])`, NaN where unsolved.
Look = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]
# Beyond this |z| a parameter is at its bound, exactly: the remaining share of the range is 3e-7.
END = 15.0
# Relative difference of two distances that round-off explains; a distance that is zero; damping at which nothing descends.
FLAT, EXACT, LARGE = 1e-13, 1e-26, 1e15
# Largest change of a z in one step: from one end of the range to the other takes ten.
STRIDE = 3.0


@dataclasses.dataclass(frozen=True)
class Stop:
    """When a start rests: its step as a share of the range is this small, and so is the share of the distance that moving one parameter
    would take away; and the steps after which it is left alone."""

    move: float
    decrease: float
    steps: int


# Good enough to tell minima apart; and to round-off.
COARSE, FINE = Stop(1e-4, 1e-5, 150), Stop(1e-14, 1e-20, 500)


@dataclasses.dataclass(frozen=True)
class Ends:
    """Where the starts ended.

    **Attributes**: `theta [n, k]`, `moments [n, m]`, `jacobian [n, m, k]` by theta, `value [n]`: $r'r$, infinite where the start failed;
    `gradient [n]`: largest entry of the projected gradient of $r'r/2$ by the share of the range; `steps [n]`; `status [n]` of the
    model at the start; `rests [n]`: whether it stopped by itself.
    """

    theta: np.ndarray
    moments: np.ndarray
    jacobian: np.ndarray
    value: np.ndarray
    gradient: np.ndarray
    steps: np.ndarray
    status: np.ndarray
    rests: np.ndarray

    def take(self, which: Any) -> "Ends":
        """Some of the starts."""
        return Ends(*(getattr(self, f.name)[which] for f in dataclasses.fields(self)))

    @staticmethod
    def joined(parts: list["Ends"]) -> "Ends":
        """Starts of several parts, in order."""
        return Ends(*(np.concatenate([getattr(x, f.name) for x in parts]) for f in dataclasses.fields(Ends)))


@dataclasses.dataclass(frozen=True)
class Distance:
    """The weighted distance of moments from what was observed, over a box: `root` is R with $R'R = W$."""

    lo: np.ndarray
    hi: np.ndarray
    observed: np.ndarray
    root: np.ndarray

    def theta(self, z: np.ndarray) -> np.ndarray:
        """From all reals to the box; its ends exactly from `END` on."""
        inside = self.lo + (self.hi - self.lo) / (1 + np.exp(-z))
        return np.where(z >= END, self.hi, np.where(z <= -END, self.lo, inside))

    def z(self, theta: np.ndarray) -> np.ndarray:
        """Inverse of `theta`, within `END`."""
        share = np.clip((theta - self.lo) / (self.hi - self.lo), 1e-12, 1 - 1e-12)
        return np.clip(np.log(share) - np.log1p(-share), -END, END)

    def residuals(self, moments: np.ndarray) -> np.ndarray:
        """$R(m - m^{obs})$ at points, `[n, m]`."""
        return (moments - self.observed) @ self.root.T

    def value(self, moments: np.ndarray) -> np.ndarray:
        """$r'r$ at points, infinite where the model is not solved."""
        found = np.sum(self.residuals(moments) ** 2, axis=1)
        return np.where(np.isfinite(found), found, np.inf)

    def gradient(self, theta: np.ndarray, moments: np.ndarray, jacobian: np.ndarray) -> np.ndarray:
        """Gradient of $r'r/2$ by the share of each range, `[n, k]`; zero where it points out of the box at an end."""
        slope = np.einsum("nmk,nm->nk", self.root @ jacobian * (self.hi - self.lo), self.residuals(moments))
        out = ((theta <= self.lo) & (slope > 0)) | ((theta >= self.hi) & (slope < 0))
        return np.where(out, 0.0, slope)


# Points that the model does not solve are NaN.
@np.errstate(invalid="ignore", over="ignore")
def descend(distance: Distance, look: Look, starts: np.ndarray, stop: Stop = FINE) -> Ends:
    """Levenberg-Marquardt from each of the starts `[n, k]` until all rest.

    Starts do not interact, and rest one by one: what is left is gathered before every step. NumPy keeps the books; the model is asked
    once a step.
    """
    n = len(starts)
    z = distance.z(starts)
    theta = distance.theta(z)
    moments, jacobian, status = (np.array(x) for x in look(theta))
    status = np.where((status == 0) & ~_finite(moments, jacobian), -1, status)
    value = np.where(status == 0, distance.value(moments), np.inf)
    damping, growth = np.full(n, 1e-2), np.full(n, 2.0)
    steps, rests = np.zeros(n, int), np.zeros(n, bool)
    active = np.flatnonzero(np.isfinite(value))
    for _ in range(stop.steps):
        if not len(active):
            break
        at = active
        slope, bend = _normal(distance, z[at], moments[at], jacobian[at])
        trial = np.clip(z[at] + _step(z[at], slope, bend, damping[at]), -END, END)
        d = trial - z[at]
        predicted = -2 * np.einsum("nk,nk->n", slope, d) - np.einsum("nj,njk,nk->n", d, bend, d)
        new_theta = distance.theta(trial)
        new_moments, new_jacobian, _ = look(new_theta)
        new_value = np.where(_finite(new_moments, new_jacobian), distance.value(new_moments), np.inf)
        # Where the distance no longer tells the two points apart, the smaller gradient is better.
        flat = np.abs(new_value - value[at]) <= FLAT * value[at]
        slant = _slant(z[at], slope, bend)
        flatter = _slant(trial, *_normal(distance, trial, new_moments, new_jacobian)) < slant
        better = np.where(flat, flatter, new_value < value[at])
        gain = np.where(better, value[at] - np.where(better, new_value, 0.0), 0.0) / np.maximum(predicted, 1e-300)
        gain = np.where(flat & better, 1.0, gain)
        moved = np.max(np.abs(new_theta - theta[at]) / (distance.hi - distance.lo), axis=1)
        small = (moved <= stop.move) & (slant**2 <= stop.decrease * value[at]) | (value[at] <= EXACT)
        up = at[better]
        z[up], theta[up], moments[up] = trial[better], new_theta[better], new_moments[better]
        jacobian[up], value[up] = new_jacobian[better], new_value[better]
        damping[at] *= np.where(better, np.maximum(1 / 3, 1 - (2 * np.minimum(gain, 1.0) - 1) ** 3), growth[at])
        damping[at] = np.maximum(damping[at], 1e-10)
        growth[at] = np.where(better, 2.0, 2 * growth[at])
        steps[at] += 1
        rests[at] = small | (damping[at] > LARGE)
        active = at[~rests[at]]
    gradient = np.max(np.abs(distance.gradient(theta, moments, jacobian)), axis=1)
    return Ends(theta, moments, jacobian, value, np.where(np.isfinite(value), gradient, np.nan), steps, status, rests)


def _finite(moments: np.ndarray, jacobian: np.ndarray) -> np.ndarray:
    return np.asarray(np.isfinite(moments).all(axis=1) & np.isfinite(jacobian).all(axis=(1, 2)))


def _normal(
    distance: Distance, z: np.ndarray, moments: np.ndarray, jacobian: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """$J'r$ and $J'J$ by z, `[n, k]` and `[n, k, k]`."""
    share = 1 / (1 + np.exp(-z))
    by_z = distance.root @ jacobian * ((distance.hi - distance.lo) * share * (1 - share))[:, None, :]
    slope = np.einsum("nmk,nm->nk", by_z, distance.residuals(moments))
    return slope, np.einsum("nmj,nmk->njk", by_z, by_z)


def _held(z: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Which parameters are at an end of their range and drawn further out."""
    return ((z >= END) & (slope < 0)) | ((z <= -END) & (slope > 0))


def _sizes(bend: np.ndarray) -> np.ndarray:
    """Lengths of the columns of J, with a floor for moments that do not move."""
    size = np.sqrt(np.einsum("nkk->nk", bend))
    return np.maximum(size, 1e-14 * np.max(size, axis=1, keepdims=True)) + 1e-150


def _slant(z: np.ndarray, slope: np.ndarray, bend: np.ndarray) -> np.ndarray:
    """Largest component of the residual along a column of J, `[n]`; NaN where the model is not solved."""
    return np.max(np.where(_held(z, slope), 0.0, np.abs(slope) / _sizes(bend)), axis=1)


def _step(z: np.ndarray, slope: np.ndarray, bend: np.ndarray, damping: np.ndarray) -> np.ndarray:
    """The damped step of each start, `[n, k]`; a parameter at its end that is drawn further out stays there.

    In units of the columns of J, so that a parameter in the flat tail of its range is not stuck there.
    """
    held, size, unit = _held(z, slope), _sizes(bend), np.eye(z.shape[1])
    matrix = bend / (size[:, :, None] * size[:, None, :]) + damping[:, None, None] * unit
    open_ = (~held).astype(float)
    matrix = matrix * open_[:, :, None] * open_[:, None, :] + held[:, :, None] * unit
    step = np.linalg.solve(matrix, -(slope / size * open_)[:, :, None])[:, :, 0] / size
    return np.clip(step, -STRIDE, STRIDE)
