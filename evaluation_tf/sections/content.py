"""Is the content still there, and honestly so?"""

from collections.abc import Mapping, Sequence

import numpy as np

from common_tf.measurement.measurement import measure, plain_number
from common_tf.measurement.tables import Column, Row, Table
from common_tf.metrics import content as metrics
from common_tf.metrics.similarity.pearson import pearson
from evaluation_tf.context import Context
from evaluation_tf.images import Images
from evaluation_tf.parts import Card, Section
from evaluation_tf.perturbations import PERTURBATIONS
from evaluation_tf.sections._directions import direction_key, side_by_side
from evaluation_tf.slices import Slices, TestSet
from evaluation_tf.translations import Translations

ORDER = 40
_PERTURBED = 64
_COLLAPSED, _RECOLOURED, _UNIFORM, _HIDDEN = 0.95, 0.95, 0.5, 3.0
_UNTOUCHED = "untouched"

_CONTENT = (
    Column("edges", "Edge agreement", "agreement of normalised gradient fields of input and output in the head, 1 "
           "at best; floor: with the output of another slice", "higher"),
    Column("pearson", "Pearson with the input", "correlation of input and output in the head; near 1 the output is a "
           "copy (identity collapse), near -1 a negative"),
    Column("table_share", "Explained by a gray-value table", "R^2 of the best gray-value table of each image for "
           "itself; near 1 the output is a recolouring, pixel by pixel"),
)  # fmt: skip
_DIVERSITY = Column(
    "diversity", "Diversity", "mean absolute difference of 500 random pairs, images on [0, 1], full frame"
)
_CHECKERBOARD = Column(
    "checkerboard",
    "Checkerboard, decades",
    "power at spatial periods of 2 and 4 pixels over the median power around, log10, the largest; compare with real",
    "lower",
    2,
)
_CYCLE = Column("mae", "Cycle MAE", "mean absolute error of the cycle, images on [0, 1], in the head", "lower", 4)


def build(context: Context) -> Section | None:
    """Collapse, inversion, edges, hidden signals, diversity and checkerboards, with real images beside them."""
    outputs, test = context.translation, context.test
    if outputs is None or test is None:
        return None
    section = Section(
        key="content",
        title="Is the content still there?",
        intro="Checks that neither realism nor a good cycle can pass by trickery: edges must stay where they are, "
        "outputs must differ as patients differ, and the way back must not depend on signals that nobody can see.",
    )
    content, sets, hidden = [], [], []
    for source in outputs.sources:
        given, real = test.slices[source], test.slices[outputs.target(source)]
        fake, _ = outputs.squares(given.squares, source)
        pair = _input_and_output(context, given, fake, real.domain)
        both = _sets(context, given, fake, real)
        content += pair
        sets += both
        _warn(section, f"{source} to {real.domain}", pair[0], both)
        if outputs.has_cycle:
            rows = _hidden(outputs, test, source)
            hidden += rows
            _warn_of_signals(section, f"{source} to {real.domain}", rows)
    section.tables += [
        Table("content", "Input and output", _CONTENT, content),
        Table("sets", "Sets of outputs", (_DIVERSITY, _CHECKERBOARD), sets),
    ]
    if hidden:
        caption = (
            "A cycle that breaks when the image between is blurred, compressed or made noisy was read from a signal "
            "that nobody can see (Chu et al. 2017), not from what the image shows."
        )
        table = Table("hidden_signal", "Hidden signals", (_CYCLE,), hidden, caption)
        section.tables.append(table)
        section.card = _card(table, [(source, outputs.target(source)) for source in outputs.sources])
    else:
        section.add_gap("hidden signals", "the run has no way back")
    return section


def _input_and_output(context: Context, given: Slices, fake: Images, target: str) -> list[Row]:
    def cell(name, function, images):
        values = context.cache.per_image(name, function, given.squares, images, mask=given.masks)
        return measure(values, given.groups, of=given.group_word)

    cells = {
        "edges": cell("edges", metrics.edge_agreement, fake),
        "pearson": cell("pearson", pearson, fake),
        "table_share": cell("table share", metrics.table_share, fake),
    }
    another = fake.chosen(np.roll(np.arange(len(fake)), max(1, len(fake) // 2)))
    direction, key = f"{given.domain} to {target}", direction_key(given.domain, target)
    return [
        Row(direction, cells, key=key),
        Row(
            f"{direction}, another slice's output", {"edges": cell("edges", metrics.edge_agreement, another)}, "floor",
            f"{key}/another",
        ),
    ]  # fmt: skip


def _sets(context: Context, given: Slices, fake: Images, real: Slices) -> list[Row]:
    """Outputs, and real images beside them."""
    key, rows = direction_key(given.domain, real.domain), []
    for name, label, squares, slices, kind in (
        ("translated", f"{given.domain} to {real.domain}, translated", fake, given, "result"),
        ("real", f"real {real.domain}", real.squares, real, "reference"),
    ):
        scores = context.cache.per_image("checkerboard", metrics.checkerboard, squares)
        cells = {
            _DIVERSITY.key: plain_number(context.cache.of_sets("diversity", metrics.diversity, squares), len(squares)),
            _CHECKERBOARD.key: measure(scores, slices.groups, of=slices.group_word),
        }
        rows.append(Row(label, cells, kind, f"{key}/{name}"))
    return rows


def _hidden(outputs: Translations, test: TestSet, source: str) -> list[Row]:
    """The cycle's error with the image between untouched, and perturbed."""
    given, target = test.slices[source], outputs.target(source)
    some = np.linspace(0, len(given.squares) - 1, min(_PERTURBED, len(given.squares))).astype(int)
    errors = outputs.perturbed_cycles(given.squares.chosen(some), given.masks.chosen(some), source)
    words: Mapping[str, str] = {_UNTOUCHED: _UNTOUCHED, **{key: text for key, (text, _) in PERTURBATIONS.items()}}
    return [
        Row(
            f"{source} to {target} and back, {target} {text}",
            {_CYCLE.key: measure(errors[key], given.groups[some], of=given.group_word)},
            key=f"{direction_key(source, target)}/{key}",
        )
        for key, text in words.items()
    ]


def _warn(section: Section, direction: str, pair: Row, sets: Sequence[Row]) -> None:
    correlation = pair.value("pearson")
    if correlation > _COLLAPSED:
        section.warnings.append(
            f"{direction}: identity collapse, outputs copy their inputs (correlation {correlation:.2f})"
        )
    if correlation < -_COLLAPSED:
        section.warnings.append(f"{direction}: inversion, outputs are negatives of their inputs ({correlation:.2f})")
    if pair.value("table_share") > _RECOLOURED:
        section.warnings.append(f"{direction}: a gray-value table explains the outputs; nothing but colours was learnt")
    fake, real = (row.value(_DIVERSITY.key) for row in sets)
    if fake < _UNIFORM * real:
        section.warnings.append(
            f"{direction}: outputs differ from each other {fake / real:.0%} as much as real ones do"
        )


def _warn_of_signals(section: Section, direction: str, rows: Sequence[Row]) -> None:
    untouched, *perturbed = (row.value(_CYCLE.key) for row in rows)
    texts = [text for text, _ in PERTURBATIONS.values()]
    worst = max((value / max(untouched, 1e-6), text) for value, text in zip(perturbed, texts))
    if worst[0] > _HIDDEN:
        section.warnings.append(
            f"{direction}: the cycle's error grows {worst[0]:.1f} times when the image between is {worst[1]}: part of "
            "the input is hidden in it"
        )


def _card(table: Table, directions: Sequence[tuple[str, str]]) -> Card:
    def values(*keys: str) -> list[list[float]]:
        """Of each direction."""
        rows = [[table.row(f"{direction_key(*pair)}/{key}") for key in keys] for pair in directions]
        return [[row.value(_CYCLE.key) for row in mine if row is not None] for mine in rows]

    untouched = [base for (base,) in values(_UNTOUCHED)]
    worst = [max(mine) for mine in values(*PERTURBATIONS)]
    good = all(bad < _HIDDEN * base for bad, base in zip(worst, untouched))
    return Card(
        title="Is the way back honest? Cycle MAE",
        value=side_by_side(untouched),
        detail=f"with the image between blurred, compressed or noisy at worst {side_by_side(worst)}; a leap (here: "
        "three times) would betray hidden signals",
        verdict="good" if good else "bad",
        words="no sign of hidden signals" if good else "hidden signals",
    )
