"""What a run computes with: versions, device, arithmetic. Written down at its start and kept when it goes on."""

import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import tensorflow as tf

import common_tf
from common_tf.arithmetic import POLICIES
from common_tf.devices import ask_for_determinism, device_words, unused_gpu_words
from common_tf.errors import UserError
from common_tf.files import read_json, replace_json
from common_tf.lanes import KERAS_VERSION, LANE
from common_tf.replicas import replicas
from common_tf.threads import available_cores

ENVIRONMENT_FILE = "environment.json"


@dataclass(frozen=True)
class Environment:
    """Where and with what a run computes.

    Attributes:
        policy: Keras mixed-precision policy.
        device: of the training.
        lane, tensorflow, keras, python, project: versions.
        cores: of the machine.
    """

    policy: str
    device: str
    lane: str
    tensorflow: str
    keras: str
    python: str
    project: str
    cores: int

    def words(self) -> str:
        """For the start line; a GPU that stands idle gets a line of its own."""
        unused = unused_gpu_words()
        return (
            f"{self.policy} on {self.device}, TensorFlow {self.tensorflow}, Keras {self.keras}, Python {self.python}"
            + (f"\nnot used: {unused}" if unused else "")
        )


def current_environment(policy: str) -> Environment:
    """This machine's, with the given policy."""
    return Environment(
        policy=policy,
        device=device_words() + (f", {replicas().count} processes" if replicas().count > 1 else ""),
        lane=LANE,
        tensorflow=tf.__version__,
        keras=KERAS_VERSION,
        python=".".join(map(str, sys.version_info[:3])),
        project=common_tf.__version__,
        cores=available_cores(),
    )


def enter_environment(folder: Path, policy: str, *, deterministic: bool) -> Environment:
    """What a run is going to compute with, said in one line; call it before TensorFlow's first operation.

    Args:
        folder: of the run.
        policy: Keras mixed-precision policy that a new run would take here; one that goes on keeps its own.
        deterministic: see `ask_for_determinism`.

    Raises:
        UserError: the run was begun in another lane, whose checkpoints cannot be read here; or processes that are to
            share the training differ.
    """
    ask_for_determinism(deterministic)
    mine, environment = replicas(), current_environment(policy)
    if not mine.are_alike(f"{environment.tensorflow} {environment.keras} {environment.project}".encode()):
        raise UserError(
            f"the processes of this training have other versions than TensorFlow {environment.tensorflow}, Keras "
            f"{environment.keras} and {environment.project} of this project; install the same on all machines"
        )
    if mine.is_first:
        environment = _settled(folder, environment)
    policies = list(POLICIES.values())
    (number,) = mine.of_first([np.array([policies.index(environment.policy)])])
    environment = replace(environment, policy=policies[int(number[0])])
    print(f"arithmetic: {environment.words()}", flush=True)
    return environment


def _settled(folder: Path, wanted: Environment) -> Environment:
    """The environment a run goes on in: its own arithmetic, whatever this machine would choose."""
    file = Path(folder) / ENVIRONMENT_FILE
    if not file.exists():
        return wanted
    old = read_json(file, way_out="restore it, or choose another --run folder")
    if old.get("lane") != wanted.lane:
        raise UserError(
            f"{folder}: was begun with Keras {old.get('keras')}, and this is Keras {wanted.keras}, which reads no "
            "checkpoint of it; continue it in its own lane (its weights can be used in either)"
        )
    if old.get("tensorflow") != wanted.tensorflow:
        print(f"begun with TensorFlow {old.get('tensorflow')}, going on with {wanted.tensorflow}: not exact to the bit")
    policy = old.get("policy")
    if policy not in POLICIES.values():
        raise UserError(f"{file}: {policy} is no arithmetic; restore it, or choose another --run folder")
    if policy != wanted.policy:
        print(f"going on in {policy}, as the run was begun; a new one would take {wanted.policy} here", flush=True)
    return Environment(**{**asdict(wanted), "policy": policy})


def write_environment(folder: Path, environment: Environment) -> None:
    """Writes environment.json, once: what a run was begun with stays on record."""
    if not (Path(folder) / ENVIRONMENT_FILE).exists():
        replace_json(Path(folder) / ENVIRONMENT_FILE, asdict(environment))
