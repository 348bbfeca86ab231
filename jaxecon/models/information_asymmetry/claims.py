"""Propositions of paper 7 as functions of one draw: positive margin where the claim holds."""

from itertools import pairwise

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from jaxecon.core.fields import with_fields
from jaxecon.core.model import Claim, claim_of_parts, part_of, parts_of
from jaxecon.models.information_asymmetry import incentives, markets, screening
from jaxecon.models.information_asymmetry.both import joint_means, solution
from jaxecon.models.information_asymmetry.claims_accuracy import ACCURACY_CLAIMS, Margins, Scalar, like
from jaxecon.models.information_asymmetry.equilibrium import ai_gain
from jaxecon.models.information_asymmetry.params import Params, Policy
from jaxecon.models.information_asymmetry.precision import counter_ai_threshold, performance_precision

# Correlation that is left between tailoring and callbacks once applicants write with AI, as a share of that before.
CALLBACKS_LEFT = 0.49


def _put(p: Params, **values: float | Scalar) -> Params:
    """The same world with some parameters replaced."""
    return with_fields(p, list(values), [jnp.asarray(x, p.a.dtype) for x in values.values()])


# C7.1 ------------------------------------------------------------------------------------------------------


def effort_limit(p: Params, u: Policy, key: PRNGKeyArray) -> Scalar:
    r"""Least fall of first-best effort less effort, $1/c - B/c$, as $\sigma_e^2$ shrinks a hundredfold three times, and 1e-3 less where it ends."""

    def gap(share: float) -> Scalar:
        Q = performance_precision(_put(p, s2_e=p.s2_e * share), u).Q
        return 1 - incentives.incentive_power(p.r, p.c, Q)

    gaps = [gap(x) for x in (1.0, 1e-2, 1e-4, 1e-6)]
    falls = [a - b for a, b in pairwise(gaps)]
    return jnp.min(jnp.stack([*falls, 1e-3 - gaps[-1]]))


def pay_weights(p: Params, u: Policy, key: PRNGKeyArray) -> Margins:
    r"""b: 1e-10 less the slope of surplus in each weight at $B\Sigma^{-1}l/Q$; c: 1e-14 less the weight of uncorrelated pure noise;
    d: minus the weight of pure noise that is correlated by .3."""

    def surplus(w: Array) -> Scalar:
        known = performance_precision(p, u)
        effort = (w[0] + p.l * w[1]) / p.c
        cov = p.rho_s * jnp.sqrt(known.s2_output * known.s2_e)
        variance = w[0] ** 2 * known.s2_output + 2 * w[0] * w[1] * cov + w[1] ** 2 * known.s2_e
        return effort - p.c * effort**2 / 2 - p.r * variance / 2

    def weights(q: Params) -> Array:
        known = performance_precision(q, u)
        return incentives.incentive_power(q.r, q.c, known.Q) * jnp.stack([known.weight_x, known.weight_s])

    slopes = jax.grad(surplus)(weights(p))
    return {
        "C7.1b": 1e-10 - jnp.max(jnp.abs(slopes)),
        "C7.1c": 1e-14 - jnp.abs(weights(_put(p, l=0.0, rho_s=0.0))[1]),
        "C7.1d": -weights(_put(p, l=0.0, rho_s=0.3))[1],
    }


# C7.2, C7.3 ------------------------------------------------------------------------------------------------


def type_limit(p: Params, u: Policy, key: PRNGKeyArray) -> Margins:
    """a: two types at accuracy 1, 1e-12 less rent and gap to the first best; (7.3) with type noise 1e-2, 1e-4, 1e-6 times: b: rent and
    the gap of the piece rate to that without private ability, least fall and a fifth less what is left; c: least fall of rent
    from the noise of the draw itself in steps of ten."""
    sure = screening.contract_before(p, like(p, 1.0))
    exact = 1e-12 - sure.rent - jnp.abs(screening.first_best(p, p.nu) - sure.welfare)
    s2 = 1 / performance_precision(p, u).Q

    def gaps(share: Scalar) -> Array:
        found = solution(p.r, p.c, s2, joint_means(jnp.sqrt(p.s2_theta * share), p.c))
        return jnp.stack([found.rent, 1 / (1 + p.r * p.c * s2) - found.piece_rate])

    path = jax.lax.map(gaps, jnp.asarray([1.0, 0.1, 0.01, 1e-3, 1e-4, 1e-6], p.a.dtype))
    limit = path[jnp.array([2, 4, 5])]
    trend = jnp.minimum(jnp.min(limit[:-1] - limit[1:]), jnp.min(0.2 * path[0] - limit[-1]))
    return {"C7.2a": exact, "C7.2b": trend, "C7.2c": jnp.min(-jnp.diff(path[:, 0]))}


def joint_limit(p: Params, u: Policy, key: PRNGKeyArray) -> Scalar:
    r"""Least fall of $1/2 + 1/(2c)$ less welfare of (7.3) as both noises shrink tenfold four times, and a fifth less what is left."""

    def gap(share: Scalar) -> Scalar:
        q = _put(p, s2_e=p.s2_e * share, s2_theta=p.s2_theta * share)
        s2 = 1 / performance_precision(q, u).Q
        return 0.5 + 1 / (2 * p.c) - solution(p.r, p.c, s2, joint_means(jnp.sqrt(q.s2_theta), p.c)).welfare

    path = jax.lax.map(gap, jnp.asarray([1.0, 0.1, 0.01, 1e-3, 1e-4], p.a.dtype))
    return jnp.minimum(jnp.min(path[:-1] - path[1:]), 0.2 * path[0] - path[-1])


# C7.6 to C7.9 ----------------------------------------------------------------------------------------------


def liability(p: Params, u: Policy, key: PRNGKeyArray) -> Scalar:
    """At the liability of the claim 1e-12 less rent and gap to first-best quantity; a thousandth below it, the two together."""
    needed = screening.full_liability(p, p.pi)

    def gap(share: float) -> Scalar:
        c = screening.contract_after(_put(p, ell=share * needed), p.pi)
        return c.rent + jnp.abs(c.q - screening.first_best_quantity(p))

    # Rounding of pi D q_fb may leave a liability a hair short.
    return jnp.where(p.pi > 0.5, jnp.minimum(1e-12 - gap(1 + 1e-14), gap(0.999)), jnp.nan)


def career_claims(p: Params, u: Policy, key: PRNGKeyArray) -> Margins:
    """a: effort in the first period, and least fall of effort with tenure; b: rise with the precision of performance; c: fall with that
    of the type."""
    time = jnp.arange(p.T, dtype=p.a.dtype)
    path = jax.vmap(lambda t: incentives.career_effort(p, t))(time)

    def first(x: Array) -> Scalar:
        return incentives.career_effort(_put(p, h_1=x[0], h_eps=x[1]), like(p, 0.0))

    by_type, by_performance = jax.grad(first)(jnp.stack([p.h_1, p.h_eps]))
    return {"C7.7a": jnp.min(-jnp.diff(path)), "C7.7b": by_performance, "C7.7c": -by_type}


def counter_ai(p: Params, u: Policy, key: PRNGKeyArray) -> Scalar:
    """The gain a thousandth below the threshold, the loss a thousandth above, and 1e-12 less the gain at it."""
    star = counter_ai_threshold(p.s2_x, p.s2_s)

    def gain(share: float) -> Scalar:
        return ai_gain(_put(p, s2_g=share * star), _no_limit(u))

    found = jnp.min(jnp.stack([gain(0.999), -gain(1.001), 1e-12 - jnp.abs(gain(1.0))]))
    return jnp.where(p.s2_s > p.s2_x, found, jnp.nan)


def _no_limit(u: Policy) -> Policy:
    return with_fields(u, ["agent_ai_limit"], [jnp.zeros_like(u.agent_ai_limit)])


def _always_pays(p: Params, u: Policy, key: PRNGKeyArray) -> Scalar:
    """Gain at any agents' AI (1e6 times output noise) where the principal's AI is half as noisy as output."""
    return ai_gain(_put(p, s2_s=0.5 * p.s2_x, s2_g=1e6 * p.s2_x), _no_limit(u))


def implied_counter_noise(p: Params) -> Scalar:
    r"""Noise by which applicants' AI explains the fall of the tailoring-callback correlation to .49 of what it was: a correlation is
    $\sqrt{v/(v + \sigma_x^2)}$, $v = 1/h_1$, so that $\sigma_g^2 = (v + \sigma_x^2)(1/.49^2 - 1)$."""
    return (1 / p.h_1 + p.s2_x) * (1 / CALLBACKS_LEFT**2 - 1)


def akerlof(p: Params, u: Policy, key: PRNGKeyArray) -> Scalar:
    """With shares 0 to 1 of sellers verified: 1e-12 less the gap of trade to the share and of welfare to l (k - 1)/2; and the least that
    a buyer loses per unit of price, at any price for those who are not."""
    shares = jnp.linspace(0.0, 1.0, 5, dtype=p.a.dtype)
    found = jax.vmap(lambda x: markets.verified_lemons(p, x))(shares)
    gap = jnp.abs(found.trade - shares) + jnp.abs(found.welfare - shares * (p.k - 1) / 2)
    return jnp.minimum(1e-12 - jnp.max(gap), 1 - p.k / 2)


def _claim(id: str, statement: str, expectation, margin, grade: str = "S", **more) -> Claim:
    return Claim(id, statement, grade, expectation, margin, **more)


CLAIMS: tuple[Claim, ...] = (
    claim_of_parts(
        "C7.1",
        "as the AI signal about effort gets precise effort tends to first best; pay weights signals by inverse covariance and loading",
        "S",
        "exact",
        (
            _claim("C7.1a", "effort rises to the first best", "exact", effort_limit),
            *parts_of(
                pay_weights,
                (
                    ("C7.1b", "no other weights of the two signals give more surplus", "exact", "S"),
                    ("C7.1c", "uncorrelated pure noise gets no weight", "exact", "S"),
                    ("C7.1d", "pure noise that is correlated with output gets a negative weight", "exact", "S"),
                ),
            ),
        ),
        joint=pay_weights,
    ),
    claim_of_parts(
        "C7.2",
        "as the signal about the type gets precise rents vanish and the allocation tends to first best",
        "D",
        "limit",
        parts_of(
            type_limit,
            (
                ("C7.2a", "two types at accuracy 1: no rent, first best", "exact", "S"),
                ("C7.2b", "ability (7.3): rent and distortion vanish as the signal gets precise", "limit", "D"),
            ),
        ),
        joint=type_limit,
    ),
    _claim(
        "C7.2c",
        "under both frictions rent falls all the way as the signal about ability gets precise",
        "region",
        part_of(type_limit, "C7.2c"),
    ),
    _claim(
        "C7.3",
        "as both noises vanish welfare under both frictions tends to first best",
        "limit",
        joint_limit,
        "D",
        note="the approach is slow: a trend over four powers of ten is tested",
    ),
    *ACCURACY_CLAIMS,
    _claim(
        "C7.6",
        "verified after contracting: first best if and only if liability >= pi D q_fb/(2 pi - 1)",
        "exact",
        liability,
    ),
    claim_of_parts(
        "C7.7",
        "reputation raises early effort, and less with tenure",
        "S",
        "baseline",
        parts_of(
            career_claims,
            (
                ("C7.7a", "effort from career concerns falls with tenure", "baseline", "S"),
                ("C7.7b", "precise signals of performance raise it", "baseline", "S"),
                ("C7.7c", "precise signals of the type lower it", "baseline", "S"),
            ),
        ),
        joint=career_claims,
    ),
    claim_of_parts(
        "C7.8",
        "agents' own AI reverses the gains beyond the closed-form threshold",
        "S",
        "exact",
        (
            _claim("C7.8a", "the gain changes sign at sigma_x^4/(sigma_s^2 - sigma_x^2)", "exact", counter_ai),
            _claim(
                "C7.8b",
                "noise of agents' AI that explains the fall of the tailoring-callback correlation by 51 %",
                "report",
                lambda p, u, key: implied_counter_noise(p),
                "E",
                note="to be compared with the threshold s2_g_star",
            ),
            _claim("C7.8c", "never where the principal's AI is less noisy than output", "exact", _always_pays),
        ),
    ),
    _claim(
        "C7.9", "Akerlof: the share of sellers who trade is the share of verified sellers while k < 2", "exact", akerlof
    ),
)
