"""Models are found, never listed by hand: each folder of `jaxecon.models` holds one `MODEL`."""

import importlib
import pkgutil

import jaxecon
from jaxecon.core.errors import InputError, did_you_mean
from jaxecon.core.model import Model


def model_names() -> list[str]:
    """Names of all models, without importing them."""
    folders = [f"{root}/models" for root in jaxecon.__path__]
    return sorted(m.name for m in pkgutil.iter_modules(folders) if m.ispkg)


def load(name: str) -> Model:
    """The model of that name."""
    if name not in model_names():
        raise InputError([f"there is no model {name!r}; {did_you_mean(name, model_names())}"], "the model name")
    return importlib.import_module(f"jaxecon.models.{name}").MODEL


def models() -> dict[str, Model]:
    """All models by name."""
    return {name: load(name) for name in model_names()}
