"""Regimes of provision, S0 to S4; the numbers of S1 to S3 are ours, the voucher of S4 was fitted."""

REGIMES: dict[str, dict[str, float]] = {
    "laissez_faire": {},
    "S0": {},
    "S1": {"openness_mandate": 0.5, "open_source_support": 0.08},
    "S2": {"public_compute": 0.15, "compute_subsidy": 0.3},
    "S3": {"safety_standard": 0.5},
    "S4": {
        "open_source_support": 0.2,
        "openness_mandate": 0.5,
        "public_compute": 0.15,
        "compute_subsidy": 0.3,
        "safety_standard": 0.5,
        "access_voucher": 2.405676,
    },
}
