"""Agents of the intelligence-capital model against Mesa on the same rule: the downstream firms; providers are ten."""

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.timing import agents_row
from jaxecon.models.intelligence_capital import agents, tokens
from jaxecon.models.intelligence_capital.params import Params, Policy

AGENTS = 100_000
PERIODS = 200
MESA_PERIODS = 5
BAR = 40.0


def measure(device: str) -> list[dict]:
    """Seconds a period at 10^5 firms, ours (float64) and Mesa 3 where it is installed, after the fall of the price."""
    del device  # JAX computes on it
    with jax.enable_x64(True):
        # The shock at once, so that adoption spreads from the first period in both.
        p, u, key = Params(t_shock=0.0), Policy(), jax.random.key(0)
        run = jax.jit(agents.run, static_argnums=(3, 4, 5))
        row, found = agents_row("intelligence_capital", lambda n, t: run(key, p, u, n, t, False), AGENTS, PERIODS, BAR)
        # Choices are explicit: nothing is solved, and shares that add up to one by their squares are the check.
        row["solved"] = float(jnp.mean(jnp.isfinite(found.token_index) & (found.hhi <= found.leader + 1e-12)))
        try:
            seconds, adopted = _mesa(p, u)
        except ImportError:
            return [row]
        row |= {"peer": "mesa", "peer_s": seconds, "ratio": seconds / row["ours_s"]}
        row |= {"adopted_ours": float(found.adopted[MESA_PERIODS]), "adopted_peer": adopted}
    return [row]


def _mesa(p: Params, u: Policy) -> tuple[float, float]:
    """Seconds a period of the same rule in Mesa, and adopted tasks after `MESA_PERIODS`; start-up is not timed."""
    import bisect
    import itertools
    import math
    import time

    import mesa

    w = agents.world(jax.random.key(0), p, u, 2, 2)
    q = {n: float(getattr(p, n)) for n in (
        "theta", "a", "rho", "gamma", "delta_D", "jump_rate", "jump_mean", "reconsider", "choice_noise", "lam", "lambda_x",
        "entry_cost", "patience", "F_0", "mc", "mc_fall", "r", "delta_0", "g", "x_0", "spread_A", "mu_v", "sd_v", "psi", "xi",
    )}  # fmt: skip
    J, DT, price, rent_0, Omega = 10, agents.DT, float(w.at.price) * (1 - float(p.shock)), float(w.rent), float(w.Omega)
    ceiling = float(tokens.adopted_share(w.p, jnp.asarray(price)))
    ln_v_hat = float(tokens.log_marginal_task(w.p, jnp.asarray(price)))
    before = float(tokens.log_marginal_task(w.p, w.at.price))
    chance_0 = q["x_0"] / float(tokens.adopted_share(w.p, w.at.price))
    D_0 = float(p.Dt) / (1 + float(p.Omega))
    keep, b = math.exp(-q["lam"] * DT), (1 + q["xi"]) / (1 + q["xi"] - q["psi"])
    spread, rate = q["choice_noise"] * math.sqrt(1 - keep**2), -math.expm1(-q["reconsider"] * DT)

    def ln_A(data: float, innovation: float) -> float:
        return q["gamma"] / q["rho"] * math.log(q["a"] + (1 - q["a"]) * (D_0 * (1 + data)) ** q["rho"]) + innovation

    class Firm(mesa.Agent):
        def __init__(self, model):
            super().__init__(model)
            draw = self.random
            self.ln_v = q["mu_v"] + q["sd_v"] * draw.gauss(0, 1)
            self.own = math.exp(b * self.ln_v)
            self.noise = q["choice_noise"] * draw.gauss(0, 1)
            self.adopted = self.ln_v >= before and draw.random() < chance_0
            self.provider = draw.randrange(J)

        def step(self):
            model, draw = self.model, self.random
            u = draw.random()
            if not model.alive[self.provider]:
                self.provider = bisect.bisect(model.edges, u)
            elif u < rate:
                self.provider = bisect.bisect(model.edges, u / rate)
            model.users[self.provider] += 1
            if self.adopted:
                model.volume += self.own * math.exp(self.noise)
                model.adopted += 1
            elif self.ln_v >= ln_v_hat and draw.random() < model.chance:
                self.adopted = True
            self.noise = keep * self.noise + spread * draw.gauss(0, 1)

    class Industry(mesa.Model):
        def __init__(self):
            super().__init__(seed=0)
            self.firms = mesa.agent.AgentSet([Firm(self) for _ in range(AGENTS)], random=self.random)
            self.innovation = [q["spread_A"] * self.random.gauss(0, 1) for _ in range(J)]
            self.data, self.alive, self.losses, self.t = [Omega] * J, [True] * J, [0.0] * J, 0.0
            self.adopted = sum(f.adopted for f in self.firms)

        def step(self):
            level = [ln_A(d, i) if a else -30.0 for d, i, a in zip(self.data, self.innovation, self.alive, strict=True)]
            top = max(level)
            odds = [math.exp(q["theta"] * (x - top)) if a else 0.0 for x, a in zip(level, self.alive, strict=True)]
            self.edges = list(itertools.accumulate(x / sum(odds) for x in odds))
            self.edges[-1] = max(self.edges[-1], 1.0)
            x, stay = self.adopted / AGENTS, math.exp(-q["lambda_x"] * DT)
            self.chance = min(max(x * (1 - stay) / (x + (ceiling - x) * stay), 0.0), 1.0)
            self.users, self.volume, self.adopted = [0] * J, 0.0, 0
            self.firms.do("step")
            s = [n / AGENTS for n in self.users]
            cost = q["mc"] * math.exp(-q["mc_fall"] * self.t)
            decay, best = math.exp(-q["delta_D"] * DT), level.index(top)
            average = sum(a * b for a, b in zip(s, level, strict=True))
            rivals = sum(odds)
            for j in range(J):
                arrives = self.random.random() < -math.expm1(-q["jump_rate"] * DT)
                jump = self.random.expovariate(1 / q["jump_mean"])
                self.data[j] = decay * self.data[j] + (1 - decay) * Omega * s[j] * J
                if self.alive[j]:
                    rent = (price - cost) * s[j] - q["F_0"]
                    self.losses[j] = self.losses[j] + DT if rent < 0 else 0.0
                    if self.losses[j] >= q["patience"] - DT / 2 and j != best:
                        self.alive[j] = False
                    elif arrives:
                        self.innovation[j] += jump
                elif arrives:
                    mine = average + jump
                    share = math.exp(q["theta"] * (mine - top))
                    share = share / (share + rivals)
                    value = (price - cost) * share / (q["r"] + q["delta_0"] + q["theta"] * (1 - share) * q["g"])
                    if value >= q["entry_cost"] * rent_0:
                        self.alive[j], self.data[j], self.losses[j] = True, 0.0, 0.0
                        self.innovation[j] = mine - ln_A(0.0, 0.0)
            self.t += DT

    model = Industry()
    start = time.perf_counter()
    for _ in range(MESA_PERIODS):
        model.step()
    seconds = (time.perf_counter() - start) / MESA_PERIODS
    return seconds, float(np.mean([f.adopted for f in model.firms]))
