"""The symmetric industry of the intelligence-capital model in plain Python, solved with `scipy.optimize.root` and `brentq`.

Each group of equations is written from the specification: race and planner as systems in (ln C, ln s), the fold of the one-leader
branch by minimizing the strength over the leader's share, the leader's share as a root, the critical capability of apps as a root.
Logit demand at fixed prices and a two-stage race (the defaults).
"""

import math

import numpy as np
from scipy.optimize import brentq, minimize_scalar, root
from scipy.special import log_ndtr, ndtr

NONE = 1e12
NO_CAP = 1e3
_X, _WEIGHT = np.polynomial.legendre.leggauss(24)
_TIMES, _WEIGHT = -np.log((_X + 1) / 2), _WEIGHT / 2


def _inner(p: dict, C: float, Dt: float) -> tuple[float, float]:
    """ln A and eps_D of (1.1), (1.2)."""
    compute, data = p["a"] * C ** p["rho"], (1 - p["a"]) * Dt ** p["rho"]
    return p["gamma"] / p["rho"] * math.log(compute + data), p["gamma"] * data / (compute + data)


def _market(y, p: dict, u: dict, s_ref: float | None, priced: bool = True) -> tuple:
    C, s = math.exp(y[0]), math.exp(y[1])
    own = p["Omega"] * (s / s_ref if s_ref else 1.0)
    phi, N = u["data_sharing"], p["N"]
    Dt = p["Dt"] / (1 + p["Omega"]) * (1 + own * (1 - phi + N * phi))
    free = 1 / (p["alpha"] * (1 - s))
    cap = math.inf if u["price_cap"] >= NO_CAP else u["price_cap"]
    margin = min(free, cap) if priced else 0.0
    price = p["mc"] * (1 + u["compute_tax"] if priced else 1.0) + margin
    ln_A, eps_D = _inner(p, C, Dt)
    value = p["theta"] * ln_A - p["alpha"] * price
    adding_up = y[1] + math.log(N + p["o"] * math.exp(-value))
    return C, s, margin, price, own, Dt, ln_A, eps_D, adding_up, free >= cap


def _own_elasticity(p: dict, s: float, capped: bool) -> float:
    """d ln v_i/d ln A_i where all prices follow, by the two-stage formula."""
    if capped:
        return p["theta"] * (1 - s)
    w = 1 / (1 / s + 1 / (1 - s) ** 2)
    s_0 = 1 - p["N"] * s
    return p["theta"] * w / (s * (1 - s)) * (1 - w / (s_0 + p["N"] * w))


def _flywheel(p: dict, u: dict, C: float, Dt: float, eps_D: float, own: float) -> dict:
    """Threshold, growth rate, fold, leader's share, stabilizing sharing."""
    phi, N, theta = u["data_sharing"], p["N"], p["theta"]
    pull = theta * eps_D
    spread = 1 + own * (1 - phi + N * phi)
    star = 1 / max(pull * (1 - phi) - (1 - phi + N * phi), 1 / NONE)

    def gap(odds: float, Omega: float, D_0: float) -> float:
        x = 1 / (1 + (N - 1) * math.exp(-odds))
        y = (1 - x) / (N - 1)
        high, low = (_inner(p, C, D_0 * (1 + N * Omega * ((1 - phi) * s + phi)))[0] for s in (x, y))
        return math.log(x / y) - theta * (high - low)

    def strength(odds: float) -> float:
        def f(ln_Omega: float) -> float:
            Omega = math.exp(ln_Omega)
            return gap(odds, Omega, Dt / (1 + Omega * (1 - phi + N * phi)))

        return math.exp(brentq(f, -7, 9, xtol=1e-13)) if f(-7) * f(9) < 0 else math.inf

    grid = np.linspace(0.05, 9, 40)
    values = [strength(t) for t in grid]
    k = int(np.argmin(values))
    fold = star
    if math.isfinite(values[k]):
        ends = (grid[max(k - 1, 0)], grid[min(k + 1, 39)])
        least = minimize_scalar(strength, bounds=ends, method="bounded", options={"xatol": 1e-7}).fun
        fold = min(star, least)
    D_0 = p["Dt"] / (1 + p["Omega"])
    scan = 16 * (np.arange(1, 49) / 48) ** 3
    below = np.flatnonzero([gap(t, own, D_0) < 0 for t in scan])
    leader = 1 / N
    if len(below):
        j = below[-1]
        odds = scan[-1] if j == 47 else brentq(gap, scan[j], scan[j + 1], args=(own, D_0), xtol=1e-13)
        leader = 1 / (1 + (N - 1) * math.exp(-odds))
    stable = min(max((pull - 1 - 1 / own) / (pull + N - 1), 0.0), 1.0)
    growth = p["delta_D"] * (pull * (1 - phi) * own / spread - 1)
    return {"Omega*": star, "eigenvalue": growth, "fold": fold, "x_L": leader, "phi_stab": stable}


def _tokens(p: dict, price: float, reference: float) -> dict:
    b = (1 + p["xi"]) / (1 + p["xi"] - p["psi"])
    mu, sd, F = p["mu_v"], p["sd_v"], p["F"]

    def parts(q: float) -> tuple[float, float, float, float]:
        depth = b * math.log(p["psi"] / ((1 + p["xi"]) * q))
        ln_v = (math.log(F * p["psi"] / (q * (1 + p["xi"] - p["psi"]))) - depth) / b
        z = (mu + b * sd**2 - ln_v) / sd
        deep = math.exp(depth + b * mu + (b * sd) ** 2 / 2 + log_ndtr(z))
        return deep, ndtr((mu - math.log(q + F)) / sd), ndtr((mu - ln_v) / sd), z

    deep, shallow, adopted, z = parts(price)
    deep_0, shallow_0, _, _ = parts(reference)
    shallow *= (1 - p["omega_a"]) / p["omega_a"] * deep_0 / shallow_0
    hazard = math.exp(-z * z / 2) / math.sqrt(2 * math.pi) / ndtr(z) / sd
    zs = (mu - math.log(price + F)) / sd
    one_shot = math.exp(-zs * zs / 2) / math.sqrt(2 * math.pi) / ndtr(zs) / sd * price / (price + F)
    total = deep + shallow
    slope = deep * (b + p["psi"] / (1 + p["xi"]) * hazard) + shallow * one_shot
    after = p["omega_a"] * (1 - p["shock"]) ** (-b * (1 - math.exp(-p["lam"] * (20 - p["t_shock"])))) + 1 - p["omega_a"]
    arc = (after - 1) / (after + 1) / (p["shock"] / (2 - p["shock"]))
    surplus = price * deep * (1 + p["xi"] - p["psi"]) / p["psi"] - F * adopted
    return {"T": p["M"] * total, "b": b, "E_p": slope / total, "arc": arc, "x*": adopted, "TS": p["M"] * surplus}


def _apps(p: dict, u: dict, ln_A: float) -> dict:
    b, theta = max(p["b_w"] * (1 - u["app_access"]), 1e-6), p["theta"]
    margin = -math.expm1(-theta * math.log1p(p["m_w"] * math.exp(-b * ln_A)))
    A_w = NONE
    if b > p["phi_w"]:

        def slope(ln_y: float) -> float:
            y = math.exp(ln_y)
            return b * theta * y / (1 + y) / math.expm1(theta * math.log1p(y)) - p["phi_w"]

        ln_A_w = (math.log(p["m_w"]) - brentq(slope, -36, 8, xtol=1e-14)) / b
        A_w = math.exp(ln_A_w) if ln_A_w < math.log(NONE) else NONE
    return {"A_w": A_w, "mu_app": margin, "V_app": math.exp(p["phi_w"] * ln_A) * margin}


def solve(params: dict, policy: dict | None = None) -> dict:
    """All outcomes by symbol, and `solved`; logit demand, fixed prices, two-stage race, cost scale from laissez-faire."""
    p = params
    free = {k: 0.0 for k in ("compute_tax", "data_sharing", "investment_subsidy", "app_access", "provider_entry")}
    free["price_cap"] = NO_CAP
    u = free | (policy or {})
    N, theta, scale = p["N"], p["theta"], p["M"] / p["alpha"]
    ln_C = math.log(p["C"])
    found = root(lambda y: [_market((ln_C, y[0]), p, free, None)[8]], [-math.log(N)], tol=1e-13)
    s_ref = math.exp(found.x[0])

    def private(y, v: dict) -> float:
        _, s, margin, _, _, _, _, eps_D, _, capped = _market(y, p, v, s_ref)
        return p["M"] * margin * s * _own_elasticity(p, s, capped) * (p["gamma"] - eps_D)

    def social(y) -> float:
        _, s, _, _, _, _, _, eps_D, _, _ = _market(y, p, u, s_ref, False)
        return p["chi"] * theta * s * scale * (p["gamma"] - eps_D)

    start = (ln_C, found.x[0])
    kappa = private(start, free) / p["C"] ** (1 + p["nu"])
    reference = _market(start, p, free, s_ref)[3]
    paid = (1 + u["compute_tax"]) * (1 - u["investment_subsidy"])

    def race(y):
        return [math.log(paid * kappa) + (1 + p["nu"]) * y[0] - math.log(private(y, u)), _market(y, p, u, s_ref)[8]]

    def best(y):
        return [math.log(kappa) + (1 + p["nu"]) * y[0] - math.log(social(y)), _market(y, p, u, s_ref, False)[8]]

    nash, planner = root(race, start, tol=1e-13), root(best, start, tol=1e-13)
    if max(np.max(np.abs(x.fun)) for x in (found, nash, planner)) > 1e-9:
        return {"solved": False}
    C, s, margin, price, own, Dt, ln_A, eps_D, _, _ = _market(nash.x, p, u, s_ref)
    rent = p["M"] * margin * s
    cost = kappa * C ** (1 + p["nu"]) / (1 + p["nu"])
    profit = rent - paid * cost - p["F_0"] * (1 - u["provider_entry"])
    revenue = u["compute_tax"] * p["mc"] * p["M"] * N * s + N * (paid - 1) * cost - N * p["F_0"] * u["provider_entry"]
    rate = p["r"] + p["delta_0"]
    base = theta * ln_A - p["alpha"] * price
    grown = base + theta * p["g"] * _TIMES / rate
    share = 1 / (1 + (N - 1) * np.exp(grown - base) + p["o"] * math.exp(-base))
    cross = -theta * s * (N - 1)
    delta = p["delta_0"] - cross * p["g"]
    surplus = scale * (base + math.log(N + p["o"] * math.exp(-base)) - (1 - p["chi"]) * theta * ln_A)
    t, apps = _tokens(p, price, reference), _apps(p, u, ln_A)
    energy = p["e_T"] * t["T"]
    app_profit, harm = p["M"] * apps["V_app"], p["p_E"] * energy
    return t | apps | _flywheel(p, u, C, Dt, eps_D, own) | {
        "W": surplus + N * profit + app_profit - harm + revenue, "RQ": private(nash.x, u) / (
            p["chi"] * theta * s * scale * (p["gamma"] - eps_D)), "delta": delta, "s": s, "s_0": 1 - N * s, "p": price,
        "p-mc": margin, "L": margin / price, "HHI": N * s * s, "C_N": C, "D~_N": Dt, "A": math.exp(ln_A),
        "eps_D": eps_D, "eps_C": p["gamma"] - eps_D, "v": rent, "dlnv": cross, "delta-delta_0": delta - p["delta_0"],
        "t_half": math.log(2) / delta, "V": rent / (p["r"] + delta),
        "V_path": p["M"] * margin * float(np.sum(_WEIGHT * share)) / rate, "kappa_used": kappa, "K": cost, "Pi": profit,
        "phi_N": N / (N - 1) / (1 + N / (N - 1) ** 2), "C_P": math.exp(planner.x[0]), "C_N/C_P": C / math.exp(planner.x[0]),
        "viable": 1 - paid * cost / rent, "pT": price * t["T"], "C_T": p["k_T"] * t["T"], "E": energy, "Omega_eq": own,
        "CS": surplus, "N Pi": N * profit, "Pi_app": app_profit, "X": harm, "Rev": revenue, "solved": True,
    }  # fmt: skip
