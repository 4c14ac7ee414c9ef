"""The founding document's numbers beside ours."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from common_tf.measurement.measurement import Measurement
from common_tf.measurement.tables import Column, Row, Table
from evaluation_tf.context import Context
from evaluation_tf.parts import Section

ORDER = 100
_FILE = Path(__file__).parents[1] / "document.yaml"
_COLUMNS = (
    Column("document", "The document says", "as printed in the founding document"),
    Column("ours", "We measured", "the number of this report that comes nearest to the same question"),
    Column("why", "Why they differ", ""),
)


def build(context: Context) -> Section:
    """A row for each number of the document: what it says, what this report measured, why they differ."""
    content = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    section = Section(
        key="document",
        title="The founding document's numbers beside ours",
        intro="Most of its numbers have no source or come from other work; this project measures again instead of "
        "copying.",
    )
    names = dict(zip("ab", context.domains))
    rows = []
    for number, claim in enumerate(content["claims"], start=1):
        ours = find(context.sections, claim.get("ours"), names) or "not measured in this report"
        cells = {"document": claim["document"], "ours": ours, "why": claim["why"]}
        rows.append(Row(claim["quantity"], cells, key=str(number)))
    section.tables.append(Table("document", "The document says, we measured", _COLUMNS, rows))
    contradiction = Column("text", "What the document says about itself", "")
    rows = [
        Row(str(number), {"text": text}, key=str(number))
        for number, text in enumerate(content["contradictions"], start=1)
    ]
    section.tables.append(Table("contradictions", "Its contradictions", (contradiction,), rows))
    return section


def find(sections: Sequence[Section], place: Mapping[str, Any] | None, names: Mapping[str, str]) -> Measurement | None:
    """The number at a place of a report.

    Args:
        sections: of the report.
        place: ``section``, ``table``, ``row`` (its key, or several of which the first that is there counts) and
            ``column``, with ``{a}`` and ``{b}`` for the domains; ``None`` for none.
        names: of the domains, by ``a`` and ``b``.
    """
    if place is None:
        return None
    section = next((one for one in sections if one.key == place["section"]), None)
    table = section.table(place["table"].format(**names)) if section is not None else None
    if table is None:
        return None
    keys = place["row"] if isinstance(place["row"], list) else [place["row"]]
    found = [row for row in (table.row(key.format(**names)) for key in keys) if row is not None]
    cell = found[0].cells.get(place["column"]) if found else None
    return cell if isinstance(cell, Measurement) else None
