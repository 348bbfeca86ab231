"""Named policies of the government."""

REGIMES = {
    "laissez_faire": {},
    "taxes_on_ai": {"ai_tax": 0.2, "robot_tax": 0.2},
    "basic_income": {"basic_income": 0.05},
    "insurance": {"social_insurance": 0.5, "property_tax": 0.005},
    "innovation": {"research_subsidy": 0.01, "public_data": 1.0},
    "deficits": {"deficit_shift": 0.02},
    "carbon": {"carbon_price": 1.0},
    "mixed": {"ai_tax": 0.1, "basic_income": 0.02, "research_subsidy": 0.01, "public_data": 0.5, "carbon_price": 0.5},
}
