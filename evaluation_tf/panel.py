"""A detector's run as a judge of pictures: a fold judges only what it has not trained on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, Optional, Sequence

import numpy as np

from common_tf.errors import UserError
from common_tf.images.reading import ImageData
from common_tf.runs.model_file import MODEL_FILE
from detector_tf.folds import fold_folders
from detector_tf.gradcam import grad_cam
from detector_tf.inference import load_detector
from detector_tf.predictions import PREDICTIONS_FILE, read_predictions
from evaluation_tf.cache import ArrayCache, content_hash, file_hash

_NEGATIVE_NAMES = ("notumor", "no_tumor", "no", "healthy", "normal", "negative")


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
        tested: what is known of the images that the run held out: label, group and fold by path.
    """

    def __init__(self, run: Path, cache: ArrayCache):
        """Loads a run or all folds of one.

        Raises:
            UserError: no finished run, or classes of which none says "no tumour".
        """
        self.run = Path(run)
        self._folders = fold_folders(self.run)
        self._detectors = [load_detector(folder) for folder in self._folders]
        self._cache = cache
        self._keys = [
            content_hash(file_hash(folder / MODEL_FILE), vars(one.source), one.temperature)
            for folder, one in zip(self._folders, self._detectors)
        ]
        self.config = self._detectors[0].config
        self.classes = self._detectors[0].classes
        self._negative = 0
        if len(self.classes) > 2:
            named = [number for number, name in enumerate(self.classes) if name.lower() in _NEGATIVE_NAMES]
            if len(named) != 1:
                raise UserError(f"{run}: none of its classes {', '.join(self.classes)} says that there is no tumour")
            self._negative = named[0]
        self.tested: Mapping[str, Mapping[str, str]] = {}
        if (self.run / PREDICTIONS_FILE).exists():
            rows = read_predictions(self.run).select(split="test").rows
            self.tested = {row["path"]: row for row in rows}

    def is_positive(self, label: str) -> bool:
        """Whether a class name means a tumour."""
        return self.classes.index(label) != self._negative

    def judge(self, pictures: Sequence[ImageData], folds: Optional[np.ndarray] = None) -> Verdicts:
        """Judges pictures of any size.

        Args:
            pictures: decoded files.
            folds: ``(n,)`` the one fold that may judge each; ``None`` for the mean of all, for pictures that no fold
                has trained on.
        """
        by_fold = []
        for number, detector in enumerate(self._detectors):
            mine = np.arange(len(pictures)) if folds is None else np.flatnonzero(folds == number)
            chances = np.full(len(pictures), np.nan)
            if mine.size:
                chances[mine] = self._chances(number, [pictures[i] for i in mine])
            threshold = detector.threshold if len(self.classes) == 2 else 0.5
            by_fold.append((chances, np.where(np.isnan(chances), np.nan, threshold)))
        chances, thresholds = (np.nanmean([one[i] for one in by_fold], axis=0) for i in (0, 1))
        return Verdicts(chances, thresholds)

    def heat(self, picture: ImageData, fold: int = 0) -> tuple:
        """The square that a fold sees, ``(size, size)`` uint8, and its Grad-CAM for the tumour, ``(size, size)``."""
        detector = self._detectors[fold]
        squares = detector.squares([picture])
        chances = detector.probabilities([picture])[0].copy()
        chances[self._negative] = -1  # of the kinds of tumour the likeliest
        target = int(chances.argmax())
        return squares[0, ..., 0], grad_cam(detector.model, squares, target=target)[0]

    def _chances(self, number: int, pictures: Sequence[ImageData]) -> np.ndarray:
        def compute() -> dict:
            parts = []
            for start in range(0, len(pictures), 64):
                probabilities = self._detectors[number].probabilities(pictures[start : start + 64])
                parts.append(1.0 - probabilities[:, self._negative])
            return {"chances": np.concatenate(parts)}

        key = content_hash("verdicts", self._keys[number], *[picture.pixels for picture in pictures])
        return self._cache.arrays(key, compute)["chances"]
