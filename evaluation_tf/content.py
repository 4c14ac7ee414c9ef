"""Is the content still there, and honestly so?"""

import numpy as np

from common_tf.metrics import content as metrics
from common_tf.metrics.similarity import pearson
from evaluation_tf.measurement import Column, Gap, Row, Section, Table, mean_over, plain_number
from evaluation_tf.outputs import PERTURBATIONS, Outputs
from evaluation_tf.slices import TestSet

_PERTURBED = 64
_COLLAPSED, _RECOLOURED, _UNIFORM, _HIDDEN = 0.95, 0.95, 0.5, 3.0

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


def content_section(outputs: Outputs, test: TestSet) -> Section:
    """Collapse, inversion, edges, hidden signals, diversity and checkerboards, with real images beside them."""
    section = Section(
        key="content",
        title="Is the content still there?",
        intro="Checks that neither realism nor a good cycle can pass by trickery: edges must stay where they are, "
        "outputs must differ as patients differ, and the way back must not depend on signals that nobody can see.",
    )
    content, sets, hidden = [], [], []
    for source in outputs.sources:
        given = test.slices[source]
        target = outputs.target(source)
        direction = f"{source} to {target}"
        fake, _ = outputs.squares(given.squares, source)
        keep = outputs.cache.values
        pair, inside = (given.squares, fake), dict(mask=given.masks)
        shuffled = np.roll(np.arange(len(fake)), max(1, len(fake) // 2))
        groups = given.groups
        cells = {
            "edges": mean_over(keep("edges", _edges, *pair, **inside), groups),
            "pearson": mean_over(keep("pearson", pearson, *pair, **inside), groups),
            "table_share": mean_over(keep("table", _table_share, *pair, **inside), groups),
        }
        floor = keep("edges", _edges, given.squares, fake[shuffled], **inside)
        content += [
            Row(direction, cells),
            Row(f"{direction}, another slice's output", {"edges": mean_over(floor, groups)}, "floor"),
        ]
        for label, squares, kind in (
            (f"{direction}, translated", fake, "result"),
            (f"real {target}", test.slices[target].squares, "reference"),
        ):
            values = {
                _DIVERSITY.key: plain_number(metrics.diversity(squares / 255.0), len(squares)),
                _CHECKERBOARD.key: mean_over(
                    keep("checkerboard", metrics.checkerboard, squares),
                    given.groups if kind == "result" else test.slices[target].groups,
                ),
            }
            sets.append(Row(label, values, kind))
        errors = None
        if outputs.has_cycle:
            some = np.linspace(0, len(fake) - 1, min(_PERTURBED, len(fake))).astype(int)
            errors = outputs.perturbed_cycles(given.squares[some], given.masks[some], source)
            for name in ("untouched", *PERTURBATIONS):
                words = f"{direction} and back, {target} {name}"
                hidden.append(Row(words, {_CYCLE.key: mean_over(errors[name], given.groups[some])}))
        _warn(section, direction, cells, sets[-2:], errors)
    section.tables += [
        Table("content", "Input and output", _CONTENT, content),
        Table("sets", "Sets of outputs", (_DIVERSITY, _CHECKERBOARD), sets),
    ]
    if hidden:
        caption = (
            "A cycle that breaks when the image between is blurred, compressed or made noisy was read from a signal "
            "that nobody can see (Chu et al. 2017), not from what the image shows."
        )
        section.tables.append(Table("hidden_signal", "Hidden signals", (_CYCLE,), hidden, caption))
    else:
        section.gaps.append(Gap("hidden signals", "the run has no way back"))
    return section


def _edges(first: np.ndarray, second: np.ndarray, *, mask: np.ndarray) -> np.ndarray:
    return metrics.edge_agreement(first / 255.0, second / 255.0, mask=mask)


def _table_share(first: np.ndarray, second: np.ndarray, *, mask: np.ndarray) -> np.ndarray:
    return metrics.table_share(first / 255.0, second / 255.0, mask=mask)


def _warn(section: Section, direction: str, cells, sets, errors) -> None:
    correlation = cells["pearson"].value
    if correlation > _COLLAPSED:
        section.warnings.append(
            f"{direction}: identity collapse, outputs copy their inputs (correlation {correlation:.2f})"
        )
    if correlation < -_COLLAPSED:
        section.warnings.append(f"{direction}: inversion, outputs are negatives of their inputs ({correlation:.2f})")
    if cells["table_share"].value > _RECOLOURED:
        section.warnings.append(f"{direction}: a gray-value table explains the outputs; nothing but colours was learnt")
    fake, real = (row.cells[_DIVERSITY.key].value for row in sets)
    if fake < _UNIFORM * real:
        section.warnings.append(
            f"{direction}: outputs differ from each other {fake / real:.0%} as much as real ones do"
        )
    if errors is None:
        return
    untouched = errors["untouched"].mean()
    worst = max((errors[name].mean() / max(untouched, 1e-6), name) for name in PERTURBATIONS)
    if worst[0] > _HIDDEN:
        section.warnings.append(
            f"{direction}: the cycle's error grows {worst[0]:.1f} times when the image between is {worst[1]}: part of "
            "the input is hidden in it"
        )
