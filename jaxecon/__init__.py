"""jaxecon: differentiable models of the economics of generative AI."""

from jaxecon.analysis.bayes import sample_posterior as sample_posterior
from jaxecon.analysis.claims import claim_draws as claim_draws
from jaxecon.analysis.claims import claims as claims
from jaxecon.analysis.complements import cross_derivatives as cross_derivatives
from jaxecon.analysis.complements import shapley_split as shapley_split
from jaxecon.analysis.constrained import constrained_optimum as constrained_optimum
from jaxecon.analysis.estimate import estimate as estimate
from jaxecon.analysis.identification import identify as identify
from jaxecon.analysis.inference import delta_method as delta_method
from jaxecon.analysis.inference import policy_intervals as policy_intervals
from jaxecon.analysis.likelihood import maximum_likelihood as maximum_likelihood
from jaxecon.analysis.moment_problem import moment_problem as moment_problem
from jaxecon.analysis.multiplicity import multiplicity as multiplicity
from jaxecon.analysis.nearest import distance_to_threshold as distance_to_threshold
from jaxecon.analysis.optima import optimal_policies as optimal_policies
from jaxecon.analysis.optimize import optimize as optimize
from jaxecon.analysis.optimum_function import optimum_function as optimum_function
from jaxecon.analysis.optimum_slopes import optimum_slopes as optimum_slopes
from jaxecon.analysis.pareto import pareto_surface as pareto_surface
from jaxecon.analysis.plans import policy_plan as policy_plan
from jaxecon.analysis.posterior_policy import posterior_policy as posterior_policy
from jaxecon.analysis.profiles import profile as profile
from jaxecon.analysis.rank_test import rank_test as rank_test
from jaxecon.analysis.robust import robust_policy as robust_policy
from jaxecon.analysis.scenarios import discover as discover
from jaxecon.analysis.sensitivity import sensitivity as sensitivity
from jaxecon.analysis.simulate import simulate as simulate
from jaxecon.analysis.simulation_based import approximate_posterior as approximate_posterior
from jaxecon.analysis.solve import solve as solve
from jaxecon.analysis.sweep import open_sweep as open_sweep
from jaxecon.analysis.sweep import sweep as sweep
from jaxecon.analysis.targets import read_targets as read_targets
from jaxecon.analysis.thresholds import threshold as threshold
from jaxecon.analysis.thresholds import threshold_curve as threshold_curve
from jaxecon.core.discovery import load as load
from jaxecon.core.discovery import models as models
from jaxecon.core.errors import InputError as InputError
from jaxecon.core.errors import JaxeconError as JaxeconError
from jaxecon.core.model import evaluate as evaluate

__version__ = "0.1.0"
