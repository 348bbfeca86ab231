"""The rest point of rents and transparency in plain Python, solved with `scipy.optimize.root`.

Unknowns: transparency S and rho = R/(1 + R). Means over (c_r, c_m) by Gauss-Hermite nodes, over w in closed form.
"""

import math

import numpy as np
from scipy.optimize import root
from scipy.special import ndtr

_Z, _WEIGHT = np.polynomial.hermite_e.hermegauss(5)
_WEIGHT = _WEIGHT / _WEIGHT.sum()
_NODES = np.outer(_WEIGHT, _WEIGHT)
INSTRUMENTS = ("rent_tax", "manipulation_tax", "detection", "fine", "transparency_mandate")


def _put(k: np.ndarray | float, p: dict) -> tuple[np.ndarray, np.ndarray]:
    """E max(k - w, 0) and E w max(k - w, 0) for lognormal w."""
    k = np.maximum(k, 1e-300)
    z = np.log(k / p["w"]) / p["sd"]
    m = [p["w"] ** j * math.exp(j * j * p["sd"] ** 2 / 2) * ndtr(z - j * p["sd"]) for j in range(3)]
    return k * m[0] - m[1], k * m[1] - m[2]


def _choices(X: float, Y: float, p: dict, c_r: np.ndarray, c_m: np.ndarray) -> tuple[float, float, float]:
    """Mean r, m and output."""
    swap = Y > X
    hi, lo, c1, c2 = (Y, X, c_m, c_r) if swap else (X, Y, c_r, c_m)
    cx = p["c_x"]
    D = c1 * c2 - cx**2
    second = (c1 * lo - cx * hi) / (c1 - cx)
    cap = np.where(second > hi - c1, ((c2 - cx) * hi + (c1 - cx) * lo - D) / (c1 + c2 - 2 * cx), hi - c1)
    second = np.maximum(second, cap)
    a, b, c = _put(hi, p), _put(second, p), _put(cap, p)
    e1, we1 = (np.sum(_NODES * ((a[j] - b[j]) / c1 + (c2 - cx) / D * (b[j] - c[j]))) for j in range(2))
    e2, we2 = (np.sum(_NODES * (c1 - cx) / D * (b[j] - c[j])) for j in range(2))
    output = p["w"] * math.exp(p["sd"] ** 2 / 2) - we1 - we2
    return (e2, e1, output) if swap else (e1, e2, output)


def _state(y, p: dict, u: dict, c_r: np.ndarray, c_m: np.ndarray) -> tuple:
    S, rho = y
    R = rho / (1 - rho)
    pi = (1 - math.exp(-(p["det_0"] + u["detection"]))) * (1 - p["capture"] * rho)
    X = p["b"] * (1 - S) - pi * u["rent_tax"]
    Y = p["dB_0"] + p["dB_1"] * p["A"] - pi * (u["manipulation_tax"] + p["F_0"] + u["fine"])
    return R, pi, X, Y, *_choices(X, Y, p, c_r, c_m)


def _gaps(y, p: dict, u: dict, c_r: np.ndarray, c_m: np.ndarray) -> list[float]:
    *_, r, m, _ = _state(y, p, u, c_r, c_m)
    up = p["alpha_0"] + p["alpha"] * p["A"] * (1 + u["transparency_mandate"])
    down = p["beta_m"] * m + p["beta_r"] * r
    return [1 - y[0] - down * y[0] / up, y[1] - (1 - y[1]) * (r + m) / p["delta"]]


def solve(params: dict, policy: dict | None = None) -> dict:
    """Rest point as a dict with `R`, `S`, `rbar`, `mbar`, `output`, `L`, `W`, `X`, `Y`, `pi`, and `solved`."""
    p, u = params, dict.fromkeys(INSTRUMENTS, 0.0) | (policy or {})
    c_r, c_m = (p["c_r"] * np.exp(p["sd"] * _Z))[:, None], (p["c_m"] * np.exp(p["sd"] * _Z))[None, :]
    found = root(_gaps, [0.8, 0.3], args=(p, u, c_r, c_m), method="hybr", tol=1e-12)
    if max(abs(v) for v in found.fun) > 1e-9:
        return {"solved": False}
    S = float(found.x[0])
    R, pi, X, Y, r, m, output = _state(found.x, p, u, c_r, c_m)
    L = p["phi"] * R**2 + p["psi"] * (1 - S) ** 2
    cost = p["kt"] * (u["rent_tax"] ** 2 + u["manipulation_tax"] ** 2) + p["kd"] * u["detection"] ** 2
    cost += p["kf"] * (p["F_0"] + u["fine"]) ** 2 + p["km"] * u["transparency_mandate"] ** 2
    return {
        "R": R, "S": S, "rbar": r, "mbar": m, "output": output, "L": L, "policy_cost": cost, "W": output - L - cost,
        "X": X, "Y": Y, "pi": pi, "gamma": r + m, "solved": True,
    }  # fmt: skip
