"""The static assignment of `supply_shock` in plain Python floats, solved with `scipy.optimize.root`.

Uniform skills, additive penalty: equations (3.1)-(3.3) with the cutoffs as unknowns. Patterns are tried in the order of their frequency,
each from a few starts, until the largest gain from changing occupation is below 1e-7. The outcomes (3.2) follow by Simpson's rule between
kinks, exact here because every integrand is a polynomial of degree three at most.
"""

import math
from collections.abc import Callable, Iterable
from itertools import pairwise

from scipy.optimize import root

PATTERNS = ("EAH", "EA", "EHAH", "EHA", "EH")
STARTS = {
    "EAH": ((0.6, 0.8), (0.3, 0.6), (0.8, 0.95), (0.1, 0.4), (0.45, 0.55)),
    "EA": ((0.6,), (0.3,), (0.85,)),
    "EHAH": ((0.1, 0.3, 0.7), (0.3, 0.5, 0.8), (0.05, 0.1, 0.5)),
    "EHA": ((0.2, 0.5), (0.4, 0.7)),
    "EH": ((0.5,), (0.2,), (0.8,)),
}


def _overlap(b: float, lo: float, hi: float, q: float) -> float:
    """Integral of min(b s, q) over [lo, hi] for s uniform on [0, 1]."""
    if hi <= lo:
        return 0.0
    c = min(max(q / b, lo), hi)
    return 0.5 * b * (c * c - lo * lo) + q * (hi - c)


class _Market:
    """Prices and payoffs given cutoffs `(s0, s1, sH)`: exit, human, AI, human by rising skill."""

    def __init__(self, p: dict, u: dict, cutoffs: tuple[float, float, float]) -> None:
        self.p, self.u = p, u
        self.s0, self.s1, self.sH = cutoffs
        eta = p["eta"] / (1 + u.get("search_quality", 0.0))
        self.volume = p["n"] * p["k_A"] * max(self.sH - self.s1, 0.0)
        self.phi = p["beta"] * math.log1p(eta * self.volume) if eta * self.volume > -1 else 0.0

    def price(self, q: float) -> float:
        p = self.p
        human = _overlap(p["alpha"], self.s0, self.s1, q) + _overlap(p["alpha"], self.sH, 1.0, q)
        machine = _overlap(p["a"], self.s1, self.sH, min(p["q_A"], q))
        return p["theta_max"] * (q - p["n"] * (p["k_H"] * human + p["k_A"] * machine)) - self.phi

    def ai(self, s: float) -> float:
        p, u = self.p, self.u
        q = min(p["q_A"], p["a"] * s)
        cost = (p["c_A"] + u.get("input_levy", 0.0)) * q + u.get("volume_charge", 0.0)
        return p["k_A"] * (self.price(q) - cost) - p["kappa"] - u.get("entry_fee", 0.0)

    def human(self, s: float) -> float:
        q = self.p["alpha"] * s
        return self.p["k_H"] * self.price(q) - q * q / (2 * self.p["gamma"])

    def above(self, q: float) -> float:
        """Buyers served at quality q or better."""
        p = self.p

        def mass(b: float, lo: float, hi: float) -> float:
            return max(hi - max(q / b, lo), 0.0)

        human = mass(p["alpha"], self.s0, self.s1) + mass(p["alpha"], self.sH, 1.0)
        return p["n"] * (p["k_H"] * human + (p["k_A"] * mass(p["a"], self.s1, self.sH) if q <= p["q_A"] else 0.0))

    def regret(self) -> float:
        """Largest gain from changing occupation, on a grid of skills and of those who just exit."""
        worst = max(0.0, self.human(self.s0) - self.p["w_0"], self.ai(self.s0) - self.p["w_0"])
        for k in range(101):
            s = k / 100
            h, a, out = self.human(s), self.ai(s), self.p["w_0"]
            # A band of AI without width holds nobody, not even the best.
            with_ai = self.s1 < self.sH and self.s1 <= s <= self.sH
            mine = out if s < self.s0 else a if with_ai else h
            worst = max(worst, max(h, a, out) - mine)
        return worst


def _cutoffs(pattern: str, x: tuple[float, ...]) -> tuple[float, float, float]:
    if pattern == "EAH":
        return x[0], x[0], x[1]
    if pattern == "EA":
        return x[0], x[0], 1.0
    if pattern == "EHAH":
        return x[0], x[1], x[2]
    if pattern == "EHA":
        return x[0], x[1], 1.0
    return x[0], 1.0, 1.0


def _conditions(x, p: dict, u: dict, pattern: str) -> list[float]:
    m = _Market(p, u, _cutoffs(pattern, tuple(map(float, x))))
    w = p["w_0"]
    if pattern == "EAH":
        return [m.ai(m.s0) - w, m.ai(m.sH) - m.human(m.sH)]
    if pattern == "EA":
        return [m.ai(m.s0) - w]
    if pattern == "EHAH":
        return [m.human(m.s0) - w, m.human(m.s1) - m.ai(m.s1), m.ai(m.sH) - m.human(m.sH)]
    if pattern == "EHA":
        return [m.human(m.s0) - w, m.human(m.s1) - m.ai(m.s1)]
    return [m.human(m.s0) - w]


def _simpson(f: Callable[[float], float], lo: float, hi: float, kinks: Iterable[float]) -> float:
    """Integral of a function that is a cubic between `kinks`, open at each: jumps are met from the inside."""
    points = sorted({lo, hi, *(k for k in kinks if lo < k < hi)})
    total = 0.0
    for x, y in pairwise(points):
        inset = 1e-13 * (y - x)
        total += (y - x) / 6 * (f(x + inset) + 4 * f(0.5 * (x + y)) + f(y - inset))
    return total


def _welfare(m: _Market) -> dict:
    """Surplus accounts (3.2) of one assignment."""
    p, u = m.p, m.u
    a, al, qa, n = p["a"], p["alpha"], p["q_A"], p["n"]
    ends = [al * m.s0, al * m.s1, al * m.sH, min(a * m.s1, qa), min(a * m.sH, qa), qa, al]
    top = max(al, qa)
    first = _simpson(m.above, 0.0, top, ends)
    second = _simpson(lambda q: m.above(q) ** 2, 0.0, top, ends)
    served = n * (p["k_H"] * (1 - m.sH + m.s1 - m.s0) + p["k_A"] * (m.sH - m.s1))
    humans = [q / al for q in ends]
    with_ai = [q / a for q in ends]
    made = _simpson(lambda s: min(a * s, qa), m.s1, m.sH, [qa / a])
    squares = (m.s1**3 - m.s0**3 + 1 - m.sH**3) / 3
    adopters, effort = n * (m.sH - m.s1), u.get("search_quality", 0.0)
    costs = p["c_A"] * n * p["k_A"] * made + p["kappa"] * adopters + n * al * al * squares / (2 * p["gamma"])
    gross = p["theta_max"] * (first - second / 2) - m.phi * served
    return {
        "S": served, "D_A": m.volume, "D_H": served - m.volume, "Phi": m.phi, "q_mean": first / served,
        "R": p["theta_max"] * (first - second) - m.phi * served, "CS": p["theta_max"] * second / 2,
        "Y_H": n * (_simpson(m.human, m.s0, m.s1, humans) + _simpson(m.human, m.sH, 1.0, humans)),
        "Y_A": n * _simpson(m.ai, m.s1, m.sH, with_ai),
        "G": n * p["k_A"] * made * u.get("input_levy", 0.0) + m.volume * u.get("volume_charge", 0.0)
        + adopters * u.get("entry_fee", 0.0),
        "W": gross - costs + n * p["w_0"] * m.s0 - p["c_x"] * effort**2 / 2,
    }  # fmt: skip


def _outcomes(m: _Market) -> dict:
    """All outcomes by symbol; the economy without AI is solved for `W_noAI`."""
    p, u = m.p, m.u
    out = _welfare(m)
    empty = root(_conditions, (0.5,), args=(p, {}, "EH"), method="hybr", tol=1e-12)
    without = _welfare(_Market(p, {}, (float(empty.x[0]), 1.0, 1.0)))["W"]
    eta = p["eta"] / (1 + u.get("search_quality", 0.0))
    return out | {
        "s_0": m.s0, "s_1": m.s1, "s_L": m.s1, "s_H": m.sH, "p_qA": m.price(p["q_A"]), "p_H": m.price(p["alpha"] * m.sH),
        "p_L": m.price(min(p["a"] * m.s1, p["q_A"])), "p_top": m.price(p["alpha"]), "hollow": p["alpha"] * m.sH - p["q_A"],
        "Y": out["Y_H"] + out["Y_A"] + p["n"] * p["w_0"] * m.s0, "W_noAI": without, "dW": out["W"] - without,
        "tau_star": out["S"] * p["beta"] * eta / (1 + eta * m.volume), "share_H": 1 - m.sH + m.s1 - m.s0,
        "share_A": m.sH - m.s1, "share_E": m.s0, "share_DA": m.volume / out["S"],
    }  # fmt: skip


def solve(params: dict, policy: dict | None = None) -> dict:
    """Equilibrium as a dict of every outcome by symbol, and `pattern`, `regret`, `solved`."""
    u = policy or {}
    best = None
    for pattern in PATTERNS:
        for start in STARTS[pattern]:
            found = root(_conditions, start, args=(params, u, pattern), method="hybr", tol=1e-12)
            cuts = _cutoffs(pattern, tuple(map(float, found.x)))
            ordered = 0 <= cuts[0] <= cuts[1] + 1e-12 <= cuts[2] + 2e-12 <= 1 + 3e-12
            if not ordered or max(abs(v) for v in found.fun) > 1e-9:
                continue
            m = _Market(params, u, cuts)
            regret = m.regret()
            if regret < 1e-7:
                return _outcomes(m) | {"pattern": pattern, "regret": regret, "solved": True}
            if best is None or regret < best["regret"]:
                best = {"pattern": pattern, "regret": regret, "solved": False}
    return best or {"solved": False}
