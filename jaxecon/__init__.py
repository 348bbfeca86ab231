"""jaxecon: differentiable models of the economics of generative AI."""

from jaxecon.core.discovery import load as load
from jaxecon.core.discovery import models as models
from jaxecon.core.errors import InputError as InputError
from jaxecon.core.errors import JaxeconError as JaxeconError
from jaxecon.core.model import evaluate as evaluate

__version__ = "0.1.0"
