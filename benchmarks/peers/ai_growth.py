"""The growth model in plain NumPy: Newton on the 14 T equations of a transition with `scipy.linalg.solve_banded`.

Unknowns of a year are the fourteen of the specification's closure. The Jacobian is block-tridiagonal and exact: complex steps in 42
directions at once, all years together. First the economy without AI from balanced growth, then with AI; a demand shock, scars, and
AI where it fails at once, come in twelve steps.
"""

import numpy as np
from scipy.linalg import solve_banded
from scipy.optimize import brentq
from scipy.special import lambertw

YEARS = 41
W, RK, RM, YG, YS, XO, K, M, R, U, B, AG, AS, ZETA = range(14)
N = 14
LOGS = [W, RK, RM, YG, YS, XO, K, M, U, ZETA]
BAND = 2 * N - 1
SECTORS = ("g", "s")


def _sg(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def _before(x: np.ndarray) -> np.ndarray:
    """Sums over earlier years."""
    return np.append(0.0, np.cumsum(x[:-1]))


def _falling(start: float, end: float, rho: float, t: np.ndarray) -> np.ndarray:
    return end + (start - end) * rho**t


def _path(x, years: int) -> np.ndarray:
    """An instrument as a path that keeps its last value."""
    x = np.atleast_1d(np.asarray(x, float))
    return np.append(x, np.full(max(0, years - len(x)), x[-1]))[:years]


def _technology(p: dict, u: dict, t: np.ndarray) -> dict:
    """(8.1)-(8.3), and what else moves with time alone."""
    growth = p["gC_inf"] + (p["gC_0"] - p["gC_inf"]) * _sg(-(t - p["t_C"]) / p["s_C"])
    gA = p["gA_0"] * p["rho_A"] ** t
    ln_C = np.log(p["C_0"]) + _before(growth + gA)
    al, be = p["N_al"], p["N_be"]
    best = np.log(be * p["N_B"] / (al * p["N_A"])) / (al + be) + al / (al + be) * (ln_C - np.log(6))
    wall = np.log(p["Dbar"] * (1 + u["public_data"])) + p["gD"] * _before(gA)
    data = -np.logaddexp(-8 * best, -8 * wall) / 8

    def ln_loss(ln_D, ln_C):
        return np.log(p["N_A"] * np.exp(-al * (ln_C - np.log(6) - ln_D)) + p["N_B"] * np.exp(-be * ln_D))

    z = ln_loss(best[0], ln_C[0]) - ln_loss(data, ln_C)
    return {
        "ln_C": ln_C, "z": z, "phi": [_sg((z - p[f"z_{j}"]) / p["s_z"]) for j in SECTORS],
        "ln_zbar": [_before(_falling(p["gg_0"], p["g_inf"], p["rho_g"], t)), _before(_falling(p["gs_0"], p["gs_inf"], p["rho_g"], t))],
        "ln_q": -_before(_falling(p["gq_0"], p["gq_inf"], p["rho_q"], t)), "ln_e": -_before(p["ge"] * p["rho_e"] ** t),
        "beta": p["beta"] * (1 + p["dem"] * p["rho_d"] ** t), "r_min": np.where(t < p["t_fl"], p["r_min"], -1.0),
        "window": (t >= p["t_on"]) & (t < p["t_off"]),
    }  # fmt: skip


def _start(p: dict) -> dict:
    """Stocks, prices and units of 2020: v = w, L = 1, u = 1."""
    al, a = p["alpha"], p["a_0"]
    r_K = p["r_00"] + p["dK"]
    w = (1 - al) * (al / r_K) ** (al / (1 - al))
    m = w / p["mu"]
    e = p["pE"] * p["e_0"] * m
    r_M = m - e
    V = w / ((1 - al) * (1 - a))
    M_0 = (1 - al) * a * V / w
    GDP = V - e * M_0
    q = p["q_0"] * r_M / (p["r_00"] + p["dM"] + p["gq_0"])
    return {
        "w": w, "r_K": r_K, "r_M": r_M, "e": e, "q": q, "V": V, "K": al * V / r_K, "M": M_0, "GDP": GDP,
        "B": p["b_bar"] * GDP, "LS": w / GDP,
    }  # fmt: skip


def _year(y: np.ndarray, p: dict, u: dict, x: dict, s: dict) -> dict:
    """What follows within a year from its fourteen unknowns."""
    al, eps, om, sig = p["alpha"], p["eps"], p["omega"], p["sig"]
    w, r_K, r_M, Y_g, Y_s, X_o, K_t, M_t, use = (np.exp(y[k]) for k in (W, RK, RM, YG, YS, XO, K, M, U))
    e = s["e"] * np.exp(x["ln_e"])
    m = r_M + e * (1 + u["carbon_price"])
    v = [(1 + u["robot_tax"]) * p["mu"] * m, (1 + u["ai_tax"]) * p["mu"] * m]
    a = [y[AG], y[AS]]
    ln_c, theta, ahead = [], [], []
    for j, name in enumerate(SECTORS):
        exposed = p[f"x_{name}"]
        by_labor = (1 - a[j]) * (w * np.exp(-p[f"b_{name}"] * (a[j] - p["a_0"]) / exposed)) ** (1 - sig)
        by_ai = a[j] * v[j] ** (1 - sig)
        ln_P = np.log(by_ai + by_labor) / (1 - sig)
        ln_c.append(al * (y[RK] - np.log(al)) + (1 - al) * (ln_P - np.log(1 - al)) - x["ln_zbar"][j] - y[ZETA])
        theta.append(by_ai / (by_ai + by_labor))
        cheap = _sg((y[W] - np.log(v[j]) - p["xi"]) / p["s_xi"])
        goal = p["a_0"] + p["ai_on"] * (exposed - p["a_0"]) * x["phi"][j] * cheap
        ahead.append(a[j] + p["lam"] * (1 + p["lam_1"] * a[j] / exposed) * (goal - a[j]))
    p_s = np.exp(ln_c[1])
    weight_s = (1 - om) * np.exp(p["demand_s"])
    om, weight_s = om / (om + weight_s), weight_s / (om + weight_s)
    P = (om + weight_s * p_s ** (1 - eps)) ** (1 / (1 - eps))
    V, work, running = Y_g + p_s * Y_s, w * use, use * M_t
    by_sector = [(1 - al) * Y_g * theta[0] / v[0], (1 - al) * p_s * Y_s * theta[1] / v[1]]
    labor = [(1 - al) * Y_g * (1 - theta[0]) / w, (1 - al) * p_s * Y_s * (1 - theta[1]) / w]
    GDP = V - e * running
    share, profit = work / GDP, (p["mu"] - 1) * m * running
    tau_y = p["tau_y0"] + p["phi_B"] * (y[B] / GDP - p["b_bar"])
    to_workers = p["t_w"] + (1 - p["n_o"]) * u["basic_income"] + u["deficit_shift"] * x["window"]
    to_workers = (to_workers + u["social_insurance"] * (s["LS"] - share)) * GDP
    to_owners = p["n_o"] * u["basic_income"] * GDP
    X_w = ((1 - tau_y) * (1 - p["l_o"]) * work + to_workers) / (1 + p["tau_c"])
    G = (p["g_y"] + u["research_subsidy"]) * GDP
    X = X_o + X_w + G
    on_ai = p["mu"] * m * (u["robot_tax"] * by_sector[0] + u["ai_tax"] * by_sector[1]) + u["carbon_price"] * e * running
    taxes = tau_y * (work + profit) + p["tau_c"] * (X_o + X_w) + on_ai
    return {
        "w": w, "r_K": r_K, "r_M": r_M, "Y_g": Y_g, "Y_s": Y_s, "X_o": X_o, "K": K_t, "M": M_t, "u": use, "e": e, "m": m, "v": v, "a": a,
        "theta": theta, "ln_c": ln_c, "ahead": ahead, "p_s": p_s, "P": P, "V": V, "work": work, "running": running, "labor": labor,
        "by_sector": by_sector, "GDP": GDP, "LS": share, "X_w": X_w, "X": X, "C_g": om * P ** (eps - 1) * X,
        "C_s": weight_s * p_s**-eps * P ** (eps - 1) * X, "need": G + to_workers + to_owners - taxes,
        "q": s["q"] * np.exp(x["ln_q"] - p["chi_q"] * (y[M] - np.log(s["M"]))),
        "zeta_ahead": y[ZETA] + p["eta_u"] * y[U] + p["eta_R"] * p["rd_0"] * np.log1p(u["research_subsidy"] / p["rd_0"]),
    }  # fmt: skip


def _with_end(z: np.ndarray, g: float) -> np.ndarray:
    """The years and one more, in which K, M, X_o and B have grown at g."""
    last = z[..., -1:].copy()
    last[[K, M, XO]] += g
    last[B] *= np.exp(g)
    return np.concatenate([z, last], axis=-1)


def _conditions(z: np.ndarray, p: dict, u: dict, x: dict, s: dict) -> np.ndarray:
    """Unit-free residuals `[14, ..., T]`; a row of a law of motion belongs to the year that it leads to."""
    al, kK, g = p["alpha"], p["kK"], p["g_inf"] / (1 - p["alpha"])
    y = _with_end(z, g)
    both = _year(y, p, u, x, s)
    o = {k: [c[..., :-1] for c in v] if isinstance(v, list) else v[..., :-1] for k, v in both.items()}
    K_next, M_next, B_next = both["K"][..., 1:], both["M"][..., 1:], y[B][..., 1:]
    i = K_next / o["K"] - 1 + p["dK"]
    over = i - p["dK"] - g
    Phi, Q, gross = kK / 2 * over**2, 1 + kK * over, 1 + z[R]
    wealth = Q * K_next + o["q"] * M_next + B_next / gross
    tau_p, beta = u["property_tax"][:-1], x["beta"][:-1]
    by_AI = [t * y for t, y in zip(o["theta"], (o["Y_g"], o["p_s"] * o["Y_s"]))]
    invested = K_next - (1 - p["dK"]) * o["K"] + Phi * o["K"] + o["q"] * (M_next - (1 - p["dM"]) * o["M"])
    plan = np.exp(p["m_fore"] * (z[XO] - y[XO][..., 1:]) - (1 - p["m_fore"]) * g)
    above, idle = z[R] - x["r_min"][:-1], -z[U]
    gain_K = o["u"] * o["r_K"] - Phi + kK * over * i + (1 - p["dK"]) * Q
    gain_M = o["u"] * o["r_M"] + o["q"] * (1 - p["dM"])
    F = np.empty_like(z)
    F[0] = o["ln_c"][0]
    F[1] = np.log(al * o["V"]) - z[RK] - z[U] - z[K]
    F[2] = np.log(sum(o["by_sector"])) - z[U] - z[M]
    F[3] = np.log((1 - al) * (o["V"] - sum(by_AI)) / o["work"])
    F[4] = 1 - (o["C_g"] + invested + o["e"] * o["running"]) / o["Y_g"]
    F[5] = np.log(o["C_s"] / o["Y_s"])
    F[6] = beta * gross * plan + beta * p["chi"] * o["X_o"] / wealth - 1 - tau_p
    F[7] = above + idle - np.sqrt(above**2 + idle**2 + p["fb"] ** 2)
    F[8, ..., 1:] = np.log(gain_K[..., 1:] / (Q * gross)[..., :-1])
    F[9, ..., 1:] = np.log(gain_M[..., 1:] / (o["q"] * gross)[..., :-1])
    F[10, ..., 1:] = (z[B][..., 1:] - (gross * (z[B] + o["need"] - tau_p * wealth))[..., :-1]) / s["GDP"]
    for row, ahead in ((AG, o["ahead"][0]), (AS, o["ahead"][1]), (ZETA, o["zeta_ahead"])):
        F[row, ..., 1:] = z[row][..., 1:] - ahead[..., :-1]
    given = [(K, np.log(s["K"])), (M, np.log(s["M"])), (B, s["B"]), (AG, p["a_0"]), (AS, p["a_0"]), (ZETA, 0.0)]
    for row, (k, value) in enumerate(given, start=8):
        F[row, ..., 0] = z[k][..., 0] - value
    return F


def _jacobian(z: np.ndarray, *args) -> np.ndarray:
    """In the banded form of LAPACK; years three apart share a complex step."""
    T, step = z.shape[1], 1e-30
    moved = np.repeat(z[:, None, :].astype(complex), 3 * N, axis=1)
    for color in range(3):
        for k in range(N):
            moved[k, color * N + k, color::3] += 1j * step
    slopes = _conditions(moved, *args).imag / step
    banded = np.zeros((2 * BAND + 1, N * T))
    equation, unknown = np.arange(N)[:, None, None], np.arange(N)[None, :, None]
    for color in range(3):
        for lag in (-1, 0, 1):
            year = np.arange(color, T, 3)
            year = year[(year + lag >= 0) & (year + lag < T)]
            row, column = (year + lag) * N + equation, year * N + unknown
            banded[BAND + row - column, column + 0 * row] = slopes[:, color * N : (color + 1) * N, year + lag]
    return banded


def _newton(z: np.ndarray, *args, steps: int = 30) -> tuple[np.ndarray, bool]:
    with np.errstate(all="ignore"):
        for _ in range(steps):
            F = _conditions(z, *args)
            worst = np.max(np.abs(F))
            if not np.isfinite(worst) or worst < 1e-11:
                break
            try:
                move = solve_banded((BAND, BAND), _jacobian(z, *args), F.T.ravel(), overwrite_ab=True)
            except (np.linalg.LinAlgError, ValueError):  # singular, not finite
                return z, False
            move = move.reshape(-1, N).T
            z = z - move * min(1.0, 1.5 / max(np.max(np.abs(move[LOGS])), 1e-30))
    return z, bool(worst < 1e-11)


def _balanced(p: dict, x: dict, s: dict, T: int) -> np.ndarray:
    """A guess: all grows with productivity from the stocks of 2020."""
    z, al = np.zeros((N, T)), p["alpha"]
    g = x["ln_zbar"][0][:T] / (1 - al)
    consumed = s["V"] - (p["dK"] + p["gg_0"] / (1 - al)) * s["K"]
    services = (1 - p["omega"]) * consumed
    levels = [s["w"], s["r_K"], s["r_M"], s["V"] - services, services, 0.3 * consumed, s["K"], s["M"]]
    z[W : M + 1] = np.log(levels)[:, None] + g
    z[RK] -= g
    z[RM] += x["ln_q"][:T] - g
    z[YS] += x["ln_zbar"][1][:T] - (1 - al) * g
    z[R], z[U], z[B], z[AG], z[AS] = p["r_00"] + 0.02, -1e-6, s["B"] * np.exp(g), p["a_0"], p["a_0"]
    return z


def transition(params: dict, policy: dict) -> dict:
    """The path with AI (or `ai_on` of it) and the one without: unknowns `z`, `z_0`, exogenous paths, 2020, `solved`."""
    p, T = dict(params), int(params["T"])
    u = {k: _path(v, T + 1) for k, v in policy.items()}
    s, t = _start(p), np.arange(T + 1.0)

    def solve(z: np.ndarray, **change: float) -> tuple[np.ndarray, bool]:
        q = p | change
        return _newton(z, q, u, _technology(q, u, t), s)

    guess = _balanced(p, _technology(p, u, t), s, T)
    shocks = {name: p[name] for name in ("dem", "eta_u") if p[name] != 0}
    if shocks:
        # With scars a second, self-fulfilling slump exists: start from the economy without them.
        off, ok_off = _by_steps(solve, *solve(guess, ai_on=0.0, **dict.fromkeys(shocks, 0.0)), shocks, ai_on=0.0)
    else:
        off, ok_off = solve(guess, ai_on=0.0)
    z, ok = solve(off)
    if not ok:
        z, ok = _by_steps(solve, off, ok_off, {"ai_on": p["ai_on"]})
    return {"z": z, "z_0": off, "x": _technology(p, u, t), "s": s, "u": u, "p": p, "solved": ok and ok_off}


def _by_steps(solve, z: np.ndarray, ok: bool, ends: dict, **fixed: float) -> tuple[np.ndarray, bool]:
    """Twelve equal steps of some parameters from 0."""
    for k in range(1, 13):
        if ok:
            z, ok = solve(z, **fixed, **{name: end * k / 12 for name, end in ends.items()})
    return z, ok


def _report(z: np.ndarray, found: dict) -> dict:
    """Paths of the reported years, and utilities."""
    p, T = found["p"], z.shape[1]
    o = _year(_with_end(z, p["g_inf"] / (1 - p["alpha"])), p, found["u"], found["x"], found["s"])
    goods = o["Y_g"] - o["e"] * o["running"]
    share = goods / o["GDP"]
    mean = (share[1:] + share[:-1]) / 2
    growth = mean * np.diff(np.log(goods)) + (1 - mean) * np.diff(np.log(o["Y_s"]))
    value_g = o["Y_g"] / o["V"]
    weight = p["beta"] ** np.arange(T)
    consumption = [(o["X_o"] / o["P"] / p["n_o"])[:T], (o["X_w"] / o["P"] / (1 - p["n_o"]))[:T]]
    # Idle capacity of 2020 lowers GDP, too: both economies share 2019.
    ln_GDP = z[U, 0] + np.append(0.0, np.cumsum(growth))[:YEARS]
    return {
        "ln_GDP": ln_GDP, "growth": np.append(0.0, growth), "a": (value_g * o["a"][0] + (1 - value_g) * o["a"][1])[:YEARS],
        "value_s": 1 - value_g, "o": o, "r": z[R], "utility": [weight @ np.log(c) for c in consumption], "life": weight.sum(),
        "c": np.log((o["X_o"] + o["X_w"]) / o["P"]), "apart": consumption[0] / consumption[1],
    }  # fmt: skip


def _peak(x: np.ndarray) -> float:
    """Place of the largest value, by a parabola through it and its neighbors."""
    k = int(np.argmax(x))
    if k in (0, len(x) - 1):
        return float(k)
    left, here, right = x[k - 1 : k + 2]
    bend = left - 2 * here + right
    return k + (0.5 * (left - right) / bend if bend != 0 else 0.0)


def _lead(p: dict, kap: float) -> tuple[np.ndarray, np.ndarray]:
    """(8.22), (8.23): x, and growth of both technologies, by year to 2060."""
    x, basic = p["x_0"], [p["nu"] * (p[f"rd_{i}"] * p[f"L_{i}"] / p["rd_bar"]) ** p["lam_R"] for i in (1, 2)]
    xs, gs = [x], []
    for t in range(YEARS):
        ahead = 1 + p["fm"] * _sg(-(t - p["t_2"]) / p["s_2c"])
        copied = kap * (1 + p["th_A"] * _sg((t - p["t_A"]) / p["s_A"])) * max(x, 0.0) * np.exp(-x / p["h_abs"])
        one, two = basic[0] * (ahead if x > 0 else 1.0), basic[1] * (1.0 if x > 0 else ahead) + copied
        x += one - two
        xs.append(x)
        gs.append((p["g_c"] + one, p["g_c"] + two))
    return np.array(xs), np.array(gs)


def _countries(p: dict) -> dict:
    """(8.22)-(8.24) in levels; boundary by Brent, tipping by the Lambert function."""
    xs, gs = _lead(p, p["kap"])
    al, A = p["al_c"], [1.0, np.exp(-p["x_0"])]
    k = [A[i] * (p[f"sv_{i + 1}"] / (np.exp(gs[0, i]) - 1 + p["dk_c"])) ** (1 / (1 - al)) for i in (0, 1)]
    y = []
    for t in range(YEARS):
        y.append([A[i] ** (1 - al) * k[i] ** al for i in (0, 1)])
        r = [al * y[t][i] / k[i] for i in (0, 1)]
        flow = p["phi_k"] * (r[0] - r[1])
        k = [(1 - p["dk_c"] + sign * flow) * k[i] + p[f"sv_{i + 1}"] * y[t][i] for i, sign in ((0, 1), (1, -1))]
        A = [A[i] * np.exp(gs[t, i]) for i in (0, 1)]
    growth = np.log(y[-1]) - np.log(y[-2])
    gap = [p["nu"] * (p[f"rd_{i}"] * p[f"L_{i}"] / p["rd_bar"]) ** p["lam_R"] for i in (1, 2)]
    advantage, speed, h = gap[0] - gap[1], p["kap"] * (1 + p["th_A"]), p["h_abs"]
    tip = 10 * h if advantage <= 0 else 0.0
    if 0 < advantage <= speed * h / np.e:
        tip = min(10 * h, -h * lambertw(-advantage / (speed * h), -1).real)
    boundary = (
        brentq(lambda kap: _lead(p, kap)[0][YEARS - 1] - p["x_0"], -0.5, 0.5, xtol=1e-13) if p["x_0"] > 0 else 0.0
    )
    return {"x_2060": xs[YEARS - 1], "g_1": growth[0], "g_2": growth[1], "x_tip": tip, "kap_star": boundary}


def solve(params: dict, policy: dict) -> dict:
    """Outcomes by symbol, and `solved`."""
    found = transition(params, policy)
    if not found["solved"]:
        return {"solved": False}
    p, on, off = found["p"], _report(found["z"], found), _report(found["z_0"], found)
    o, o_0, n = on["o"], off["o"], p["n_o"]
    effect = on["ln_GDP"] - off["ln_GDP"]
    extra = np.diff(effect)
    bend = np.diff(on["a"], 2)
    r = found["z"][R] - found["z_0"][R]
    W, W_0 = ([*e["utility"], n * e["utility"][0] + (1 - n) * e["utility"][1]] for e in (on, off))
    energy = o["e"] * o["running"]
    labor, labor_0 = (e["labor"][0] / sum(e["labor"]) for e in (o, o_0))
    return _countries(p) | {
        "W": W[2], "W_o": W[0], "W_w": W[1], "gain_o": np.expm1((W[0] - W_0[0]) / on["life"]),
        "gain_w": np.expm1((W[1] - W_0[1]) / on["life"]), "effect_2030": np.expm1(effect[10]), "effect_2035": np.expm1(effect[15]),
        "effect_2060": np.expm1(effect[40]), "extra_growth": (effect[15] - effect[3]) / 12, "extra_growth_2035": extra[14],
        "peak_growth": extra.max(), "peak_year": 2021 + _peak(extra), "growth_2035": on["growth"][15], "growth_2060": on["growth"][40],
        "consumption_growth_2060": on["c"][40] - on["c"][39], "a_2035": on["a"][15], "a_2060": on["a"][40],
        "takeoff": 2021 + _peak(bend), "maturity": 2021 + _peak(-bend), "v/w": o["v"][1][15] / o["w"][15],
        "energy_unit_2035": o["e"][15] / o["e"][0], "energy_use_2035": energy[15] / energy[0], "r_2035": found["z"][R, 15],
        "rate_effect_2035": r[15], "rate_effect_low": r[: YEARS - 1].min(), "u_low": o["u"][:15].min(), "u_mean": o["u"][:15].mean(),
        "LS_2035": o["LS"][15], "LS_2060": o["LS"][40], "LS_g": (1 - p["alpha"]) * (1 - o["theta"][0][40]),
        "LS_s": (1 - p["alpha"]) * (1 - o["theta"][1][40]), "services_value_2060": on["value_s"][40], "goods_labor_2060": labor[40], "goods_labor_base_2060": labor_0[40],
        "wage_effect_2035": (o["w"] / o["P"])[15] / (o_0["w"] / o_0["P"])[15] - 1, "consumption_gap_2060": on["apart"][40],
        "B_2035": found["z"][B, 15] / o["GDP"][15], "B_2060": found["z"][B, 40] / o["GDP"][40], "solved": True,
    }  # fmt: skip
