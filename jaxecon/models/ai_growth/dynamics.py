"""The path layer: the economy from 2020 on along the transition with AI, beside the one without."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxecon.core.fields import series
from jaxecon.core.model import Dynamics
from jaxecon.models.ai_growth import accounts
from jaxecon.models.ai_growth.equilibrium import equilibrium
from jaxecon.models.ai_growth.params import Params, Policy

_path = partial(series, "time")
_share = partial(series, "time", unit="1", bounds=(0.0, 1.0))
_goods = partial(series, "time", unit="goods per yr")


class GrowthPath(eqx.Module):
    """The economy over time, yearly; values in goods."""

    time: Array = _path(unit="yr after 2020", doc="time")
    output: Array = _path(symbol="ln GDP", unit="log", doc="chained GDP, 2019 at full utilization = 0")
    growth: Array = _path(unit="1/yr", doc="growth of GDP over the year before; in the first year as in the second")
    effect: Array = _path(unit="share of GDP", doc="effect of AI on GDP (C8.1)")
    extra_growth: Array = _path(
        unit="1/yr", doc="extra growth from AI over the year before; in the first year as in the second"
    )
    rate: Array = _path(symbol="r", unit="1/yr", doc="interest rate, from the year to the next")
    rate_effect: Array = _path(unit="1/yr", doc="effect of AI on the interest rate")
    utilization: Array = _share(symbol="u", doc="utilization of all factors")
    wage: Array = _goods(symbol="w", doc="wage")
    labor_share: Array = _share(symbol="LS", doc="labor share of GDP")
    labor_share_goods: Array = _share(symbol="LS_g", doc="labor share of the goods sector")
    labor_share_services: Array = _share(symbol="LS_s", doc="labor share of the services sector")
    services_value: Array = _share(doc="services in the value of output")
    goods_labor: Array = _share(doc="share of labor in goods")
    automation: Array = _share(symbol="a", doc="automation share, value-weighted")
    automation_goods: Array = _share(symbol="a_g", doc="automation share, goods")
    automation_services: Array = _share(symbol="a_s", doc="automation share, services")
    ai_cost: Array = _path(symbol="v/w", unit="1", doc="cost of AI over the wage, services")
    capital: Array = _path(symbol="K", unit="goods", doc="capital")
    ai_capital: Array = _path(symbol="M", unit="units", doc="AI-robot capital")
    ai_price: Array = _path(symbol="q", unit="goods", doc="price of AI-robot capital")
    energy: Array = _goods(doc="energy use of AI, e u M")
    investment: Array = _goods(doc="investment, capital and AI capital, with adjustment costs")
    consumption_owners: Array = _goods(symbol="X_o", doc="consumption of owners")
    consumption_workers: Array = _goods(symbol="X_w", doc="consumption of workers")
    price_services: Array = _path(symbol="p_s", unit="goods", doc="price of services")
    price_level: Array = _path(symbol="P", unit="goods", doc="price of the basket of households")
    debt: Array = _path(symbol="B/GDP", unit="share of GDP", doc="public debt")
    income_tax: Array = _path(symbol="tau_y", unit="1", doc="tax on wages and AI profits")


def path(p: Params, u: Policy, time: Float[Array, " n"]) -> GrowthPath:
    """The economy at the dates of `time`, years after 2020; between years linear, at most `p.T - 1`.

    An instrument may be a path by year from 2020 on, of any length; its last value is held.
    """
    eq = equilibrium(p, u)
    off, on = eq.without_ai, eq.with_ai
    ln_on, ln_off = accounts.chained_output(on), accounts.chained_output(off)
    effect = ln_on - ln_off

    def change(x: Array) -> Array:
        return jnp.diff(x, prepend=2 * x[:1] - x[1:2])

    yearly = {
        "output": ln_on,
        "growth": change(ln_on),
        "effect": jnp.expm1(effect),
        "extra_growth": change(effect),
        "rate": on.r,
        "rate_effect": on.r - off.r,
        "utilization": jnp.exp(on.ln_u),
        "wage": on.w,
        "labor_share": accounts.labor_share(on),
        "labor_share_goods": (1 - p.alpha) * (1 - on.theta_g),
        "labor_share_services": (1 - p.alpha) * (1 - on.theta_s),
        "services_value": accounts.services_value(on),
        "goods_labor": accounts.goods_labor(on),
        "automation": accounts.automation_share(on),
        "automation_goods": on.a_g,
        "automation_services": on.a_s,
        "ai_cost": on.v_s / on.w,
        "capital": on.K,
        "ai_capital": on.M,
        "ai_price": on.q,
        "energy": on.energy,
        "investment": (on.i + on.Phi) * on.K + on.I_M,
        "consumption_owners": on.X_o,
        "consumption_workers": on.X_w,
        "price_services": on.p_s,
        "price_level": on.P,
        "debt": on.B / on.GDP,
        "income_tax": on.tau_y,
    }
    solved = eq.status == 0
    dates = jnp.arange(p.T, dtype=time.dtype)
    at = jax.tree.map(lambda x: jnp.where(solved, jnp.interp(time, dates, x), jnp.nan), yearly)
    return GrowthPath(time=time, **at)


DYNAMICS = {
    "growth": Dynamics(path, GrowthPath, "the transition with AI, 2020 to 2060, year by year", horizon=40.0, steps=40)
}
