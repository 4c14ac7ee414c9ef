"""Rooms that are found by looking: whoever adds a file to such a folder has registered it."""

import importlib
import pkgutil
from types import ModuleType


def plugin_names(package: ModuleType) -> list[str]:
    """The names of a package's modules and sub-packages, sorted; those that begin with ``_`` are no plug-ins."""
    return sorted(found.name for found in pkgutil.iter_modules(package.__path__) if not found.name.startswith("_"))


def plugins(package: ModuleType) -> dict[str, ModuleType]:
    """Every module of a package by its name, in the order of their ``ORDER`` where they have one, then by name."""
    found = {name: importlib.import_module(f"{package.__name__}.{name}") for name in plugin_names(package)}
    return dict(sorted(found.items(), key=lambda item: (getattr(item[1], "ORDER", 0), item[0])))
