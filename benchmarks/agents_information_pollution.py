"""Agents of the information-pollution model against Mesa on the same rule.

Both sides solve the platform's problem with the same compiled function once a period (it does not grow
with the number of agents); the agents' choices are JAX arrays here and Python objects there.
"""

import math

import jax
import jax.numpy as jnp

from benchmarks.timing import agents_row
from jaxecon.models.information_pollution import agents, dynamics, stage
from jaxecon.models.information_pollution.params import Params, Policy

AGENTS = 100_000
PERIODS = 50
MESA_PERIODS = 3
BAR = 40.0


def measure(device: str) -> list[dict]:
    """Seconds a period at 10^5 agents, ours (float64) and Mesa 3 where it is installed."""
    del device  # JAX computes on it
    with jax.enable_x64(True):
        p, u, key = Params(), Policy(), jax.random.key(0)
        run = jax.jit(agents.run, static_argnums=(3, 4, 5))
        row, path = agents_row("information_pollution", lambda n, t: run(key, p, u, n, t, False), AGENTS, PERIODS, BAR)
        row |= {"solved": float(jnp.mean(path.residual < 1e-9)), "max_residual": float(jnp.max(path.residual))}
        try:
            seconds, trust = _mesa(p, u)
        except ImportError:
            return [row]
        row |= {"peer": "mesa", "peer_s": seconds, "ratio": seconds / row["ours_s"]}
        row |= {"trust_ours": float(path.trust[MESA_PERIODS]), "trust_peer": trust}
    return [row]


def _mesa(p: Params, u: Policy) -> tuple[float, float]:
    """Seconds a period of the same rule in Mesa, and trust after `MESA_PERIODS`; start-up is not timed."""
    import time

    import mesa

    respond = jax.jit(lambda q, v, state: dynamics.respond(q, v, state))
    economy = jax.jit(dynamics.rest_point)(p, u)
    value = {n: float(getattr(p, n)) for n in ("r_0", "rho", "eta", "kappa", "u_L", "theta_v", "eps")}
    spread, taste, noise = float(p.cost_sd), float(p.taste_sd), float(p.choice_noise)
    dt = agents.PERIOD
    revise = -math.expm1(-float(p.adjustment) * dt)
    shift = -(noise**2) / 2

    class Consumer(mesa.Agent):
        def __init__(self, model):
            super().__init__(model)
            self.cost = math.exp(taste * self.random.gauss(0, 1) - taste**2 / 2)
            self.trusting = self.random.random() < model.trust

        def step(self):
            m = self.model
            k = m.stake / self.cost
            w = math.log1p(k)
            w *= 1 - math.log1p(w) / (2 + w)
            for _ in range(3):
                gap = w - k * math.exp(-w)
                w -= gap / (1 + w - gap)
            v = w / m.theta * math.exp(noise * self.random.gauss(0, 1) + shift)
            d = -math.expm1(-m.theta * v)
            gain, loss = value["r_0"] + value["rho"] * d, value["eta"] * m.x_L * (1 - d)
            rest = gain / (gain + loss)
            odds = rest + (self.trusting - rest) * math.exp(-(gain + loss) * dt)
            self.trusting = self.random.random() < odds

    class Producer(mesa.Agent):
        def __init__(self, model, low):
            super().__init__(model)
            s = value["eps"] * spread
            self.low = low
            self.ability = math.exp(s * self.random.gauss(0, 1) - s**2 / 2)
            self.supply = model.mean[low] * self.ability * math.exp(noise * self.random.gauss(0, 1) + shift)

        def step(self):
            if self.random.random() < revise:
                error = math.exp(noise * self.random.gauss(0, 1) + shift)
                self.supply = self.model.mean[self.low] * self.ability * error

    class Economy(mesa.Model):
        def __init__(self):
            super().__init__(seed=0)
            self.trust, self.state = float(economy.T), economy
            self.mean = {True: float(economy.q.L), False: float(economy.q.H)}
            consumers, low, high = agents.group_sizes(AGENTS)
            self.consumers = mesa.agent.AgentSet([Consumer(self) for _ in range(consumers)], random=self.random)
            self.low = mesa.agent.AgentSet([Producer(self, True) for _ in range(low)], random=self.random)
            self.high = mesa.agent.AgentSet([Producer(self, False) for _ in range(high)], random=self.random)
            self.theta, self.t = value["theta_v"], 0

        def step(self):
            self.trust = sum(self.consumers.get("trusting")) / len(self.consumers)
            power, supplies = 1 + 1 / value["eps"], []
            dear = []
            for group in (self.low, self.high):
                supply, ability = group.get("supply"), group.get("ability")
                cost = sum(q**power * a ** (-1 / value["eps"]) for q, a in zip(supply, ability, strict=True))
                supplies.append(sum(supply) / len(group))
                dear.append((cost / len(group)) ** (1 / power))
            now = dynamics.at_time(p, jnp.asarray(self.t * dt))
            state = dynamics.State(
                jnp.asarray(self.trust), stage.Pair(*map(jnp.asarray, dear)), self.state.fast, self.state.inverse,
                self.state.residual,
            )  # fmt: skip
            self.state, made = respond(now, u, state)
            h, ln_a = made.h, float(made.ln_a)
            lift = math.expm1(ln_a)
            shown = [(1 + float(h_j) * lift) * q for h_j, q in zip((h.L, h.H), supplies, strict=True)]
            A = sum(shown)
            M = float(p.M_0) * self.trust ** float(p.chi) * A / (A + float(p.A_0))
            self.x_L = shown[0] / A
            self.stake = self.theta**2 * M * value["u_L"] * self.x_L / (value["kappa"] * (1 - float(u.provenance)))
            self.mean = {True: float(jnp.exp(self.state.fast[1])), False: float(jnp.exp(self.state.fast[2]))}
            self.consumers.do("step")
            self.low.do("step")
            self.high.do("step")
            self.t += 1

    model = Economy()
    model.step()  # compiles the platform's function
    start = time.perf_counter()
    for _ in range(MESA_PERIODS):
        model.step()
    return (time.perf_counter() - start) / MESA_PERIODS, model.trust
