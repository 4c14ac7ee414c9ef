"""Scores against aligned truth, which drawn heads have: what the translator reached, beside the floors."""

from pathlib import Path

import numpy as np
from PIL import Image

from common_tf.images.grid import SYNTHETIC_NOTICE, save_grid, save_png
from common_tf.images.intensity import quantise
from common_tf.images.reading import ImageData
from common_tf.metrics.bootstrap import bootstrap_mean
from common_tf.metrics.floors import apply_intensity_table, fit_intensity_table
from common_tf.metrics.similarity import mae, psnr, ssim
from common_tf.runs.files import replace_json
from cyclegan_tf.config import TranslatorConfig
from cyclegan_tf.data import held_out_phantoms, phantom_side, training_phantoms
from cyclegan_tf.inference import load_translator

_METRICS = {"ssim": ssim, "psnr": psnr, "mae": mae}
_ROWS = 5


def score_phantom_run(run: Path, config: TranslatorConfig) -> dict:
    """Translates held-out phantoms both ways and scores them against their truth.

    Writes ``phantom_scores.json``, ``translated/DIRECTION/*.png`` and ``phantoms.png`` (input, output, truth) into the
    run folder and prints a table. Metrics are taken inside the head of each phantom, on [0, 1]; the floors are the
    input itself and a 256-entry intensity table fitted on the *aligned* training phantoms, which the translator never
    sees aligned.

    Returns:
        What stands in phantom_scores.json.
    """
    translator = load_translator(run)
    heads = held_out_phantoms(config)
    fitting = training_phantoms(config)
    mask = np.stack([phantom.head for phantom in heads])
    scores = {
        "n": len(heads),
        "step": translator.record["step"],
        "region": "inside the head, images on [0, 1]",
        "interval": "95 % percentile bootstrap over phantoms",
        "directions": {},
    }
    columns, titles = [], []
    names = config.domain_names
    for number in (0, 1):
        source, target = names[number], names[1 - number]
        direction = f"{source}2{target}"
        if not translator.translates(source):
            continue
        # Quantised to 8 bits like any file: the scores are those of translate.py on the same pictures.
        inputs = [quantise(phantom_side(phantom, number, config.phantom_pair)) for phantom in heads]
        truth = np.stack([phantom_side(phantom, 1 - number, config.phantom_pair) for phantom in heads])
        pictures = [ImageData(pixels=pixels, bits=8, mode="L", format="PNG") for pixels in inputs]
        _, _, network = translator.direction(direction)
        outputs = np.stack(translator.translate_pictures(pictures, source=source, network=network))
        units = np.stack(inputs).astype(np.float32) / 255
        table = fit_intensity_table(
            *(np.stack([phantom_side(p, side, config.phantom_pair) for p in fitting]) for side in (number, 1 - number))
        )
        scores["directions"][direction] = {
            "translator": _score(outputs, truth, mask),
            "floor: copy of the input": _score(units, truth, mask),
            "floor: intensity table": _score(apply_intensity_table(units, table), truth, mask),
        }
        folder = Path(run) / "translated" / direction
        folder.mkdir(parents=True, exist_ok=True)
        for index, output in enumerate(outputs):
            save_png(folder / f"phantom_{index:02d}.png", Image.fromarray(quantise(output)))
        columns += [units[:_ROWS], outputs[:_ROWS], truth[:_ROWS]]
        titles += [f"{source}, input", f"{target}, synthetic", f"{target}, truth"]
    replace_json(Path(run) / "phantom_scores.json", scores)
    save_grid(Path(run) / "phantoms.png", columns, titles=titles, footer=f"Drawn heads. {SYNTHETIC_NOTICE}")
    _print(scores)
    return scores


def _score(images: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> dict:
    result = {}
    for name, metric in _METRICS.items():
        mean, low, high = bootstrap_mean(metric(images, truth, mask=mask))
        result[name] = {"mean": round(mean, 4), "low": round(low, 4), "high": round(high, 4)}
    return result


def _print(scores: dict) -> None:
    print(f"against aligned truth, {scores['n']} held-out phantoms, {scores['region']} ({scores['interval']}):")
    for direction, rows in scores["directions"].items():
        print(f"  {direction:26}{'SSIM':>25}{'PSNR, dB':>25}{'MAE':>25}")
        for name, row in rows.items():
            cells = [f"{v['mean']:.3f} [{v['low']:.3f}, {v['high']:.3f}]" for v in row.values()]
            print(f"    {name:24}" + "".join(f"{cell:>25}" for cell in cells))
