"""Grad-CAM overlays of pictures that a user names."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common_tf.errors import UserError
from common_tf.metrics.classification import predicted_classes
from common_tf.pictures.head import head_mask, unlike_a_head
from common_tf.pictures.intensity import parse_windows
from common_tf.pictures.readers import BadPicture, read_file
from common_tf.sources.inputs import unlike_lines
from common_tf.sources.source import shown
from detector_tf.gradcam import grad_cam, save_overlays
from detector_tf.inference import load_detector
from detector_tf.sections import SLICE


def explain_files(run: Path, files: Sequence[Path], *, window: str = "") -> Path:
    """Saves explained.png into a finished run: each picture with the map of the class it is given.

    Args:
        run: a finished one.
        files: pictures.
        window: values that are black and white, ``slice=BLACK:WHITE``; ``""`` for the files' own.

    Returns:
        The PNG's path.

    Raises:
        UserError: no finished run, or files that cannot be used.
    """
    given = parse_windows(window, (SLICE,)).get(SLICE)
    detector = load_detector(run)
    pictures, known = [], {}
    for file in files:
        try:
            picture, known[str(file)] = read_file(file)
        except BadPicture as error:
            raise UserError(f"--explain {file}: cannot be used ({error})") from error
        pictures.append(picture)
    detector = detector.for_files(known, window=given)
    preparation = detector.source.preparation
    reasons = [unlike_a_head(head_mask(preparation.ranged(picture).scaled())) for picture in pictures]
    squares, probabilities = detector.squares(pictures), detector.probabilities(pictures)
    predicted = predicted_classes(probabilities, threshold=detector.threshold)
    heat = [grad_cam(detector.model, squares[i : i + 1], target=int(c))[0] for i, c in enumerate(predicted)]
    titles = [
        f"{shown(file.name)}\n{detector.classes[c]}, p = {probabilities[i, c]:.2f}"
        + (f" (threshold {detector.threshold:.2f})" if len(detector.classes) == 2 else "")
        for i, (file, c) in enumerate(zip(files, predicted))
    ]
    path = Path(run) / "explained.png"
    save_overlays(path, squares[..., 0], np.stack(heat), titles=titles)
    for title in titles:
        print(title.replace("\n", ": "))
    unlike = {shown(file.name): reason for file, reason in zip(files, reasons) if reason}
    print("".join(f"{line}\n" for line in unlike_lines(unlike)), end="")
    print(f"Grad-CAM in {path}. Research only, not for diagnosis.")
    return path
