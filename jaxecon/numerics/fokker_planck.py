r"""Drift and diffusion of a mass on a bounded set, no flux at the boundary: masses stay positive and add up.

$\partial_t \mu = \lambda\,\mathrm{div}(\sigma \nabla\mu - \mu\nabla\pi)$ as a Markov chain on the cells of a
grid: Scharfetter-Gummel hop rates, implicit Euler in time. For any potential and any step the scheme
keeps mass and positivity, and its stationary law is $\exp(\pi/\sigma)$ to round-off, because the rates
satisfy detailed balance edge by edge. State: *masses* of cells (density times volume), so the sum is the mass.

Two dimensions split into sweeps along the axes. Detailed balance holds for each axis apart, so the
splitting keeps the stationary law exactly; only the path carries its first-order error, like implicit Euler itself.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float


class HopRates(NamedTuple):
    """Rates of the chain: `up[i]` from cell i to i + 1, `down[i]` from i + 1 to i; shape `[N - 1, ...]`."""

    up: Float[Array, "edges ..."]
    down: Float[Array, "edges ..."]


def bernoulli(x: Float[Array, "..."]) -> Float[Array, "..."]:
    r"""Bernoulli function $B(x) = x/(e^x - 1)$, $B(0) = 1$, exact on both sides [S].

    Written on |x|, where $e^{-|x|}$ cannot overflow, and continued by $B(-x) = x + B(x)$.
    """
    y = jnp.abs(x)
    small = y < 1e-2
    safe = jnp.where(small, 1.0, y)
    series = 1 - x / 2 + x * x / 12 - x**4 / 720
    closed = safe * jnp.exp(-safe) / -jnp.expm1(-safe) + jnp.maximum(-x, 0.0)
    return jnp.where(small, series, closed)


def hop_rates(
    potential: Float[Array, "N ..."], sigma: Float[Array, ""], speed: Float[Array, ""], h: Float[Array, ""] | float
) -> HopRates:
    r"""Scharfetter-Gummel rates $(\lambda\sigma/h^2) B(\mp d)$, $d = (\pi_{i+1} - \pi_i)/\sigma$, along the first axis [S].

    `potential`: payoff at cell centers; `sigma`: temperature; `speed`: $\lambda$; `h`: width of a cell.
    """
    d = jnp.diff(potential, axis=0) / sigma
    scale = speed * sigma / h**2
    return HopRates(scale * bernoulli(-d), scale * bernoulli(d))


def mass_flow(mass: Float[Array, "N ..."], rates: HopRates) -> Float[Array, "N ..."]:
    """Time derivative of the masses along the first axis: inflow less outflow; sums to zero."""
    flux = rates.up * mass[:-1] - rates.down * mass[1:]
    edge = jnp.zeros_like(mass[:1])
    return jnp.concatenate([edge, flux]) - jnp.concatenate([flux, edge])


def _pivots(up: Array, down: Array) -> Array:
    """Pivots of the elimination without subtraction.

    The pivot of row i is up_i + e_i with e_i = 1 + down_i e_{i-1} / pivot_{i-1}: a sum of positive terms
    (the column sums are one), so no digit is lost however long the step.
    """
    one = jnp.ones_like(up[0])

    def eliminate(carry: tuple[Array, Array], edge: tuple[Array, Array]) -> tuple[tuple[Array, Array], Array]:
        e, pivot = carry
        down_i, up_i = edge
        e = 1 + down_i * e / pivot
        return (e, up_i + e), up_i + e

    outflow = jnp.concatenate([up[1:], jnp.zeros_like(up[:1])])
    first = up[0] + one
    _, rest = lax.scan(eliminate, (one, first), (down, outflow))
    return jnp.concatenate([first[None], rest])


def _sweep(first: Array, rest: Array, factor: Array, reverse: bool = False) -> Array:
    """y_0 = first, y_i = rest_i + factor_i y_{i-1}; from the other end if `reverse`."""

    def step(y: Array, x: tuple[Array, Array]) -> tuple[Array, Array]:
        y = x[0] + x[1] * y
        return y, y

    _, ys = lax.scan(step, first, (rest, factor), reverse=reverse)
    return jnp.concatenate([ys, first[None]] if reverse else [first[None], ys])


def _solve(up: Array, down: Array, b: Array) -> Array:
    """Solve (1 - L) x = b for a chain with rates `up`, `down`; every term is positive if b is."""
    pivot = _pivots(up, down)
    y = _sweep(b[0], b[1:], up / pivot[:-1])
    z = y / pivot
    return _sweep(z[-1], z[:-1], down / pivot[:-1], reverse=True)


def _solve_transposed(up: Array, down: Array, b: Array) -> Array:
    """Solve (1 - L)' x = b with the same pivots: the adjoint of `_solve`."""
    pivot = _pivots(up, down)
    y = _sweep(b[0], b[1:], down / pivot[:-1])
    z = y / pivot
    return _sweep(z[-1], z[:-1], up / pivot[:-1], reverse=True)


def implicit_step(mass: Float[Array, "N ..."], rates: HopRates, dt: Float[Array, ""] | float) -> Float[Array, "N ..."]:
    r"""Masses after an implicit Euler step along the first axis: $(1 - \Delta t\,L)\,m' = m$.

    The matrix is an M-matrix with column sums one: m' >= 0 and the mass is kept, for any step. Further axes are
    independent chains. Differentiable in both modes (the adjoint is one transposed sweep).
    """
    up, down = rates.up * dt, rates.down * dt

    def matvec(m: Array) -> Array:
        return m - mass_flow(m, HopRates(up, down))

    return lax.custom_linear_solve(
        matvec,
        mass,
        solve=lambda _, b: _solve(lax.stop_gradient(up), lax.stop_gradient(down), b),
        transpose_solve=lambda _, b: _solve_transposed(lax.stop_gradient(up), lax.stop_gradient(down), b),
    )


def evolve(
    mass: Float[Array, "..."],
    potential: Float[Array, "..."],
    sigma: Float[Array, ""],
    speed: Float[Array, ""],
    widths: tuple[float, ...],
    dt: Float[Array, ""] | float,
) -> Float[Array, "..."]:
    r"""Masses after a step of $\mu' = \lambda\,\mathrm{div}(\sigma\nabla\mu - \mu\nabla\pi)$ in one or two dimensions.

    `mass`, `potential`: same shape, one axis per dimension; `widths`: cell width per axis; `dt`: any positive step.
    """
    for axis, h in enumerate(widths):
        moved, pi = jnp.moveaxis(mass, axis, 0), jnp.moveaxis(potential, axis, 0)
        moved = implicit_step(moved, hop_rates(pi, sigma, speed, h), dt)
        mass = jnp.moveaxis(moved, 0, axis)
    return mass


def stationary_mass(
    potential: Float[Array, "..."], sigma: Float[Array, ""], total: Float[Array, ""] | float = 1.0
) -> Float[Array, "..."]:
    r"""Stationary law of a fixed potential, $\mu^* \propto \exp(\pi/\sigma)$ [S], as masses that sum to `total`."""
    return total * jax.nn.softmax(potential / sigma, axis=tuple(range(potential.ndim)))


def entropy(mass: Float[Array, "..."], volume: Float[Array, ""] | float) -> Float[Array, ""]:
    r"""$\int \mu\ln\mu$ of a law with cell masses `mass` and cell volume `volume`; empty cells count zero."""
    safe = jnp.where(mass > 0, mass, 1.0)
    return jnp.sum(jnp.where(mass > 0, mass * jnp.log(safe / volume), 0.0))


def free_energy(
    mass: Float[Array, "..."],
    potential: Float[Array, "..."],
    sigma: Float[Array, ""],
    volume: Float[Array, ""] | float,
) -> Float[Array, ""]:
    r"""Free energy of a fixed potential, $\sigma\int\mu\ln\mu - \int\mu\pi$ [S]; it falls along every path."""
    return sigma * entropy(mass, volume) - jnp.sum(mass * potential)
