"""Brain-tumour detection and segmentation: transfer learning, cross-validation, ensembles, Grad-CAM."""

import common_tf  # noqa: F401  (sets the logging level before TensorFlow is imported)
