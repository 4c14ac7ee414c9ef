"""How often a tumour is called on each set of test slices, where nobody has labelled them."""

import numpy as np

from common_tf.measurement.measurement import measure
from common_tf.measurement.tables import Column, Row, Table
from evaluation_tf.images import Images
from evaluation_tf.panel import Panel
from evaluation_tf.parts import Section
from evaluation_tf.slices import Slices, TestSet
from evaluation_tf.translations import Translations

_RATE = (Column("positive", "Called tumour", "share of images that the detector calls tumour"),)


def rate_table(section: Section, outputs: Translations, panel: Panel, test: TestSet, domain: str) -> Table | None:
    """Rates on real, cycled and translated slices that the detector has not seen; ``None`` where it has seen all.

    Args:
        section: that gets the warnings.
        outputs: of the translator.
        panel: the detector.
        test: the translator's test set.
        domain: name of the detector's modality.
    """
    other = outputs.target(domain)
    real, source = test.slices[domain], test.slices[other]
    shown: list[tuple[str, str, Images, Slices, str]] = [
        ("real", f"real {domain} slices", real.squares, real, "reference")
    ]
    if outputs.has_cycle:
        _, cycled = outputs.squares(real.squares, domain)
        assert cycled is not None
        shown.append(("cycled", f"the same, cycled through {other}", cycled, real, "result"))
    if other in outputs.sources:
        fake, _ = outputs.squares(source.squares, other)
        shown.append(("translated", f"{other} slices translated to {domain}", fake, source, "result"))
    kept = {slices.domain: _unseen(section, panel, slices) for slices in (real, source)}
    rows = []
    for key, name, squares, slices, kind in shown:
        mine = kept[slices.domain]
        if mine.size:
            called = panel.judge(squares.chosen(mine).pictures()).called.astype(float)
            cell = measure(called, np.asarray(slices.groups)[mine], of=slices.group_word)
            rows.append(Row(name, {"positive": cell}, kind, key))
    if not rows:
        section.add_gap("test slices called tumour", "the detector was trained on all of them")
        return None
    caption = (
        "No labels: a shift between the rows is a change that translation made, or a difference between the patients."
    )
    return Table("rates", "Test slices called tumour", _RATE, rows, caption)


def _unseen(section: Section, panel: Panel, slices: Slices) -> np.ndarray:
    """Indices of the slices that the detector has not been trained on."""
    if not slices.scans:
        return np.arange(len(slices.squares))
    seen = panel.seen(slices.scans)
    if seen.any():
        section.warnings.append(
            f"{int(seen.sum())} of {len(seen)} {slices.domain} test slices are (nearly) among the images that the "
            "detector was trained on; its rates leave them out"
        )
    return np.flatnonzero(~seen)
