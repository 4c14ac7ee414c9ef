"""Verdicts on new scans: a table, the slices behind the verdict of a volume, and Grad-CAM."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from common_tf.metrics.classification import predicted_classes
from common_tf.pictures.geometry import BLANK_EXTENT, head_extent
from common_tf.pictures.head import head_mask, unlike_a_head
from common_tf.pictures.readers import read_file
from common_tf.progress import progress
from common_tf.sources.inputs import PictureInputs, refuse_unusable, unlike_lines
from common_tf.volumes.files import VolumeFile
from detector_tf.gradcam import grad_cam, save_overlays
from detector_tf.inference import TrainedDetector
from detector_tf.new_scans.folder import NOTICE, shown_of, write_table
from detector_tf.new_scans.volumes import new_scans, open_scan, refuse_volume
from detector_tf.predictions import verdict

TABLE_FILE, SLICES_FILE, FIGURE_FILE = "verdicts.csv", "slices.csv", "verdicts.png"
NO_HEAD = "no head found"
RULE_OF_TWO = "the highest mean of three successive slices with a head, at the run's threshold for slices"
RULE_OF_MORE = "the mean over all slices with a head"
_TOGETHER = 3


def volume_chances(chances: np.ndarray) -> tuple[np.ndarray, int]:
    """What a volume is, by its slices.

    With two classes a lesion shows in a few neighbouring slices: the highest mean of three successive ones. With more,
    every slice with a head speaks: their mean.

    Args:
        chances: ``(n, classes)`` of the slices that show a head, from below to above.

    Returns:
        ``(classes,)``, and the slice that a person should look at: with two classes the one of those three in which the
        second class is most probable, else the one in which the named class is.
    """
    if chances.shape[1] > 2:
        mean = chances.mean(axis=0)
        return mean, int(chances[:, mean.argmax()].argmax())
    width = min(_TOGETHER, len(chances))
    means = np.convolve(chances[:, 1], np.full(width, 1 / width), mode="valid")
    first = int(means.argmax())
    highest = float(means[first])
    return np.array([1 - highest, highest]), first + int(chances[first : first + width, 1].argmax())


class Figure:
    """Slices beside themselves with Grad-CAM of their verdict."""

    def __init__(self, detector: TrainedDetector):
        self._model = detector.model
        self._squares: list[np.ndarray] = []
        self._heat: list[np.ndarray] = []
        self._titles: list[str] = []

    def add(self, square: np.ndarray, target: int, title: str) -> None:
        """Adds a square ``(1, size, size, channels)`` uint8 with its class."""
        self._squares.append(square[0, ..., 0])
        self._heat.append(grad_cam(self._model, square, target=target)[0])
        self._titles.append(title)

    def save(self, folder: Path) -> None:
        """Writes the figure; none where no head was found at all."""
        if self._titles:
            images, heat = np.stack(self._squares), np.stack(self._heat)
            save_overlays(folder / FIGURE_FILE, images, heat, titles=self._titles)


def judge_pictures(
    detector: TrainedDetector, files: PictureInputs, folder: Path, window: tuple[float, float] | None
) -> list[str]:
    """Writes a verdict on each picture file.

    Returns:
        What a person should know.
    """
    detector = detector.for_files(files.facts(), window=window)
    shown, figure = shown_of(len(files.paths)), Figure(detector)
    rows: list[dict] = []
    blank: list[str] = []
    unlike: dict[str, str] = {}
    for number, path in enumerate(progress(files.paths, total=len(files.paths), words="judging")):
        place, picture = files.place(path), read_file(path, may_be_constant=True)[0]
        head = head_mask(detector.source.preparation.ranged(picture).scaled())
        if head_extent(head) <= BLANK_EXTENT:
            blank.append(place)
            rows.append({"input": place, **_no_verdict(detector), "unlike": ""})
            continue
        square = detector.squares([replace(picture, head=head)])
        chances = detector.probabilities_of(square)[0]
        reason = unlike_a_head(head)
        if reason:
            unlike[place] = reason
        rows.append({"input": place, **verdict(detector.classes, chances, detector.threshold), "unlike": reason})
        if number in shown:
            target, words = _named(detector, chances, place)
            figure.add(square, target, f"{words}\nunlike a head: {reason}" if reason else words)
    write_table(folder / TABLE_FILE, [{**row, "notice": NOTICE} for row in rows])
    figure.save(folder)
    notes = [f"no head found in {len(blank)} of {len(rows)} pictures, which get no verdict"] if blank else []
    return [*notes, *unlike_lines(unlike)]


def judge_volumes(
    detector: TrainedDetector, files: Sequence[VolumeFile], folder: Path, window: tuple[float, float] | None
) -> list[str]:
    """Writes a verdict on each volume, and what each of its slices says.

    Returns:
        What a person should know.

    Raises:
        UserError: volumes that cannot be used.
    """
    preparation, classes = detector.source.preparation, detector.classes
    scans, notes = new_scans(files, channels=1)
    refuse_unusable([scan.file for scan in scans], lambda volume: refuse_volume(volume, preparation, window))
    shown, figure = shown_of(len(scans)), Figure(detector)
    rows: list[dict] = []
    slices: list[dict] = []
    notes.append(f"verdict on a volume: {RULE_OF_TWO if len(classes) == 2 else RULE_OF_MORE}")
    if len(classes) == 2:
        notes.append(
            f"a volume has many slices and the threshold was chosen on single ones, so this errs towards {classes[1]}; "
            f"{SLICES_FILE} says which slices speak for it"
        )
    for number, scan in enumerate(scans):
        opened, name = open_scan(scan, preparation, window), scan.file.name
        notes += opened.notes
        if not opened.channels:
            rows.append({"input": name, **_no_verdict(detector), "slices": 0, "look_at_slice": "", "notice": NOTICE})
            continue
        (heads,) = opened.channels
        own = detector.prepared_by(heads.preparation)
        found = heads.found.tolist()
        parts = heads.parts("judging slices")
        chances = np.concatenate([own.probabilities([heads.picture(k) for k in part]) for part in parts])
        slices += [
            {"input": name, "slice": k, **verdict(classes, one, detector.threshold)} for k, one in zip(found, chances)
        ]
        whole, at = volume_chances(chances)
        said = verdict(classes, whole, detector.threshold)
        rows.append({"input": name, **said, "slices": len(found), "look_at_slice": found[at], "notice": NOTICE})
        if number in shown:
            target, words = _named(detector, whole, name)
            # Of two classes always the evidence for the second: that is why this slice is looked at.
            figure.add(
                own.squares([heads.picture(found[at])]),
                1 if len(classes) == 2 else target,
                f"{words}\nslice {found[at]}: p({classes[target]}) = {chances[at, target]:.2f}",
            )
    write_table(folder / TABLE_FILE, rows)
    if slices:
        write_table(folder / SLICES_FILE, slices)
    figure.save(folder)
    return notes


def _no_verdict(detector: TrainedDetector) -> dict[str, str]:
    columns = verdict(detector.classes, np.zeros(len(detector.classes)), detector.threshold)
    return {**dict.fromkeys(columns, ""), "predicted": NO_HEAD}


def _named(detector: TrainedDetector, chances: np.ndarray, name: str) -> tuple[int, str]:
    """The class, and a title that says it."""
    target = int(predicted_classes(chances[None], threshold=detector.threshold)[0])
    limit = f" (threshold {detector.threshold:.2f})" if len(detector.classes) == 2 else ""
    number = 1 if len(detector.classes) == 2 else target
    return target, f"{name}\n{detector.classes[target]}: p({detector.classes[number]}) = {chances[number]:.2f}{limit}"
