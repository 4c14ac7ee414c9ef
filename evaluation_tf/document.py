"""The founding document's numbers beside ours."""

from pathlib import Path
from typing import Mapping, Optional, Sequence

import yaml

from evaluation_tf.measurement import Column, Measurement, Row, Section, Table

_FILE = Path(__file__).with_name("document.yaml")
_COLUMNS = (
    Column("document", "The document says", "as printed in the founding document"),
    Column("ours", "We measured", "the number of this report that comes nearest to the same question"),
    Column("why", "Why they differ", ""),
)


def document_section(sections: Sequence[Section], domains: Sequence[str]) -> Section:
    """A row for each number of the document: what it says, what this report measured, why they differ.

    Args:
        sections: the rest of the report.
        domains: names of domain A and B.
    """
    content = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    section = Section(
        key="document",
        title="The founding document's numbers beside ours",
        intro="Most of its numbers have no source or come from other work; this project measures again instead of "
        "copying.",
    )
    names = dict(zip("ab", domains))
    rows = []
    for claim in content["claims"]:
        ours = _find(sections, claim.get("ours"), names)
        cells = {"document": claim["document"], "ours": ours or "not measured in this report", "why": claim["why"]}
        rows.append(Row(claim["quantity"], cells))
    section.tables.append(Table("document", "The document says, we measured", _COLUMNS, rows))
    contradiction = Column("text", "What the document says about itself", "")
    rows = [Row(str(number), {"text": text}) for number, text in enumerate(content["contradictions"], start=1)]
    section.tables.append(Table("contradictions", "Its contradictions", (contradiction,), rows))
    return section


def _find(sections: Sequence[Section], place: Optional[Mapping], names: Mapping[str, str]) -> Optional[Measurement]:
    if place is None:
        return None
    for section in sections:
        table = section.table(place["table"].format(**names))
        if table is None:
            continue
        wanted = place["row"] if isinstance(place["row"], int) else place["row"].format(**names)
        for number, row in enumerate(table.rows):
            if wanted == number or isinstance(wanted, str) and row.name.startswith(wanted):
                return row.cells.get(place["column"])
    return None
