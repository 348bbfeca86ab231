"""Propositions of paper 7 on accuracy and markets (C7.4, C7.5): where more accurate signals raise profit and welfare."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxecon.core.model import Claim, claim_of_parts, parts_of
from jaxecon.models.information_asymmetry import markets, screening
from jaxecon.models.information_asymmetry.continuum import continuum, welfare_slope
from jaxecon.models.information_asymmetry.params import Params, Policy
from jaxecon.models.information_asymmetry.screening import Contract

Scalar = Float[Array, ""]
Margins = dict[str, Scalar]


def like(p: Params, x: float) -> Scalar:
    """A number in the precision of the parameters."""
    return jnp.full_like(p.a, x)


def _declared(p: Params) -> Params:
    """The declared defaults, whatever the draw."""
    return jax.tree.map(lambda x: x.astype(p.a.dtype), Params())


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
    start = screening.contract_before(p, like(p, 0.5)).welfare

    def halve(_: int, ends: tuple[Scalar, Scalar]) -> tuple[Scalar, Scalar]:
        middle = 0.5 * (ends[0] + ends[1])
        low = screening.contract_before(p, middle).welfare < start
        return jnp.where(low, middle, ends[0]), jnp.where(low, ends[1], middle)

    low, _ = jax.lax.fori_loop(0, 50, halve, (kink, like(p, 1.0)))
    falls = (kink > 0.5) & (screening.contract_before(p, kink).welfare < start)
    return jnp.where(falls, kink, jnp.nan), jnp.where(falls, low, jnp.nan)


def _documented_numbers(p: Params, u: Policy, key: PRNGKeyArray) -> Scalar:
    """5e-8 less the largest gap to the specification's numbers, at the declared defaults whatever the draw."""
    q = _declared(p)
    expected = {0.5: 1.5, 0.75: 1.4166667, 0.8: 1.446875, 0.9: 1.5055556, 1.0: 1.5625}
    gaps = [screening.contract_before(q, like(p, x)).welfare - w for x, w in expected.items()]
    least, back = turning_accuracy(q)
    return 5e-8 - jnp.max(jnp.abs(jnp.stack([*gaps, least - 0.75, back - 0.8903882])))


def continuum_claims(p: Params, u: Policy, key: PRNGKeyArray) -> Margins:
    """Least rise of welfare (1) and profit (2) of the continuum between type noises from 4 down to .05 standard deviations; 3: .002 less
    the gap of the slope of welfare in precision at a noise of 10 to -1/40, where no type is shut out."""
    a = p.a
    sigma = jnp.exp(jnp.linspace(jnp.log(4.0), jnp.log(0.05), 13)).astype(p.a.dtype)
    found = jax.lax.map(lambda s: continuum(a, s), sigma)
    slope = welfare_slope(a, like(p, 10.0))
    return {
        "C7.4d1": jnp.min(jnp.diff(found.welfare)),
        "C7.4d2": jnp.min(jnp.diff(found.profit)),
        "C7.4d3": jnp.where(a >= 2.2, 0.002 - jnp.abs(slope + 1 / 40), jnp.nan),
    }


# C7.5 ------------------------------------------------------------------------------------------------------


def market_gains(p: Params) -> dict[str, Scalar]:
    """Gain in welfare from the AI signal, by market and timing: against no signal, for lemons against one cell."""
    none, pi = like(p, 0.5), p.pi

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


ACCURACY_CLAIMS: tuple[Claim, ...] = (
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
    Claim(
        "C7.4c",
        "welfare, its minimum at accuracy .75 and return at .8903882, at the specification's point",
        "S",
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
    Claim(
        "C7.5k",
        "under Bertrand with private values and under Rothschild-Stiglitz the gain is zero",
        "S",
        "exact",
        _no_gain,
    ),
)
