"""Exporting a run: files, what must be known of them, an example for each, and how well they agree with the run."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from common_tf.errors import UserError
from common_tf.files import refuse_used, replace_json, replace_text, staged_folder
from common_tf.pictures.phantom import draw_phantom
from common_tf.pictures.preparation import prepare
from common_tf.pictures.readers import read_file
from common_tf.quiet import stderr_held_back
from common_tf.sources.inputs import picture_inputs
from common_tf.volumes.windows import is_ct
from export_tf.formats import load, save
from export_tf.networks import Network, networks_of

_DRAWN = 16
_CALIBRATED = 128
_AGREES = 5e-4
_IMPORTS = {
    "savedmodel": ("tensorflow", "import tensorflow as tf\n"),
    "tflite": (
        "ai-edge-litert (or tensorflow)",
        "try:\n    from ai_edge_litert.interpreter import Interpreter\nexcept ImportError:\n"
        "    import tensorflow as tf\n\n    Interpreter = tf.lite.Interpreter\n",
    ),
    "onnx": ("onnxruntime", "import onnxruntime\n"),
}
_RUNS = {
    "savedmodel": 'run = tf.saved_model.load("{file}").signatures["serving_default"]\n'
    'output = run(image=tf.constant(image))["output"].numpy()[0]',
    "tflite": 'interpreter = Interpreter(model_path="{file}")\ninterpreter.allocate_tensors()\n'
    'interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)\ninterpreter.invoke()\n'
    'output = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0]',
    "onnx": 'session = onnxruntime.InferenceSession("{file}")\n'
    "output = session.run(None, {{session.get_inputs()[0].name: image}})[0][0]",
}


def export_run(run: Path, output: Path, *, kind: str, quantise: str = "none", calibrate: Path | None = None) -> None:
    """Writes every network of a run, and prints how far its outputs are from the run's own.

    Args:
        run: finished; of translators or detectors.
        output: a new folder: the network, ``NAME.json`` and ``example_NAME.py`` for each.
        kind: of `export_tf.FORMATS`.
        quantise: of `export_tf.QUANTISATIONS`.
        calibrate: folder of pictures, for ``int8``; of a translator with a folder for each source domain.

    Raises:
        UserError: no such run, a folder in use, a format or calibration that cannot be had. Nothing is written then.
    """
    output = Path(output)
    refuse_used(output)
    if quantise != "none" and kind != "tflite":
        raise UserError(f"--quantise {quantise}: is for --format tflite")
    if (quantise == "int8") != (calibrate is not None):
        raise UserError(
            "--quantise int8 and --calibrate DIR: want each other; the one needs pictures to find its scales"
        )
    networks = networks_of(run)
    squares_of = {network.name: _squares(network, calibrate) for network in networks}
    lines = []
    with staged_folder(output) as folder:
        for network in networks:
            # Every other one finds the scales, and the rest says what they cost.
            found, compared = squares_of[network.name][::2], squares_of[network.name][1::2]
            path = save(network, folder, kind, quantise=quantise, calibration=found)
            error, mean = _differences(network, path, kind, compared)
            if not error <= (_AGREES if quantise == "none" else np.inf):
                raise UserError(
                    f"{network.name}: as {kind} its outputs differ by {error:.1e} from the run's; not exported"
                )
            about = {**network.description, "file": path.name, "format": kind, "quantised": quantise}
            about |= {"largest_difference_from_the_run": error, "mean_difference": mean}
            replace_json(folder / f"{network.name}.json", about)
            replace_text(folder / f"example_{network.name}.py", _example(network, path.name, kind))
            lines.append(
                f"{network.name}: {path.name}, {_megabytes(path):.1f} MB; outputs differ by at most {error:.1e} of 1, "
                f"{mean:.1e} in the mean, from the run's ({len(compared)} squares)"
            )
    print("\n".join([*lines, f"exported to {output} (research only, not for diagnosis)"]))


def _megabytes(path: Path) -> float:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files) / 1e6


def _squares(network: Network, calibrate: Path | None) -> list[np.ndarray]:
    """Squares of the network's side: of given pictures, else drawn heads."""
    if calibrate is None:
        heads = [draw_phantom(seed, size=network.side) for seed in range(_DRAWN)]
        return [head.ct if is_ct(network.source) else head.mri for head in heads]
    folder = calibrate / network.source if network.source else calibrate
    if network.source and not folder.is_dir():
        raise UserError(f"--calibrate {calibrate}: has no folder {network.source}, whose pictures {network.name} gets")
    inputs = picture_inputs(folder, flag="--calibrate")
    if len(inputs.paths) < 2:
        raise UserError(f"--calibrate {folder}: holds one picture; wants two or more, some dozen are better")
    chosen = np.unique(np.linspace(0, len(inputs.paths) - 1, _CALIBRATED).astype(int))
    some = replace(inputs, paths=[inputs.paths[k] for k in chosen])
    preparation = network.preparation.for_files(some.facts(), name=network.source or "slice")
    pictures = [read_file(path, may_be_constant=True)[0] for path in some.paths]
    return [prepare(picture, preparation, size=network.side).pixels for picture in pictures]


def _differences(network: Network, path: Path, kind: str, squares: Sequence[np.ndarray]) -> tuple[float, float]:
    """The largest and the mean difference of the file's outputs from the run's."""
    with stderr_held_back():
        run = load(path, kind)
    found = [np.abs(run(square) - network(square)) for square in squares]
    return max(float(one.max()) for one in found), float(np.mean([one.mean() for one in found]))


def _example(network: Network, file: str, kind: str) -> str:
    template = Path(__file__).with_name("example.py.txt").read_text(encoding="utf-8")
    runtime, imports = _IMPORTS[kind]
    preparation = network.preparation
    if network.is_picture:
        result = " result.png"
        ending = "Image.fromarray(np.round(np.clip(output[..., 0], 0, 1) * 255).astype(np.uint8)).save(sys.argv[2])"
    else:
        result = ""
        ending = f"print(dict(zip({network.description['classes']!r}, output.round(3).tolist())))"
    half = "max(gray.shape) / 2"
    if preparation.framing == "head":
        half = f"0.54 * max(np.ptp(rows) + 1, np.ptp(columns) + 1, {preparation.reference:.4f} * max(gray.shape))"
    middle = "rows.mean(), columns.mean()" if preparation.framing == "head" else "gray.shape[0] / 2, gray.shape[1] / 2"
    return template.format(
        file=file,
        name=network.name,
        json=f"{network.name}.json",
        runtime=runtime,
        imports=imports,
        side=network.side,
        low=preparation.low,
        high=preparation.high,
        half=half,
        middle=middle,
        result=result,
        run=_RUNS[kind].format(file=file),
        ending=ending,
    )
