"""The ground floor: pictures, sources, splits, metrics, measurements and run folders. Imports nothing from above."""

import os

from common_tf.quiet import import_tensorflow_quietly

# TensorFlow reads these once, at its import. Level 3 also hides the CUDA "factory already registered" lines that the
# 2.15 wheels print as errors on every machine without a GPU; real failures still arrive as Python exceptions.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("PROTOCOL_BUFFERS_PYTHON_WARNINGS", "0")
# What OpenCV prints of a damaged file is said in the reason for refusing it.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
import_tensorflow_quietly()

__version__ = "0.2.0"
