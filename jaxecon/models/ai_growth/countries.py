r"""Two countries: the lead in technology, imitation, and what capital makes of it (8.22)-(8.24).

Country 1 leads by $x = \ln A_1 - \ln A_2$. Scale and lead raise its research, the lead gives the follower something to imitate, and
AI strengthens both: research of the leader until the second inflection t_2, imitation from t_A on.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxecon.core.fields import series
from jaxecon.core.model import Dynamics
from jaxecon.models.ai_growth.params import Params, Policy
from jaxecon.numerics.roots import Root, find_root

Scalar = Float[Array, ""]
Pair = tuple[Scalar, Scalar]
HORIZON = 40


def basic_research(p: Params) -> Pair:
    r"""Growth from research without AI (8.22) [R]: $\nu (s_i L_i/\bar s)^{\lambda_R}$ of either country."""
    return p.nu * (p.rd_1 * p.L_1 / p.rd_bar) ** p.lam_R, p.nu * (p.rd_2 * p.L_2 / p.rd_bar) ** p.lam_R


def research(p: Params, x: Scalar, t: Scalar) -> Pair:
    r"""Growth from research (8.22) [R]: $\nu (s_i L_i/\bar s)^{\lambda_R} [1 + f_m 1(i\ leads)\, \Lambda(-(t-t_2)/s_2)]$."""
    one, two = basic_research(p)
    advantage = p.fm * jax.nn.sigmoid(-(t - p.t_2) / p.s_2c)
    return one * (1 + jnp.where(x > 0, advantage, 0.0)), two * (1 + jnp.where(x > 0, 0.0, advantage))


def imitation_speed(p: Params, t: Scalar) -> Scalar:
    r"""$\kappa (1 + \theta_A \Lambda((t-t_A)/s_A))$ of (8.23) [R]."""
    return p.kap * (1 + p.th_A * jax.nn.sigmoid((t - p.t_A) / p.s_A))


def imitation(p: Params, x: Scalar, t: Scalar) -> Scalar:
    r"""Growth of the follower from imitation (8.23) [R]: speed times $x e^{-x/h}$; 0 where it leads."""
    return imitation_speed(p, t) * jnp.maximum(x, 0.0) * jnp.exp(-x / p.h_abs)


def technology_growth(p: Params, x: Scalar, t: Scalar) -> Pair:
    """Growth of ln A_1 and ln A_2 (8.22), (8.23) [R]."""
    one, two = research(p, x, t)
    return p.g_c + one, p.g_c + two + imitation(p, x, t)


def lead_in(p: Params, years: int = HORIZON) -> Scalar:
    """The lead x after that many years from 2020."""

    def year(x: Scalar, t: Scalar) -> tuple[Scalar, None]:
        one, two = technology_growth(p, x, t)
        return x + one - two, None

    return lax.scan(year, p.x_0, jnp.arange(years, dtype=p.x_0.dtype))[0]


# Rest points -----------------------------------------------------------------------------------------------


def _rest(v: Float[Array, "1"], args: Scalar) -> Float[Array, "1"]:
    """ln c = ln s - s in v = ln s, with c = e^-args: the rest point in units of h."""
    return jnp.exp(v) - v - args


def lambert_w(z: Scalar, branch: int) -> Scalar:
    r"""$W_b(z)$ on $-1/e \le z < 0$, branch 0 or -1: $W e^W = z$ [S]; NaN outside. Infinite slope at -1/e.

    With $W = -e^v$ the equation is $e^v - v = -\ln(-z)$, convex in v: Newton's steps from beyond a root cannot miss it.
    """
    inside = (z < 0) & (z >= -jnp.exp(jnp.asarray(-1.0, z.dtype)))
    level = jnp.where(inside, -jnp.log(-jnp.where(inside, z, -0.1)), 2.0)
    start = -level if branch == 0 else jnp.log(2 * level)
    found = find_root(_rest, start[None], level, max_steps=80, max_step=50.0)
    return jnp.where(inside, -jnp.exp(found.x[0]), jnp.nan)


def rest_points(advantage: Scalar, speed: Scalar, h: Scalar) -> Pair:
    r"""Leads at which imitation equals a constant growth advantage [S]: $x = -h W_b(-\Delta g/(\kappa h))$, first the stable
    one (b = 0), then the unstable one (b = -1, tipping); NaN without advantage, and past the saddle-node."""
    z = -advantage / (speed * h)
    return -h * lambert_w(z, 0), -h * lambert_w(z, -1)


def saddle_node(advantage: Scalar, h: Scalar) -> Scalar:
    r"""Speed of imitation below which there is no rest point [S]: $\kappa = e\,\Delta g/h$."""
    return jnp.exp(jnp.ones_like(h)) * advantage / h


def long_run(p: Params) -> Pair:
    """Growth advantage of the leader and speed of imitation after the inflections."""
    one, two = basic_research(p)
    return one - two, p.kap * (1 + p.th_A)


def tipping_gap(p: Params) -> Scalar:
    """Lead in the long run beyond which imitation no longer closes the gap: the unstable rest point, 0 past the
    saddle-node, at most 10 h (also where the follower's research alone is as good)."""
    advantage, speed = long_run(p)
    h, most = p.h_abs, 10 * p.h_abs
    some, exists = advantage > 0, advantage <= speed * p.h_abs / jnp.exp(jnp.ones_like(h))
    safe = jnp.where(some & exists, advantage, 0.2 * speed * h)
    gap = jnp.minimum(rest_points(safe, speed, h)[1], most)
    return jnp.where(some, jnp.where(exists, gap, 0.0), most)


# Boundary between convergence and divergence ---------------------------------------------------------------


def _lead_gained(kap: Float[Array, "1"], p: Params) -> Float[Array, "1"]:
    """x(2060) - x(2020) at speed of imitation `kap`."""
    return (lead_in(eqx.tree_at(lambda q: q.kap, p, kap[0])) - p.x_0)[None]


def boundary_root(p: Params) -> Root:
    r"""Root behind `imitation_boundary`; meaningful where country 1 leads in 2020."""
    return find_root(_lead_gained, jnp.zeros((1,), p.x_0.dtype), p, max_step=0.1)


def imitation_boundary(p: Params) -> Scalar:
    r"""Speed of imitation $\kappa^*$ at which the lead in 2060 is that of 2020 (C8.3) [R]: a root with implicit derivatives.

    Negative where the follower catches up without imitation; 0 where country 1 does not lead in 2020: there is nothing to imitate.
    """
    leads = p.x_0 > 0
    safe = eqx.tree_at(lambda q: q.x_0, p, jnp.where(leads, p.x_0, 1.0))
    found = boundary_root(safe)
    return jnp.where(leads, jnp.where(found.converged, found.x[0], jnp.nan), 0.0)


# Paths -----------------------------------------------------------------------------------------------------


class CountriesPath(eqx.Module):
    """Two countries over time; growth is that of the year that begins."""

    time: Array = series("time", unit="yr", doc="years after 2020")
    lead: Array = series("time", symbol="x", unit="log", doc="lead of country 1 in technology")
    technology_growth_1: Array = series("time", unit="1/yr", doc="growth of technology, country 1")
    technology_growth_2: Array = series("time", unit="1/yr", doc="growth of technology, country 2")
    output_1: Array = series("time", symbol="ln y_1", unit="log", doc="log output per head, country 1")
    output_2: Array = series("time", symbol="ln y_2", unit="log", doc="log output per head, country 2")
    growth_1: Array = series("time", symbol="g_1", unit="1/yr", doc="growth of output per head, country 1")
    growth_2: Array = series("time", symbol="g_2", unit="1/yr", doc="growth of output per head, country 2")
    return_1: Array = series("time", symbol="r_1", unit="1/yr", doc="net return on capital, country 1")
    return_2: Array = series("time", symbol="r_2", unit="1/yr", doc="net return on capital, country 2")


def balanced_capital(p: Params, saving: Scalar, growth: Scalar) -> Scalar:
    r"""ln(k/A) on the balanced path [S]: $s (k/A)^{\alpha-1} = e^g - 1 + \delta$."""
    return jnp.log(saving / (jnp.expm1(growth) + p.dk_c)) / (1 - p.al_c)


def _output(p: Params, ln_A: Scalar, ln_k: Scalar) -> Scalar:
    return (1 - p.al_c) * ln_A + p.al_c * ln_k


def _net_return(p: Params, ln_A: Scalar, ln_k: Scalar) -> Scalar:
    return p.al_c * jnp.exp((1 - p.al_c) * (ln_A - ln_k)) - p.dk_c


def simulate(p: Params, u: Policy, time: Float[Array, " T"]) -> CountriesPath:
    """The two countries from A_1 = 1, the lead x_0 and balanced capital (8.22)-(8.24) [R].

    `time`: years after 2020, increasing; on yearly dates this is the model, other intervals are one step of their length.
    """
    p = jax.tree.map(lambda v: v.astype(time.dtype), p)
    zero = jnp.zeros_like(p.x_0)
    first = technology_growth(p, p.x_0, time[0])
    start = (
        (zero, -p.x_0),
        (balanced_capital(p, p.sv_1, first[0]), -p.x_0 + balanced_capital(p, p.sv_2, first[1])),
    )

    def step(state: tuple[Pair, Pair], now: tuple[Scalar, Scalar]) -> tuple[tuple[Pair, Pair], tuple]:
        (A, k), (t, h) = state, now
        x = A[0] - A[1]
        growth = technology_growth(p, x, t)
        r = tuple(_net_return(p, a, c) for a, c in zip(A, k))
        y = tuple(_output(p, a, c) for a, c in zip(A, k))
        flow = p.phi_k * (r[0] - r[1])
        gains = tuple(
            s * jnp.exp(out - c) - p.dk_c + sign * flow for s, out, c, sign in zip((p.sv_1, p.sv_2), y, k, (1.0, -1.0))
        )
        ahead = (
            (A[0] + h * growth[0], A[1] + h * growth[1]),
            (k[0] + jnp.log1p(h * gains[0]), k[1] + jnp.log1p(h * gains[1])),
        )
        y_ahead = tuple(_output(p, a, c) for a, c in zip(*ahead))
        grown = tuple((later - out) / h for later, out in zip(y_ahead, y))
        return ahead, (x, *growth, *y, *grown, *r)

    lengths = jnp.append(jnp.diff(time), 1.0)
    return CountriesPath(time, *lax.scan(step, start, (time, lengths))[1])


def countries_2060(p: Params, u: Policy) -> tuple[Scalar, Scalar, Scalar]:
    """Lead in 2060, and growth of output per head of either country in 2060."""
    found = simulate(p, u, jnp.arange(HORIZON + 1, dtype=p.x_0.dtype))
    return found.lead[-1], found.growth_1[-2], found.growth_2[-2]


COUNTRIES = Dynamics(simulate, CountriesPath, "two countries: lead, imitation, capital", horizon=80.0, steps=80)
