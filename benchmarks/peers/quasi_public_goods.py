"""The market for language models in plain NumPy, solved with `scipy.optimize.root`.

Three models, each with its own price and load, on the full grid of users: no symmetry is used. Unknowns: log margins of
the two closed providers, log loads of all three models.
"""

import numpy as np
from scipy.optimize import root
from scipy.special import expit, ndtri

NY, NZ = 4, 161
STARTS = ((2.8, -1.3, -0.75), (2.2, -0.9, -0.5), (3.3, -1.9, -0.4), (2.5, -1.2, -1.3), (3.0, -1.5, -0.2))


def _users(p: dict) -> tuple:
    x, w = np.polynomial.legendre.leggauss(NY)
    edges = np.concatenate([[-5.0], ndtri(np.arange(1, 10) / 10), [5.0]])
    z = edges[:-1, None] + np.diff(edges)[:, None] * (x + 1) / 2
    weight = w * np.exp(-(z**2) / 2)
    weight = (weight / weight.sum(axis=1, keepdims=True) / 10).ravel()
    y, z_v = z.ravel()[:, None], np.linspace(-7.5, 7.5, NZ)
    s2 = 1 - p["rho"] ** 2
    density = np.exp(-((z_v - p["rho"] * y) ** 2) / (2 * s2)) / np.sqrt(2 * np.pi * s2) * (z_v[1] - z_v[0])
    return (
        p["v_med"] * np.exp(p["sd_v"] * z_v)[None, :],
        p["h_0"] * np.exp(-p["eta_h"] * p["s_y"] * y),
        weight[:, None] * density,
    )


def _offer(p: dict, u: dict) -> dict:
    def three(name: str) -> np.ndarray:
        return np.array([p[f"{name}_c"], p[f"{name}_c"], p[f"{name}_o"]])

    x, closed, opened = u["open_source_support"], np.array([1, 1, 0]), np.array([0, 0, 1])
    q, o, service = three("q"), three("o"), three("service")
    return {
        "q": q + opened * 0.5 * (q[0] - q[2]) * x,
        "o": o + (1 - o) * (closed * u["openness_mandate"] + opened * x),
        "service": service + opened * (1 - service) * x,
        "c": three("c") + p["cost_safety"] * u["safety_standard"],
        "z": three("z") * (1 - u["safety_standard"]),
        "gate": three("gate"),
        "r": p["r_K"] * (1 - u["compute_subsidy"]),
        "K_o": p["K_o"] + u["public_compute"],
    }


def _market(y: np.ndarray, p: dict, u: dict, a: dict, users: tuple) -> dict:
    v, h, weight = users
    kept = 1 - p["leak"] * a["o"][0]
    price = np.append((a["c"][:2] + np.exp(y[:2])) / kept, p["p_o"])
    load = np.exp(y[2:])
    quality = a["q"] / (1 + load ** p["k"])
    poor = (np.arange(len(h)) < 3 * NY)[:, None]
    access = [
        price[j] + a["gate"][j] * (1 - a["o"][j]) + h * (1 - a["service"][j]) - u["access_voucher"] * poor
        for j in range(3)
    ]
    V = [(v * quality[j] - access[j]) / p["tau"] for j in range(3)]
    top = np.maximum(np.maximum.reduce(V), 0)
    e = [np.exp(x - top) for x in V]
    total = np.exp(-top) + sum(e)
    P = [x / total for x in e]
    wP, vw = [weight * x for x in P], weight * v
    n = np.array([x.sum() for x in wP])
    B = np.array([(v * x).sum() for x in wP])
    S, T = np.zeros((3, 3)), np.zeros((3, 3))
    for j in range(3):
        for k in range(j, 3):
            both = P[j] * P[k]
            S[j, k] = S[k, j] = (weight * both).sum()
            T[j, k] = T[k, j] = (vw * both).sum()
    A, M = (np.diag(n) - S) / p["tau"], (np.diag(B) - T) / p["tau"]
    x = load ** p["k"]
    slope = quality * p["k"] * x / (1 + x) / n
    R = np.linalg.solve(np.eye(3) + M * slope, np.hstack([A, M]))
    by_price, by_capacity = np.diag(R[:, :3]) / n, np.diag(R[:, 3:]) * slope * load
    return {
        "kept": kept, "price": price, "load": load, "quality": quality, "P": P, "n": n, "B": B, "V": V,
        "by_price": by_price, "by_capacity": by_capacity, "top": top, "total": total, "MCC": slope * B, "K": n / load,
    }  # fmt: skip


def _conditions(y: np.ndarray, p: dict, u: dict, a: dict, users: tuple) -> np.ndarray:
    if np.max(np.abs(y)) > 30:
        return np.full(5, 1e3)
    s = _market(y, p, u, a, users)
    with np.errstate(all="ignore"):
        gaps = [*(y[:2] + np.log(s["by_price"][:2] / s["kept"])), *(y[:2] + np.log(s["by_capacity"][:2] / a["r"]))]
    return np.nan_to_num(np.array([*gaps, np.log(s["K"][2] / a["K_o"])]), nan=1e3)


def solve(params: dict, policy: dict) -> dict:
    """Equilibrium by outcome symbol, and `solved`."""
    p, u = params, policy
    a, users = _offer(p, u), _users(p)
    for m, closed, opened in STARTS:
        y0 = [m, m, closed, closed, opened]
        found = root(_conditions, y0, args=(p, u, a, users), method="hybr", tol=1e-12)
        if np.max(np.abs(found.fun)) < 1e-9:
            return _outcomes(_market(found.x, p, u, a, users), p, u, a, users) | {"solved": True}
    return {"solved": False}


def _outcomes(s: dict, p: dict, u: dict, a: dict, users: tuple) -> dict:
    v, _, weight = users
    n, B, K, q, load = s["n"], s["B"], s["K"], s["quality"], s["load"]
    chi, w, nu = (np.array([p[f"{name}_{j}"] for j in (1, 2, 3)])[:, None] for name in ("chi", "w", "nu"))
    spill = chi * (1 - w + w * a["o"]) * n**nu
    network, total = p["chi_net"] * n.sum() ** 2 / 2, n.sum()
    X_j = spill.sum(axis=0) + network * n / total - a["z"] * n
    MX = (nu * spill / n).sum(axis=0) + p["chi_net"] * total - a["z"]
    x = load ** p["k"]
    NR = 1 / (1 + p["k"] * x / (1 + x))
    NE = []
    for j in range(3):
        worth = expit((v * q[j] - a["c"][j]) / p["tau"])
        NE.append((weight * worth * expit(s["V"][j])).sum() / (weight * worth).sum())
    positive = np.maximum(X_j, 0)
    NX = positive / (positive + q * B - a["c"] * n)
    index = (NR + np.array(NE) + NX) / 3
    MX_plus = np.maximum(MX, 0)
    marginal = (NR + np.array(NE) + MX_plus / (MX_plus + s["price"])) / 3
    users_surplus = p["tau"] * (weight * (s["top"] + np.log(s["total"]))).sum()
    cost_q = p["kappa_q"] * a["q"] ** 2 / 2
    private = np.array([K[0], K[1], p["K_o"]])
    firms = ((s["price"] - a["c"]) * n - a["r"] * private - cost_q).sum()
    by_node = (weight * sum(s["P"])).sum(axis=1)
    served = 10 * by_node.reshape(10, NY).sum(axis=1)
    outlays = (
        p["cost_support"] * u["open_source_support"] ** 2
        + p["r_K"] * (u["compute_subsidy"] * private.sum() + u["public_compute"])
        + u["access_voucher"] * by_node[: 3 * NY].sum()
    )
    d = u["data_disclosure"]
    data = (
        p["b"] * ((p["D_0"] + d * p["D_p"]) ** p["beta_d"] - p["D_0"] ** p["beta_d"])
        - p["pi_d"] * d * p["D_p"]
        - p["kappa_d"] * d**2 / 2
    )
    profit = (s["kept"] * s["price"][0] - a["c"][0]) * n[0] - a["r"] * K[0]
    X = X_j.sum()
    growth = p["g_0"] * max(profit / p["Pi_0"], 1e-12) ** p["zeta"]
    lag = 1 / (p["lambda_0"] * (1 + p["kappa_o"] * a["o"][0]))
    share = n / total
    markup = 1 / s["by_price"][0]
    n0, gate, margin = n[0], a["gate"][0], s["kept"] * s["price"][0] - a["c"][0]
    gap = np.abs(served[:, None] - served[None, :]).sum()
    answer = {
        "PGI": share @ index, "PGI_m": share @ marginal, "W": users_surplus + firms + X - p["mcpf"] * outlays + data,
        "CS": users_surplus, "PS": firms, "X": X, "G": outlays, "data": data, "cost_q": cost_q.sum(), "Pi_c": profit,
        "Pi_o": (s["price"][2] - a["c"][2]) * n[2] - a["r"] * p["K_o"], "X_1": spill[0].sum(), "X_2": spill[1].sum(),
        "X_3": spill[2].sum(), "X_net": network, "harm": (a["z"] * n).sum(), "n": total, "HHI": share @ share, "p_c": s["price"][0],
        "K_c": K[0], "K": K[2], "markup": markup, "sub_p": markup - s["MCC"][0] + MX[0], "served": total,
        "wedge_o": gate * n0 + (chi * w * n0**nu).sum() - margin * gate * s["by_price"][0] * n0 + p["leak"] * s["price"][0] * n0,
        "access_gini": gap / (2 * 100 * served.mean()), "g": growth, "lag": lag, "lag_q": growth * lag,
        "v_EB": np.exp(-(p["t_E"] - p["t_B"]) / p["mu"]),
    }  # fmt: skip
    answer |= {f"access_{j + 1}": served[j] for j in range(10)}
    pairs = {
        "PGI": index, "NR": NR, "NE": NE, "NX": NX, "n": n, "s": share, "x": load, "qd": q, "B": B, "MCC": s["MCC"], "MX": MX,
        "wedge_p": s["price"] - a["c"] - s["MCC"] + MX, "wedge_K": s["MCC"] * load - p["r_K"], "wedge_q": B * q / a["q"] - p["kappa_q"] * a["q"],
    }  # fmt: skip
    for name, value in pairs.items():
        answer |= {f"{name}_c": value[0], f"{name}_o": value[2]}
    return {k: float(x) for k, x in answer.items()}
