"""Creators and buyers of the content platform against Mesa on the same rule."""

import jax
import jax.numpy as jnp

from benchmarks.timing import agents_row
from jaxecon.models.content_platform import agents
from jaxecon.models.content_platform.equilibrium import equilibrium, outcomes
from jaxecon.models.content_platform.params import Params, Policy

AGENTS = 100_000
PERIODS = 20
MESA_PERIODS = 1
BAR = 40.0


def measure(device: str) -> list[dict]:
    """Seconds a period of 10^5 creators and 10^5 buyers, ours (float64) and Mesa 3 where it is installed."""
    del device  # JAX computes on it
    with jax.enable_x64(True):
        p, u, key = Params(), Policy(), jax.random.key(0)
        run = jax.jit(agents.run, static_argnums=(3, 4, 5))
        row, found = agents_row("content_platform", lambda n, t: run(key, p, u, n, t, False), AGENTS, PERIODS, BAR)
        row["solved"] = float(jnp.mean(jnp.isfinite(found.consumer_surplus)))
        row["surplus_at_rest"] = float(outcomes(p, u, equilibrium(p, u)).consumer_surplus)
        try:
            seconds, share = _mesa(p, u)
        except ImportError:
            return [row]
        row |= {"peer": "mesa", "peer_s": seconds, "ratio": seconds / row["ours_s"]}
        row |= {"outside_share_ours": float(found.outside_share[0]), "outside_share_peer": share}
    return [row]


def _mesa(p: Params, u: Policy) -> tuple[float, float]:
    """Seconds a period of the same rule in Mesa, and the share of buyers who buy nothing; start-up is not timed."""
    import math
    import random
    import time

    import mesa

    from jaxecon.models.content_platform.dynamics import learnt, opening
    from jaxecon.models.content_platform.market import frame, human_quality, skills
    from jaxecon.models.content_platform.solver import start

    K, rho, omega, flood = float(p.K), float(p.rho), float(p.omega), float(p.flood)
    stock = opening(p, jnp.asarray(K))
    human, ai = human_quality(p, skills(p)[1]), learnt(p, stock)
    qt, qc = ([float(v) for v in jnp.append(human[k], ai[k])] for k in (0, 1))
    price0 = [float(v) for v in jnp.exp(start(frame(p, u))[10:20])]
    w_0, s_e, buyers_each, creators_each = float(p.w_0), float(p.s_e), float(p.Mkt) / AGENTS, 9 * float(p.Nbar) / AGENTS
    base = [float(p.c_0) + 0.5 * float(p.c_q) * (qt[j] ** 2 + qc[j] ** 2) for j in range(9)]
    moves, types = -math.expm1(-float(p.entry_rate)), range(10)

    class Buyer(mesa.Agent):
        def __init__(self, model):
            super().__init__(model)
            gauss = self.random.gauss
            self.a, self.b = (float(m) + float(s) * gauss(0, 1) for m, s in ((p.mu_a, p.sd_a), (p.mu_b, p.sd_b)))
            self.alpha = float(p.alpha) * math.exp(float(p.sd_alpha) * gauss(0, 1))

        def step(self):
            m = self.model
            odds = [math.exp(self.a * qt[j] + self.b * qc[j] - self.alpha * m.price[j] + m.level[j]) for j in types]
            total = 1 + sum(n * o for n, o in zip(m.number, odds, strict=True))
            m.surplus += math.log(total) / self.alpha
            draw = self.random.random() * total
            for j in types:
                s = odds[j] / total
                m.share[j] += s
                m.slope[j] += self.alpha * s * (1 - s)
                m.by_t[j] += self.a * s * (1 - s)
                m.by_c[j] += self.b * s * (1 - s)
                draw -= m.number[j] * odds[j]
                if draw < 0:
                    m.sold[j] += buyers_each
                    return
            m.nothing += 1

    class Creator(mesa.Agent):
        def __init__(self, model, kind):
            super().__init__(model)
            share = min(max(self.random.random(), 1e-6), 1 - 1e-6)
            self.kind, self.outside = kind, w_0 + s_e * math.log(share / (1 - share))
            self.active = self.outside <= w_0

        def step(self):
            m = self.model
            mine = m.profit[self.kind]
            m.incomes.append(mine if self.active else self.outside)
            if self.random.random() < moves:
                self.active = mine >= self.outside
            m.count[self.kind] += self.active

    class Platform(mesa.Model):
        def __init__(self):
            super().__init__(seed=0)
            self.buyers = mesa.agent.AgentSet([Buyer(self) for _ in range(AGENTS)], random=random.Random(0))
            made = [Creator(self, i % 9) for i in range(AGENTS)]
            self.creators = mesa.agent.AgentSet(made, random=random.Random(0))
            self.price, self.count = price0, [sum(c.active for c in made if c.kind == k) for k in range(9)]
            self.exposure = [1.0] * 10

        def step(self):
            self.number = [creators_each * c for c in self.count] + [K]
            clutter = omega * math.log1p(sum(self.number[:9]) + flood * K)
            self.level = [rho * math.log(x) - clutter for x in self.exposure]
            self.share, self.slope, self.by_t, self.by_c, self.sold = ([0.0] * 10 for _ in range(5))
            self.surplus = self.nothing = 0
            self.buyers.do("step")
            units = [s / n for s, n in zip(self.sold, self.number, strict=True)]
            tau = float(u.commission_human)
            self.profit = [
                (1 - tau) * self.price[j] * units[j] - (base[j] + 0.0025 * units[j]) * units[j] for j in range(9)
            ]
            self.count, self.incomes = [0] * 9, []
            self.creators.do("step")
            self.incomes.sort()

    model = Platform()
    start_time = time.perf_counter()
    for _ in range(MESA_PERIODS):
        model.step()
    return (time.perf_counter() - start_time) / MESA_PERIODS, model.nothing / AGENTS
