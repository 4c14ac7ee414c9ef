"""What several sections say of directions."""

from collections.abc import Iterable, Sequence

from common_tf.measurement.measurement import number


def direction_key(source: str, target: str) -> str:
    """Such as ``CT2MRI``."""
    return f"{source}2{target}"


def direction_words(directions: Iterable[Sequence[str]]) -> str:
    """Such as ``CT to MRI / MRI to CT``."""
    return " / ".join(f"{source} to {target}" for source, target in directions)


def side_by_side(values: Iterable[float], digits: int = 3) -> str:
    """A number of each direction."""
    return " / ".join(number(value, digits) for value in values)
