"""Unpaired CT <-> MRI translation: networks, losses, translators, training and inference."""

import common_tf  # noqa: F401  (sets the logging level before TensorFlow is imported)
