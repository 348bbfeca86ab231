"""Contracts under AI-generated signals in plain Python: Bayes' rule, first-order conditions, and `scipy.integrate.quad`.

Optimal weights by `numpy.linalg.solve`; the joint problem (7.3) by `quad` over t = (theta - y)/sigma on both sides of the
kink that `brentq` finds, with the inner integral over theta from antiderivatives of the normal distribution; posteriors of
several agents from their covariance matrix; careers and cells by loops.
"""

import functools
import math

import numpy as np
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import ndtri

INSTRUMENTS = (
    "signal_subsidy", "disclosure_rule", "privacy_tax", "fairness_weight", "competition", "agent_ai_limit",
)  # fmt: skip
# The normal distribution beyond 8.5 standard deviations holds 1e-17.
REACH = 8.5
NEVER = 1e12
_NODES, _WEIGHTS = (
    (v / 2).tolist() for v in (1 + np.polynomial.legendre.leggauss(8)[0], np.polynomial.legendre.leggauss(8)[1])
)
_ROOT_2, _ROOT_PI, _ROOT_2PI = math.sqrt(2), math.sqrt(math.pi), math.sqrt(2 * math.pi)


def _cdf(x: float) -> float:
    return 0.5 * math.erfc(-x / _ROOT_2)


def _pdf(x: float) -> float:
    return math.exp(-0.5 * x * x) / _ROOT_2PI


# Signals and moral hazard


def _accuracy(pi: float, multiple: float) -> float:
    return _cdf(float(ndtri(pi)) / math.sqrt(multiple)) if pi < 1 else 1.0


def _performance(p: dict, v_x: float, v_e: float) -> tuple[float, float, np.ndarray]:
    """Precision Q, power B and the weights of output and AI signal."""
    cov = p["rho_s"] * math.sqrt(v_x * v_e)
    loading = np.array([1.0, p["l"]])
    direction = np.linalg.solve(np.array([[v_x, cov], [cov, v_e]]), loading)
    Q = float(loading @ direction)
    B = Q / (Q + p["r"] * p["c"])
    return Q, B, B * direction / Q


def _career_sum(p: dict) -> float:
    total, h, discount = 0.0, p["h_1"], 1.0
    for _ in range(p["T"] - 1):
        h += p["h_eps"]
        discount *= p["beta"]
        total += discount * p["h_eps"] / h
    return total


# Two types


def _alone(p: dict, nu: float) -> tuple[float, float, float]:
    """Quantity of the inefficient, welfare and rent that maximize profit at share nu, without any later signal."""
    a, D = p["a"], p["theta_high"] - p["theta_low"]
    # (1 - nu)(a - theta_high - q) = nu D
    q = max(0.0, a - p["theta_high"] - D * nu / (1 - nu)) if nu < 1 else 0.0
    return q, _trade(p, nu, q), nu * D * q


def _trade(p: dict, nu: float, q: float) -> float:
    """Welfare with the first-best quantity of the efficient and q of the inefficient."""
    low, high = p["a"] - p["theta_low"], p["a"] - p["theta_high"]
    return nu * low * low / 2 + (1 - nu) * (high * q - q * q / 2)


def _signals(nu: float, pi: float) -> list[tuple[float, float]]:
    """Chance of a good and of a bad signal, with the posterior of each."""
    out = []
    for likely, unlikely in ((pi, 1 - pi), (1 - pi, pi)):
        chance = nu * likely + (1 - nu) * unlikely
        out.append((chance, nu * likely / chance))
    return out


def _before(p: dict, pi: float) -> tuple[float, float]:
    """Welfare and rent with a public signal before contracting."""
    welfare = rent = 0.0
    for chance, nu in _signals(p["nu"], pi):
        _, w, u = _alone(p, nu)
        welfare, rent = welfare + chance * w, rent + chance * u
    return welfare, rent


def _after(p: dict, pi: float) -> tuple[float, float, float]:
    """Quantity, welfare and rent with a verified signal: the lie costs the efficient (2 pi - 1) ell/pi in expectation."""
    nu, D, q_fb = p["nu"], p["theta_high"] - p["theta_low"], p["a"] - p["theta_high"]
    lie = (2 * pi - 1) * p["ell"] / pi
    q, rent = q_fb, 0.0
    if D * q > lie:
        # The marginal rent counts only beyond the kink of max(0, D q - lie).
        q_sb, _, _ = _alone(p, nu)
        q = max(q_sb, lie / D)
        rent = D * q_sb - lie if D * q_sb > lie else 0.0
    return q, _trade(p, nu, q), nu * rent


def _monopoly(p: dict, pi: float, after: float) -> tuple[float, float]:
    """Welfare and rent with a share `after` of contracts whose signal is verified after contracting."""
    w0, u0 = _before(p, pi)
    _, w1, u1 = _after(p, pi)
    return (1 - after) * w0 + after * w1, (1 - after) * u0 + after * u1


def _screening_waste(p: dict, pi: float) -> tuple[float, float]:
    """Expected waste of Rothschild-Stiglitz and of Miyazaki-Wilson-Spence contracts."""
    D, apart = p["theta_high"] - p["theta_low"], math.sqrt(2 * p["m"])
    separate = p["nu"] * max(0.0, apart - D) ** 2 / 2 if pi < 1 else 0.0
    subsidized = 0.0
    for chance, nu in _signals(p["nu"], pi):
        if nu > 0:
            subsidized += chance * nu * (max(D, min(apart, D / nu)) - D) ** 2 / 2
    return separate, subsidized


def _lemons(p: dict, *, competitive: bool) -> tuple[float, float, float, float]:
    """Gains from trade, buyers' profit, sellers' surplus and share of sellers who trade, cell by cell."""
    k, width = p["k"], 1 / p["n_cell"]
    gains = profit = surplus = trade = 0.0
    for j in range(p["n_cell"]):
        y = j * width
        last = min(y + width, (k * y if competitive else y) / (2 - k))
        # Sellers from y to `last` trade. Rivals pay what buyers expect, a single buyer what the last seller asks.
        value, cost = k * (last + y) / 2, (last + y) / 2
        price = value if competitive else last
        gains += (last - y) * (value - cost)
        profit += (last - y) * (value - price)
        surplus += (last - y) * (price - cost)
        trade += last - y
    return gains, profit, surplus, trade


# Both together


def _tails(lo: float, hi: float, s: float, *, upper: bool) -> tuple[float, float]:
    """Integrals of |Phi(u) - Phi(end)| and of its square over u in [lo, hi], from antiderivatives; `end` is hi if `upper`."""
    F0, F1, f0, f1 = _cdf(lo), _cdf(hi), _pdf(lo), _pdf(hi)
    one = hi * F1 + f1 - lo * F0 - f0
    two = hi * F1 * F1 + 2 * F1 * f1 - lo * F0 * F0 - 2 * F0 * f0 - (_cdf(_ROOT_2 * hi) - _cdf(_ROOT_2 * lo)) / _ROOT_PI
    end = F1 if upper else F0
    return abs(one - s * end), two - 2 * end * one + s * end * end


def _joint(sigma: float, c: float) -> tuple[float, float]:
    """Means of max(0, 1 - c h) and of h max(0, 1 - c h), h the inverse hazard of ability after the signal."""
    width = 1 / sigma

    def passed(t: float, s: float) -> float:
        """G = Phi(t + s) - Phi(t); h = sigma G/phi(t), s standard deviations below the top."""
        return _cdf(-t) - _cdf(-t - s) if t > 0 else _cdf(t + s) - _cdf(t)

    def gap(t: float) -> float:
        return c * sigma * passed(t, width) / _pdf(t) - 1

    @functools.cache
    def integrals(t: float) -> tuple[float, float]:
        """Over abilities with c h < 1, times the density of t."""
        f, s = _pdf(t), width
        if gap(t) > 0:
            most = f / (c * sigma)
            s = -float(ndtri(_cdf(-t) - most)) - t if t > 0 else float(ndtri(_cdf(t) + most)) - t
        if s < 0.2:
            G = [passed(t, s * x) for x in _NODES]
            g, g2 = (s * sum(w * v**j for w, v in zip(_WEIGHTS, G, strict=True)) for j in (1, 2))
        else:
            # Mirrored for t > 0: short tails do not cancel.
            g, g2 = _tails(-t - s, -t, s, upper=True) if t > 0 else _tails(t, t + s, s, upper=False)
        h, h2 = sigma * sigma * g, sigma**3 * g2 / f
        return s * sigma * f - c * h, h - c * h2

    kink = brentq(gap, -REACH, REACH, xtol=1e-12) if gap(-REACH) * gap(REACH) < 0 else 0.0

    def mean(j: int) -> float:
        sides = ((-REACH, kink), (kink, REACH))
        return sum(quad(lambda t: integrals(t)[j], *side, epsabs=1e-12, epsrel=1e-11)[0] for side in sides)

    return mean(0), mean(1)


# Several agents


def _externality(n: int, rho: float, s2: float) -> float:
    """What the signals of n - 1 others take off the posterior variance of one type."""
    if n == 1:
        return 0.0
    prior = ((1 - rho) * np.eye(n) + rho) / 12
    first = prior[0]
    together = first[0] - first @ np.linalg.solve(prior + s2 * np.eye(n), first)
    return float(first[0] - first[0] ** 2 / (first[0] + s2) - together)


def _in_force(p: dict, u: dict, pi: float) -> tuple[float, float, float]:
    """Welfare, profit and rent of the contracts in force, by market and degree of competition."""
    x, market = u["competition"], p["market"]
    if market == "lemons":
        one, many = _lemons(p, competitive=False), _lemons(p, competitive=True)
        return tuple((1 - x) * one[j] + x * many[j] for j in range(3))
    W, rent = _monopoly(p, pi, u["disclosure_rule"])
    FB = _trade(p, p["nu"], p["a"] - p["theta_high"])
    separate, subsidized = _screening_waste(p, pi)
    rivals = FB - {"bertrand": 0.0, "rothschild_stiglitz": separate, "miyazaki_wilson_spence": subsidized}[market]
    return (1 - x) * W + x * rivals, (1 - x) * (W - rent), (1 - x) * rent + x * rivals


def solve(params: dict, policy: dict | None = None) -> dict:
    """All outcomes by symbol, and `solved`."""
    p, u = params, dict.fromkeys(INSTRUMENTS, 0.0) | (policy or {})
    r, c, nu = p["r"], p["c"], p["nu"]
    multiple = math.exp(-u["signal_subsidy"]) * (1 + u["privacy_tax"])
    s2_e, s2_theta = p["s2_e"] * multiple, p["s2_theta"] * multiple
    pi, pi_2 = (_accuracy(p["pi"], v) for v in (multiple, multiple * p["s2_ratio"]))
    added = p["s2_g"] * (1 - u["agent_ai_limit"])

    # Moral hazard, alone and with (7.3)
    n, rho = p["n"], p["rho"]
    relative = p["s2_x"] * (1 - rho) * (1 + (n - 1) * rho) / (1 + (n - 2) * rho)
    Q, B, (weight_x, weight_s) = _performance(p, relative + added, s2_e)
    power, rent_mean = _joint(math.sqrt(s2_theta), c)
    # (1 - ch)^2 = (1 - ch) - c h (1 - ch)
    W_joint = 0.5 + B * power / c - (1 / c + r / Q) * B * B * (power - c * rent_mean) / 2

    # Two types, markets
    D, q_fb = p["theta_high"] - p["theta_low"], p["a"] - p["theta_high"]
    FB = _trade(p, nu, q_fb)
    (W_before, rent_before), (q_low, W_after, rent_after) = _before(p, pi), _after(p, pi)
    separate, subsidized = _screening_waste(p, pi)
    W_lemons, _, _, trade = _lemons(p, competitive=True)
    W, profit, rent = _in_force(p, u, pi)
    rent_1, rent_2 = (_monopoly(p, v, u["disclosure_rule"])[1] for v in (pi, pi_2))

    # Careers, agents' own AI, costs
    career = _career_sum(p)
    with_ai, without = 1 / (p["s2_x"] + added) + 1 / p["s2_s"], 1 / p["s2_x"]
    signal_cost = p["k_s"] * math.expm1(u["signal_subsidy"])
    privacy_cost = p["k_p"] * (1 / s2_e + 1 / s2_theta)
    net = W + W_joint - signal_cost - privacy_cost - p["k_l"] * u["agent_ai_limit"] ** 2 / 2
    return {
        "net_welfare": net - u["fairness_weight"] * abs(rent_1 - rent_2),
        "W": W, "profit": profit, "rent": rent, "FB": FB, "q_fb": q_fb, "q_sb": _alone(p, nu)[0], "pi_eff": pi,
        "W_before": W_before, "profit_before": W_before - rent_before, "rent_before": rent_before,
        "W_after": W_after, "profit_after": W_after - rent_after, "rent_after": rent_after, "q_low": q_low,
        "ell_star": pi * D * q_fb / (2 * pi - 1) if pi > 0.5 else NEVER,
        "nu_s": q_fb / (q_fb + D),
        "W_rs": FB - separate, "W_mws": FB - subsidized,
        "W_lemons": W_lemons, "W_monopsony": _lemons(p, competitive=False)[0], "trade": trade,
        "B": B, "Q": Q, "e": B / c, "surplus": B / c - B * B / (2 * c) - r * B * B / (2 * Q),
        "weight_x": float(weight_x), "weight_s": float(weight_s),
        "b": B * power, "W_joint": W_joint, "rent_joint": B * rent_mean,
        "e_1": career / c, "effort_ratchet": (B + (u["competition"] - B) * career) / c,
        "s2_g_star": p["s2_x"] ** 2 / (p["s2_s"] - p["s2_x"]) if p["s2_s"] > p["s2_x"] else NEVER,
        "ai_gain": (with_ai / (with_ai + r * c) - without / (without + r * c)) / (2 * c),
        "spence_waste": (p["t_H"] - p["t_L"]) * (p["t_L"] / p["t_H"]) ** p["zeta"],
        "zeta_star": math.log(1 - p["lam"]) / math.log(p["t_L"] / p["t_H"]),
        "noise_relative": relative,
        "signal_externality": _externality(n, p["rho_theta"], s2_theta),
        "rent_1": rent_1, "rent_2": rent_2, "signal_cost": signal_cost, "privacy_cost": privacy_cost, "solved": True,
    }  # fmt: skip
