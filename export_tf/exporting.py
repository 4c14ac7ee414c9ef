"""Exporting a run: files, what must be known of them, an example for each, and how well they agree with the run."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common_tf.errors import UserError
from common_tf.files import refuse_used, replace_json, replace_text, staged_folder
from common_tf.pictures.phantom import draw_phantom
from common_tf.pictures.preparation import prepare
from common_tf.pictures.readers import read_file
from common_tf.quiet import stderr_held_back
from common_tf.sources.inputs import picture_inputs
from export_tf.formats import load, save
from export_tf.networks import Network, networks_of

_COMPARED = 8
_CALIBRATED = 64
_AGREES = 5e-4
_IMPORTS = {
    "savedmodel": ("tensorflow", "import tensorflow as tf\n"),
    "tflite": ("tensorflow (or tflite-runtime, or ai-edge-litert)", "import tensorflow as tf\n"),
    "onnx": ("onnxruntime", "import onnxruntime\n"),
}
_RUNS = {
    "savedmodel": 'run = tf.saved_model.load("{file}").signatures["serving_default"]\n'
    'output = run(image=tf.constant(image))["output"].numpy()[0]',
    "tflite": 'interpreter = tf.lite.Interpreter(model_path="{file}")\ninterpreter.allocate_tensors()\n'
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
        kind: of `export_tf.formats.FORMATS`.
        quantise: of `export_tf.formats.QUANTISATIONS`.
        calibrate: folder of pictures, for ``int8``.

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
    pictures = _calibration(calibrate) if calibrate is not None else None
    lines = []
    with staged_folder(output) as folder:
        for network in networks:
            squares = _squares(network, pictures)
            path = save(network, folder, kind, quantise=quantise, calibration=squares[:_CALIBRATED])
            error = _largest_difference(network, path, kind, squares[:_COMPARED])
            if quantise == "none" and not error <= _AGREES:
                raise UserError(
                    f"{network.name}: as {kind} its outputs differ by {error:.1e} from the run's; not exported"
                )
            about = {**network.description, "file": path.name, "format": kind, "quantised": quantise}
            replace_json(folder / f"{network.name}.json", {**about, "largest_difference_from_the_run": error})
            replace_text(folder / f"example_{network.name}.py", _example(network, path.name, kind))
            lines.append(
                f"{network.name}: {path.name}, {_megabytes(path):.1f} MB; outputs differ by at most {error:.1e} of 1 "
                f"from the run's ({len(squares[:_COMPARED])} squares)"
            )
    print("\n".join([*lines, f"exported to {output} (research only, not for diagnosis)"]))


def _megabytes(path: Path) -> float:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files) / 1e6


def _calibration(folder: Path) -> Sequence[Path]:
    paths = picture_inputs(folder, flag="--calibrate").paths
    return [paths[k] for k in np.unique(np.linspace(0, len(paths) - 1, _CALIBRATED).astype(int))]


def _squares(network: Network, pictures: Sequence[Path] | None) -> list[np.ndarray]:
    """Squares of the network's side: of given pictures, else drawn heads."""
    if pictures is None:
        return [draw_phantom(seed, size=network.side).mri.astype(np.float32) for seed in range(_COMPARED)]
    found = []
    for path in pictures:
        picture, facts = read_file(path)
        preparation = network.preparation.for_files({path.name: facts}, name=network.name)
        found.append(prepare(picture, preparation, size=network.side).pixels)
    return found


def _largest_difference(network: Network, path: Path, kind: str, squares: Sequence[np.ndarray]) -> float:
    with stderr_held_back():
        run = load(path, kind)
    return max(float(np.abs(run(square) - network(square)).max()) for square in squares)


def _example(network: Network, file: str, kind: str) -> str:
    template = Path(__file__).with_name("example.py.txt").read_text(encoding="utf-8")
    runtime, imports = _IMPORTS[kind]
    if network.is_picture:
        result = " result.png"
        ending = "Image.fromarray(np.round(np.clip(output[..., 0], 0, 1) * 255).astype(np.uint8)).save(sys.argv[2])"
    else:
        result = ""
        ending = f"print(dict(zip({network.description['classes']!r}, output.round(3).tolist())))"
    return template.format(
        file=file,
        name=network.name,
        json=f"{network.name}.json",
        runtime=runtime,
        imports=imports,
        side=network.side,
        result=result,
        run=_RUNS[kind].format(file=file),
        ending=ending,
    )
