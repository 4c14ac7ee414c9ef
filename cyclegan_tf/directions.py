"""Directions of translation by their names: networks and losses say which way they go."""

from collections.abc import Mapping

A_TO_B, B_TO_A = "a_to_b", "b_to_a"
DIRECTIONS = (A_TO_B, B_TO_A)
SIDES: Mapping[str, tuple[str, str]] = {A_TO_B: ("a", "b"), B_TO_A: ("b", "a")}
"""Source and target letter of each direction."""


def back(direction: str) -> str:
    """The opposite direction."""
    return B_TO_A if direction == A_TO_B else A_TO_B


def direction_words(direction: str, domains: tuple[str, str]) -> str:
    """A direction as the command line says it, such as ``CT2MRI``."""
    names = dict(zip("ab", domains))
    source, target = SIDES[direction]
    return f"{names[source]}2{names[target]}"
