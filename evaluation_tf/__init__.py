"""Judging translators and detectors: one report with floors, intervals and provenance beside every number."""

import common_tf  # noqa: F401  (sets the logging level before TensorFlow is imported)
