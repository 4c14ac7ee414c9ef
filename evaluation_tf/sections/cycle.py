"""What survives the way there and back?"""

from common_tf.measurement.tables import Row, Table
from evaluation_tf.context import Context
from evaluation_tf.parts import Gap, Section
from evaluation_tf.sections._directions import direction_key
from evaluation_tf.similarity import REGIONS, similarity_cells, similarity_columns

ORDER = 30


def build(context: Context) -> Section | None:
    """Input against cycled input, both directions, full frame and inside the head."""
    outputs, test = context.translation, context.test
    if outputs is None or test is None:
        return None
    if not outputs.has_cycle:
        context.gaps.append(Gap("the cycle", "the run translates in one direction only"))
        return None
    section = Section(
        key="cycle",
        title="What survives the way there and back?",
        intro="Each input against itself after both translations. A high value is necessary and proves little: a "
        "pair of generators that change nothing, or that hide the input in invisible noise, is perfect here (see "
        "the content checks).",
    )
    for region, words in REGIONS.items():
        columns, rows = similarity_columns(region), []
        for source, given in test.slices.items():
            target = outputs.target(source)
            _, cycled = outputs.squares(given.squares, source)
            assert cycled is not None
            cells = similarity_cells(
                cycled, given.squares, columns, mask=given.masks if region == "head" else None, groups=given.groups,
                of=given.group_word, section=section, cache=context.cache,
            )  # fmt: skip
            rows.append(Row(f"{source} to {target} and back", cells, key=direction_key(source, target)))
        caption = "Squares of the network's size."
        section.tables.append(Table(f"cycle_{region}", f"Cycle, {words}", columns, rows, caption))
    return section
