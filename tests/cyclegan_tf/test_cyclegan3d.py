"""CycleGAN on whole volumes: its networks, and what it makes of volumes through the scripts."""

import contextlib
import io
import json
import shutil

import nibabel
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import evaluate
import train_cyclegan
import translate
from common_tf.command_line import run_script
from common_tf.volumes.nifti import read_nifti, write_nifti
from cyclegan_tf.config import make_config
from cyclegan_tf.networks.layers import InstanceNormalization, ReflectionPadding, enlarging_convolution
from cyclegan_tf.systems import system_class
from cyclegan_tf.systems.cyclegan3d.networks import light_generator_3d, patch_discriminator_3d, resnet_generator_3d
from cyclegan_tf.volume_data import load_data

TINY = ["--model", "cyclegan3d", "--image-size", 32, "--precision", "float32", "--set", "voxel_mm=6"]
TINY += ["--set", "generator_filters=4", "--set", "discriminator_filters=4", "--set", "validation_images=4"]


def _run(script, *words) -> int:
    return run_script(script.main, list(map(str, words)))


def _kernels(*shapes: tuple[int, int, int], bias: bool = True) -> int:
    """Parameters of 3-D convolutions by kernel side, channels in and out."""
    return sum(side**3 * given * made + bias * made for side, given, made in shapes)


def test_parameter_counts_are_those_of_the_layer_tables():
    resnet = [(7, 1, 16), (3, 16, 32), (3, 32, 64), *[(3, 64, 64)] * 18, (3, 64, 32), (3, 32, 16), (7, 16, 1)]
    assert resnet_generator_3d(side=64, channels=1, name="g").count_params() == _kernels(*resnet) == 2_141_185
    critic = [(4, 1, 16), (4, 16, 32), (4, 32, 64), (4, 64, 128), (4, 128, 1)]
    network = patch_discriminator_3d(side=64, channels=1, name="d")
    assert network.count_params() == _kernels(*critic) == 697_585
    assert tuple(network.outputs[0].shape) == (None, 6, 6, 6, 1)
    normed = [(4, 1, 16), (4, 16, 64), (4, 64, 96), *[(3, 96, 96)] * 8, *[(3, 64, 64)] * 2, (3, 48, 16)]
    biased = [(1, 96, 64), (1, 64, 32), (1, 16, 8), (3, 9, 8), (3, 8, 1)]
    norms = 2 * (16 + 64 + 96 + 8 * 96 + 2 * 64 + 16)
    light = light_generator_3d(side=64, channels=1, name="l").count_params()
    assert light == _kernels(*normed, bias=False) + _kernels(*biased) + norms == 2_705_121


def test_norms_and_mirrored_borders_have_a_depth_too(random):
    cubes = random.standard_normal((2, 4, 5, 6, 3)).astype(np.float32) * 3 + 1
    mean, deviation = cubes.mean((1, 2, 3), keepdims=True), cubes.std((1, 2, 3), keepdims=True)
    np.testing.assert_allclose(InstanceNormalization()(cubes), (cubes - mean) / deviation, atol=1e-4)
    padded = np.pad(cubes, ((0, 0), (2, 2), (2, 2), (2, 2), (0, 0)), "reflect")
    np.testing.assert_array_equal(ReflectionPadding(2)(cubes), padded)


def test_a_voxel_stays_in_its_place_when_it_is_enlarged():
    cubes = np.zeros((1, 4, 5, 6, 1), np.float32)
    cubes[0, 1, 3, 2, 0] = 1
    made = enlarging_convolution(tf.constant(cubes), 1, initializer="ones", dtype=None)
    assert made.shape == (1, 8, 10, 12, 1)
    expected = np.zeros(made.shape, np.float32)
    expected[0, 1:4, 5:8, 3:6, 0] = 1  # a kernel around (2, 6, 4)
    np.testing.assert_array_equal(made, expected)


@pytest.mark.parametrize("build", [light_generator_3d, resnet_generator_3d])
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_generators_keep_shape_range_and_place(build, policy, random):
    network = build(side=16, channels=1, filters=4, blocks=1, policy=policy, name="g")
    cubes = random.uniform(-1, 1, (2, 16, 16, 16, 1)).astype(np.float32)
    made = network(cubes, training=True)
    assert made.shape == cubes.shape and made.dtype == tf.float32
    assert np.abs(made).max() <= 1 and np.std(made) > 0
    # The same seed gives the same network, and one cube does not see the other.
    again = build(side=16, channels=1, filters=4, blocks=1, policy=policy, name="g")
    for mine, other in zip(network.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, other)
    if policy == "float32":
        np.testing.assert_allclose(network(cubes[1:]), made[1:], atol=1e-4)


def test_a_critic_may_be_normalised_by_its_spectral_norms():
    plain, normed = (
        patch_discriminator_3d(side=32, channels=1, filters=4, spectral_norm=on, name="d") for on in (0, 1)
    )
    assert len(normed.weights) == len(plain.weights) + 5  # a vector for each kernel
    assert normed(tf.ones((1, 32, 32, 32, 1))).shape == (1, 2, 2, 2, 1)


@pytest.fixture(scope="module")
def run(drawn_volumes, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "run"
    words = ["--data", drawn_volumes, "--run", run, "--steps", 2, "--save-every", 0]
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        assert _run(train_cyclegan, *TINY, *words) == 0
    assert "CT, volumes: 4 train, 1 validation, 1 test" in said.getvalue()
    return run


def test_volumes_come_back_on_their_own_grid_however_they_are_stored(run, drawn_volumes, tmp_path, capsys):
    source = drawn_volumes / "pairs" / "p100" / "MRI.nii.gz"
    image = nibabel.load(source)
    turn = nibabel.orientations.ornt_transform(
        nibabel.io_orientation(image.affine), nibabel.orientations.axcodes2ornt("PIL")
    )
    nibabel.save(image.as_reoriented(turn), tmp_path / "turned.nii.gz")
    for given, name in ((source, "a"), (tmp_path / "turned.nii.gz", "b")):
        words = ("--run", run, "--direction", "MRI2CT", "--input", given, "--output", tmp_path / name)
        assert _run(translate, *words) == 0
        made = nibabel.load(tmp_path / name / given.name)
        assert made.shape == nibabel.load(given).shape and made.get_data_dtype() == np.int16
        np.testing.assert_allclose(made.affine, nibabel.load(given).affine, atol=1e-4)
    straight = nibabel.load(tmp_path / "a" / "MRI.nii.gz").as_reoriented(turn)
    turned = nibabel.load(tmp_path / "b" / "turned.nii.gz")
    assert np.abs(np.asarray(straight.dataobj, float) - np.asarray(turned.dataobj)).max() <= 1
    values = np.asarray(turned.dataobj)
    assert values.min() == -1000 and -1000 < values.max() <= 2000
    said = capsys.readouterr().out
    assert "cubic voxels of 6 mm and resampled back" in said


def test_a_head_that_is_small_in_its_cube_is_validated_on_too(drawn_volumes):
    values = {"model": "cyclegan3d", "data": str(drawn_volumes), "image_size": 64, "voxel_mm": 8.0}
    config = make_config(values)
    data = load_data(config, system_class("cyclegan3d"))
    cubes = data.some(data.a, "validation", 0, config)
    assert cubes.scaled().shape == (1, 64, 64, 64) and 0 < cubes.masks.mean() < 0.1


@pytest.mark.more
def test_a_run_of_volumes_is_measured_on_pairs_of_volumes(run, drawn_volumes, tmp_path, capsys):
    words = ("--translator", run, "--output", tmp_path / "report")
    assert _run(evaluate, *words, "--pairs", drawn_volumes / "pairs") == 0
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    rows = {row["key"]: row for row in report["sections"]["volumes"]["tables"]["volumes"]["rows"]}
    assert rows["translator"]["mae"]["n"] == 2 and set(report["sections"]) >= {"volumes"}
    assert not {"distribution", "cycle", "content", "gallery"} & set(report["sections"])
    text = (tmp_path / "report" / "report.html").read_text()
    assert "translates volumes as a whole" in text and "weights of step 2" in text
    capsys.readouterr()
    for more, reason in (
        ((), "give aligned volumes with --pairs"),
        (("--data", drawn_volumes, "--pairs", drawn_volumes / "pairs"), "give aligned volumes with --pairs"),
    ):
        assert _run(evaluate, "--translator", run, "--output", tmp_path / "none", *more) == 2
        said = capsys.readouterr().err
        assert reason in said and said.count("\n") == 1 and not (tmp_path / "none").exists()
    twin = shutil.copytree(run, tmp_path / "twin")
    words = ("--compare", run, twin, "--pairs", drawn_volumes / "pairs", "--output", tmp_path / "none")
    assert _run(evaluate, *words) == 2
    assert "the table is one of slices" in capsys.readouterr().err


def test_what_a_network_of_volumes_cannot_take_is_refused_in_a_line(
    run, drawn_volumes, phantom_folder, tmp_path, capsys
):
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(tmp_path / "a.png")
    few = tmp_path / "few"
    for letter in "AB":
        (few / f"train{letter}").mkdir(parents=True)
        shutil.copy(drawn_volumes / f"train{letter}" / "p0.nii.gz", few / f"train{letter}")
    new = tmp_path / "new"
    for words, reason in (
        (("--data", "phantom"), "python -m common_tf.volumes.phantom FOLDER draws some"),
        (("--data", phantom_folder), "holds pictures of CT"),
        (("--data", few), "no whole volume of CT for train; give more patients"),
        (("--data", drawn_volumes, "--set", "jitter=1.1"), "cuts its cubes at random"),
        (("--data", drawn_volumes, "--set", "plane=coronal"), "sees all planes at once"),
        (("--data", drawn_volumes, "--set", "shows=CT=0:80"), "is for pictures of 8 bits"),
        (("--data", drawn_volumes, "--set", "generator=unet"), "generator"),
    ):
        assert _run(train_cyclegan, *TINY, "--run", new, *words) == 2, reason
        said = capsys.readouterr().err
        assert reason in said and said.count("\n") == 1 and not new.exists(), said
    words = ("--run", run, "--direction", "CT2MRI", "--input", tmp_path / "a.png", "--output", tmp_path / "out")
    assert _run(translate, *words) == 2
    assert "give NIfTI files or DICOM series" in capsys.readouterr().err and not (tmp_path / "out").exists()
    empty, _ = read_nifti(drawn_volumes / "pairs" / "p100" / "CT.nii.gz")
    empty.voxels[:] = np.where(np.arange(empty.voxels.size).reshape(empty.shape) % 2, -1000, -990)
    write_nifti(tmp_path / "air.nii.gz", empty)
    words = ("--run", run, "--direction", "CT2MRI", "--input", tmp_path / "air.nii.gz", "--output", tmp_path / "out")
    assert _run(translate, *words) == 2
    assert "no slice shows a head" in capsys.readouterr().err
