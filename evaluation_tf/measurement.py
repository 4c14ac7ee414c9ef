"""What a report is made of: numbers that know what they are, tables, figures, and named gaps."""

import math
from dataclasses import dataclass, field
from typing import Mapping, Optional, Sequence

import numpy as np

from common_tf.metrics.bootstrap import grouped_statistic


@dataclass(frozen=True)
class Measurement:
    """One number.

    Attributes:
        value: nan where it is not defined.
        n: images behind it.
        low, high: ends of the interval, or ``None`` where there is none.
        interval: what the interval is; ``""`` for none.
        note: anything a reader must know beside it.
    """

    value: float
    n: int
    low: Optional[float] = None
    high: Optional[float] = None
    interval: str = ""
    note: str = ""

    def as_dict(self) -> dict:
        """For report.json; what is not defined is null."""
        record = {"value": finite(self.value), "n": self.n}
        if self.interval:
            record.update(low=finite(self.low), high=finite(self.high), interval=self.interval)
        if self.note:
            record["note"] = self.note
        return record

    def text(self, digits: int = 3) -> str:
        """``0.123 [0.100, 0.150]``."""
        if self.interval and self.low is not None and math.isfinite(self.low):
            return f"{number(self.value, digits)} [{number(self.low, digits)}, {number(self.high, digits)}]"
        return number(self.value, digits)


@dataclass(frozen=True)
class Column:
    """A metric.

    Attributes:
        key: name in report.json and the CSV.
        title: heading.
        definition: the formula or its source, and the range of the images it takes.
        better: ``higher``, ``lower``, or ``""`` where neither is.
        digits: after the point.
    """

    key: str
    title: str
    definition: str
    better: str = ""
    digits: int = 3


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        name: what was measured.
        cells: `Measurement` (or text) by column key; a missing one prints as a dash.
        kind: ``result``, ``floor`` (what must be beaten) or ``reference`` (what can be hoped for) or
            ``document`` (what the founding document prints).
    """

    name: str
    cells: Mapping[str, object]
    kind: str = "result"


@dataclass
class Table:
    """A table: of a section, of tables/KEY.csv, and of report.json."""

    key: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    caption: str = ""


@dataclass(frozen=True)
class Figure:
    """A picture: figures/FILE, with what it shows."""

    file: str
    caption: str
    alt: str


@dataclass(frozen=True)
class Gap:
    """What could not be computed, and why."""

    what: str
    reason: str


@dataclass
class Section:
    """A chapter of the report.

    Attributes:
        key, title: its name for links, and its heading.
        intro: what is asked, in a sentence or two.
        warnings: what a reader must not overlook; they also stand in the summary.
    """

    key: str
    title: str
    intro: str
    tables: list = field(default_factory=list)
    figures: list = field(default_factory=list)
    gaps: list = field(default_factory=list)
    warnings: list = field(default_factory=list)

    def table(self, key: str) -> Optional[Table]:
        """The table of that key, or ``None``."""
        return next((table for table in self.tables if table.key == key), None)


@dataclass(frozen=True)
class Highlight:
    """A figure of the summary.

    Attributes:
        title: the question.
        value: the answer, as short text.
        detail: n, interval, and what to compare it with.
        verdict: ``good``, ``bad`` or ``open``.
        words: the verdict in a few words.
    """

    title: str
    value: str
    detail: str
    verdict: str
    words: str


def mean_over(values: np.ndarray, groups: Optional[np.ndarray] = None, *, unit: str = "images", **how) -> Measurement:
    """Measures the mean (or another ``statistic``) with a 95 % bootstrap interval over groups.

    Args:
        values: one an image; nan where not defined.
        groups: of each image; ``None`` for images that stand alone.
        unit: what the groups are, for the words on the interval.
        **how: for `grouped_statistic`.
    """
    values = np.asarray(values, np.float64)
    value, low, high = grouped_statistic(values, groups, **how)
    n = int(np.sum(~np.isnan(values)))
    distinct = len(np.unique(np.arange(n) if groups is None else np.asarray(groups)[~np.isnan(values)])) if n else 0
    if distinct < 2:
        return Measurement(value, n)
    return Measurement(value, n, low, high, f"95 % percentile bootstrap over {distinct} {unit}")


def plain_number(value: float, n: int, note: str = "") -> Measurement:
    """A number without an interval."""
    return Measurement(float(value), n, note=note)


def finite(value: Optional[float]) -> Optional[float]:
    """The value, or ``None`` where JSON has no word for it."""
    return float(value) if value is not None and math.isfinite(value) else None


def number(value: Optional[float], digits: int = 3) -> str:
    """A number for people."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:.{digits}f}"
