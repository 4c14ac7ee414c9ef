"""What the numbers of a report were made from."""

import platform
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import scipy
import tensorflow as tf

import common_tf
from common_tf.errors import UserError
from common_tf.files import read_json
from common_tf.lanes import KERAS_VERSION
from common_tf.runs.folder import AUDIT_FILE, CONFIG_FILE
from detector_tf.predictions import PREDICTIONS_FILE
from evaluation_tf.cache import ArrayCache
from evaluation_tf.context import Context
from evaluation_tf.images import file_hash


def provenance(context: Context, seconds: float) -> dict[str, str]:
    """Commands, data, configs, hashes and versions, as titles and texts."""
    texts = {"Command": command_words(context.request.command)}
    outputs, test, pairs = context.translation, context.test, context.pairs
    if test is not None:
        lines = [f"data: {_without_place(str(context.data))}", f"chosen: {test.origin}"]
        for name, one in test.slices.items():
            lines.append(
                f"{name}: {len(one.squares)} test slices in {len(np.unique(one.groups))} {one.group_word}; "
                f"{len(one.training)} training slices as reference"
            )
        if pairs is not None:
            lines.append(f"pairs: {len(pairs)} ({pairs.name}) in {pairs.group_count} {pairs.group_word}")
        texts["Data and splits"] = "\n".join(lines)
    if outputs is not None:
        texts["Audit of the translator's data"] = _audit(outputs.run)
        texts["Translator"] = (
            f"weights of step {outputs.translator.record['step']}, SHA-256 of all {outputs.weights_hash}\n"
            + config_words(outputs.run)
        )
    if context.panel is not None:
        run = context.panel.run
        texts["Detector"] = f"predictions SHA-256 {file_hash(run / PREDICTIONS_FILE)}\n{config_words(run)}"
    texts["Versions and time"] = version_words(seconds, context.cache)
    return texts


def version_words(seconds: float, cache: ArrayCache) -> str:
    """What it was computed with, and how long it took."""
    versions = {
        "project": common_tf.__version__,
        "python": sys.version.split()[0],
        "tensorflow": tf.__version__,
        "keras": KERAS_VERSION,
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "opencv": cv2.__version__,
    }
    lines = [f"{name} {version}" for name, version in versions.items()]
    return "\n".join([*lines, f"{platform.machine()}, {time_words(seconds, cache)}"])


def command_words(command: Sequence[str]) -> str:
    """The command line, without where things lie on the machine of whoever made the report."""
    return " ".join(map(_without_place, command)) or "(called from Python)"


def config_words(run: Path) -> str:
    """The config of a run; empty where its folds alone have one."""
    file = run / CONFIG_FILE
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    return re.sub(r"""(?m)^(\s*\w+: )['"]?([~/].*?)['"]?$""", lambda found: found[1] + _without_place(found[2]), text)


def _without_place(word: str) -> str:
    """A word of a command; of an absolute path its last name, for a report is meant to be handed on."""
    flag, equals, value = word.partition("=")
    if equals and flag.isidentifier():
        return f"{flag}={_without_place(value)}"
    return Path(word).name or word if word.startswith(("/", "~")) else word


def time_words(seconds: float, cache: ArrayCache) -> str:
    """How long it took and what was known already."""
    return f"{seconds:.1f} s, {cache.hits} arrays read from the cache, {cache.misses} made"


def _audit(run: Path) -> str:
    file = run / AUDIT_FILE
    if not file.exists():
        return f"no {AUDIT_FILE} in the run"
    try:
        findings = read_json(file, way_out="continue the run, which writes it again").get("findings", [])
    except UserError as error:
        return str(error)
    return "\n".join(f"{item['severity']}: {item['text']}" for item in findings) or "nothing found"
