"""Translation systems, one room each. A room that is added here is a ``--model``; nothing else needs to know it.

A room is a package with

    config.py    importable without TensorFlow: ``Config``, a frozen dataclass of the system's own options (inherit the
                 groups of `cyclegan_tf.systems._options` that mean something to it); ``PRESETS``, values by preset, of
                 which ``fast`` must be one; perhaps ``check(config)``, which raises `UserError` for values that do not
                 fit together
    networks.py  its own networks, where it has some; those that several use are in `cyclegan_tf.networks`
    system.py    ``System``, a `cyclegan_tf.translator.Translator`
"""

import importlib
import sys
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING

from common_tf.errors import UserError
from common_tf.plugins import plugin_names

if TYPE_CHECKING:
    from cyclegan_tf.translator import Translator


@cache
def system_names() -> tuple[str, ...]:
    """The names of all systems: CycleGAN first, then by name."""
    return tuple(sorted(plugin_names(sys.modules[__name__]), key=lambda name: (name != "cyclegan", name)))


def system_settings(model: str) -> ModuleType:
    """A system's ``config.py``.

    Raises:
        UserError: there is none of that name.
    """
    if model not in system_names():
        raise UserError(f"--model {model}: must be one of {', '.join(system_names())}")
    return importlib.import_module(f"{__name__}.{model}.config")


def system_class(model: str) -> type["Translator"]:
    """A system itself; this imports TensorFlow.

    Raises:
        UserError: there is none of that name.
    """
    system_settings(model)
    return importlib.import_module(f"{__name__}.{model}.system").System
