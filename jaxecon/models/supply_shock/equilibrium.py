r"""Static assignment equilibrium: cutoffs by indifference, certified by regret (3.3).

Unknowns are the three cutoffs; $D_A$, $\Phi$, $M$ and $p$ are closed forms of them. Three systems cover the
five occupation patterns (E exit, H human, A with AI, by rising skill): EH; EAH and EA; EHAH and EHA.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxecon.core.model import FIRST_REASON, NOT_CONVERGED, SOLVED
from jaxecon.core.model import Equilibrium as BaseEquilibrium
from jaxecon.models.supply_shock import market
from jaxecon.models.supply_shock.market import Cutoffs
from jaxecon.models.supply_shock.params import Params, Policy
from jaxecon.numerics.roots import attach_derivative, bisect, find_root, first_success, newton

NOT_CUTOFFS = FIRST_REASON
REASONS = {
    NOT_CUTOFFS: (
        "NOT_CUTOFFS",
        "no pure occupation pattern was found in which nobody regrets: where humans and adopters of one skill"
        " coexist over a range, none exists",
    )
}
# Which system of conditions holds: no AI (EH), no low-skill humans (EAH, EA), low-skill humans (EHAH, EHA).
NO_AI, NO_LOW_HUMANS, LOW_HUMANS = 0.0, 1.0, 2.0


class Equilibrium(BaseEquilibrium):
    """Cutoffs with AI and without, regret of the assignment, and which system of conditions it solves."""

    cutoffs: Cutoffs
    no_ai_cutoff: Float[Array, ""]
    regret: Float[Array, ""]
    system: Float[Array, ""]

    @property
    def uses_ai(self) -> Bool[Array, ""]:
        return self.system != NO_AI


def money_scale(p: Params) -> Float[Array, ""]:
    """Unit of the payoff conditions: what the highest taste pays for the AI ceiling."""
    return p.theta_max * p.q_A


def payoffs(
    p: Params, u: Policy, x: Cutoffs, s: Float[Array, "..."]
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Payoffs with AI and without of skills `s` under the assignment `x`."""
    q_h, q_a = market.human_quality(p, s), market.ai_quality(p, s)
    ai = market.ai_payoff(p, u, market.price(p, u, x, q_a), q_a)
    return ai, market.human_payoff(p, market.price(p, u, x, q_h), q_h)


def indifference(
    v: Float[Array, "3"] | tuple[Array, ...], args: tuple[Params, Policy, Float[Array, ""]]
) -> Float[Array, "3"]:
    r"""Conditions for the cutoffs $(s_0, s_1, s_H)$ (3.3), in units of `money_scale`.

    With low-skill humans: $\pi_H(s_0) = w_0$, $\pi_A(s_1) = \pi_H(s_1)$. Without: $\pi_A(s_0) = w_0$, $s_1 = s_0$.
    In both $\min\{1 - s_H, (\pi_A - \pi_H)(s_H)\} = 0$. Without AI: $\pi_H(s_0) = w_0$, $s_1 = s_H = s_0$.
    The third argument is the system.
    """
    p, u, system = args
    first = jnp.where(system == LOW_HUMANS, v[1], v[0])
    top = jnp.where(system == NO_AI, v[0], v[2])
    x, unit = Cutoffs(v[0], first, top), money_scale(p)
    ai, human = zip(*(payoffs(p, u, x, v[k]) for k in range(3)), strict=True)
    exit_gain = (jnp.where(system == NO_LOW_HUMANS, ai[0], human[0]) - p.w_0) / unit
    return jnp.stack(
        [
            exit_gain,
            jnp.where(system == LOW_HUMANS, (ai[1] - human[1]) / unit, v[1] - v[0]),
            jnp.where(system == NO_AI, v[2] - v[0], jnp.minimum(1 - v[2], (ai[2] - human[2]) / unit)),
        ]
    )


def no_ai_condition(s: Float[Array, ""], p: Params) -> Float[Array, ""]:
    r"""Exit cutoff of the pattern EH: $\pi_H(s_0) = w_0$ with AI absent, in units of `money_scale`."""
    q = market.human_quality(p, s)
    served = p.n * p.k_H * (1 - market.skill_cdf(p.skill_law, s))
    price = market.hedonic_price(p, q, served * q, jnp.zeros_like(s), served)
    return (market.human_payoff(p, price, q) - p.w_0) / money_scale(p)


def _no_ai_vector(v: Float[Array, "1"], p: Params) -> Float[Array, "1"]:
    return no_ai_condition(v[0], p)[None]


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


def regret_of(p: Params, u: Policy, x: Cutoffs, s: Float[Array, " k"]) -> Float[Array, " k"]:
    """What skills `s` would gain in their best occupation; at a cutoff either side counts, if it is not empty."""
    ai, human = payoffs(p, u, x, s)
    best = jnp.maximum(p.w_0, jnp.maximum(ai, human))
    inside_human = ((s >= x.s_0) & (s <= x.s_1) & (x.s_1 > x.s_0)) | (s >= x.s_H)
    inside_ai = (s >= x.s_1) & (s <= x.s_H) & (x.s_H > x.s_1)
    none = jnp.asarray(-jnp.inf, s.dtype)
    assigned = jnp.maximum(
        jnp.where(s <= x.s_0, p.w_0, none),
        jnp.maximum(jnp.where(inside_human, human, none), jnp.where(inside_ai, ai, none)),
    )
    return best - assigned


def _kinks(p: Params, x: Cutoffs) -> Float[Array, "10"]:
    """The cutoffs and every kink of the payoffs, in [0, 1]."""
    qualities = jnp.stack([market.ai_quality(p, x.s_1), market.ai_quality(p, x.s_H), p.q_A])
    own = jnp.stack([p.alpha * x.s_0, p.alpha * x.s_1, p.alpha * x.s_H])
    kinks = jnp.concatenate([jnp.stack([*x, p.q_A / p.a]), qualities / p.alpha, own / p.a])
    return jnp.clip(kinks, 0.0, 1.0)


def regret_sample(p: Params, x: Cutoffs, n: int) -> Float[Array, " k"]:
    """Skills at which regret is checked: a grid, the cutoffs, and every kink of the payoffs."""
    return jnp.concatenate([jnp.linspace(0.0, 1.0, n, dtype=x.s_0.dtype), _kinks(p, x)])


def worst_regret(p: Params, u: Policy, x: Cutoffs, n: int) -> Float[Array, ""]:
    """Largest `regret_of` on `regret_sample`; grid and kinks apart, so that a batch holds no array of samples."""
    grid = jnp.linspace(0.0, 1.0, n, dtype=x.s_0.dtype)
    return jnp.maximum(jnp.max(regret_of(p, u, x, grid)), jnp.max(regret_of(p, u, x, _kinks(p, x))))


class Assignment(NamedTuple):
    """A solved assignment before derivatives: cutoffs, which system they solve, residual, regret."""

    v: Float[Array, "3"]
    system: Float[Array, ""]
    residual: Float[Array, ""]
    regret: Float[Array, ""]


def _ordered(v: Float[Array, "3"]) -> Float[Array, "3"]:
    """Cutoffs in (0, 1] and rising."""
    v = jnp.clip(v, 1e-6, 1.0)
    first = jnp.maximum(v[0], v[1])
    return jnp.stack([v[0], first, jnp.maximum(first, v[2])])


class Start(NamedTuple):
    """Where a Newton path begins: cutoffs, system of conditions, and the most steps it may take."""

    v: Float[Array, "3"]
    system: Float[Array, ""]
    steps: Int[Array, ""]


def _tolerances(dtype: Any) -> tuple[float, float]:
    """Of the conditions and of the largest regret, in units of `money_scale`."""
    return (1e-12, 1e-9) if jnp.finfo(dtype).bits == 64 else (3e-6, 3e-5)


def _assignment(start: Start, args: tuple[Params, Policy, Cutoffs]) -> tuple[Assignment, Bool[Array, ""]]:
    """Newton from one start, the regret where it ends, and whether that is an equilibrium."""
    (v, system, steps), (p, u, _) = start, args
    tol, tolerance = _tolerances(v.dtype)
    root = newton(indifference, v, (p, u, system), tol=tol, max_steps=steps, max_step=0.2, project=_ordered)
    x = Cutoffs(root.x[0], root.x[1], root.x[2])
    regret = worst_regret(p, u, x, 129) / money_scale(p)
    used = (system == NO_AI) | (x.s_H > x.s_1)
    found = root.converged & used & (regret <= tolerance)
    return Assignment(root.x, system, root.residual, regret), found


def starts(args: tuple[Params, Policy, Cutoffs]) -> Start:
    """Fourteen starts, the likeliest first: the economy without AI (the third of `args`) where nobody regrets it, else the
    pooled regime (a short path settles most of the box), AI entering where it gains most in the economy without AI, then
    spread over the systems, and narrow bands of AI at the kink of its quality."""
    p, u, empty = args
    s_0, s_h = pooled_guess(p, u)
    sample = regret_sample(p, empty, 65)
    regret = regret_of(p, u, empty, sample)
    entry = sample[jnp.argmax(regret)]
    low = jnp.minimum(0.85 * p.q_A / p.alpha, 0.95)
    below = jnp.minimum(empty.s_0, entry)
    kink = jnp.minimum(p.q_A / p.a, 0.95)
    guesses = [
        (NO_LOW_HUMANS, (s_0, s_0, s_h)),
        (LOW_HUMANS, (below - 0.01, entry - 0.05, entry + 0.05)),
        (NO_LOW_HUMANS, (s_0, s_0, s_h)),
        (NO_AI, (empty.s_0, empty.s_0, empty.s_0)),
        (NO_LOW_HUMANS, (0.5 * low, 0.5 * low, low)),
        (LOW_HUMANS, (below - 0.01, entry - 0.01, entry + 0.01)),
        (LOW_HUMANS, (0.5 * s_0, s_0, s_h)),
        (LOW_HUMANS, (below, entry + 0.1, entry + 0.3)),
        (NO_LOW_HUMANS, (0.5 * s_h, 0.5 * s_h, s_h)),
        (LOW_HUMANS, (below - 0.01, entry - 0.15, entry + 0.15)),
        (LOW_HUMANS, (0.3 * low, 0.5 * low, low)),
        (LOW_HUMANS, (below, kink - 0.001, kink + 0.004)),
        (LOW_HUMANS, (below, kink - 0.003, kink + 0.03)),
        (LOW_HUMANS, (below, kink - 0.004, kink + 0.06)),
    ]
    cutoffs = jnp.stack([_ordered(jnp.stack(v)) for _, v in guesses])
    systems = jnp.asarray([system for system, _ in guesses], cutoffs.dtype)
    # Where AI is too dear to enter, starts with AI would fail before the one that is the solution: it changes places with the first.
    idle = jnp.max(regret) <= _tolerances(cutoffs.dtype)[1] * money_scale(p)
    swapped = [3, 1, 2, 0, *range(4, len(guesses))]
    cutoffs, systems = (jnp.where(idle, v[jnp.asarray(swapped)], v) for v in (cutoffs, systems))
    return Start(cutoffs, systems, jnp.full(len(guesses), 20).at[0].set(12))


def no_ai_cutoff(p: Params) -> Float[Array, ""]:
    """Exit cutoff of the pattern EH, the economy without AI."""
    one = jnp.ones_like(p.q_A)
    start = bisect(no_ai_condition, 1e-6 * one, one, p, steps=20)
    return find_root(_no_ai_vector, start[None], p, max_step=0.1).x[0]


def equilibrium(p: Params, u: Policy) -> Equilibrium:
    """Solve for the assignment; pure, unbatched, differentiable by the implicit function theorem."""
    alone = no_ai_cutoff(p)
    a, found = first_success(_assignment, starts, (p, u, Cutoffs(alone, alone, alone)))
    v = attach_derivative(indifference, a.v, (p, u, a.system), found)
    status = jnp.where(found, SOLVED, NOT_CUTOFFS)
    return Equilibrium(
        status=status.astype(jnp.int32),
        cutoffs=Cutoffs(v[0], v[1], v[2]),
        no_ai_cutoff=alone,
        regret=a.regret,
        system=a.system,
    )


def other_starts(p: Params, u: Policy) -> Equilibrium:
    """Ends of Newton paths from eighteen other starts, nine in each system with AI: `[18]` in every leaf.

    For checks of uniqueness: a path that ends in no equilibrium carries a status other than 0.
    """
    alone = no_ai_cutoff(p)
    low, width, system = jnp.meshgrid(
        jnp.asarray([0.05, 0.25, 0.5]), jnp.asarray([0.1, 0.3, 0.6]), jnp.asarray([NO_LOW_HUMANS, LOW_HUMANS])
    )
    first, width, system = (x.ravel().astype(alone.dtype) for x in (low, width, system))
    starts_at = jnp.stack([0.8 * first, first, jnp.minimum(first + width, 0.99)], axis=1)

    def one(v: Array, system: Array) -> Equilibrium:
        a, found = _assignment(Start(v, system, jnp.asarray(40)), (p, u, Cutoffs(alone, alone, alone)))
        status = jnp.where(found, SOLVED, NOT_CONVERGED).astype(jnp.int32)
        return Equilibrium(status, Cutoffs(a.v[0], a.v[1], a.v[2]), alone, a.regret, system)

    return jax.vmap(one)(starts_at, system)
