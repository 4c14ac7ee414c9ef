"""Grad-CAM overlays of pictures that a user names."""

from pathlib import Path
from typing import Sequence

import numpy as np

from common_tf.errors import UserError
from common_tf.images.reading import BadImage, read_image
from detector_tf.gradcam import grad_cam, save_overlays
from detector_tf.inference import load_detector


def explain_files(run: Path, files: Sequence[Path]) -> Path:
    """Saves explained.png into a finished run: each picture with the map of the class it is given.

    Returns:
        The PNG's path.

    Raises:
        UserError: no finished run, or files that cannot be used.
    """
    detector = load_detector(run)
    pictures = []
    for file in files:
        try:
            pictures.append(read_image(file))
        except (OSError, BadImage) as error:
            raise UserError(f"--explain {file}: cannot be used ({error})") from error
    squares, probabilities = detector.squares(pictures), detector.probabilities(pictures)
    predicted = probabilities.argmax(axis=1)
    if len(detector.classes) == 2:
        predicted = (probabilities[:, 1] >= detector.threshold).astype(int)
    heat = [grad_cam(detector.model, squares[i : i + 1], target=int(c))[0] for i, c in enumerate(predicted)]
    titles = [
        f"{file.name}\n{detector.classes[c]}, p = {probabilities[i, c]:.2f}"
        for i, (file, c) in enumerate(zip(files, predicted))
    ]
    path = Path(run) / "explained.png"
    save_overlays(path, squares[..., 0], np.stack(heat), titles=titles)
    for title in titles:
        print(title.replace("\n", ": "))
    print(f"Grad-CAM in {path}. Research only, not for diagnosis.")
    return path
