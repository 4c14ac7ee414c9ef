#!/usr/bin/env python3
"""Figures of a trained translator on the test slices of its own manifest, and on registered pairs.

    python benchmarks/test_figures.py --run RUN --data DIR [--pairs DIR]

Test slices: sliced Wasserstein distance to the real slices of the target domain (beside the distance of real test
slices to as many real training slices, and that of the untranslated slices), and cycle MAE and SSIM. Pairs (strips of
MRI, CT and head mask side by side, in train/ and test/): MAE, PSNR and SSIM inside the head mask against the truth,
beside the input itself and an intensity table fitted on the training pairs. Intervals: 95 % percentile bootstrap, over
near-duplicate groups for test slices, over slices for the pairs, whose two test patients are too few to resample.
"""

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np

from common_tf.images.preparation import prepare
from common_tf.images.reading import ImageData, image_paths, read_image
from common_tf.metrics.bootstrap import bootstrap_mean
from common_tf.metrics.distribution import sliced_wasserstein
from common_tf.metrics.floors import apply_intensity_table, fit_intensity_table
from common_tf.metrics.similarity import mae, psnr, ssim
from common_tf.splits.manifest import read_manifest
from cyclegan_tf.inference import load_translator


def _interval(values, groups=None) -> str:
    if groups is not None:
        by_group = defaultdict(list)
        for value, group in zip(values, groups):
            by_group[group].append(value)
        values = [np.mean(members) for members in by_group.values()]
    return "{:.3f} [{:.3f}, {:.3f}]".format(*bootstrap_mean(np.array(values)))


def _squares(translator, rows, data: Path, domain: str) -> np.ndarray:
    squares = []
    for row in rows:
        picture = read_image(data / row.path)
        preparation = translator.preparations[domain]
        squares.append(
            prepare(picture.pixels, preparation, bits=picture.bits, size=translator.config.image_size).pixels
        )
    return np.stack(squares)


def test_slices(translator, manifest, data: Path) -> None:
    """Prints the figures of the test slices."""
    names = translator.config.domain_names
    random = np.random.default_rng(0)
    test = {name: [row for row in manifest if row.label == name and row.split == "test"] for name in names}
    count = min(len(rows) for rows in test.values())
    real, training = {}, {}
    for name in names:
        real[name] = _squares(translator, test[name], data, name)
        rows = [row for row in manifest if row.label == name and row.split == "train"]
        chosen = random.choice(len(rows), min(count, len(rows)), replace=False)
        training[name] = _squares(translator, [rows[i] for i in chosen], data, name)
    for source, target in (names, names[::-1]):
        _, _, there = translator.direction(f"{source}2{target}")
        _, _, back = translator.direction(f"{target}2{source}")
        fake = translator.translate(real[source], there)
        cycled = translator.translate(fake, back)
        groups = [row.group for row in test[source]]
        some = random.choice(len(fake), count, replace=False)
        print(f"{source}2{target}, {len(fake)} test slices in {len(set(groups))} groups")
        print(f"  distance to real {target} (n = {count}): {sliced_wasserstein(training[target], fake[some]):.3f}")
        floor = sliced_wasserstein(training[target], real[target][:count])
        print(f"    real test {target} slices: {floor:.3f}")
        print(f"    untranslated {source}: {sliced_wasserstein(training[target], real[source][some]):.3f}")
        print(f"  cycle MAE: {_interval(mae(real[source], cycled), groups)}")
        print(f"  cycle SSIM: {_interval(ssim(real[source], cycled), groups)}")


def _pairs(folder: Path):
    strips = np.stack([read_image(path).pixels for path in image_paths(folder)]).astype(np.float32) / 255
    mri, ct, mask = np.split(strips, 3, axis=2)
    return {"MRI": mri, "CT": ct}, mask > 0.5


def paired_slices(translator, folder: Path) -> None:
    """Prints the figures of registered pairs."""
    training, _ = _pairs(folder / "train")
    test, mask = _pairs(folder / "test")
    for source, target in (("CT", "MRI"), ("MRI", "CT")):
        _, _, network = translator.direction(f"{source}2{target}")
        pictures = [
            ImageData(pixels=np.round(image * 255).astype(np.uint8), bits=8, mode="L", format="PNG")
            for image in test[source]
        ]
        outputs = np.stack(translator.translate_pictures(pictures, source=source, network=network))
        table = fit_intensity_table(training[source], training[target])
        print(f"{source}2{target}, {len(outputs)} pairs, inside the head mask: MAE, PSNR (dB), SSIM")
        for name, images in (
            ("translator", outputs),
            ("the input itself", test[source]),
            ("intensity table (fitted on pairs)", apply_intensity_table(test[source], table)),
        ):
            cells = [_interval(metric(images, test[target], mask=mask)) for metric in (mae, psnr, ssim)]
            print(f"  {name:34}" + "  ".join(cells))


def main() -> None:
    """Parses the flags and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pairs", type=Path)
    arguments = parser.parse_args()
    translator = load_translator(arguments.run)
    print(f"weights of step {translator.record['step']}")
    test_slices(translator, read_manifest(arguments.run / "manifest.csv"), arguments.data)
    if arguments.pairs:
        paired_slices(translator, arguments.pairs)


if __name__ == "__main__":
    main()
