"""Shared fixtures: small data sets that the tests draw themselves, and the place of real images."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

# Before TensorFlow is imported: workers side by side take a core each, and not all of them.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Prepared slices of the tests, also of the scripts that they start, go into a folder of this session's own.
os.environ["CT_MRI_CACHE"] = tempfile.mkdtemp(prefix="ct-mri-tests-")

import h5py
import numpy as np
import pytest
from PIL import Image

import common_tf  # noqa: F401  (sets the logging level before TensorFlow is imported)
from common_tf.pictures.intensity import quantise
from common_tf.pictures.phantom import draw_phantom

atexit.register(shutil.rmtree, os.environ["CT_MRI_CACHE"], ignore_errors=True)
REPOSITORY = Path(__file__).resolve().parents[1]
_REAL = Path(os.environ.get("CT_MRI_DATA", REPOSITORY.parent / "shared" / "data"))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Marks what slowest.txt names; a line of it that names nothing is an error, where everything is collected."""
    lines = (Path(__file__).parent / "slowest.txt").read_text(encoding="utf-8").splitlines()
    names = [line.rstrip("\n") for line in lines if line and not line.startswith("#")]
    used = set()
    for item in items:
        for name in names:
            if item.nodeid.startswith(name):
                used.add(name)
                item.add_marker(pytest.mark.more)
                item.add_marker(pytest.mark.most)
    files = {item.nodeid.split("::")[0] for item in items}
    lost = [name for name in names if name not in used and name.split("::")[0] in files]
    if lost and all("::" not in word for word in config.args):
        raise pytest.UsageError(f"tests/slowest.txt: names no test: {', '.join(lost)}")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real images; tests that want it are skipped where it is absent."""
    if not _REAL.is_dir():
        pytest.skip(f"no real images at {_REAL}; set CT_MRI_DATA to their folder")
    return _REAL


@pytest.fixture(scope="session")
def phantom_folder(tmp_path_factory) -> Path:
    """trainA (CT), trainB (MRI), testA, testB with drawn heads of 64 px as PNG; nothing is shared between folders."""
    folder = tmp_path_factory.mktemp("phantoms")
    for start, (name, count) in zip((0, 100, 200, 300), (("trainA", 12), ("trainB", 14), ("testA", 4), ("testB", 4))):
        (folder / name).mkdir()
        for seed in range(start, start + count):
            phantom = draw_phantom(seed, size=64)
            image = phantom.ct if name.endswith("A") else phantom.mri
            Image.fromarray(quantise(image)).save(folder / name / f"head{seed}.png")
    return folder


@pytest.fixture(scope="session")
def save_as_keras_2():
    """Writes a network's weights as Keras 2 wrote ``.h5`` files and as keras.applications has them; Keras 3 only reads
    such files.
    """

    def save(network, file):
        with h5py.File(file, "w") as content:
            content.attrs["layer_names"] = [layer.name.encode() for layer in network.layers]
            for layer in network.layers:
                names = [f"{layer.name}/{number}:0".encode() for number in range(len(layer.weights))]
                group = content.create_group(layer.name)
                group.attrs["weight_names"] = names
                for name, value in zip(names, layer.get_weights()):
                    group[name.decode()] = value

    return save


@pytest.fixture
def random() -> np.random.Generator:
    """A generator with a fixed seed."""
    return np.random.default_rng(0)
