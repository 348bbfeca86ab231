"""Agents of the rent-seeking model against Mesa on the same rule."""

import jax
import jax.numpy as jnp

from benchmarks.timing import agents_row
from jaxecon.models.rent_seeking import agents, laws
from jaxecon.models.rent_seeking.dynamics import capability, path
from jaxecon.models.rent_seeking.params import Params, Policy

AGENTS = 100_000
PERIODS = 60
MESA_PERIODS = 3
BAR = 40.0


def measure(device: str) -> list[dict]:
    """Seconds a period at 10^5 agents, ours (float64) and Mesa 3 where it is installed."""
    del device  # JAX computes on it
    with jax.enable_x64(True):
        p, u, key = Params(), Policy(), jax.random.key(0)
        run = jax.jit(agents.run, static_argnums=(3, 4, 5))
        row, found = agents_row("rent_seeking", lambda n, t: run(key, p, u, n, t, False), AGENTS, PERIODS, BAR)
        limit = jax.jit(path)(p, u, jnp.arange(float(PERIODS)))
        # An agent's choice is explicit: nothing is solved, and the distance from the mean field is the check.
        row["solved"] = float(jnp.mean(jnp.isfinite(found.welfare)))
        row["largest_gap_to_mean_field"] = float(jnp.max(jnp.abs(found.rents - limit.rents)))
        try:
            seconds, rents = _mesa(p, u)
        except ImportError:
            return [row]
        row |= {"peer": "mesa", "peer_s": seconds, "ratio": seconds / row["ours_s"]}
        row |= {"rents_ours": float(found.rents[MESA_PERIODS]), "rents_peer": rents}
    return [row]


def _mesa(p: Params, u: Policy) -> tuple[float, float]:
    """Seconds a period of the same rule in Mesa, and rents after `MESA_PERIODS`; start-up is not timed."""
    import math
    import time

    import mesa

    sd, cx, F = float(p.sd), float(p.c_x), float(p.F_0)
    median = {n: float(getattr(p, n)) for n in ("w", "c_r", "c_m")}
    pi = -math.expm1(-float(p.det_0))
    levels = [float(capability(p, jnp.asarray(float(t)))) for t in range(MESA_PERIODS + 1)]

    class RentSeeker(mesa.Agent):
        def __init__(self, model):
            super().__init__(model)
            self.w, self.c_r, self.c_m = (x * math.exp(sd * self.random.gauss(0, 1)) for x in median.values())

        def step(self):
            x, y, c_r, c_m = self.model.X - self.w, self.model.Y - self.w, self.c_r, self.c_m
            D = c_r * c_m - cx * cx
            r, m = (c_m * x - cx * y) / D, (c_r * y - cx * x) / D
            if m < 0 or r < 0:
                r, m = (min(max(x / c_r, 0.0), 1.0), 0.0) if m < 0 else (0.0, min(max(y / c_m, 0.0), 1.0))
                if x < 0 < y:
                    r, m = 0.0, min(y / c_m, 1.0)
            elif r + m > 1:
                r = min(max((x - y + c_m - cx) / (c_r + c_m - 2 * cx), 0.0), 1.0)
                m = 1 - r
            self.r, self.m = r, m
            self.paid = F * m if self.random.random() < pi else 0.0

    class Economy(mesa.Model):
        def __init__(self):
            super().__init__(seed=0)
            self.seekers = mesa.agent.AgentSet([RentSeeker(self) for _ in range(AGENTS)], random=self.random)
            self.R, self.S, self.t = float(p.R_0), float(p.S_0), 0

        def step(self):
            A = levels[self.t]
            self.X, self.Y = float(p.b) * (1 - self.S), float(p.dB_0) + float(p.dB_1) * A - pi * F
            self.seekers.do("step")
            r, m, w = (self.seekers.get(n) for n in ("r", "m", "w"))
            self.output = sum(a * (1 - b - c) for a, b, c in zip(w, r, m, strict=True)) / AGENTS
            self.revenue = sum(self.seekers.get("paid")) / AGENTS
            means = sum(r) / AGENTS, sum(m) / AGENTS
            R, S = laws.advance(
                p, u, jnp.asarray(A), jnp.asarray(self.R), jnp.asarray(self.S), *map(jnp.asarray, means)
            )
            self.R, self.S, self.t = float(R), float(S), self.t + 1

    laws.advance(p, u, *map(jnp.asarray, (0.1, 0.5, 0.4, 0.1, 0.1)))
    model = Economy()
    start = time.perf_counter()
    for _ in range(MESA_PERIODS):
        model.step()
    return (time.perf_counter() - start) / MESA_PERIODS, model.R
