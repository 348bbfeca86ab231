"""Propositions of paper 7 as functions of one draw: positive margin where the claim holds."""

from itertools import pairwise

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxecon.core.fields import with_fields
from jaxecon.core.model import Claim, claim_of_parts, parts_of
from jaxecon.models.information_asymmetry import incentives, markets, screening
from jaxecon.models.information_asymmetry.both import joint_means, solution
from jaxecon.models.information_asymmetry.continuum import continuum, welfare_slope
from jaxecon.models.information_asymmetry.equilibrium import ai_gain
from jaxecon.models.information_asymmetry.params import Params, Policy
from jaxecon.models.information_asymmetry.precision import counter_ai_threshold, performance_precision
from jaxecon.models.information_asymmetry.screening import Contract

Scalar = Float[Array, ""]
Margins = dict[str, Scalar]
# Correlation that is left between tailoring and callbacks once applicants write with AI, as a share of that before.
CALLBACKS_LEFT = 0.49


def _like(p: Params, x: float) -> Scalar:
    return jnp.full_like(p.a, x)


def _put(p: Params, **values: float | Scalar) -> Params:
    """The same world with some parameters replaced."""
    return with_fields(p, list(values), [jnp.asarray(x, p.a.dtype) for x in values.values()])


def _declared(p: Params) -> Params:
    """The declared defaults, whatever the draw."""
    return jax.tree.map(lambda x: x.astype(p.a.dtype), Params())


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
    sure = screening.contract_before(p, _like(p, 1.0))
    exact = 1e-12 - sure.rent - jnp.abs(screening.first_best(p, p.nu) - sure.welfare)
    s2 = 1 / performance_precision(p, u).Q

    def gaps(share: float) -> Array:
        found = solution(p.r, p.c, s2, joint_means(jnp.sqrt(p.s2_theta * share), p.c))
        return jnp.stack([found.rent, 1 / (1 + p.r * p.c * s2) - found.piece_rate])

    path = jnp.stack([gaps(x) for x in (1.0, 0.1, 0.01, 1e-3, 1e-4, 1e-6)])
    limit = path[jnp.array([2, 4, 5])]
    trend = jnp.minimum(jnp.min(limit[:-1] - limit[1:]), jnp.min(0.2 * path[0] - limit[-1]))
    return {"C7.2a": exact, "C7.2b": trend, "C7.2c": jnp.min(-jnp.diff(path[:, 0]))}


def joint_limit(p: Params, u: Policy, key: PRNGKeyArray) -> Scalar:
    r"""Least fall of $1/2 + 1/(2c)$ less welfare of (7.3) as both noises shrink tenfold four times, and a fifth less what is left."""

    def gap(share: float) -> Scalar:
        q = _put(p, s2_e=p.s2_e * share, s2_theta=p.s2_theta * share)
        s2 = 1 / performance_precision(q, u).Q
        return 0.5 + 1 / (2 * p.c) - solution(p.r, p.c, s2, joint_means(jnp.sqrt(q.s2_theta), p.c)).welfare

    path = jnp.stack([gap(x) for x in (1.0, 0.1, 0.01, 1e-3, 1e-4)])
    return jnp.minimum(jnp.min(path[:-1] - path[1:]), 0.2 * path[0] - path[-1])


# C7.4 ------------------------------------------------------------------------------------------------------


def accuracy_claims(p: Params, u: Policy, key: PRNGKeyArray) -> Margins:
    """a: least rise of profit between accuracies .0025 apart, plus 1e-12; largest fall of welfare below that of the least accurate
    signal, less 1e-12 so that none counts as none: b, among the accuracies of the box, .6 to .98; e, from an uninformative signal."""

    def along(lo: float, hi: float) -> Contract:
        return jax.vmap(lambda x: screening.contract_before(p, x))(jnp.linspace(lo, hi, 201, dtype=p.a.dtype))

    inside, every = along(0.6, 0.98), along(0.5, 1.0)
    return {
        "C7.4a": jnp.min(jnp.diff(every.profit)) + 1e-12,
        "C7.4b": inside.welfare[0] - jnp.min(inside.welfare) - 1e-12,
        "C7.4e": every.welfare[0] - jnp.min(every.welfare) - 1e-12,
    }


def turning_accuracy(p: Params) -> tuple[Scalar, Scalar]:
    """Accuracy of least welfare, at the kink where the inefficient are shut down after a good signal, and that where welfare is back
    at its value without a signal, by bisection on the rising branch; NaN where welfare never falls."""
    nu_s = screening.shutdown_share(p)
    odds = nu_s / (1 - nu_s) * (1 - p.nu) / p.nu
    kink = odds / (1 + odds)
    start = screening.contract_before(p, _like(p, 0.5)).welfare

    def halve(_: int, ends: tuple[Scalar, Scalar]) -> tuple[Scalar, Scalar]:
        middle = 0.5 * (ends[0] + ends[1])
        low = screening.contract_before(p, middle).welfare < start
        return jnp.where(low, middle, ends[0]), jnp.where(low, ends[1], middle)

    low, _ = jax.lax.fori_loop(0, 50, halve, (kink, _like(p, 1.0)))
    falls = (kink > 0.5) & (screening.contract_before(p, kink).welfare < start)
    return jnp.where(falls, kink, jnp.nan), jnp.where(falls, low, jnp.nan)


def _documented_numbers(p: Params, u: Policy, key: PRNGKeyArray) -> Scalar:
    """5e-8 less the largest gap to the specification's numbers, at the declared defaults whatever the draw."""
    q = _declared(p)
    expected = {0.5: 1.5, 0.75: 1.4166667, 0.8: 1.446875, 0.9: 1.5055556, 1.0: 1.5625}
    gaps = [screening.contract_before(q, _like(p, x)).welfare - w for x, w in expected.items()]
    least, back = turning_accuracy(q)
    return 5e-8 - jnp.max(jnp.abs(jnp.stack([*gaps, least - 0.75, back - 0.8903882])))


def continuum_claims(p: Params, u: Policy, key: PRNGKeyArray) -> Margins:
    """Least rise of welfare (1) and profit (2) of the continuum between type noises from 4 down to .05 standard deviations; 3: .002 less
    the gap of the slope of welfare in precision at a noise of 10 to -1/40, where no type is shut out."""
    a = p.a
    sigma = jnp.exp(jnp.linspace(jnp.log(4.0), jnp.log(0.05), 13)).astype(p.a.dtype)
    found = jax.lax.map(lambda s: continuum(a, s), sigma)
    slope = welfare_slope(a, _like(p, 10.0))
    return {
        "C7.4d1": jnp.min(jnp.diff(found.welfare)),
        "C7.4d2": jnp.min(jnp.diff(found.profit)),
        "C7.4d3": jnp.where(a >= 2.2, 0.002 - jnp.abs(slope + 1 / 40), jnp.nan),
    }


# C7.5 ------------------------------------------------------------------------------------------------------


def market_gains(p: Params) -> dict[str, Scalar]:
    """Gain in welfare from the AI signal, by market and timing: against no signal, for lemons against one cell."""
    none, pi = _like(p, 0.5), p.pi

    def gain(contract) -> Scalar:
        return contract(p, pi).welfare - contract(p, none).welfare

    def lemons(competitive: bool) -> Scalar:
        many, one = (markets.lemons(p, n, competitive=competitive).welfare for n in (max(p.n_cell, 2), 1))
        return many - one

    return {
        "monopoly, signal before contracting": gain(screening.contract_before),
        "monopoly, signal verified after": gain(screening.contract_after),
        "Bertrand, private values": gain(lambda q, _: markets.bertrand(q)),
        "Rothschild-Stiglitz": gain(markets.rothschild_stiglitz),
        "Miyazaki-Wilson-Spence": gain(markets.miyazaki_wilson_spence),
        "lemons, competitive buyers": lemons(True),
        "lemons, one buyer": lemons(False),
    }


def market_claims(p: Params, u: Policy, key: PRNGKeyArray) -> Margins:
    """Gains by market less 1e-12 (so that none counts as none), and what is gained more under competition."""
    g = market_gains(p)
    before, after = g["monopoly, signal before contracting"], g["monopoly, signal verified after"]
    screened = g["Miyazaki-Wilson-Spence"]
    return {
        "C7.5a": before - 1e-12,
        "C7.5b": after - 1e-12,
        "C7.5c": g["Bertrand, private values"] - 1e-12,
        "C7.5d": jnp.where(p.pi < 1, g["Rothschild-Stiglitz"] - 1e-12, jnp.nan),
        "C7.5e": screened - 1e-12,
        "C7.5f": g["lemons, competitive buyers"] - 1e-12,
        "C7.5g": g["lemons, one buyer"] - 1e-12,
        "C7.5h": g["lemons, competitive buyers"] - g["lemons, one buyer"],
        "C7.5i": screened - before,
        "C7.5j": screened - after,
    }


def _no_gain(p: Params, u: Policy, key: PRNGKeyArray) -> Scalar:
    """1e-12 less the gain under Bertrand and under Rothschild-Stiglitz at imperfect accuracy."""
    g = market_gains(p)
    most = jnp.maximum(jnp.abs(g["Bertrand, private values"]), jnp.abs(g["Rothschild-Stiglitz"]))
    return jnp.where(p.pi < 1, 1e-12 - most, jnp.nan)


# C7.6 to C7.9 ----------------------------------------------------------------------------------------------


def liability(p: Params, u: Policy, key: PRNGKeyArray) -> Scalar:
    """At the liability of the claim 1e-12 less rent and gap to first-best quantity; a thousandth below it, the larger of the two."""
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
        return incentives.career_effort(_put(p, h_1=x[0], h_eps=x[1]), _like(p, 0.0))

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
                ("C7.2c", "ability (7.3): rent falls all the way", "region", "S"),
            ),
        ),
        joint=type_limit,
    ),
    _claim(
        "C7.3",
        "as both noises vanish welfare under both frictions tends to first best",
        "limit",
        joint_limit,
        "D",
        note="the approach is slow: a trend over four powers of ten is tested",
    ),
    claim_of_parts(
        "C7.4",
        "the principal's profit rises with accuracy everywhere; total welfare need not",
        "S",
        "region",
        parts_of(
            accuracy_claims,
            (
                ("C7.4a", "profit never falls with accuracy", "exact", "S"),
                ("C7.4b", "welfare falls with accuracy somewhere among the accuracies of the box", "region", "S"),
                ("C7.4e", "welfare falls below that of an uninformative signal somewhere", "region", "S"),
            ),
        ),
        joint=accuracy_claims,
        note="before contracting; the share of the box where welfare falls is the finding",
    ),
    _claim(
        "C7.4c",
        "welfare, its minimum at accuracy .75 and return at .8903882, at the specification's point",
        "exact",
        _documented_numbers,
        max_draws=1,
    ),
    claim_of_parts(
        "C7.4d",
        "in a continuum of types welfare rises with precision: the reversal is a feature of two types",
        "S",
        "region",
        parts_of(
            continuum_claims,
            (
                ("C7.4d1", "welfare of the continuum never falls with precision", "region", "S"),
                ("C7.4d2", "profit of the continuum never falls with precision", "exact", "S"),
                ("C7.4d3", "where a signal tells little welfare falls by 1/(40 sigma^2)", "exact", "S"),
            ),
            max_draws=4096,
        ),
        joint=continuum_claims,
        note="Paper: monotone; here: it fails at low precision, by C7.4d3, because the loss E h^2/2 first rises by E theta^4/8 per unit",
    ),
    claim_of_parts(
        "C7.5",
        "gains hold under each market structure and are larger under competition",
        "D",
        "region",
        parts_of(
            market_claims,
            (
                ("C7.5a", "monopoly, signal before contracting: welfare gains", "region", "S"),
                ("C7.5b", "monopoly, signal verified after: welfare gains", "region", "S"),
                ("C7.5c", "Bertrand with private values: welfare gains", "region", "S"),
                ("C7.5d", "Rothschild-Stiglitz: welfare gains", "region", "S"),
                ("C7.5e", "Miyazaki-Wilson-Spence: welfare gains", "region", "S"),
                ("C7.5f", "common-value lemons, competitive buyers: welfare gains", "exact", "S"),
                ("C7.5g", "common-value lemons, one buyer: welfare gains", "exact", "S"),
                ("C7.5h", "lemons: gains are larger under competition", "region", "S"),
                (
                    "C7.5i",
                    "screening: Miyazaki-Wilson-Spence gains more than a monopoly with the signal before",
                    "region",
                    "S",
                ),
                (
                    "C7.5j",
                    "screening: Miyazaki-Wilson-Spence gains more than a monopoly with the signal verified after",
                    "region",
                    "S",
                ),
            ),
        ),
        joint=market_claims,
        note="by market and timing; true as a whole in the market for lemons only",
    ),
    _claim(
        "C7.5k", "under Bertrand with private values and under Rothschild-Stiglitz the gain is zero", "exact", _no_gain
    ),
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
