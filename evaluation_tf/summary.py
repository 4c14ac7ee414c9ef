"""The five figures a person needs."""

from typing import Mapping, Sequence

from evaluation_tf.diagnosis import TOLERATED
from evaluation_tf.measurement import Highlight, Measurement, Row, Section, number


def highlights(sections: Sequence[Section], domains: Sequence[str]) -> list:
    """At most five, from the sections that are there.

    Args:
        sections: of the report.
        domains: names of domain A and B.
    """
    found = {section.key: section for section in sections}
    directions = (tuple(domains), tuple(domains[::-1]))
    makers = (
        ("distribution", lambda section: _looks(section, directions)),
        ("pairs", lambda section: _right(section, directions)),
        ("content", lambda section: _honest(section)),
        ("diagnosis", lambda section: _diagnosis(section)),
        ("detection", lambda section: _detector(section)),
    )
    results = [make(found[key]) for key, make in makers if key in found]
    return [item for item in results if item is not None]


def _looks(section: Section, directions) -> Highlight:
    directions, tables = _present(section, "distribution_{}2{}", directions)
    result, real, untranslated = ([table.rows[i].cells["swd"].value for table in tables] for i in range(3))
    good = all(mine < floor for mine, floor in zip(result, untranslated))
    return Highlight(
        title="Do outputs look real? Texture distance",
        value=_both(result),
        detail=f"{_words(directions)}; untranslated {_both(untranslated)}, real slices {_both(real)}; lower is better",
        verdict="good" if good else "bad",
        words="nearer than the inputs" if good else "no nearer than the inputs",
    )


def _right(section: Section, directions) -> Highlight:
    directions, tables = _present(section, "pairs_{}2{}_head", directions)
    result = [table.rows[0].cells["mae"] for table in tables]
    copy = [_floor(table.rows, "floor: copy") for table in tables]
    lookup = [_floor(table.rows, "floor: intensity") for table in tables]
    floors = [min(row.cells["mae"].value for row in table.rows[1:]) for table in tables]
    good = all(cell.value < floor for cell, floor in zip(result, floors))
    return Highlight(
        title="Are they right? MAE against the truth, in the head",
        value=_both([cell.value for cell in result]),
        detail=f"{_words(directions)}; n = {result[0].n} pairs; copy of the input {_both(copy)}, intensity table "
        f"{_both(lookup)}; lower is better",
        verdict="good" if good else "bad",
        words="above all floors" if good else "below a floor, see the table",
    )


def _honest(section: Section):
    table = section.table("hidden_signal")
    if table is None:
        return None
    rows = table.rows
    half = len(rows) // 2
    parts = [rows[:half], rows[half:]]
    untouched = [part[0].cells["mae"].value for part in parts]
    worst = [max(row.cells["mae"].value for row in part[1:]) for part in parts]
    good = all(bad < 3 * base for bad, base in zip(worst, untouched))
    return Highlight(
        title="Is the way back honest? Cycle MAE",
        value=_both(untouched),
        detail=f"with the image between blurred, compressed or noisy at worst {_both(worst)}; a leap (here: three "
        "times) would betray hidden signals",
        verdict="good" if good else "bad",
        words="no sign of hidden signals" if good else "hidden signals",
    )


def _diagnosis(section: Section):
    table = section.table("flips")
    if table is None:
        return None
    # The last row is the hardest: a cycle may give the verdict back that it was given.
    row: Row = table.rows[-1]
    agreement, lost, gained = (row.cells[key] for key in ("agreement", "lost", "gained"))
    verdict, words = _survival(lost, gained)
    return Highlight(
        title="Does the diagnosis survive? Same verdict",
        value=agreement.text(2),
        detail=f"{row.name}, n = {agreement.n}; tumours lost {lost.text(2)}, gained {gained.text(2)}",
        verdict=verdict,
        words=words,
    )


def _survival(lost: Measurement, gained: Measurement) -> tuple:
    """Judged by the ends of the intervals, so that few images can neither convict nor acquit."""
    changes = (("lost", lost), ("gained", gained))
    surely = [word for word, cell in changes if cell.low is not None and cell.low > TOLERATED]
    if surely:
        return "bad", f"no: tumours are {' and '.join(surely)}"
    # A bootstrap of no changes at all has no width; the rule of three says how many images make up for that.
    enough = all(cell.n * TOLERATED >= 3 for _, cell in changes)
    if enough and all(cell.high is not None and cell.high <= TOLERATED for _, cell in changes):
        return "good", f"at most {number(TOLERATED, 1)} change, either way"
    return "open", "too few images to tell"


def _detector(section: Section) -> Highlight:
    rows: Sequence[Row] = section.table("detection").rows
    cells: Mapping = rows[0].cells
    floor = rows[1].cells["accuracy"].value
    low = cells["accuracy"].low
    good = low is not None and low > floor
    return Highlight(
        title="How good is the detector? ROC-AUC",
        value=cells["roc_auc"].text(2),
        detail=f"accuracy {cells['accuracy'].text(2)}, n = {cells['accuracy'].n}; always the largest class "
        f"{number(floor, 2)}",
        verdict="good" if good else "bad",
        words="surely above guessing" if good else "not surely above guessing",
    )


def _present(section: Section, key: str, directions) -> tuple:
    """The directions that the section has a table of, and the tables."""
    found = [(pair, section.table(key.format(*pair))) for pair in directions]
    return zip(*[(pair, table) for pair, table in found if table is not None])


def _floor(rows: Sequence[Row], name: str) -> float:
    return next((row.cells["mae"].value for row in rows if row.name.startswith(name)), float("nan"))


def _both(values: Sequence[float]) -> str:
    return " / ".join(number(value) for value in values)


def _words(directions) -> str:
    return " / ".join(f"{source} to {target}" for source, target in directions)
