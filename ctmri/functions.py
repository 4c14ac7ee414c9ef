"""The Python door: the same functions that the scripts call. TensorFlow is imported on first use."""

from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from common_tf.pictures.picture import Picture

if TYPE_CHECKING:
    from cyclegan_tf.inference import TrainedTranslator
    from cyclegan_tf.translations_folder import Translated
    from detector_tf.inference import TrainedDetector


def load_translator(run: str | PathLike[str], *, batch_size: int = 8) -> "TrainedTranslator":
    """Loads a run of train_cyclegan.py, or a folder of ``checkpoints/``.

    Args:
        run: its folder.
        batch_size: images in one forward pass.

    Raises:
        UserError: no run, no weights, or damaged ones.
    """
    from cyclegan_tf import inference

    return inference.load_translator(Path(run), batch_size=batch_size)


def load_detector(run: str | PathLike[str]) -> "TrainedDetector":
    """Loads a finished run of train_detector.py, or a fold of one; its ``probabilities`` judges pictures.

    Args:
        run: its folder.

    Raises:
        UserError: no run, a cross-validation as a whole, a segmentation, or damaged files.
    """
    from detector_tf import inference

    return inference.load_detector(Path(run))


def translate_array(
    translator: "TrainedTranslator", images: np.ndarray, *, direction: str, window: tuple[float, float] | None = None
) -> np.ndarray:
    """Translates slices in memory.

    Args:
        translator: from `load_translator`.
        images: ``(height, width)`` or ``(n, height, width)``, any real type.
        direction: such as ``CT2MRI``.
        window: the values that are black and white; ``None`` for 0 and 255 of uint8, and 0 and 1 of floats.

    Returns:
        float32 in [0, 1], of the same shape.

    Raises:
        UserError: not a direction of this run.
        ValueError: another shape, or another type without a window.
    """
    images = np.asarray(images)
    if images.ndim not in (2, 3):
        raise ValueError(f"images of shape {images.shape}; (height, width) or (n, height, width) is wanted")
    if window is None:
        if images.dtype != np.uint8 and not np.issubdtype(images.dtype, np.floating):
            raise ValueError(f"images of type {images.dtype} want window=(black, white)")
        window = (0.0, 255.0) if images.dtype == np.uint8 else (0.0, 1.0)
    source, _, network = translator.direction(direction)
    low, high = window
    if not -np.inf < low < high < np.inf:
        raise ValueError(f"window {window}: a black below its white is wanted")
    stack = images if images.ndim == 3 else images[None]
    scaled = np.clip((stack.astype(np.float32) - np.float32(low)) / np.float32(high - low), 0, 1)
    # As a file of 8 bits would hold them: the same slices give the same pictures through the scripts.
    pictures = [Picture(np.round(one * 255).astype(np.uint8)) for one in scaled]
    results = np.stack(_for_bytes(translator, source).translate_pictures(pictures, source=source, network=network))
    return results if images.ndim == 3 else results[0]


def _for_bytes(translator: "TrainedTranslator", source: str) -> "TrainedTranslator":
    """The same run for pictures whose window has been applied: whatever it was trained on, 0 is black and 255 white."""
    scaled = replace(translator.preparations[source], depth=8, low=0.0, high=255.0)
    return replace(translator, preparations={**translator.preparations, source: scaled})


def translate_path(
    translator: "TrainedTranslator",
    source: str | PathLike[str],
    *,
    direction: str,
    output: str | PathLike[str],
    window: str = "",
    number: int | None = None,
    as_nifti: bool = False,
    keep_identity: bool = False,
) -> "Translated":
    """Translates pictures or volumes: a file, or a folder with its sub-folders.

    See `cyclegan_tf.translation.translate_files`.

    Raises:
        UserError: nothing to translate, files that cannot be used, or an output folder that holds other files.
    """
    from cyclegan_tf.translation import translate_files

    return translate_files(
        translator,
        direction=direction,
        source=Path(source),
        output=Path(output),
        window=window,
        number=number,
        as_nifti=as_nifti,
        keep_identity=keep_identity,
    )


def evaluate(
    *,
    output: str | PathLike[str],
    translator: str | PathLike[str] | None = None,
    detector: str | PathLike[str] | None = None,
    data: str | None = None,
    pairs: str | PathLike[str] | None = None,
    labelled: str | PathLike[str] | None = None,
    compare: Sequence[str | PathLike[str]] = (),
) -> Path:
    """Evaluates a translator, a detector, or both, or puts several translators on one table.

    Args:
        output: folder of the report.
        translator, detector: folders of runs.
        data, pairs, labelled: as the flags of evaluate.py.
        compare: runs to compare instead.

    Returns:
        The path of report.html.

    Raises:
        UserError: nothing to evaluate, what does not go together, runs or folders that cannot be used.
    """
    from evaluation_tf import comparison, evaluation
    from evaluation_tf.requests import COMPARED, refuse_others

    def path(value: str | PathLike[str] | None) -> Path | None:
        return None if value is None else Path(value)

    if compare:
        others = {"translator": translator, "detector": detector, "labelled": labelled}
        refuse_others(others, COMPARED, "--compare")
        return comparison.compare([Path(run) for run in compare], output=Path(output), data=data, pairs=path(pairs))
    return evaluation.evaluate(
        evaluation.Request(
            output=Path(output),
            translator=path(translator),
            detector=path(detector),
            data=data,
            pairs=path(pairs),
            labelled=path(labelled),
        )
    )
