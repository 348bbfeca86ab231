"""Packages that only some uses need: loaded when they are used, with the remedy where they are missing."""

import importlib
from types import ModuleType

from jaxecon.core.errors import JaxeconError


class MissingPackageError(JaxeconError, ImportError):
    """A package that this use needs is not installed."""


def optional_module(module: str, package: str, extra: str, purpose: str) -> ModuleType:
    """The module, or an error that says what needs it and how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        if error.name and error.name.split(".")[0] != module.split(".")[0]:
            raise  # the package is there, but something that it needs is not
        message = f"{purpose} needs the package {package}; install it with: pip install 'jaxecon[{extra}]'"
        raise MissingPackageError(message) from None
