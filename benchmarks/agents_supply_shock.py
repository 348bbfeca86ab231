"""Agent layer of the supply shock against Mesa on the same rule, and the memory of 10^6 agents x 200 periods.

The Mesa model is written as Mesa's own documentation advises: one `Agent` subclass, an `AgentSet`
activated with `do`, attributes on the agents, the market (which needs all agents at once) vectorized in
NumPy over `AgentSet.get`/`set`, one vectorized draw of random numbers a period.
"""

import json
import os
import subprocess
import sys
import time
from statistics import median
from typing import Any

import jax
import numpy as np

from benchmarks.timing import timed
from jaxecon.models.supply_shock.agents import run
from jaxecon.models.supply_shock.params import Params, Policy

AGENTS, PERIODS, MESA_PERIODS = 100_000, 200, 3
MANY, MANY_PERIODS = 1_000_000, 200
BAR, MEMORY_BAR_GB = 40.0, 2.0
# Start in the middle of the shock, so that the rule is at work in every period timed.
LIVELY = {"a0": 0.0}


def _parameters() -> Params:
    return Params(**LIVELY)


def mesa_model(n: int, seed: int = 0) -> Any:
    """The same rule in Mesa 3; `step()` is one period."""
    import mesa

    p = _parameters()
    g = {k: float(v) for k, v in vars(p).items() if hasattr(v, "dtype")}
    lasting = p.adoption == "lasting"
    omega = np.linspace(0.5 - g["sw"], 0.5 + g["sw"], p.n_omega)[:, None]

    class Creator(mesa.Agent):
        """A human creator: learns the values of four actions, re-skills, adopts AI or exits."""

        def __init__(self, model: Any, technique: float, creativity: float) -> None:
            super().__init__(model)
            self.technique, self.creativity = technique, creativity
            self.adopted, self.share, self.income, self.margin = 0.0, 0.0, 1.0, 0.0
            self.liquidity, self.draw, self.action = 0.5 * g["L"], 0.0, 0
            stay = (1 - g["f"]) / (1 - g["disc"])
            self.values = [stay, stay - g["cr"], stay - g["fee"], g["w0_ab"] / (1 - g["disc"])]

        def act(self) -> None:
            v = self.values
            top = max(v)
            tau = g["tau_q"]
            odds = [np.e ** ((x - top) / tau) for x in v]
            if self.adopted:
                odds[2] = 0.0
            level, action = self.draw * sum(odds), 0
            while action < 3 and level >= odds[action]:
                level -= odds[action]
                action += 1
            self.action = action
            if action == 1:
                strong = self.technique / g["x_0"] >= self.creativity / g["y_0"]
                sign = -1.0 if strong and level >= odds[1] * (1 - g["two"]) else 1.0
                self.technique -= sign * g["dx"]
                self.creativity += sign * g["dy"]
            elif action == 2 and lasting:
                self.adopted = 1.0
            elif action == 3:
                self.remove()

        def learn(self) -> None:
            cost = g["cr"] if self.action == 1 else g["fee"] if self.action == 2 else 0.0
            reward = self.margin / self.income - g["f"] - cost
            target = reward + g["disc"] * max(self.values)
            self.values[self.action] += g["lr"] * (target - self.values[self.action])
            self.liquidity = min(self.liquidity + reward, g["L"])
            if self.liquidity < 0:
                self.remove()

    class Market(mesa.Model):
        """All creators, three AI models, consumers in expectation."""

        def __init__(self) -> None:
            super().__init__(seed=seed)
            draws = np.random.default_rng(seed)
            self.numbers, self.n, self.t, self.ai_units = draws, n, 0, 0.0
            z1, z2 = draws.standard_normal(n), draws.standard_normal(n)
            x = g["x_0"] + g["sdx"] * z1
            y = g["y_0"] + g["sdy"] * (g["r_xy"] * z1 + np.sqrt(1 - g["r_xy"] ** 2) * z2)
            self.ai_share = np.zeros(p.J_A)
            Creator.create_agents(self, n, np.maximum(x, 0.05).tolist(), np.maximum(y, 0.05).tolist())
            self.sell(0.0)
            self.agents.set("income", 0.0)
            for creator in self.agents:
                creator.income = creator.margin
            self.ai_units = 0.0

        def sell(self, considered: float) -> None:
            get = np.array(self.agents.get(["technique", "creativity", "adopted", "share"]))
            technique, creativity, adopted, share = get.T
            T = g["T_A"] - (g["T_A"] - g["T0"]) * np.exp(-g["lT"] * self.t)
            C = g["C_A"] - (g["C_A"] - g["C0"]) * np.exp(-g["lC"] * self.t)
            phi = g["beta_ab"] * np.log1p(g["eta_ab"] * self.ai_units)
            x = np.where(adopted > 0, np.maximum(technique, T), technique)
            y = np.where(adopted > 0, np.minimum(creativity, C), creativity)
            cost = np.where(adopted > 0, g["c_A"], g["c_H"])
            price = cost + 1 / (g["bp"] * (1 - share))
            ai_price = g["c_A"] + 1 / (g["bp"] * (1 - self.ai_share))
            level = g["v0"] - np.log(self.n / 50.0)
            base = level + g["B"] * (x - 0.85) - g["bp"] * price - (1 + (1 - adopted) * g["chi_ab"]) * phi
            odds = np.exp(base + omega * (g["B"] * (y - x)))
            steps = g["dA"] * (1.0 - np.arange(p.J_A))
            ai_odds = np.exp(g["v0"] + g["B"] * (omega * C + (1 - omega) * T - 0.85) + steps - g["bp"] * ai_price - phi)
            with_ai = considered / (1 + odds.sum(axis=1) + ai_odds.sum(axis=1))
            without = (1 - considered) / (1 + odds @ (1 - adopted))
            sold = (with_ai @ odds + (without @ odds) * (1 - adopted)) / len(omega)
            self.ai_share = (with_ai @ ai_odds) / len(omega)
            self.ai_units = float(self.ai_share.sum() + sold @ adopted)
            margin = (price - cost) * sold
            for creator, s, m in zip(self.agents, sold.tolist(), margin.tolist(), strict=True):
                creator.share, creator.margin = s, m
            revenue = price * sold
            self.statistics = (float(np.median(revenue)), float(revenue.mean()), float((sold**2).sum()))

        def step(self) -> None:
            for creator, number in zip(self.agents, self.numbers.random(len(self.agents)).tolist(), strict=True):
                creator.draw = number
            self.agents.do("act")
            self.sell(1 / (1 + np.exp(-(g["a0"] + g["ra"] * self.t))))
            self.agents.do("learn")
            self.t += 1

    return Market()


def _mesa_seconds(n: int, periods: int) -> float:
    """Median seconds of one period in Mesa, set-up apart."""
    model, seconds = mesa_model(n), []
    for _ in range(periods):
        start = time.perf_counter()
        model.step()
        seconds.append(time.perf_counter() - start)
    return median(seconds)


def _against_mesa() -> dict:
    p, u = _parameters(), Policy()
    compiled = jax.jit(lambda key: run(key, p, u, AGENTS, PERIODS, False))
    first, seconds, path = timed(lambda: compiled(jax.random.key(0)), repeats=3)
    rate = AGENTS * PERIODS / seconds
    row = {
        "work": f"supply_shock agents, {AGENTS} x {PERIODS} periods, statistics each period",
        "ours_s": seconds,
        "compile_s": first - seconds,
        "agent_periods_per_s": rate,
        "precision": str(path.human_share.dtype),
        "solved": float(np.mean(np.isfinite(np.asarray(path.human_share)))),
        "bar": BAR,
        "bar_is": "at least",
    }
    try:
        period = _mesa_seconds(AGENTS, MESA_PERIODS)
    except ImportError:
        return row | {"peer": "mesa: not installed"}
    peer_rate = AGENTS / period
    return row | {
        "peer": f"mesa, {MESA_PERIODS} periods timed, median",
        "peer_s": period * PERIODS,
        "peer_agent_periods_per_s": peer_rate,
        "ratio": rate / peer_rate,
    }


_MEMORY = """
import json, resource, time
import jax
from jaxecon.models.supply_shock.agents import run
from jaxecon.models.supply_shock.params import Params, Policy
p, u = Params(), Policy()
f = jax.jit(lambda key: run(key, p, u, {n}, {t}, False)).lower(jax.random.key(0)).compile()
start = time.perf_counter()
path = jax.block_until_ready(f(jax.random.key(0)))
seconds = time.perf_counter() - start
print(json.dumps({{"seconds": seconds, "active": float(path.active[-1]), "precision": str(path.active.dtype),
                  "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}}))
"""


def _memory(double: bool) -> dict:
    """Peak resident memory of a process of its own that runs 10^6 agents over 200 periods."""
    environment = {**os.environ, "JAX_ENABLE_X64": "1" if double else "0"}
    script = _MEMORY.format(n=MANY, t=MANY_PERIODS)
    done = subprocess.run([sys.executable, "-c", script], env=environment, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    return {
        "work": f"supply_shock agents, {MANY} x {MANY_PERIODS} periods, {found['precision']}",
        "ours_s": found["seconds"],
        "agent_periods_per_s": MANY * MANY_PERIODS / found["seconds"],
        "peak_gb": found["peak_gb"],
        "solved": float(np.isfinite(found["active"])),
        "bar": MEMORY_BAR_GB,
        "bar_is": "GB resident, at most",
    }


def measure(device: str) -> list[dict]:
    """Rows: 10^5 agents against Mesa; peak memory of 10^6 agents in single and double precision."""
    del device  # JAX computes on it; Mesa runs on the CPU
    return [_against_mesa(), _memory(double=False), _memory(double=True)]
