"""The polluted information equilibrium in plain Python, solved with `scipy.optimize.root`.

Unknowns: ln a, ln A, ln w, v, T. The platform's first-order condition (5.5) needs total derivatives: they come from the explicit equations
by complex steps, exact to round-off.
"""

import cmath
import math

import numpy as np
from scipy.optimize import root
from scipy.special import ndtr

STEP = 1e-30


def _cost(p_ai, w, a, sigma, z):
    """CES unit cost (5.1) and the cost share of AI."""
    x = a**sigma * p_ai ** (1 - sigma)
    y = (1 - a) ** sigma * w ** (1 - sigma)
    return (x + y) ** (1 / (1 - sigma)) / z, x / (x + y)


def _economy(z: list, lna, p: dict, u: dict) -> tuple:
    """Residuals of the inner system in (ln A, ln w, v, T), then profit, welfare and quantities."""
    ln_A, ln_w, v, trust = z
    total, w, a = cmath.exp(ln_A), cmath.exp(ln_w), cmath.exp(lna)
    prov, tax = u["provenance"], u["low_quality_tax"]
    d_prime = p["dp0"] + p["dp1"] * prov
    h = {"L": ndtr(d_prime / 2), "H": ndtr(-d_prime / 2)}
    theta = p["theta_v"] * (1 + p["g"] * prov)
    d = 1 - cmath.exp(-theta * v)
    per_item = p["M_0"] * trust ** p["chi"] / (total + p["A_0"])
    attention = per_item * total
    price_ai = p["p_A"] * (1 + u["ai_compute_tax"])
    q, cost, services, labor = {}, {}, 0.0, 0.0
    weight = {}
    for j in "LH":
        weight[j] = h[j] * a + 1 - h[j]
        unit, ai_share = _cost(price_ai, w, p[f"a_{j}"], p[f"sigma_{j}"], p[f"z_{j}"])
        kept = (1 - d) if j == "L" else 1.0
        margin = p["share"] * p["m"] * p[f"e_{j}"] * weight[j] * per_item * kept - tax * h[j]
        q[j] = (margin / unit) ** p["eps"] if margin.real > 0 else 0.0 * margin
        cost[j] = unit * q[j] ** (1 + 1 / p["eps"]) / (1 + 1 / p["eps"]) if margin.real > 0 else 0.0 * margin
        services += cost[j] * ai_share / price_ai
        labor += cost[j] * (1 - ai_share) / w
    x = {j: weight[j] * q[j] / total for j in "LH"}
    outside = p["Lbar"] - labor
    demand = theta**2 * attention * p["u_L"] * x["L"] / (p["kappa"] * (1 - prov))
    recovery = p["r_0"] + p["rho"] * d
    residuals = [
        (weight["L"] * q["L"] + weight["H"] * q["H"]) / total - 1,
        ln_w + p["mu"] * cmath.log(outside / p["Lbar"]),
        theta * v * cmath.exp(theta * v) - demand,
        trust - recovery / (recovery + p["eta"] * x["L"] * (1 - d)),
    ]
    ads = p["m"] * attention * (p["e_L"] * x["L"] * (1 - d) + p["e_H"] * x["H"])
    moderation = p["c_a"] * lna**2 / 2
    profit = (1 - p["share"]) * ads - moderation - u["moderation_subsidy"] * lna
    y_outside = p["Lbar"] ** p["mu"] * outside ** (1 - p["mu"]) / (1 - p["mu"])
    value = p["u_H"] * x["H"] ** p["nu"] + p["u_0"] * x["L"] ** p["nu"] - p["u_L"] * x["L"] * (1 - d)
    welfare = (
        attention * value - p["kappa"] * v**2 / 2 + p["psi"] * ads + y_outside
        - p["p_A"] * services - moderation - p["cert"] * prov**2 / 2
    )  # fmt: skip
    return residuals, profit, welfare, q, x, d


def _system(y, p: dict, u: dict) -> list[float]:
    lna, z = float(y[0]), [float(c) for c in y[1:]]
    if not (abs(lna) < 20 and abs(z[0]) < 30 and abs(z[1]) < 30 and 0 < z[3] < 2 and abs(z[2]) < 50):
        return [1e3] * 5
    columns, profits, welfares = [], [], []
    for k in range(5):
        point = [complex(c, STEP if i == k else 0.0) for i, c in enumerate([*z, lna])]
        f, profit, welfare, *_ = _economy(point[:4], point[4], p, u)
        columns.append([r.imag / STEP for r in f])
        profits.append(profit.imag / STEP)
        welfares.append(welfare.imag / STEP)
        base = [r.real for r in f]
    jac, by_a = np.array(columns[:4]).T, np.array(columns[4])
    free = -np.linalg.solve(jac, by_a)
    fixed = np.append(-np.linalg.solve(jac[:3, :3], by_a[:3]), 0.0)
    profit_free, profit_fixed = (profits[4] + np.dot(profits[:4], s) for s in (free, fixed))
    welfare_free = welfares[4] + np.dot(welfares[:4], free)
    iota, duty = p["iota"], u["fiduciary_duty"]
    foc = (1 - duty) * ((1 - iota) * profit_fixed + iota * profit_free) + duty * welfare_free
    return [foc, *base]


INSTRUMENTS = ("low_quality_tax", "provenance", "fiduciary_duty", "moderation_subsidy", "ai_compute_tax")
START = [0.2, 0.5, 0.2, 0.3, 0.4]


def solve(params: dict, policy: dict | None = None) -> dict:
    """Equilibrium as a dict with `ln_a`, `A`, `w`, `v`, `T`, `q_L`, `q_H`, `x_L`, `d`, `Pi`, `W`, and `solved`."""
    u = dict.fromkeys(INSTRUMENTS, 0.0) | (policy or {})
    for lna in (0.2, -0.5, 1.0, -1.5, 2.0):
        found = root(_system, [lna, *START[1:]], args=(params, u), method="hybr", tol=1e-12)
        if max(abs(v) for v in found.fun) < 1e-9:
            y = [float(c) for c in found.x]
            _, profit, welfare, q, x, d = _economy([complex(c) for c in y[1:]], complex(y[0]), params, u)
            return {
                "ln_a": y[0], "A": math.exp(y[1]), "w": math.exp(y[2]), "v": y[3], "T": y[4], "q_L": q["L"].real,
                "q_H": q["H"].real, "x_L": x["L"].real, "d": d.real, "Pi": profit.real, "W": welfare.real, "solved": True,
            }  # fmt: skip
    return {"solved": False}
