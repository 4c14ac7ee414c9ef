"""A detector's run as a judge of pictures: a fold judges only what it has not trained on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from common_tf.errors import UserError
from common_tf.runs.saved_detector import weights_digest
from common_tf.sources.scanning import Scan
from detector_tf.folds import fold_folders, fold_number
from detector_tf.gradcam import grad_cam
from detector_tf.inference import RECORD_FILE, TrainedDetector, load_detector
from detector_tf.predictions import read_predictions
from evaluation_tf.cache import ArrayCache
from evaluation_tf.images import Pictures, content_hash, file_hash, for_scaled
from evaluation_tf.seen import seen_by

_NEGATIVE_NAMES = ("notumor", "no_tumor", "no", "healthy", "normal", "negative")
_AT_ONCE = 64


@dataclass(frozen=True)
class Verdicts:
    """What a panel says of pictures.

    Attributes:
        chances: ``(n,)`` calibrated probability of a tumour.
        thresholds: ``(n,)`` from which on a tumour is called.
    """

    chances: np.ndarray
    thresholds: np.ndarray

    @property
    def called(self) -> np.ndarray:
        """``(n,)`` bool: a tumour is called."""
        return self.chances >= self.thresholds


class Panel:
    """The detectors of a run.

    Attributes:
        run: its folder.
        classes: names by class number.
        tested: what is known of the images that the run held out: a row of its predictions by path.
    """

    def __init__(self, run: Path, cache: ArrayCache):
        """Loads a run or all folds of one.

        Raises:
            UserError: no finished run that names classes, or classes of which none says "no tumour".
        """
        self.run = Path(run)
        folders = fold_folders(self.run)
        self._detectors = [load_detector(folder) for folder in folders]
        self._scaled = [_for_scaled(detector) for detector in self._detectors]
        self._cache = cache
        self._keys = [content_hash(weights_digest(folder), file_hash(folder / RECORD_FILE)) for folder in folders]
        self.classes = self._detectors[0].classes
        self._negative = 0
        if len(self.classes) > 2:
            named = [number for number, name in enumerate(self.classes) if name.lower() in _NEGATIVE_NAMES]
            if len(named) != 1:
                raise UserError(f"{run}: none of its classes {', '.join(self.classes)} says that there is no tumour")
            self._negative = named[0]
        rows = read_predictions(self.run).select(split="test").rows
        self.tested: Mapping[str, Mapping[str, str]] = {row["path"]: row for row in rows}
        tested_by = sorted({int(row["fold"]) for row in rows})
        # One fold given as a run keeps its number in its predictions.
        self._numbers = [fold_number(folder) for folder in folders] if len(folders) > 1 else tested_by or [0]
        if not set(tested_by) <= set(self._numbers) or len(self._numbers) != len(folders):
            raise UserError(
                f"{run}: predictions.csv names folds {tested_by}, and not all of them are there; restore them"
            )

    def is_positive(self, label: str) -> bool:
        """Whether a class name means a tumour."""
        return self.classes.index(label) != self._negative

    def seen(self, scans: Sequence[Scan]) -> np.ndarray:
        """Which files are (nearly) among those that the run was trained on, ``(n,)`` bool.

        Raises:
            UserError: nobody can tell.
        """
        return seen_by(self.run, scans, flag="--detector")

    def judge(self, pictures: Pictures, folds: np.ndarray | None = None) -> Verdicts:
        """Judges pictures of any size.

        Args:
            pictures: scaled ones, or files of the detector's own data.
            folds: ``(n,)`` the one fold that may judge each; ``None`` for the mean of all, for pictures that no fold
                has trained on.
        """
        by_fold = []
        for number, detector in enumerate(self._detectors):
            mine = np.arange(len(pictures)) if folds is None else np.flatnonzero(folds == self._numbers[number])
            chances = np.full(len(pictures), np.nan)
            if mine.size:
                chances[mine] = self._chances(number, pictures if folds is None else pictures.chosen(mine))
            threshold = detector.threshold if len(self.classes) == 2 else 0.5
            by_fold.append((chances, np.where(np.isnan(chances), np.nan, threshold)))
        chances, thresholds = (np.nanmean([one[i] for one in by_fold], axis=0) for i in (0, 1))
        return Verdicts(chances, thresholds)

    def heat(self, pictures: Pictures, index: int, fold: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The square that a fold sees of a picture, ``(size, size)`` uint8, and its Grad-CAM for the tumour.

        Args:
            pictures: as for `judge`.
            index: of the picture.
            fold: by its number; ``None`` for the first.
        """
        detector = self._detector(0 if fold is None else self._numbers.index(fold), pictures)
        squares = detector.squares([pictures.items[index]])
        chances = detector.probabilities([pictures.items[index]])[0].copy()
        chances[self._negative] = -1  # of the kinds of tumour the likeliest
        target = int(chances.argmax())
        return squares[0, ..., 0], grad_cam(detector.model, squares, target=target)[0]

    def _detector(self, number: int, pictures: Pictures) -> TrainedDetector:
        return (self._scaled if pictures.are_scaled else self._detectors)[number]

    def _chances(self, number: int, pictures: Pictures) -> np.ndarray:
        def compute() -> dict[str, np.ndarray]:
            parts = []
            for start in range(0, len(pictures), _AT_ONCE):
                some = pictures.items[start : start + _AT_ONCE]
                parts.append(1.0 - self._detector(number, pictures).probabilities(some)[:, self._negative])
            return {"chances": np.concatenate(parts)}

        key = content_hash("verdicts", self._keys[number], pictures.are_scaled, pictures.digest)
        return self._cache.arrays(key, compute)["chances"]


def _for_scaled(detector: TrainedDetector) -> TrainedDetector:
    """The detector for pictures that are scaled already."""
    return replace(detector, source=replace(detector.source, preparation=for_scaled(detector.source.preparation)))
