"""Trained networks as files that run without this package: SavedModel, TFLite, ONNX."""

FORMATS = ("savedmodel", "tflite", "onnx")
QUANTISATIONS = ("none", "dynamic", "int8")
"""Of TFLite: weights of 8 bits, or everything."""
