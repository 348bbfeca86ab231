r"""Constrained maximization over the unit box by augmented Lagrangian and projected Newton steps, from many starts at once.

$\max f(z)$ subject to $z \in [0,1]^k$ and $c(z) \in [lo, hi]$. With multipliers y and a penalty $\rho$ each start minimizes
$-f + \frac{\rho}{2} dist^2(c + y/\rho, [lo, hi])$; then $y \leftarrow \rho (w - P(w))$, $w = c + y/\rho$ (Bertsekas 1982; Nocedal &
Wright 2006, ch. 17 [S]). y is positive at an upper bound, negative at a lower one. The loop runs on the host and calls one function
for the exact derivatives at all starts; where a point fails the step is not taken, and no other start notices.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from jaxecon.numerics.box_optimizer import projected_gradient

NOISE = 1e-13
# A variable so near to a bound that the gradient points out of it is held there.
NEAR = 1e-8


@dataclasses.dataclass(frozen=True)
class Local:
    """Values and exact derivatives at points of the unit box: objective `f`, `c` of the constraints; -inf where it fails."""

    f: np.ndarray  # [s]
    df: np.ndarray  # [s, k]
    ddf: np.ndarray  # [s, k, k]
    c: np.ndarray  # [s, m]
    dc: np.ndarray  # [s, m, k]
    ddc: np.ndarray  # [s, m, k, k]

    def take(self, other: "Local", where: np.ndarray) -> "Local":
        """The other's points where told, this one's elsewhere."""
        pairs = {f.name: (getattr(self, f.name), getattr(other, f.name)) for f in dataclasses.fields(self)}
        return Local(**{n: np.where(where.reshape(-1, *[1] * (a.ndim - 1)), b, a) for n, (a, b) in pairs.items()})

    def put(self, part: "Local", rows: np.ndarray) -> "Local":
        """These points with those of some rows replaced."""
        made = {f.name: getattr(self, f.name).copy() for f in dataclasses.fields(self)}
        for name, value in made.items():
            value[rows] = getattr(part, name)
        return Local(**made)

    def lagrangian(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Gradient and Hessian of $f - y \\cdot c$."""
        slope = self.df - np.einsum("sm,smk->sk", y, self.dc)
        return slope, self.ddf - np.einsum("sm,smkl->skl", y, self.ddc)


# Derivatives at points `[b, k]` of the starts whose numbers `[b]` are told: each start may have its own problem.
Look = Callable[[np.ndarray, np.ndarray], Local]


@dataclasses.dataclass(frozen=True)
class Residuals:
    """First-order conditions of each start, unit-free."""

    stationarity: np.ndarray
    feasibility: np.ndarray
    complementarity: np.ndarray

    @property
    def largest(self) -> np.ndarray:
        return np.maximum(self.stationarity, np.maximum(self.feasibility, self.complementarity))


def residuals(z: np.ndarray, here: Local, y: np.ndarray, lo: np.ndarray, hi: np.ndarray) -> Residuals:
    """Projected gradient of the Lagrangian; distance of c from [lo, hi]; smaller of |y| and the slack of its bound."""
    slope, _ = here.lagrangian(y)
    ok = np.isfinite(here.f)
    c = np.where(ok[:, None], here.c, 0.0)
    gap = np.abs(c - np.clip(c, lo, hi))
    slack = np.where(y > 0, np.maximum(hi - c, 0.0), np.maximum(c - lo, 0.0))
    loose = np.where(y == 0, 0.0, np.minimum(np.abs(y), slack))

    def worst(x: np.ndarray) -> np.ndarray:
        return np.where(ok, np.max(x, axis=1, initial=0.0), np.inf)

    return Residuals(worst(np.abs(projected_gradient(z, slope))), worst(gap), worst(loose))


def newton_direction(hessian: np.ndarray, slope: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Descent direction on the free variables, `[s, k]`: Newton's where the Hessian is positive, its eigenvalues in modulus
    elsewhere."""
    k = slope.shape[1]
    pairs = free[:, :, None] & free[:, None, :]
    size, axes = np.linalg.eigh(np.where(pairs, hessian, np.eye(k)))
    floor = 1e-9 * np.maximum(np.max(np.abs(size), axis=1, keepdims=True), 1e-12)
    along = np.einsum("skj,sk->sj", axes, np.where(free, slope, 0.0)) / np.maximum(np.abs(size), floor)
    return np.where(free, -np.einsum("skj,sj->sk", axes, along), 0.0)


@dataclasses.dataclass
class Solution:
    """Where the starts ended: points, derivatives there, multipliers, residuals."""

    z: np.ndarray
    here: Local
    y: np.ndarray
    kkt: Residuals


def maximize_constrained(
    look: Look, z: np.ndarray, lo: np.ndarray, hi: np.ndarray, *, outer: int = 40, inner: int = 40, tol: float = 1e-10
) -> Solution:
    """Maximize from all starts `z` [s, k] of the unit box. `look` gives values and derivatives at the points of some starts;
    objective and constraints in units of their size. Ends when every start has arrived or nothing improves any more."""
    s, m = len(z), len(lo)
    here = look(z, np.arange(s))
    y, rho = np.zeros((s, m)), np.full(s, 10.0)
    kkt = residuals(z, here, y, lo, hi)
    best, rest = kkt.largest, 0
    for _ in range(outer):
        z, here = _descend(look, z, here, y, rho, lo, hi, inner, tol)
        w = here.c + y / rho[:, None]
        alive = np.isfinite(here.f)
        new = np.where(alive[:, None], rho[:, None] * (w - np.clip(w, lo, hi)), 0.0)
        found = residuals(z, here, new, lo, hi)
        # Where the conditions on the constraints did not close in, the penalty rises.
        slow = np.maximum(found.feasibility, found.complementarity) > 0.25 * np.maximum(
            kkt.feasibility, kkt.complementarity
        )
        rho = np.where(slow & alive, np.minimum(10 * rho, 1e8), rho)
        y, kkt = new, found
        if np.all((kkt.largest <= tol) | ~alive):
            break
        rest = 0 if np.any(kkt.largest < 0.5 * best) else rest + 1
        best = np.minimum(best, kkt.largest)
        if rest == 10:
            break
    return Solution(z, here, y, kkt)


def _descend(
    look: Look, z: np.ndarray, here: Local, y: np.ndarray, rho: np.ndarray, lo: np.ndarray, hi: np.ndarray,
    steps: int, tol: float,
) -> tuple[np.ndarray, Local]:  # fmt: skip
    """Projected Newton on the augmented Lagrangian with fixed multipliers."""

    def merit(at: Local) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        w = at.c + y / rho[:, None]
        over = w - np.clip(w, lo, hi)
        slope, hessian = at.lagrangian(rho[:, None] * over)
        held = rho[:, None] * (over != 0)
        hessian = -hessian + np.einsum("sm,smk,sml->skl", held, at.dc, at.dc)
        value = np.where(np.isfinite(at.f), -at.f + rho * np.sum(over**2, axis=1) / 2, np.inf)
        return value, -slope, hessian

    value, slope, hessian = merit(here)
    scale = np.ones(len(z))
    for _ in range(steps):
        size = np.max(np.abs(projected_gradient(z, -slope)), axis=1)
        busy = np.isfinite(value) & (size > tol / 2) & (scale > 1e-9)
        if not np.any(busy):
            break
        free = ~(((z <= NEAR) & (slope >= 0)) | ((z >= 1 - NEAR) & (slope <= 0)))
        step = newton_direction(hessian, slope, free)
        step *= np.minimum(1.0, 0.5 / np.maximum(np.max(np.abs(step), axis=1, keepdims=True), 1e-30))
        trial = np.clip(np.where(free, z + scale[:, None] * step, np.round(z)), 0.0, 1.0)
        rows = np.flatnonzero(busy)
        at = here.put(look(trial[rows], rows), rows)
        new, new_slope, new_hessian = merit(at)
        noise = NOISE * (1 + np.abs(np.where(np.isfinite(value), value, 0.0)))
        drop = np.where(np.isfinite(new), value - np.where(np.isfinite(new), new, 0.0), -np.inf)
        expected = -1e-4 * np.sum(slope * (trial - z), axis=1)
        # Near the minimum values differ by round-off only: there the residual decides.
        closer = (np.abs(drop) <= noise) & (np.max(np.abs(projected_gradient(trial, -new_slope)), axis=1) < size)
        moved = busy & ((drop > np.maximum(expected, noise)) | closer)
        z = np.where(moved[:, None], trial, z)
        here = here.take(at, moved)
        value, slope = np.where(moved, new, value), np.where(moved[:, None], new_slope, slope)
        hessian = np.where(moved[:, None, None], new_hessian, hessian)
        scale = np.where(moved, np.minimum(1.0, 4 * scale), np.where(busy, 0.25 * scale, scale))
    return z, here


def critical_curvatures(
    z: np.ndarray, slope: np.ndarray, hessian: np.ndarray, dc: np.ndarray, held: np.ndarray, tol: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Second-order check at one point of the unit box.

    **Arguments**: gradient `[k]` and Hessian `[k, k]` of the Lagrangian, `dc` [m, k], `held` [m]: constraints that bind.

    **Returns** eigenvalues of the Hessian on the critical cone's subspace, ascending (empty at a vertex: nothing is left
    to move), an orthonormal basis of it `[k, d]`, and the instruments that no bound holds. A constraint or bound that binds
    with a multiplier of zero is left out, so that the check errs on the safe side.
    """
    free = ~(((z <= 0) & (slope < -tol)) | ((z >= 1) & (slope > tol)))
    rows = np.concatenate([np.eye(len(z))[~free], dc[held]])
    if len(rows):
        size, axes = np.linalg.svd(rows)[1:]
        rank = int(np.sum(size > 1e-10 * max(size[0], 1e-300)))
        basis = axes[rank:].T
    else:
        basis = np.eye(len(z))
    if basis.shape[1] == 0:
        return np.zeros(0), basis, free
    return np.linalg.eigvalsh(basis.T @ hessian @ basis), basis, free
