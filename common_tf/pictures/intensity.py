"""Gray values: what is black and what is white in a set of files, [0, 1] for metrics, [-1, 1] for networks.

One policy for every path. 8-bit files use their full range, 0 to 255. Deeper files often hold 10, 12 or 15 significant
bits, so their white is the smallest ``2^k - 1`` that holds the largest value of the *set*: one scale a set, because a
scale of its own for every slice would change the meaning of a gray value from slice to slice. Deep files whose smallest
value lies far above 0 (Hounsfield units with an offset added) have no black that can be guessed and want a window.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from common_tf.errors import UserError

if TYPE_CHECKING:
    from common_tf.pictures.readers import FileFacts

_OFFSET_SHARE = 1 / 8


def common_range(facts: "Iterable[FileFacts]", *, name: str) -> tuple[float, float]:
    """Black and white of the deep files of a set; 0 and 255 where there are none.

    Args:
        facts: of the set's files.
        name: of the set, such as its domain, for the error.

    Raises:
        UserError: the values lie so far above 0 that black cannot be guessed.
    """
    deep = [one for one in facts if one.is_deep]
    if not deep:
        return 0.0, 255.0
    largest, smallest = max(one.largest for one in deep), min(one.smallest for one in deep)
    high = float(max(255, 2 ** int(largest).bit_length() - 1))
    if smallest > _OFFSET_SHARE * high:
        raise UserError(
            f"{name}: the deep files hold values from {smallest} to {largest}, none near 0 (an offset?), so what is "
            f"black cannot be guessed; give the values of black and white: --window {name}={smallest}:{largest}"
        )
    return 0.0, high


def parse_windows(text: str, names: Sequence[str], *, flag: str = "--window ") -> dict[str, tuple[float, float]]:
    """``CT=0:80,MRI=0:4095`` as ranges by name.

    Raises:
        UserError: not of that form, another name, one twice, or black not below white.
    """
    windows: dict[str, tuple[float, float]] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, ends = part.partition("=")
        low, _, high = ends.partition(":")
        try:
            window = float(low), float(high)
        except ValueError as error:
            raise UserError(f"{flag}{part}: wants NAME=BLACK:WHITE, such as {names[0]}=0:80") from error
        if name not in names or name in windows or not -np.inf < window[0] < window[1] < np.inf:
            raise UserError(f"{flag}{part}: wants one of {', '.join(names)}, once, and a black below its white")
        windows[name] = window
    return windows


def to_signed(scaled: Any) -> Any:
    """[0, 1] to [-1, 1]; arrays or tensors."""
    return scaled * 2.0 - 1.0


def from_signed(signed: Any) -> Any:
    """[-1, 1] to [0, 1]; arrays or tensors."""
    return (signed + 1.0) / 2.0


def quantise(scaled: np.ndarray) -> np.ndarray:
    """[0, 1] to 8 bits, rounded."""
    return np.round(np.clip(scaled, 0.0, 1.0) * 255).astype(np.uint8)
