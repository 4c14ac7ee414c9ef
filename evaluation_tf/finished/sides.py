"""The two sides, and where black and white lie for both."""

from collections.abc import Iterable, Mapping

from common_tf.errors import UserError
from common_tf.pictures.preparation import Preparation, learn_preparation
from common_tf.pictures.readers import FileFacts

REAL, FAKE = "real", "fake"


def common_preparations(
    facts: Mapping[str, Iterable[FileFacts]], windows: Mapping[str, tuple[float, float]]
) -> tuple[dict[str, Preparation], list[str]]:
    """Whole pictures of either side. Deep files of both share one scale: a side that is darker stays darker.

    Args:
        facts: of the files of each side.
        windows: black and white that the user gave, by side.

    Returns:
        The preparations by side, and what is to be said of them.

    Raises:
        UserError: deep files whose black cannot be known, a window for one of two deep sides.
    """
    mine = {label: list(some) for label, some in facts.items()}
    alone = [label for label, some in mine.items() if label not in windows and any(one.is_deep for one in some)]
    if windows and alone:
        raise UserError(f"--window: names one side, and {alone[0]} has 16 bits too; name black and white of both")
    unnamed = [one for label, some in mine.items() if label not in windows for one in some]
    found = {
        label: learn_preparation(framing="whole", extents=(), facts=unnamed, name=label, window=windows.get(label))
        for label in mine
    }
    deep = {label: any(one.is_deep for one in some) for label, some in mine.items() if label not in windows}
    if len(set(deep.values())) < 2:
        return found, []
    which = next(label for label, is_deep in deep.items() if is_deep)
    low, high = found[which].low, found[which].high
    return found, [
        f"the {which} pictures have 16 bits and the others 8: {low:g} and {high:g} of the one are taken for 0 and 255 "
        f"of the other; --window {which}=BLACK:WHITE says otherwise"
    ]
