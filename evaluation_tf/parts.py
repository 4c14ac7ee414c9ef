"""What a report is made of beside its tables: sections, figures, cards and named gaps."""

from dataclasses import dataclass, field

from common_tf.measurement.tables import Table


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


@dataclass(frozen=True)
class Card:
    """A section's figure for the summary.

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


@dataclass
class Section:
    """A chapter of the report.

    Attributes:
        key, title: its name for links, and its heading.
        intro: what is asked, in a sentence or two.
        tables, figures, gaps: what stands in it.
        warnings: what a reader must not overlook; they also stand in the summary.
        card: its figure for the summary, if it has one.
    """

    key: str
    title: str
    intro: str
    tables: list[Table] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    card: Card | None = None

    def table(self, key: str) -> Table | None:
        """The table of that key, or ``None``."""
        return next((table for table in self.tables if table.key == key), None)

    def add_gap(self, what: str, reason: str) -> None:
        """Names what could not be computed, once."""
        gap = Gap(what, reason)
        if gap not in self.gaps:
            self.gaps.append(gap)
