"""The platform's equilibrium in plain NumPy, solved with `scipy.optimize.root`.

Unknowns: ten log prices, nine logits of entry, ten logs of exposure, the fund (two qualities of AI where they are steady, and the
surcharge where a revenue requirement binds).
Shares follow from a mixed logit written out over every node of the taste grid; nothing is factored.
"""

import math

import numpy as np
from scipy.optimize import root
from scipy.special import expit

INSTRUMENTS = {
    "commission_human": 0.3, "commission_ai": 0.3, "creative_rebate": 0.0, "diversity_weight": 0.0, "ai_levy": 0.0,
    "labeling": 0.0, "human_quota": 0.0,
}  # fmt: skip
A, J = 9, 10


def _grid(p: dict) -> tuple[np.ndarray, ...]:
    z, w = np.polynomial.hermite_e.hermegauss(p.get("nodes", 7))
    w = w / w.sum()
    z = [v.ravel() for v in np.meshgrid(z, z, z, indexing="ij")]
    weight = np.einsum("i,j,k->ijk", w, w, w).ravel()
    return p["mu_a"] + p["sd_a"] * z[0], p["mu_b"] + p["sd_b"] * z[1], p["alpha"] * np.exp(p["sd_alpha"] * z[2]), weight


def _setup(p: dict, u: dict) -> dict:
    r = np.repeat([p["r_1"], p["r_2"], p["r_3"]], 3)
    phi = np.radians(np.tile([p["phi_1"], p["phi_2"], p["phi_3"]], 3))
    a, b, alpha, weight = _grid(p)
    qt, qc = r * np.cos(phi), r * np.sin(phi)
    return {"qt": qt, "qc": qc, "a": a, "b": b, "alpha": alpha, "weight": weight,
            "taste": np.outer(a, qt) + np.outer(b, qc), "base": p["c_0"] + p["c_q"] * r**2 / 2}  # fmt: skip


def _state(y: np.ndarray, p: dict, u: dict, g: dict) -> dict:
    price, N, x, fund = np.exp(y[:J]), p["Nbar"] * expit(y[J : J + 9]), np.exp(y[J + 9 : 2 * J + 9]), y[2 * J + 9]
    n = np.append(N, p["K"])
    extra = y[-1] if p.get("requirement", "off") != "off" else 0.0
    both = extra if p.get("requirement", "off") == "both" else 0.0
    tau = np.append(
        u["commission_human"] + both - u["creative_rebate"] * g["qc"], u["commission_ai"] + extra + u["ai_levy"]
    )
    steady = p.get("ai_quality", "given") == "steady"
    q_ai = y[2 * J + 10 : 2 * J + 12] if steady else np.array([p["qA_t"], p["qA_c"]])
    known = q_ai * (1 - u["labeling"] * np.array([p["l_t"], p["l_c"]]))
    taste = np.column_stack([g["taste"], g["a"] * known[0] + g["b"] * known[1]])
    shared = p["rho"] * np.log(x) - p["omega"] * math.log(1 + N.sum() + p["flood"] * p["K"])
    e = np.exp(taste - np.outer(g["alpha"], price) + shared)
    total = 1 + e @ n
    prob = e / total[:, None]
    s = g["weight"] @ prob
    units = p["Mkt"] * s
    sold = n * units
    S = sold[A] / sold.sum()
    flow = np.array([p["lambda_t"] * (g["qt"] @ sold[:A]), p["lambda_c"] * (g["qc"] @ sold[:A])]) * (1 - p["cont"] * S)
    slope = g["weight"] @ (g["alpha"][:, None] * prob * (1 - prob))
    cost = np.append(g["base"] * units[:A] + p["gamma_y"] * units[:A] ** 2 / 2, p["c_A"] * units[A])
    marginal = np.append(g["base"] + p["gamma_y"] * units[:A], p["c_A"])
    profit = (1 - tau) * price * units - cost
    profit[:A] += fund
    return {
        "price": price, "N": N, "x": x, "fund": fund, "n": n, "extra": extra, "tau": tau, "q_ai": q_ai, "known": known,
        "total": total, "prob": prob, "s": s, "units": units, "sold": sold, "S": S, "flow": flow, "slope": slope,
        "marginal": marginal, "profit": profit,
    }  # fmt: skip


def _gaps(y: np.ndarray, p: dict, u: dict, g: dict) -> np.ndarray:
    v = _state(y, p, u, g)
    s, n, N, x = v["s"], v["n"], v["N"], v["x"]
    mean = n @ s / n.sum()
    w = s ** p["kappa"] * (1 + u["diversity_weight"] * mean / (mean + s))
    w[A] *= 1 - u["human_quota"]
    w = w * n.sum() / (n @ w)
    levy = u["ai_levy"] * p["K"] * v["price"][A] * v["units"][A]
    out = [
        y[:J] - np.log(v["marginal"] / (1 - v["tau"]) + s / v["slope"]),
        y[J : J + 9] - (v["profit"][:A] - p["w_0"]) / p["s_e"],
        np.log(x) - np.log(w),
        [(v["fund"] - levy / N.sum()) / p["w_0"]],
    ]
    if p.get("ai_quality", "given") == "steady":
        stock = v["flow"] / p["delta"]
        out.append(
            v["q_ai"] - np.array([p["qmax_t"], p["qmax_c"]]) * stock / (stock + np.array([p["N0_t"], p["N0_c"]]))
        )
    if p.get("requirement", "off") != "off":
        out.append([(_platform(v, p, u) - p["R_req"]) / p["Mkt"]])
    return np.concatenate(out)


def _platform(v: dict, p: dict, u: dict) -> float:
    revenue = v["n"] * v["price"] * v["units"]
    return v["tau"] @ revenue - u["ai_levy"] * revenue[A] - p["c_host"] * v["sold"].sum()


def _gini(x: np.ndarray, w: np.ndarray) -> float:
    gaps = np.abs(x[:, None] - x[None, :])
    return float(w @ gaps @ w / (2 * w.sum() * (w @ x)))


def solve(params: dict, policy: dict | None = None) -> dict:
    """Equilibrium as a dict of every outcome by symbol, and `solved`."""
    p, u = params, INSTRUMENTS | (policy or {})
    g = _setup(p, u)
    c = np.append(g["base"], p["c_A"])
    tau = np.append(u["commission_human"] - u["creative_rebate"] * g["qc"], u["commission_ai"] + u["ai_levy"])
    y = np.concatenate(
        [np.log(c / (1 - tau) + 1.2 / p["alpha"]), np.full(9, 0.5), np.append(np.full(9, -0.2), 1.0), [0.0]]
    )
    if p.get("ai_quality", "given") == "steady":
        y = np.append(y, [p["qA_t"], p["qA_c"]])
    if p.get("requirement", "off") != "off":
        y = np.append(y, 0.0)
    found = root(_gaps, y, args=(p, u, g), method="hybr", tol=1e-12)
    if not np.max(np.abs(found.fun)) < 1e-9:
        return {"solved": False}
    v = _state(found.x, p, u, g)
    n, N, s, units, price, profit, alpha = (*(v[k] for k in ("n", "N", "s", "units", "price", "profit")), g["alpha"])
    sold, revenue, active = n * units, n * price * units, N.sum()
    CS = p["Mkt"] * float(g["weight"] @ (np.log(v["total"]) / alpha))
    hidden = v["q_ai"] - v["known"]
    joy = p["Mkt"] * float(g["weight"] @ ((g["a"] * hidden[0] + g["b"] * hidden[1]) * v["prob"][:, A] * n[A] / alpha))
    PS = p["Nbar"] * p["s_e"] * np.logaddexp(profit[:A] / p["s_e"], p["w_0"] / p["s_e"]).sum()
    platform = _platform(v, p, u)
    government = u["ai_levy"] * revenue[A] - v["fund"] * active
    income, people = np.append(profit[:A], p["w_0"]), np.append(N, 9 * p["Nbar"] - active)
    qt, qc = np.append(g["qt"], v["q_ai"][0]), np.append(g["qc"], v["q_ai"][1])
    return {
        "solved": True, "W": CS + PS + n[A] * profit[A] + platform + government, "CS": CS, "PS": PS,
        "ai_profit": n[A] * profit[A], "platform_profit": platform, "platform_revenue": platform + p["c_host"] * sold.sum(),
        "government": government, "equity": 1 - _gini(np.append(income, profit[A]), np.append(people, n[A])),
        "gini_revenue": _gini(price * units, n), "gini_active": _gini(profit[:A], N), "gini_humans": _gini(income, people),
        "HHI": n @ (price * units / revenue.sum()) ** 2, "hhi_consumers": n @ s**2, "data_flow": v["flow"].sum(),
        "N_t": v["flow"][0] / p["delta"], "N_c": v["flow"][1] / p["delta"], "q_t_AI": v["q_ai"][0], "q_c_AI": v["q_ai"][1],
        "N_h": active, "N_active": active + p["flood"] * p["K"], "p": revenue.sum() / sold.sum(),
        "p_h": revenue[:A].sum() / sold[:A].sum(), "p_A": price[A], "S": v["S"],
        "ai_revenue_share": revenue[A] / revenue.sum(), "x_A": v["x"][A], "s_0": float(g["weight"] @ (1 / v["total"])),
        "q_t": sold @ qt / sold.sum(), "q_c": sold @ qc / sold.sum(),
        "creative_share": N @ (g["qc"] / (g["qc"] + g["qt"])) / active, "Pi": N @ profit[:A] / active, "fund": v["fund"],
        "commission_surcharge": v["extra"], "experienced_surplus": CS + joy,
    }  # fmt: skip
