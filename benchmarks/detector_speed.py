#!/usr/bin/env python3
"""Images per second of each backbone, in training and at inference, at its own input size.

    python benchmarks/detector_speed.py [--rounds 3] [--backbones small original ...] [--batch-size 16]

Rounds go over all rows in turn, so that a slow moment of the machine falls on all of them; printed are median and best.
Training is one update of every weight (as with --weights none), augmentation included, on cached images; the time to
decode and prepare a 512x512 PNG is measured apart, because it is paid once a run and not once an epoch.
"""

import argparse
import io
import statistics
import time

import common_tf  # noqa: F401  (sets the logging level before TensorFlow is imported)


def main() -> None:
    """Measures and prints a Markdown table."""
    from detector_tf.config import DEFAULT_SIZE

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--precisions", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--backbones", nargs="+", default=list(DEFAULT_SIZE), choices=list(DEFAULT_SIZE))
    arguments = parser.parse_args()
    rows = {
        (backbone, precision): _row(backbone, precision, arguments.batch_size)
        for backbone in arguments.backbones
        for precision in arguments.precisions
    }
    times = {key: ([], []) for key in rows}
    for _ in range(arguments.rounds):
        for key, functions in rows.items():
            for kind, function in enumerate(functions):
                began = time.perf_counter()
                function()
                times[key][kind].append(time.perf_counter() - began)
    print("| backbone | size | precision | training, images/s (median, best) | inference in float32, images/s |")
    print("|---|---|---|---|---|")
    for (backbone, precision), both in times.items():
        cells = [
            f"{arguments.batch_size / statistics.median(values):.0f}, {arguments.batch_size / min(values):.0f}"
            for values in both
        ]
        print(f"| {backbone} | {DEFAULT_SIZE[backbone]} | {precision} | {cells[0]} | {cells[1]} |")
    print(f"decoding and preparing a 512x512 PNG: {1000 * _decoding():.1f} ms (median of 20), once a run")


def _row(backbone: str, precision: str, batch_size: int):
    import numpy as np
    import tensorflow as tf

    from detector_tf.backbones import build_detector, chosen_policy
    from detector_tf.config import make_config
    from detector_tf.detector import Detector

    task = "segment" if backbone == "unet" else "classify"
    config = make_config({"task": task, "backbone": backbone, "precision": precision})
    policy = chosen_policy(config)
    network = build_detector(config, classes=2, policy=policy)
    detector = Detector(config, network, classes=2, class_weights=(1, 1), policy=policy, head_steps=0, total_steps=1000)
    images = np.random.default_rng(0).integers(0, 256, (batch_size, config.side, config.side, 1), dtype=np.uint8)
    if backbone == "unet":
        truth = {"masks": tf.constant(images > 127, tf.uint8)}
    else:
        truth = {"labels": tf.constant(np.arange(batch_size) % 2, tf.int32)}
    batch = {"images": tf.constant(images), **truth}

    def train() -> None:
        float(detector.train_step(batch, tf.constant(0, tf.int64))["loss"])

    def infer() -> None:
        detector.logits(images, batch_size=batch_size)

    for function in (train, infer):
        function()  # builds the graph
    return train, infer


def _decoding() -> float:
    import numpy as np
    from PIL import Image

    from common_tf.images.intensity import quantise
    from common_tf.images.phantom import draw_phantom
    from common_tf.images.preparation import learn_preparation, prepare
    from common_tf.images.reading import decode_image

    buffer = io.BytesIO()
    Image.fromarray(quantise(draw_phantom(0, size=512).mri)).save(buffer, format="PNG")
    preparation = learn_preparation(framing="head", extents=[0.9], bits=8, largest=255)
    times = []
    for _ in range(20):
        began = time.perf_counter()
        image = decode_image(buffer.getvalue())
        prepare(image.pixels, preparation, bits=image.bits, size=224)
        times.append(time.perf_counter() - began)
    return float(np.median(times))


if __name__ == "__main__":
    main()
