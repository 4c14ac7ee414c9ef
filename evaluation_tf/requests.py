"""Which of evaluate.py's requests go together. What would do nothing is refused, for a report that leaves out what was
asked for looks like one that has it.
"""

from collections.abc import Collection, Mapping
from typing import Any

from common_tf.errors import UserError

COMPARED = ("output", "data", "pairs", "pair_order")
"""What goes with several translators on one table."""

FINISHED = ("output", "inception_weights", "extractor")
"""What goes with finished pictures or volumes."""


def refuse_others(given: Mapping[str, Any], going: Collection[str], mode: str) -> None:
    """Refuses what does not go with a way to evaluate.

    Args:
        given: values by the name of their flag, with underscores; ``None`` where it is not given.
        going: names of those that go.
        mode: the flags that chose the way, for the message.

    Raises:
        UserError: any other is given.
    """
    for name, value in given.items():
        if name not in going and value is not None:
            refuse(name, value, f"does not go with {mode}")


def refuse(name: str, value: Any, why: str) -> None:
    """Refuses one flag with what was given to it.

    Raises:
        UserError: always.
    """
    shown = " ".join(map(str, value)) if isinstance(value, list | tuple) else value
    raise UserError(f"--{name.replace('_', '-')} {shown}: {why}")
