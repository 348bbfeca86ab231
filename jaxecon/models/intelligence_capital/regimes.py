"""Named policies."""

REGIMES = {
    "laissez_faire": {},
    "compute_tax": {"compute_tax": 0.2},
    "open_data": {"data_sharing": 0.15},
    "price_cap": {"price_cap": 1.5},
    "research": {"investment_subsidy": 0.3},
    "app_access": {"app_access": 0.4},
    "entry": {"provider_entry": 0.5},
    "mixed": {"compute_tax": 0.1, "data_sharing": 0.1, "app_access": 0.3},
}
