"""A number that knows what it is: its n, its interval, and over what that was taken."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from common_tf.files import plain
from common_tf.measurement.resampling import CONFIDENCE, grouped_statistic

FEWEST_GROUPS = 5
"""A bootstrap over fewer says little of others."""


@dataclass(frozen=True)
class Measurement:
    """One number.

    Attributes:
        value: nan where it is not defined.
        n: images (or patients, or what else was counted) behind it.
        low, high: ends of the interval; nan where there is none.
        groups: how many were resampled for it; 0 for none.
        interval: what the interval is, in words; ``""`` for none.
        note: anything a reader must know beside it.
    """

    value: float
    n: int
    low: float = math.nan
    high: float = math.nan
    groups: int = 0
    interval: str = ""
    note: str = ""

    @property
    def has_interval(self) -> bool:
        """Whether low and high are numbers."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    @property
    def is_of_few(self) -> bool:
        """Whether it is of several images, but of fewer than `FEWEST_GROUPS` of what intervals resample."""
        return self.n > 1 and 0 < self.groups < FEWEST_GROUPS

    def as_dict(self) -> dict:
        """For JSON; what is not defined is null."""
        record = {"value": self.value, "low": self.low, "high": self.high, "n": self.n, "groups": self.groups}
        words = {"interval": self.interval, "note": self.note}
        return plain({**record, **{name: text for name, text in words.items() if text}})

    def text(self, digits: int = 3) -> str:
        """``0.123 [0.100, 0.150]``."""
        if self.has_interval:
            return f"{number(self.value, digits)} [{number(self.low, digits)}, {number(self.high, digits)}]"
        return number(self.value, digits)


def measure(
    values: np.ndarray,
    groups: np.ndarray | None = None,
    *,
    of: str = "images",
    statistic: Callable[[np.ndarray], float] = np.mean,
) -> Measurement:
    """Measures the mean (or another ``statistic``) with a 95 % bootstrap interval over groups.

    Args:
        values: one an image; nan where not defined.
        groups: of each image; ``None`` for images that stand alone.
        of: what the groups are, for the words on the interval: patients, near-duplicate groups, ...
        statistic: see `grouped_statistic`.
    """
    values = np.asarray(values, np.float64)
    value, low, high = grouped_statistic(values, groups, statistic=statistic)
    defined = ~np.isnan(values)
    n = int(defined.sum())
    distinct = len(np.unique(np.arange(n) if groups is None else np.asarray(groups)[defined])) if n else 0
    if distinct < 2:
        return Measurement(value, n, groups=distinct)
    return Measurement(value, n, low, high, distinct, interval_words(distinct, of))


def interval_words(groups: int, of: str) -> str:
    """What an interval of `measure` is, in words."""
    return f"{CONFIDENCE:.0%} percentile bootstrap over {groups} {of}".replace("%", " %", 1)


def plain_number(value: float, n: int, note: str = "") -> Measurement:
    """A number without an interval."""
    return Measurement(float(value), n, note=note)


def number(value: float | None, digits: int = 3) -> str:
    """A number for people."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:.{digits}f}"
