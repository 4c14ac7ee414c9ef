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


_OF_TRANSLATORS = ("data", "pairs", "pair_order", "register", "labelled", "cases", "extractor", "inception_weights")
_NEEDS = {
    "translator": ((*_OF_TRANSLATORS, "detector_domain"), "is for a translator; add --translator RUN"),
    "pairs": (("pair_order", "register"), "is for aligned pairs; add --pairs DIR"),
    "detector": (("labelled", "detector_domain"), "is for a detector; add --detector RUN"),
}
"""What says nothing without another flag: by that flag, the names, and the way out."""


def refuse_lone(given: Mapping[str, Any]) -> None:
    """Refuses what says nothing without another flag that is not given.

    Args:
        given: values of all flags by their names, with underscores; ``None`` where one is not given.

    Raises:
        UserError: one of them.
    """
    for needed, (names, why) in _NEEDS.items():
        for name in names:
            if given[needed] is None and given[name] is not None:
                refuse(name, given[name], why)


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
