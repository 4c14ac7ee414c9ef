"""Steps of systems and detectors on a fixed batch, computed alone or by several processes.

python -m tests.replicas.steps OUTPUT.npz CASE...        with TF_CONFIG for one of several
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

import common_tf  # noqa: F401  (before TensorFlow: quiet)

import tensorflow as tf  # isort: skip

from common_tf.backbones import build_network
from common_tf.replicas import replicas
from common_tf.runs.config import options_of
from common_tf.runs.devices import train_on_devices
from cyclegan_tf.config import config_type, make_config
from cyclegan_tf.systems import system_class
from detector_tf.config import make_config as make_detector_config
from detector_tf.losses import classification_loss, segmentation_loss
from detector_tf.networks import network_spec
from detector_tf.trainable import DetectorTrainable
from detector_tf.weights import Started

BATCH, SIDE, STEPS = 2, 32, 10
_SMALL = dict(generator_filters=4, discriminator_filters=4, image_size=SIDE, batch_size=BATCH, total_steps=100)
# Steps small enough that what ten of them do to the last digits stays small, and a pool that is full at once.
_SMALL |= dict(learning_rate=1e-5, pool_size=2)
SYSTEMS: dict[str, dict] = {
    "cyclegan": dict(generator="unet", pairs="beside", edge_weight=1.0, identity_weight=1.0, nce_weight=1.0),
    "cyclegan spectral": dict(critic_sees_outline=True, spectral_norm=True, critic_share=0.5),
    "cyclegan projected": dict(critic="projected", adversarial="hinge", pool_size=0, discriminator_filters=None),
    "pix2pix float16": dict(generator="unet", precision="float16"),
    "pix2pix": dict(generator="unet"),
    "unit": {},
    "cut": {},
    "fastcut": {},
    "medgan": dict(image_size=64),
    "pccgan": {},
    "cyclegan3d": dict(generator="light", voxel_mm=6.0),
}
DETECTORS: dict[str, dict] = {
    "classify": dict(backbone="original", dropout=0.5, rotation=10.0, noise=0.05, class_weights=False),
    "segment": dict(backbone="unet", task="segment", filters=4, weights="runs/a"),
}


def system_steps(case: str) -> dict[str, np.ndarray]:
    """Losses and gradients of the first step, losses of the last."""
    model = case.split()[0]
    mine = options_of(config_type(model))
    given = {name: value for name, value in {**_SMALL, **SYSTEMS[case]}.items() if value is not None}
    precision = given.pop("precision", "float32")
    total = given.pop("total_steps")
    config = make_config({"model": model, **{name: value for name, value in given.items() if name in mine}})
    policy = {"float32": "float32", "float16": "mixed_float16"}[precision]
    system = system_class(model)(config, policy=policy, total_steps=total)
    random = np.random.default_rng(0)
    side = config.data.image_size
    shape = (BATCH, *[side] * (3 if system.is_volumetric else 2))

    def batch() -> dict:
        names = ("a", "b", *(("pair_a", "pair_b") if "pairs" in given else ()))
        made = {name: tf.constant(random.uniform(-1, 1, (*shape, 1)).astype(np.float32)) for name in names}
        # Heads of unlike sizes, so that a mean over images is not the mean over their pixels.
        masks = ("mask_a", "mask_b", *(("pair_mask",) if "pairs" in given else ()))
        for name in masks:
            mask = np.ones((*shape, 1), np.float32)
            mask[0, side // 2 :] = 0
            made[name] = tf.constant(mask)
        return made

    @tf.function(autograph=False)
    def train(images: dict, step: tf.Tensor) -> tuple:
        """`AdversarialTranslator.train_step`, with its gradients."""
        losses, gradients = system.step_gradients(images, step)
        system._update(gradients, step)
        system.remember(images)
        return losses, gradients

    results: dict[str, np.ndarray] = {}
    for step in range(STEPS):
        losses, found = train(batch(), tf.constant(step, tf.int64))
        if step == 0:
            results = {f"loss {name}": value.numpy() for name, value in losses.items()}
            for name, part in found.items():
                results |= {f"gradient {name} {number}": value.numpy() for number, value in enumerate(part)}
    return results | {f"last {name}": value.numpy() for name, value in losses.items()}


def detector_steps(case: str) -> dict[str, np.ndarray]:
    """Figures of the first step, what it changed, and figures of the last."""
    given = {"image_size": SIDE, "batch_size": BATCH, "learning_rate": 1e-4, **DETECTORS[case]}
    config = make_detector_config(given)
    spec = network_spec(config, classes=2)

    def loss(logits: tf.Tensor, truth: dict) -> tuple:
        if case == "segment":
            value, dice = segmentation_loss(logits, truth["masks"])
            return value, {"dice": dice}
        weights = tf.constant([1.0, 3.0])
        value, right = classification_loss(
            logits, truth["labels"], classes=2, class_weights=weights, label_smoothing=0.0
        )
        return value, {"accuracy": right}

    network = build_network(spec, policy="float32")
    trainable = DetectorTrainable(
        config, Started(network, spec, "here"), folder=Path("."), loss=loss, figures=lambda _: {}, policy="float32",
        steps_per_epoch=5, total_steps=50,
    )  # fmt: skip
    random = np.random.default_rng(0)
    results: dict[str, np.ndarray] = {}
    for step in range(STEPS):
        batch = {"images": tf.constant(random.integers(0, 256, (BATCH, SIDE, SIDE, 1), dtype=np.uint8))}
        if case == "segment":
            # Lesions of unlike sizes: Dice is that of the step, not the mean of its parts'.
            masks = np.zeros((BATCH, SIDE, SIDE, 1), np.uint8)
            masks[0, :20], masks[1:, :4] = 1, 1
            batch["masks"] = tf.constant(masks)
        else:
            batch["labels"] = tf.constant(np.arange(BATCH) % 2, tf.int32)
        losses = trainable.train_step(batch, tf.constant(step, tf.int64))
        if step == 0:
            results = {f"loss {name}": value.numpy() for name, value in losses.items()}
    return results | {f"last {name}": value.numpy() for name, value in losses.items()}


def main(output: str, *cases: str) -> None:
    """Computes the cases and writes what came out, if this is the first process."""

    def compute() -> bool:
        content: dict[str, np.ndarray] = {}
        for case in cases:
            steps: Callable = detector_steps if case in DETECTORS else system_steps
            content |= {f"{case}|{name}": value for name, value in steps(case).items()}
        if replicas().is_first:
            np.savez(output, **content)
        return True

    train_on_devices(compute, devices="auto", batch_size=BATCH, script=__file__, arguments=())


if __name__ == "__main__":
    main(*sys.argv[1:])
