"""Does translation change the diagnosis? The detector on real, cycled and translated images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, Optional, Sequence

import numpy as np

from common_tf.errors import UserError
from common_tf.images.reading import BadImage, ImageData, read_image
from common_tf.metrics.classification import grouped_intervals
from common_tf.metrics.content import lesion_contrast
from common_tf.splits.scanning import scan_files
from common_tf.splits.seen import seen_in_training
from detector_tf.gradcam import save_overlays
from evaluation_tf.detection import DETECTION_COLUMNS
from evaluation_tf.measurement import Column, Figure, Gap, Measurement, Row, Section, Table, mean_over
from evaluation_tf.outputs import Outputs
from evaluation_tf.panel import Panel, Verdicts
from evaluation_tf.slices import TestSet, phantom_pairs, stored_picture

TOLERATED = 0.1
"""Share of verdicts that may change without a warning; what a clinic tolerates is less."""

_FEWEST = 10
_SHOWN = 6
_VISIBLE_CONTRAST = 0.05

_FLIPS = (
    Column("agreement", "Same verdict", "share of images with the same verdict before and after", "higher"),
    Column("lost", "Tumour lost", "of the images called tumour before, the share called healthy after", "lower"),
    Column("gained", "Tumour gained", "of the images called healthy before, the share called tumour after", "lower"),
)
_JUDGED = ("accuracy", "sensitivity", "specificity", "roc_auc", "brier", "ece")
_ACCURACY = tuple(column for column in DETECTION_COLUMNS if column.key in _JUDGED)
_RATE = (Column("positive", "Called tumour", "share of images that the detector calls tumour"),)
_LESIONS = (
    Column("kept", "Contrast kept", "median of lesion contrast in the output over that in the truth; contrast: "
           f"mean in the lesion minus mean in a ring around it, where the truth's is above {_VISIBLE_CONTRAST:g}; "
           "1 is right"),
    Column("sign", "Right sign", "share of these lesions whose contrast has the right sign", "higher"),
    Column("hallucinated", "Hallucinated", "of the heads without a lesion that were called healthy in the true "
           "image, the share called tumour after", "lower"),
)  # fmt: skip


@dataclass(frozen=True)
class Cases:
    """Images that the detector is asked about, before and after.

    Attributes:
        names, groups: of each.
        before: real pictures of the detector's modality.
        after: by condition, the pictures that the translator made of the same heads.
        tumour: ``(n,)`` bool.
        folds: ``(n,)`` which fold may judge, or ``None``.
        unit: what the groups are.
    """

    names: Sequence[str]
    groups: np.ndarray
    before: Sequence[ImageData]
    after: Mapping[str, Sequence[ImageData]]
    tumour: np.ndarray
    folds: Optional[np.ndarray]
    unit: str


def diagnosis_section(
    outputs: Outputs, panel: Panel, test: TestSet, *, labelled: Optional[Path], domain: str, figures: Path
) -> Section:
    """Verdicts before and after translation.

    Args:
        outputs: of the translator.
        panel: the detector.
        test: the translator's test set.
        labelled: class folders of real images; ``None`` where there are none (drawn heads bring their own labels).
        domain: name of the detector's modality.
        figures: folder for the Grad-CAM figure.
    """
    other = outputs.target(domain)
    section = Section(
        key="diagnosis",
        title="Does translation change the diagnosis?",
        intro=f"The same detector judges real {domain} images, the same images translated to {other} and back, and "
        f"{domain} images translated from {other}. A translator trained to match distributions may draw tumours into "
        "healthy heads and take them out of sick ones (Cohen et al. 2018).",
    )
    drawn = cases = _phantom_cases(outputs, test, domain) if test.phantoms else None
    if labelled is not None and not outputs.has_cycle:
        section.gaps.append(Gap("verdicts on labelled images", "the run has no way back to their modality"))
    elif labelled is not None:
        cases = _labelled_cases(outputs, panel, labelled, domain, section)
    if cases is None and labelled is None:
        section.gaps.append(Gap("verdicts on labelled images", "give class folders with --labelled"))
    elif cases is not None:
        _verdicts(section, panel, cases, domain, figures)
    if drawn is not None:
        _lesions(section, outputs, panel, test, drawn, domain)
    _rates(section, outputs, panel, test, domain)
    return section


def _phantom_cases(outputs: Outputs, test: TestSet, domain: str) -> Cases:
    pairs = phantom_pairs(test.phantoms, outputs.translator.config)
    other = outputs.target(domain)
    after = {}
    if outputs.has_cycle:
        there = outputs.pictures(list(pairs.images[domain]), domain)
        after[f"cycled through {other}"] = _stored(outputs.pictures(there, other))
    if other in outputs.sources:
        after[f"translated from {other}"] = _stored(outputs.pictures(list(pairs.images[other]), other))
    return Cases(
        names=pairs.names,
        groups=pairs.groups,
        before=[stored_picture(pixels) for pixels in pairs.images[domain]],
        after=after,
        tumour=pairs.lesion.any(axis=(1, 2)),
        folds=None,
        unit="phantoms",
    )


def _labelled_cases(outputs: Outputs, panel: Panel, folder: Path, domain: str, section: Section) -> Optional[Cases]:
    """Images that the detector held out and the translator has not trained on."""
    found = [(path, row) for path, row in panel.tested.items() if (folder / path).is_file()]
    if not found:
        raise UserError(
            f"--labelled {folder}: holds none of the images that {panel.run} was tested on; give the folder that the "
            "detector's --data named"
        )
    files = scan_files([folder / path for path, _ in found], label="", given_split="test")
    seen = seen_in_training(files, outputs.run / "manifest.csv", flag="--translator")
    kept = [row for row, drop in zip(found, seen) if not drop]
    if seen.any():
        section.warnings.append(
            f"{int(seen.sum())} of {len(found)} labelled images are (nearly) among the slices that the translator was "
            "trained on; they are left out"
        )
    if len(kept) < _FEWEST:
        section.gaps.append(
            Gap(
                "verdicts on labelled images",
                f"only {len(kept)} of them were in no training; at least {_FEWEST} are wanted",
            )
        )
        return None
    other = outputs.target(domain)
    pictures = [_read(folder / path) for path, _ in kept]
    # The translator works on 8 bits, as files do.
    cycled = outputs.pictures(outputs.pictures([picture.pixels_8_bit for picture in pictures], domain), other)
    return Cases(
        names=[path for path, _ in kept],
        groups=np.array([row["group"] for _, row in kept]),
        before=pictures,
        after={f"cycled through {other}": _stored(cycled)},
        tumour=np.array([panel.is_positive(row["label"]) for _, row in kept]),
        folds=np.array([int(row["fold"]) for _, row in kept]),
        unit="near-duplicate groups",
    )


def _verdicts(section: Section, panel: Panel, cases: Cases, domain: str, figures: Path) -> None:
    fewest = min(int(cases.tumour.sum()), int((~cases.tumour).sum()))
    if fewest < _FEWEST:
        section.warnings.append(f"of one class there are only {fewest} labelled images: its figures mean little")
    before = panel.judge(cases.before, cases.folds)
    verdicts = {f"real {domain}": before}
    flips = []
    for name, pictures in cases.after.items():
        after = verdicts[f"{domain} {name}"] = panel.judge(pictures, cases.folds)
        flips.append(Row(f"{domain} {name}", flip_rates(before, after, cases.groups, cases.unit)))
    rows = []
    for name, verdict in verdicts.items():
        probabilities = np.stack([1 - verdict.chances, verdict.chances], axis=1)
        record = grouped_intervals(cases.tumour.astype(int), probabilities, cases.groups, threshold=verdict.thresholds)
        words = f"95 % percentile bootstrap over {len(np.unique(cases.groups))} {cases.unit}"
        cells = {
            m: Measurement(record[m]["value"], record[m]["n"], record[m]["low"], record[m]["high"], words)
            for m in _JUDGED
        }
        rows.append(Row(name, cells, "reference" if name == f"real {domain}" else "result"))
    section.tables += [
        Table("flips", "Changed verdicts, against the verdict on the real image", _FLIPS, flips),
        Table("accuracy", "Right verdicts, against the label", _ACCURACY, rows),
    ]
    _show_flips(section, panel, cases, before, domain, figures)
    for row in flips:
        for key in ("lost", "gained"):
            cell = row.cells[key]
            if cell.low is not None and cell.low > TOLERATED:
                section.warnings.append(f"{row.name}: tumours {key}: {cell.text(2)} of {cell.n} verdicts")


def flip_rates(before: Verdicts, after: Verdicts, groups: np.ndarray, unit: str = "groups") -> dict:
    """Agreement, tumours lost and tumours gained, each with its interval over groups."""
    was, now = before.called, after.called
    nan = np.full(len(was), np.nan)
    return {
        "agreement": mean_over((was == now).astype(float), groups, unit=unit),
        "lost": mean_over(np.where(was, ~now, nan), groups, unit=unit),
        "gained": mean_over(np.where(~was, now, nan), groups, unit=unit),
    }


def _show_flips(section, panel, cases, before, domain, figures: Path) -> None:
    images, heats, titles = [], [], []
    for name, pictures in cases.after.items():
        after = panel.judge(pictures, cases.folds)
        change = np.abs(after.chances - before.chances)
        flipped = np.flatnonzero(before.called != after.called)
        for index in flipped[np.argsort(-change[flipped], kind="stable")][: _SHOWN // len(cases.after)]:
            fold = 0 if cases.folds is None else int(cases.folds[index])
            truth = "tumour" if cases.tumour[index] else "healthy"
            for label, picture, verdict in (
                (f"real {domain}, truth: {truth}", cases.before[index], before),
                (name, pictures[index], after),
            ):
                square, heat = panel.heat(picture, fold)
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


def _lesions(section: Section, outputs: Outputs, panel: Panel, test: TestSet, cases: Cases, domain: str) -> None:
    pairs = phantom_pairs(test.phantoms, outputs.translator.config)
    truth = lesion_contrast(pairs.images[domain] / 255.0, pairs.lesion, pairs.mask)
    visible = np.abs(truth) > _VISIBLE_CONTRAST
    before = panel.judge(cases.before)
    rows = []
    for name, pictures in cases.after.items():
        found = lesion_contrast(np.stack([picture.pixels for picture in pictures]) / 255.0, pairs.lesion, pairs.mask)
        ratio = np.where(visible, found / np.where(visible, truth, 1.0), np.nan)
        after = panel.judge(pictures)
        clean = ~cases.tumour & ~before.called
        cells = {
            "kept": mean_over(ratio, unit="lesions", statistic=np.median),
            "sign": mean_over(np.where(visible, ratio > 0, np.nan), unit="lesions"),
            "hallucinated": mean_over(np.where(clean, after.called, np.nan), unit="heads"),
        }
        rows.append(Row(f"{domain} {name}", cells))
    section.tables.append(Table("lesions", "Known lesions of drawn heads", _LESIONS, rows))


def _rates(section: Section, outputs: Outputs, panel: Panel, test: TestSet, domain: str) -> None:
    """Without labels: how often a tumour is called on each set of test slices."""
    other = outputs.target(domain)
    real, source = test.slices[domain], test.slices[other]
    shown = [(f"real {domain} slices", real.squares, real.groups, "reference")]
    if outputs.has_cycle:
        _, cycled = outputs.squares(real.squares, domain)
        shown.append((f"the same, cycled through {other}", cycled, real.groups, "result"))
    if other in outputs.sources:
        fake, _ = outputs.squares(source.squares, other)
        shown.append((f"{other} slices translated to {domain}", fake, source.groups, "result"))
    rows = []
    for name, squares, groups, kind in shown:
        called = panel.judge(_stored(squares)).called.astype(float)
        rows.append(Row(name, {"positive": mean_over(called, groups, unit="near-duplicate groups")}, kind))
    caption = (
        "No labels: a shift between the rows is a change that translation made, or a difference between the patients."
    )
    section.tables.append(Table("rates", "Test slices called tumour", _RATE, rows, caption))


def _stored(images: Sequence[np.ndarray]) -> list:
    return [stored_picture(pixels) for pixels in images]


def _read(path: Path) -> ImageData:
    try:
        return read_image(path)
    except (OSError, BadImage) as error:
        raise UserError(f"{path}: {error}") from error
