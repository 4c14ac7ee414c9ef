"""What a translator must beat: predictions that need no learning to speak of."""

import numpy as np

from common_tf.randomness import Stream

_STRANGERS = Stream("floors.another_head")


def fit_intensity_table(sources: np.ndarray, targets: np.ndarray, *, entries: int = 256) -> np.ndarray:
    """The best translation that looks at one pixel at a time: the mean target value of each source value.

    Args:
        sources, targets: aligned training images in [0, 1], same shape.
        entries: gray levels of the table.

    Returns:
        ``(entries,)`` float64 in [0, 1]; levels that never occur are interpolated.
    """
    return table_of_sums(*intensity_sums(sources, targets, entries=entries))


def intensity_sums(sources: np.ndarray, targets: np.ndarray, *, entries: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """How often each source value occurs, and the sum of the target values there; those of two sets can be added.

    Image by image: a whole set in double precision would fill the memory.
    """
    counts, sums = np.zeros(entries, np.int64), np.zeros(entries)
    for source, target in zip(sources, targets):
        levels = _levels(source, entries).ravel()
        counts += np.bincount(levels, minlength=entries)
        sums += np.bincount(levels, weights=np.asarray(target, np.float64).ravel(), minlength=entries)
    return counts, sums


def table_of_sums(counts: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """The table of `fit_intensity_table` from what `intensity_sums` counted."""
    seen = counts > 0
    return np.interp(np.arange(len(counts)), np.flatnonzero(seen), sums[seen] / counts[seen])


def apply_intensity_table(images: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Looks every pixel of images in [0, 1] up in a table from `fit_intensity_table`."""
    return table[_levels(images, len(table))].astype(np.float32)


def others(truth: np.ndarray, groups: np.ndarray) -> np.ndarray | None:
    """For each image the truth of a slice of somebody else; ``None`` where a single group has all of them."""
    random = _STRANGERS.numpy(0)
    chosen = []
    for group in groups:
        strangers = np.flatnonzero(groups != group)
        if not strangers.size:
            return None
        chosen.append(random.choice(strangers))
    return truth[chosen]


def _levels(images: np.ndarray, entries: int) -> np.ndarray:
    return np.round(np.clip(images, 0, 1) * (entries - 1)).astype(np.int64)
