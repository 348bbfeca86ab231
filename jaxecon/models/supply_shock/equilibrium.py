r"""Static assignment equilibrium: cutoffs by indifference, certified by regret (3.3).

Unknowns are the three cutoffs; $D_A$, $\Phi$, $M$ and $p$ are closed forms of them. The five occupation
patterns are one complementarity system: a segment of zero length drops its equation.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from jaxecon.core.model import FIRST_REASON, NOT_CONVERGED, SOLVED
from jaxecon.core.model import Equilibrium as BaseEquilibrium
from jaxecon.models.supply_shock import market
from jaxecon.models.supply_shock.market import Cutoffs
from jaxecon.models.supply_shock.params import Params, Policy
from jaxecon.numerics.roots import Root, bisect, find_root, solve_small

NOT_CUTOFFS = FIRST_REASON
REASONS = {
    NOT_CUTOFFS: (
        "NOT_CUTOFFS",
        "no pattern of pure cutoffs is an equilibrium: two occupations share a range of skills",
    )
}


class Equilibrium(BaseEquilibrium):
    """Cutoffs with AI and without, regret of the assignment, and whether AI is used at all."""

    cutoffs: Cutoffs
    no_ai_cutoff: Float[Array, ""]
    regret: Float[Array, ""]
    uses_ai: Bool[Array, ""]


def money_scale(p: Params) -> Float[Array, ""]:
    """Unit of the payoff conditions: what the highest taste pays for the AI ceiling."""
    return p.theta_max * p.q_A


def payoffs(p: Params, u: Policy, x: Cutoffs, s: Float[Array, " k"]) -> tuple[Float[Array, " k"], Float[Array, " k"]]:
    """Payoffs with AI and without of skills `s` under the assignment `x`."""
    q_h, q_a = market.human_quality(p, s), market.ai_quality(p, s)
    price = market.price(p, u, x, jnp.stack([q_h, q_a]))
    return market.ai_payoff(p, u, price[1], q_a), market.human_payoff(p, price[0], q_h)


def indifference(v: Float[Array, "3"], args: tuple[Params, Policy]) -> Float[Array, "3"]:
    r"""Conditions for the cutoffs $(s_0, s_1, s_H)$ (3.3), in units of `money_scale`.

    $\max(\pi_A, \pi_H)(s_0) = w_0$; $\min\{s_1 - s_0, (\pi_A - \pi_H)(s_1)\} = 0$;
    $\min\{1 - s_H, (\pi_A - \pi_H)(s_H)\} = 0$.
    """
    p, u = args
    ai, human = payoffs(p, u, Cutoffs(v[0], v[1], v[2]), v)
    gain = (ai - human) / money_scale(p)
    exit_gain = (jnp.maximum(ai[0], human[0]) - p.w_0) / money_scale(p)
    return jnp.stack([exit_gain, jnp.minimum(v[1] - v[0], gain[1]), jnp.minimum(1 - v[2], gain[2])])


def indifference_without_low_humans(v: Float[Array, "2"], args: tuple[Params, Policy]) -> Float[Array, "2"]:
    r"""Conditions of the patterns EAH and EA for $(s_0 = s_1, s_H)$, in units of `money_scale`."""
    p, u = args
    ai, human = payoffs(p, u, Cutoffs(v[0], v[0], v[1]), v)
    return jnp.stack([(ai[0] - p.w_0), jnp.minimum((1 - v[1]) * money_scale(p), ai[1] - human[1])]) / money_scale(p)


def no_ai_condition(v: Float[Array, "1"], p: Params) -> Float[Array, "1"]:
    r"""Exit cutoff of the pattern EH: $\pi_H(s_0) = w_0$ with AI absent, in units of `money_scale`."""
    s = v[0]
    q = market.human_quality(p, s)
    served = p.n * p.k_H * (1 - market.skill_cdf(p.skill_law, s))
    income = market.human_payoff(p, market.hedonic_price(p, q, served * q, jnp.zeros_like(s), served), q)
    return (v - v) + (income - p.w_0) / money_scale(p)


def _no_ai_scalar(s: Float[Array, ""], p: Params) -> Float[Array, ""]:
    return no_ai_condition(s[None], p)[0]


def pooled_guess(p: Params, u: Policy) -> tuple[Float[Array, ""], Float[Array, ""]]:
    r"""Cutoffs $(s_0, s_H)$ of the pooled regime without overlap: where the free-entry price of AI content rules.

    $p(q_A) = c_A q_A + (\kappa + w_0)/k_A$ fixes $s_H$; then coverage fixes $D_A$ and $s_0$. Exact if
    $s_0 \ge q_A/a$ and $\alpha s_H \ge q_A$, a start otherwise.
    """
    law = p.skill_law
    entry_price = market.ai_unit_cost(p, u, p.q_A) + (p.kappa + p.w_0) / p.k_A

    def served_by_humans(s: Array) -> Array:
        return p.n * p.k_H * (1 - market.skill_cdf(law, s))

    def human_gain(s: Array, _: Any) -> Array:
        q = market.human_quality(p, s)
        step = p.theta_max * (q - p.q_A) * (1 - served_by_humans(s))
        return market.human_payoff(p, entry_price + step, q) - p.w_0

    one = jnp.ones_like(p.q_A)
    s_h = bisect(human_gain, jnp.minimum(0.3 * p.q_A / p.alpha, 0.9), one, None, steps=24)
    s_h = jnp.where(human_gain(one, None) < 0, one, s_h)

    def margin(d: Array, _: Any) -> Array:
        served = d + served_by_humans(s_h)
        phi = market.search_penalty(p, u, d)
        return market.hedonic_price(p, p.q_A, served * p.q_A, phi, served) - entry_price

    most = p.n * p.k_A * market.skill_cdf(law, s_h)
    volume = bisect(margin, jnp.zeros_like(most), most, None, steps=24)
    s_0 = market.skill_quantile(law, market.skill_cdf(law, s_h) - volume / (p.n * p.k_A))
    return jnp.clip(s_0, 0.02, 0.98), jnp.clip(s_h, 0.03, 1.0)


def _newton_steps(f: Any, v: Array, args: Any, steps: int) -> Array:
    """Newton steps with a cap, kept ordered and inside (0, 1]; a fixed number, so that batches run in lockstep."""
    shrink = jnp.asarray([1.0, 0.4, 0.1, 0.02], v.dtype)

    def ordered(w: Array) -> Array:
        w = jnp.clip(w, 1e-6, 1.0)
        return jnp.stack([jnp.max(w[: k + 1]) for k in range(w.shape[0])])

    def body(_: Any, v: Array) -> Array:
        value = f(v, args)
        step = solve_small(jax.jacfwd(f)(v, args), value)
        step = jnp.where(jnp.isfinite(step), step, 0.0)
        step = step * jnp.minimum(1.0, 0.25 / jnp.maximum(jnp.max(jnp.abs(step)), 1e-30))
        trials = jax.vmap(lambda t: ordered(v - t * step))(shrink)
        sizes = jax.vmap(lambda w: jnp.max(jnp.abs(f(w, args))))(trials)
        better = sizes < jnp.max(jnp.abs(value))
        return trials[jnp.where(jnp.any(better), jnp.argmax(better), 3)]

    return lax.fori_loop(0, steps, body, v)


def regret_of(p: Params, u: Policy, x: Cutoffs, s: Float[Array, " k"]) -> Float[Array, " k"]:
    """What skills `s` would gain in their best occupation; at a cutoff either side counts."""
    ai, human = payoffs(p, u, x, s)
    best = jnp.maximum(p.w_0, jnp.maximum(ai, human))
    inside_human = ((s >= x.s_0) & (s <= x.s_1)) | (s >= x.s_H)
    inside_ai = (s >= x.s_1) & (s <= x.s_H) & (x.s_H > x.s_1)
    none = jnp.asarray(-jnp.inf, s.dtype)
    assigned = jnp.maximum(
        jnp.where(s <= x.s_0, p.w_0, none),
        jnp.maximum(jnp.where(inside_human, human, none), jnp.where(inside_ai, ai, none)),
    )
    return best - assigned


def regret_sample(p: Params, x: Cutoffs, n: int) -> Float[Array, " k"]:
    """Skills at which regret is checked: a grid, the cutoffs, and every kink of the payoffs."""
    grid = jnp.linspace(0.0, 1.0, n, dtype=x.s_0.dtype)
    qualities = jnp.stack([market.ai_quality(p, x.s_1), market.ai_quality(p, x.s_H), p.q_A])
    own = jnp.stack([p.alpha * x.s_0, p.alpha * x.s_1, p.alpha * x.s_H])
    kinks = jnp.concatenate([jnp.stack([*x, p.q_A / p.a]), qualities / p.alpha, own / p.a])
    return jnp.concatenate([grid, jnp.clip(kinks, 0.0, 1.0)])


def starts(p: Params, u: Policy, empty: Cutoffs, gain: Array, sample: Array) -> Float[Array, "3 3"]:
    """Three starts: the pooled regime, AI entering where it gains most without AI, and an overlap of qualities."""
    s_0, s_h = pooled_guess(p, u)
    pair = _newton_steps(indifference_without_low_humans, jnp.stack([s_0, s_h]), (p, u), 8)
    entry = sample[jnp.argmax(gain)]
    near = jnp.stack([jnp.minimum(empty.s_0, entry - 0.01), entry - 0.05, entry + 0.05])
    low = jnp.minimum(0.85 * p.q_A / p.alpha, 0.95)
    overlap = jnp.stack([0.5 * low, 0.5 * low, low])
    return jnp.stack([jnp.stack([pair[0], pair[0], pair[1]]), near, overlap])


def best_guess(p: Params, u: Policy, empty: Cutoffs, gain: Array, sample: Array) -> Float[Array, "3"]:
    """The start whose Newton path ends with the smallest residual and regret; no derivative."""
    p, u, empty, gain, sample = lax.stop_gradient((p, u, empty, gain, sample))
    ends = jax.vmap(lambda v: _newton_steps(indifference, v, (p, u), 12))(starts(p, u, empty, gain, sample))

    def merit(v: Array) -> Array:
        residual = jnp.max(jnp.abs(indifference(v, (p, u))))
        x = Cutoffs(v[0], v[1], v[2])
        return residual + jnp.max(regret_of(p, u, x, regret_sample(p, x, 17))) / money_scale(p)

    merits = jax.vmap(merit)(ends)
    return ends[jnp.argmin(jnp.where(jnp.isnan(merits), jnp.inf, merits))]


def no_ai_equilibrium(p: Params) -> tuple[Root, Cutoffs]:
    """Pattern EH, the economy without AI: the root and its cutoffs."""
    one = jnp.ones_like(p.q_A)
    start = bisect(_no_ai_scalar, 1e-6 * one, one, p, steps=24)
    alone = find_root(no_ai_condition, start[None], p, max_step=0.1)
    s = alone.x[0]
    return alone, Cutoffs(s, s, s)


def equilibrium(p: Params, u: Policy) -> Equilibrium:
    """Solve for the assignment; pure, unbatched, differentiable by the implicit function theorem."""
    one = jnp.ones_like(p.q_A)
    alone, empty = no_ai_equilibrium(p)
    sample = regret_sample(p, empty, 65)
    tolerance = 1e-9 if jnp.finfo(one.dtype).bits == 64 else 1e-5
    gain = regret_of(p, u, empty, lax.stop_gradient(sample))
    uses_ai = jnp.max(gain) > tolerance * money_scale(p)

    guess = best_guess(p, u, empty, gain, sample)
    root = find_root(indifference, guess, (p, u), max_step=0.2)
    cutoffs = Cutoffs(*(jnp.where(uses_ai, root.x[k], alone.x[0]) for k in range(3)))

    gaps = regret_of(p, u, cutoffs, lax.stop_gradient(regret_sample(p, cutoffs, 129)))
    regret = jnp.max(gaps) / money_scale(p)
    converged = alone.converged & (root.converged | ~uses_ai)
    status = jnp.where(converged, jnp.where(regret > 10 * tolerance, NOT_CUTOFFS, SOLVED), NOT_CONVERGED)
    return Equilibrium(
        status=status.astype(jnp.int32), cutoffs=cutoffs, no_ai_cutoff=alone.x[0], regret=regret, uses_ai=uses_ai
    )


def other_starts(p: Params, u: Policy) -> Equilibrium:
    """Equilibria from nine other starts, spread over the ordered cutoffs: `[9]` in every leaf.

    For checks of uniqueness: a path that ends in no equilibrium carries a status other than 0.
    """
    alone, empty = no_ai_equilibrium(p)
    low, width = jnp.meshgrid(jnp.asarray([0.05, 0.25, 0.5]), jnp.asarray([0.1, 0.3, 0.6]))
    first = low.ravel().astype(p.q_A.dtype)
    starts_at = jnp.stack([0.8 * first, first, jnp.minimum(first + width.ravel().astype(first.dtype), 0.99)], axis=1)

    def one(v: Array) -> Equilibrium:
        guess = _newton_steps(indifference, v, lax.stop_gradient((p, u)), 30)
        root = find_root(indifference, guess, (p, u), max_step=0.2)
        x = Cutoffs(root.x[0], root.x[1], root.x[2])
        regret = jnp.max(regret_of(p, u, x, lax.stop_gradient(regret_sample(p, x, 129)))) / money_scale(p)
        ordered = (x.s_0 > 0) & (x.s_0 <= x.s_1) & (x.s_1 <= x.s_H) & (x.s_H <= 1)
        found = alone.converged & root.converged & ordered
        status = jnp.where(found, jnp.where(regret > 1e-8, NOT_CUTOFFS, SOLVED), NOT_CONVERGED)
        return Equilibrium(status.astype(jnp.int32), x, empty.s_0, regret, x.s_H > x.s_1)

    return jax.vmap(one)(starts_at)
