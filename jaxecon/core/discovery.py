"""Models are found, never listed by hand: each folder of `jaxecon.models` holds one `MODEL`."""

import importlib
import pkgutil

from jaxecon.core.errors import InputError, did_you_mean
from jaxecon.core.model import Model

# Loaded before `jaxecon.models` becomes the function below: Python binds a package to its parent when it is first loaded.
_PACKAGE = importlib.import_module("jaxecon.models")


def model_names() -> list[str]:
    """Names of all models, without importing them."""
    return sorted(m.name for m in pkgutil.iter_modules(_PACKAGE.__path__) if m.ispkg)


def load(name: str) -> Model:
    """The model of that name."""
    if name not in model_names():
        raise InputError([f"there is no model {name!r}; {did_you_mean(name, model_names())}"], "the model name")
    return importlib.import_module(f"jaxecon.models.{name}").MODEL


def models() -> dict[str, Model]:
    """All models by name."""
    return {name: load(name) for name in model_names()}
