"""Does translation change the diagnosis? The detector on real, cycled and translated images."""

from pathlib import Path

import numpy as np

from common_tf.measurement.measurement import Measurement, number
from common_tf.measurement.tables import Column, Row, Table
from common_tf.metrics.classification import measured_metrics
from detector_tf.gradcam import save_overlays
from evaluation_tf.context import Context
from evaluation_tf.panel import Panel, Verdicts
from evaluation_tf.parts import Card, Figure, Gap, Section
from evaluation_tf.sections._lesions import lesion_table
from evaluation_tf.sections._rates import rate_table
from evaluation_tf.sections.detection import DETECTION_COLUMNS
from evaluation_tf.verdicts import FEWEST, Question, drawn_question, flip_rates, labelled_question

ORDER = 50
TOLERATED = 0.1
"""Share of verdicts that may change without a warning; what a clinic tolerates is less."""

_SHOWN = 6

_FLIPS = (
    Column("agreement", "Same verdict", "share of images with the same verdict before and after", "higher"),
    Column("lost", "Tumour lost", "of the images called tumour before, the share called healthy after", "lower"),
    Column("gained", "Tumour gained", "of the images called healthy before, the share called tumour after", "lower"),
)
_JUDGED = ("accuracy", "sensitivity", "specificity", "roc_auc", "brier", "ece")
_ACCURACY = tuple(column for column in DETECTION_COLUMNS if column.key in _JUDGED)


def build(context: Context) -> Section | None:
    """Verdicts before and after translation."""
    outputs, test, panel = context.translation, context.test, context.panel
    if outputs is None or test is None:
        return None
    if panel is None:
        context.gaps.append(Gap("the diagnosis on translated images", "no --detector was given"))
        return None
    domain, labelled = context.detector_domain, context.request.labelled
    other = outputs.target(domain)
    section = Section(
        key="diagnosis",
        title="Does translation change the diagnosis?",
        intro=f"The same detector judges real {domain} images, the same images translated to {other} and back, and "
        f"{domain} images translated from {other}. A translator trained to match distributions may draw tumours into "
        "healthy heads and take them out of sick ones (Cohen et al. 2018).",
    )
    drawn = asked = None
    heads = context.drawn_pairs
    if heads is not None:
        drawn = asked = drawn_question(outputs, heads, domain)
    if labelled is not None and not outputs.has_cycle:
        section.add_gap("verdicts on labelled images", "the run has no way back to their modality")
    elif labelled is not None:
        asked = labelled_question(outputs, panel, Path(labelled), domain, section)
    if asked is not None:
        _verdicts(section, panel, asked, domain, context.figures)
    elif labelled is None:
        section.add_gap("verdicts on labelled images", "give class folders with --labelled")
    if drawn is not None and heads is not None:
        section.tables.append(lesion_table(panel, heads, drawn, domain))
    rates = rate_table(section, outputs, panel, test, domain)
    if rates is not None:
        section.tables.append(rates)
    flips = section.table("flips")
    if flips is not None and flips.rows:
        # The last row is the hardest: a cycle may give the verdict back that it was given.
        section.card = card(flips.rows[-1])
    return section


def card(row: Row) -> Card:
    """The summary of a row of changed verdicts."""
    agreement, lost, gained = (row.cells[key] for key in ("agreement", "lost", "gained"))
    assert isinstance(agreement, Measurement) and isinstance(lost, Measurement) and isinstance(gained, Measurement)
    verdict, words = _survival(lost, gained)
    return Card(
        title="Does the diagnosis survive? Same verdict",
        value=agreement.text(2),
        detail=f"{row.name}, n = {agreement.n}; tumours lost {lost.text(2)}, gained {gained.text(2)}",
        verdict=verdict,
        words=words,
    )


def _survival(lost: Measurement, gained: Measurement) -> tuple[str, str]:
    """Judged by the ends of the intervals, so that few images can neither convict nor acquit."""
    changes = (("lost", lost), ("gained", gained))
    surely = [word for word, cell in changes if cell.has_interval and cell.low > TOLERATED]
    if surely:
        return "bad", f"no: tumours are {' and '.join(surely)}"
    # A bootstrap of no changes at all has no width; the rule of three says how many images make up for that.
    enough = all(cell.n * TOLERATED >= 3 for _, cell in changes)
    if enough and all(cell.has_interval and cell.high <= TOLERATED for _, cell in changes):
        return "good", f"at most {number(TOLERATED, 1)} change, either way"
    return "open", "too few images to tell"


def _verdicts(section: Section, panel: Panel, asked: Question, domain: str, figures: Path) -> None:
    fewest = min(int(asked.tumour.sum()), int((~asked.tumour).sum()))
    if fewest < FEWEST:
        section.warnings.append(f"of one class there are only {fewest} labelled images: its figures mean little")
    before = panel.judge(asked.before, asked.folds)
    flips, right = [], [_right("real", f"real {domain}", before, asked, "reference")]
    for key, (name, pictures) in asked.after.items():
        after = panel.judge(pictures, asked.folds)
        flips.append(Row(name, dict(flip_rates(before, after, asked.groups, asked.group_word)), key=key))
        right.append(_right(key, name, after, asked, "result"))
    section.tables += [
        Table("flips", "Changed verdicts, against the verdict on the real image", _FLIPS, flips),
        Table("accuracy", "Right verdicts, against the label", _ACCURACY, right),
    ]
    _show_flips(section, panel, asked, before, domain, figures)
    for row in flips:
        for name in ("lost", "gained"):
            cell = row.cells[name]
            if isinstance(cell, Measurement) and cell.has_interval and cell.low > TOLERATED:
                section.warnings.append(f"{row.name}: tumours {name}: {cell.text(2)} of {cell.n} verdicts")


def _right(key: str, name: str, verdicts: Verdicts, asked: Question, kind: str) -> Row:
    probabilities = np.stack([1 - verdicts.chances, verdicts.chances], axis=1)
    found = measured_metrics(
        asked.tumour.astype(int), probabilities, asked.groups, threshold=verdicts.thresholds, of=asked.group_word
    )
    return Row(name, {metric: found[metric] for metric in _JUDGED}, kind, key)


def _show_flips(section: Section, panel: Panel, asked: Question, before: Verdicts, domain: str, figures: Path) -> None:
    images, heats, titles = [], [], []
    for name, pictures in asked.after.values():
        after = panel.judge(pictures, asked.folds)
        change = np.abs(after.chances - before.chances)
        flipped = np.flatnonzero(before.called != after.called)
        for index in flipped[np.argsort(-change[flipped], kind="stable")][: _SHOWN // len(asked.after)]:
            fold = None if asked.folds is None else int(asked.folds[index])
            truth = "tumour" if asked.tumour[index] else "healthy"
            for label, shown, verdict in (
                (f"real {domain}, truth: {truth}", asked.before, before),
                (name.removeprefix(f"{domain} "), pictures, after),
            ):
                square, heat = panel.heat(shown, int(index), fold)
                images.append(square)
                heats.append(heat)
                titles.append(f"{label}\np(tumour) = {verdict.chances[index]:.2f}")
    if images:
        save_overlays(figures / "flips.png", np.stack(images), np.stack(heats), titles=titles, columns=2)
        caption = (
            "Verdicts that translation changed, the largest changes first: the real image and what became of it, each "
            "beside its Grad-CAM for the tumour."
        )
        section.figures.append(Figure("flips.png", caption, caption))
