"""The saved model of a detector's run: one Keras file that holds network, preprocessing of intensities, and weights."""

from pathlib import Path

import tensorflow as tf

import common_tf.layers  # noqa: F401  (registers the layers that saved detectors hold)
from common_tf.errors import UserError
from common_tf.runs.files import replace_file

MODEL_FILE = "weights/detector.keras"


def save_model(run: Path, model: tf.keras.Model) -> None:
    """Saves the model in one piece."""
    replace_file(Path(run) / MODEL_FILE, lambda path: model.save(str(path)))


def load_model(run: Path) -> tf.keras.Model:
    """Loads the model of a run.

    Raises:
        UserError: there is none, or it is damaged.
    """
    file = Path(run) / MODEL_FILE
    if not file.exists():
        raise UserError(f"{file}: not found; is {run} the folder of a detector's run, trained to its first validation?")
    try:
        return tf.keras.models.load_model(str(file), compile=False)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file}: damaged or of another version ({str(error).splitlines()[0][:120]})") from error
