#!/usr/bin/env python3
"""Images per second of each backbone, in training and at inference, at its own input size.

    python benchmarks/detector_speed.py [--rounds 3] [--backbones small original ...] [--batch-size 16]

Rounds go over all rows in turn, so that a slow moment of the machine falls on all of them; printed are median and best.
Training is one update of every weight (as with --weights none), augmentation included, on cached images; the time to
decode and prepare a 512x512 PNG is measured apart, because it is paid once a data set and not once an epoch.
"""

import argparse
import io
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from common_tf.backbones import backbones


def main() -> None:
    """Measures and prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--precisions", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--backbones", nargs="+", default=list(backbones()), choices=list(backbones()))
    arguments = parser.parse_args()
    rows = {
        (backbone, precision): _row(backbone, precision, arguments.batch_size)
        for backbone in arguments.backbones
        for precision in arguments.precisions
    }
    times: dict[tuple[str, str], tuple[list[float], list[float]]] = {key: ([], []) for key in rows}
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
        print(f"| {backbone} | {backbones()[backbone].SIZE} | {precision} | {cells[0]} | {cells[1]} |")
    print(f"decoding and preparing a 512x512 PNG: {1000 * _decoding():.1f} ms (median of 20), once a data set")


def _row(backbone: str, precision: str, batch_size: int) -> tuple[Callable[[], None], Callable[[], None]]:
    import numpy as np
    import tensorflow as tf

    from detector_tf.config import make_config
    from detector_tf.losses import classification_loss, segmentation_loss
    from detector_tf.networks import chosen_policy
    from detector_tf.trainable import DetectorTrainable, as_function, batched_logits
    from detector_tf.weights import build_started

    segments = backbones()[backbone].SEGMENTS
    config = make_config({"task": "segment" if segments else "classify", "backbone": backbone, "precision": precision})

    def loss(logits, truth):
        if segments:
            return segmentation_loss(logits, truth["masks"])[0], {}
        smoothing = config.optimisation.label_smoothing
        loss, _ = classification_loss(
            logits, truth["labels"], classes=2, class_weights=tf.ones(2), label_smoothing=smoothing
        )
        return loss, {}

    policy = chosen_policy(config)
    trainable = DetectorTrainable(
        config, build_started(config, classes=2, policy=policy), folder=Path(), loss=loss, figures=lambda predict: {},
        policy=policy, steps_per_epoch=1000, total_steps=1000,
    )  # fmt: skip
    side = config.network.side
    images = np.random.default_rng(0).integers(0, 256, (batch_size, side, side, 1), dtype=np.uint8)
    truth = {"masks": tf.constant(images > 127, tf.uint8)} if segments else {
        "labels": tf.constant(np.arange(batch_size) % 2, tf.int32)
    }  # fmt: skip
    batch = {"images": tf.constant(images), **truth}
    predict = as_function(trainable.inference)

    def train() -> None:
        float(trainable.train_step(batch, tf.constant(0, tf.int64))["loss"])

    def infer() -> None:
        batched_logits(predict, images, side=side)

    for function in (train, infer):
        function()  # builds the graph
    return train, infer


def _decoding() -> float:
    from PIL import Image

    from common_tf.pictures.intensity import quantise
    from common_tf.pictures.phantom import draw_phantom
    from common_tf.pictures.preparation import Preparation, prepare
    from common_tf.pictures.readers import decode

    buffer = io.BytesIO()
    Image.fromarray(quantise(draw_phantom(0, size=512).mri)).save(buffer, format="PNG")
    preparation = Preparation("head", 0.9)
    times = []
    for _ in range(20):
        began = time.perf_counter()
        prepare(decode(buffer.getvalue())[0], preparation, size=224)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


if __name__ == "__main__":
    main()
