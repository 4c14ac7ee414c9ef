"""The files, and the outputs that they give."""

import importlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import tensorflow as tf

from common_tf.errors import UserError
from common_tf.quiet import stderr_held_back
from export_tf.networks import Network

ONNX_PACKAGES = "tf2onnx 'onnx<1.19' onnxruntime"

_OPSET = 15
_ERRORS_ONLY = 3
Run = Callable[[np.ndarray], np.ndarray]


def save(network: Network, folder: Path, kind: str, *, quantise: str, calibration: Sequence[np.ndarray]) -> Path:
    """Writes a network.

    Args:
        network: of a run.
        folder: for the file; for a SavedModel a folder of its own in it.
        kind: of `export_tf.FORMATS`.
        quantise: of `export_tf.QUANTISATIONS`; TFLite only.
        calibration: squares ``(side, side)`` in [0, 1], for ``int8``.

    Raises:
        UserError: packages that are missing, or a network that the format cannot hold.
    """
    if kind == "savedmodel":
        path, module = folder / network.name, network.module
        tf.saved_model.save(module, str(path), signatures=module.__call__)
        return path
    path = folder / f"{network.name}.{kind}"
    if kind == "onnx":
        _package("tf2onnx")
    try:
        with stderr_held_back():
            content = _tflite(network, quantise, calibration) if kind == "tflite" else _onnx(network)
    except OSError:
        raise
    except Exception as error:  # converters raise many kinds
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"{network.name}: cannot be written as {kind} ({reason})") from error
    path.write_bytes(content)
    return path


def _package(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except (ImportError, AttributeError) as error:  # the latter of onnx 1.19 beside TensorFlow 2.15
        raise UserError(f"--format onnx: wants further packages: pip install {ONNX_PACKAGES}") from error


def _tflite(network: Network, quantise: str, calibration: Sequence[np.ndarray]) -> bytes:
    module = network.module
    concrete = module.__call__.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], module)
    if quantise != "none":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantise == "int8":

        def samples() -> Iterator[list[np.ndarray]]:
            for square in calibration:
                yield [square[None, ..., None].astype(np.float32)]

        converter.representative_dataset = samples
    return converter.convert()


def _onnx(network: Network) -> bytes:
    module = network.module
    signature = [tf.TensorSpec((1, network.side, network.side, 1), tf.float32, name="image")]
    model, _ = _package("tf2onnx").convert.from_function(module.__call__, input_signature=signature, opset=_OPSET)
    return model.SerializeToString()


def load(path: Path, kind: str) -> Run:
    """A file as a function from a square ``(side, side)`` to its output without the leading 1.

    Raises:
        UserError: onnxruntime is missing.
    """
    if kind == "savedmodel":
        signature = tf.saved_model.load(str(path)).signatures["serving_default"]
        return lambda square: signature(image=tf.constant(_batch(square)))["output"].numpy()[0]
    if kind == "tflite":
        interpreter = tf.lite.Interpreter(model_path=str(path))
        interpreter.allocate_tensors()
        given, made = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

        def run(square: np.ndarray) -> np.ndarray:
            interpreter.set_tensor(given, _batch(square))
            interpreter.invoke()
            return interpreter.get_tensor(made)[0]

        return run
    onnxruntime = _package("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda square: session.run(None, {name: _batch(square)})[0][0]


def _batch(square: np.ndarray) -> np.ndarray:
    return square[None, ..., None].astype(np.float32)
