"""Whoever adds a file to a room of plug-ins has registered it: shown on a copy of the package."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import common_tf
from common_tf.backbones import backbones
from common_tf.metrics.similarity import similarity_metrics
from common_tf.pictures.readers import extensions

METRIC = '''"""The largest error."""
import numpy as np
from common_tf.metrics.similarity._base import Metric, double
ORDER = 15
def worst(first, second, *, mask=None):
    return np.abs(double(first) - double(second)).max(axis=(1, 2))
METRIC = Metric(worst, "Worst", "largest absolute error", "lower")
'''
READER = '''"""Portable graymaps."""
import numpy as np
from common_tf.pictures.picture import Picture
from common_tf.pictures.readers._facts import FileFacts
EXTENSIONS = (".pgm",)
def recognises(content):
    return content.startswith(b"P5")
def read(content):
    _, size, _, pixels = content.split(b"\\n", 3)
    width, height = map(int, size.split())
    found = np.frombuffer(pixels, np.uint8).reshape(height, width)
    return Picture(found), FileFacts("PGM", "L", 8, height, width, int(found.min()), int(found.max()))
'''
BACKBONE = '''"""One convolution."""
ORDER = 5
SIZE, CAM_LAYER, FINE_TUNE_FROM, FASTER_IN_BFLOAT16 = 16, "last_convolution", "", False
IMAGENET, USES_FILTERS, SEGMENTS = "", True, False
STARTED = {}
def build(inputs, filters, weights):
    from tensorflow.keras import layers
    return layers.Conv2D(filters, 3, name="last_convolution")(inputs)
'''
CODE = """
from pathlib import Path
import numpy as np
from common_tf.backbones import NetworkSpec, backbones, build_network
from common_tf.metrics.similarity import similarity_metrics
from common_tf.sources.listing import list_pictures
from common_tf.pictures.readers import read_file
print(*similarity_metrics("head"))
print(*backbones())
print(float(similarity_metrics()["worst"].function(np.zeros((1, 8, 8)), np.full((1, 8, 8), .5))[0]))
folder = Path("pictures")
folder.mkdir()
(folder / "a.pgm").write_bytes(b"P5\\n3 2\\n255\\n" + bytes(range(6)))
picture, facts = read_file(list_pictures(folder).paths[0])
print(facts.format, picture.pixels.tolist())
"""


@pytest.fixture(scope="module")
def printed(tmp_path_factory) -> list[str]:
    """What a program prints that uses a copy of the package with three files more."""
    folder = tmp_path_factory.mktemp("copy")
    copy = folder / "common_tf"
    shutil.copytree(Path(common_tf.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "metrics" / "similarity" / "worst.py").write_text(METRIC)
    (copy / "metrics" / "similarity" / "_helper.py").write_text("raise ImportError")
    (copy / "pictures" / "readers" / "pgm.py").write_text(READER)
    (copy / "backbones" / "tiny.py").write_text(BACKBONE)
    done = subprocess.run([sys.executable, "-c", CODE], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_metric_stands_in_every_table_in_its_order(printed):
    here = list(similarity_metrics("head"))
    assert printed[0].split() == [here[0], "worst", *here[1:]]
    assert printed[2] == "0.5"


def test_a_backbone_can_be_chosen(printed):
    assert printed[1].split() == ["tiny", *backbones()]


def test_a_reader_reads_and_its_ending_is_listed(printed):
    assert printed[3] == "PGM [[0, 1, 2], [3, 4, 5]]"
    assert ".pgm" not in extensions()


def test_what_is_here_is_in_its_order():
    assert list(similarity_metrics())[:3] == ["mae", "rmse", "mse"]
    assert list(backbones())[0] == "small"
    assert not any(name.startswith("_") for name in (*similarity_metrics(), *backbones()))
    assert {metric.better for metric in similarity_metrics().values()} == {"higher", "lower"}
