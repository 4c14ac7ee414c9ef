"""Adding a system is adding one folder: it trains, is killed, continues, translates and is compared, through the
scripts, with no other file touched.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
_CONFIG = '''
"""A toy's options."""

from dataclasses import dataclass

from common_tf.runs.config import option
from cyclegan_tf.systems._options import OwnGenerators


@dataclass(frozen=True)
class Config(OwnGenerators):
    """One option of its own."""

    brightness: float = option(0.5, "what it learns to add", minimum=0)


PRESETS = {"fast": {"generator_filters": 2}}
'''
_SYSTEM = '''
"""A toy: each direction learns to add a constant."""

import tensorflow as tf

from common_tf.lanes import OPTIMIZER_OPTIONS
from cyclegan_tf.directions import DIRECTIONS, SIDES
from cyclegan_tf.networks.generators import light_generator
from cyclegan_tf.translator import Translator


class System(Translator):
    """See the module."""

    has_cycle = True

    def __init__(self, config, *, policy, total_steps):
        super().__init__(config, policy=policy, total_steps=total_steps)
        self.generators = dict(self.build_inference(config, policy=policy))
        self.optimizer = tf.keras.optimizers.Adam(config.optimisation.learning_rate, **OPTIMIZER_OPTIONS)
        self.optimizer.build(self.trained())

    def trained(self):
        return [variable for one in self.generators.values() for variable in one.trainable_variables]

    def inference_networks(self):
        return dict(self.generators)

    @classmethod
    def build_inference(cls, config, *, policy):
        data, filters = config.data, config.system.generator_filters
        return {
            name: light_generator(
                size=data.image_size, channels=data.channels, filters=filters, blocks=1, policy=policy, name=name
            )
            for name in DIRECTIONS
        }

    @tf.function(autograph=False)
    def train_step(self, batch, step):
        with tf.GradientTape() as tape:
            losses = {}
            for name, network in self.generators.items():
                source = batch[SIDES[name][0]]
                wanted = source + self.config.system.brightness
                losses[f"offset_{name}"] = tf.reduce_mean(tf.abs(network(source, training=True) - wanted))
            total = sum(losses.values())
        self.optimizer.apply_gradients(zip(tape.gradient(total, self.trained()), self.trained()))
        return losses
'''
_DIES_AFTER_FIRST_SAVE = """
import os, signal, sys
import common_tf.runs.checkpoints as module
save = module.Checkpoints.save
def save_and_die(self):
    save(self)
    os.kill(os.getpid(), signal.SIGKILL)
module.Checkpoints.save = save_and_die
import train_cyclegan
train_cyclegan.main(sys.argv[1:])
"""


@pytest.fixture
def house(tmp_path) -> Path:
    """A copy of the packages and scripts, with one room more."""
    copy = tmp_path / "house"
    copy.mkdir()
    for name in ("common_tf", "cyclegan_tf", "detector_tf", "evaluation_tf"):
        shutil.copytree(REPOSITORY / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("train_cyclegan.py", "train_detector.py", "translate.py", "evaluate.py"):
        shutil.copy(REPOSITORY / name, copy / name)
    room = copy / "cyclegan_tf" / "systems" / "toy"
    room.mkdir()
    (room / "__init__.py").write_text('"""A toy."""\n')
    (room / "config.py").write_text(_CONFIG)
    (room / "system.py").write_text(_SYSTEM)
    return copy


def _run(house: Path, *words) -> subprocess.CompletedProcess:
    command = [sys.executable, *map(str, words)]
    return subprocess.run(command, cwd=house, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ""})


@pytest.mark.more
def test_a_system_is_one_folder(house, tmp_path):
    words = ("--model", "toy", "--data", "phantom", "--image-size", 32, "--precision", "float32", "--set", "phantoms=6")
    words += ("--set", "validation_images=4", "--set", "brightness=0.25", "--save-every-steps", 2, "--steps", 4)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    done = _run(house, "train_cyclegan.py", *words, "--run", whole)
    assert done.returncode == 0, done.stderr
    done = _run(house, "-c", _DIES_AFTER_FIRST_SAVE, *words, "--run", killed)
    assert done.returncode == -signal.SIGKILL
    done = _run(house, "train_cyclegan.py", *words, "--run", killed)
    assert done.returncode == 0 and "continuing after step 2" in done.stdout, done.stderr
    scores = [json.loads((run / "phantom_scores.json").read_text()) for run in (whole, killed)]
    assert scores[0] == scores[1] and set(scores[0]["directions"]) == {"CT2MRI", "MRI2CT"}
    words = ("--direction", "CT2MRI", "--input", whole / "translated" / "MRI2CT", "--output", tmp_path / "out")
    done = _run(house, "translate.py", "--run", killed, *words)
    assert done.returncode == 0 and "48 images translated" in done.stdout, done.stderr
    done = _run(house, "evaluate.py", "--compare", whole, killed, "--output", tmp_path / "report")
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "report" / "report.json").read_text())
    names = [row["name"] for row in record["sections"]["comparison"]["tables"]["compare_CT2MRI"]["rows"]]
    assert "toy (whole)" in names and "toy (killed)" in names
    done = _run(house, "train_cyclegan.py", "--model", "cut", "--set", "brightness=1", "--run", tmp_path / "no")
    assert done.returncode == 2 and "model toy has it" in done.stderr
