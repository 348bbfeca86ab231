"""The static assignment of `supply_shock` in plain Python floats, solved with `scipy.optimize.root`.

Uniform skills, additive penalty: equations (3.1)-(3.3) with the cutoffs and AI volume as unknowns. Patterns are tried in the order of their
frequency, each from a few starts, until the largest gain from changing occupation is below 1e-7.
"""

import math

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

    def regret(self) -> float:
        """Largest gain from changing occupation, on a grid of skills and of those who just exit."""
        worst = max(0.0, self.human(self.s0) - self.p["w_0"], self.ai(self.s0) - self.p["w_0"])
        for k in range(101):
            s = k / 100
            h, a, out = self.human(s), self.ai(s), self.p["w_0"]
            mine = out if s < self.s0 else h if s < self.s1 else a if s <= self.sH else h
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


def solve(params: dict, policy: dict | None = None) -> dict:
    """Equilibrium as a dict: cutoffs, AI volume, price at q_A, pattern, regret, `solved`."""
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
            if best is None or regret < best["regret"]:
                best = {
                    "s_0": cuts[0], "s_1": cuts[1], "s_H": cuts[2], "D_A": m.volume, "price_q_A": m.price(params["q_A"]),
                    "pattern": pattern, "regret": regret, "solved": regret < 1e-7,
                }  # fmt: skip
            if regret < 1e-7:
                return best
    return best or {"solved": False}
