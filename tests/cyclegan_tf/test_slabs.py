"""Slices with their neighbours (2.5D), and volumes sliced in three planes: from data to translation."""

import contextlib
import io
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

import evaluate
import export
import train_cyclegan
import translate
from common_tf.command_line import run_script
from common_tf.errors import UserError
from common_tf.features import load_feature_maps
from common_tf.pictures.geometry import take
from common_tf.pictures.head import head_mask
from common_tf.pictures.preparation import prepare
from common_tf.sources.cache import prepared_slices
from common_tf.sources.dataset import open_dataset
from common_tf.sources.folders import folder_source
from common_tf.volumes.heads import NoHead, head_slices
from common_tf.volumes.nifti import read_nifti
from common_tf.volumes.phantom import draw_head, write_drawn
from common_tf.volumes.slices import Slab, Slicing, picture_of
from cyclegan_tf.config import make_config
from cyclegan_tf.data import load_training_data
from cyclegan_tf.inference import load_translator
from cyclegan_tf.losses import outside_head
from cyclegan_tf.networks.projected import ProjectedCritic
from cyclegan_tf.systems import system_class
from cyclegan_tf.volume_translation import translate_volume

TINY = ["--image-size", "32", "--set", "generator_filters=4", "--set", "discriminator_filters=4"]
TINY += ["--precision", "float32", "--set", "validation_images=4", "--set", "validate_every_steps=0"]
DOMAINS = ("CT", "MRI")


def _run(script, *words) -> int:
    return run_script(script.main, list(map(str, words)))


class _Slices:
    def __init__(self, step: float):
        self.step = step

    def __len__(self) -> int:
        return 7


@pytest.mark.parametrize(
    "slab, step, number, expected",
    [
        (Slab(), 1.0, 3, []),
        (Slab(1), 5.0, 0, [0, 0, 1]),
        (Slab(2), 5.0, 6, [4, 5, 6, 6, 6]),
        (Slab(1, 5.0), 1.2, 5, [1, 5, 6]),
        (Slab(1, 5.0), 9.0, 3, [2, 3, 4]),
    ],
)
def test_a_slab_stays_in_its_volume_and_keeps_its_distance(slab, step, number, expected):
    assert slab.numbers(_Slices(step), number) == expected


def test_slices_of_a_slab_are_those_of_the_volume_in_the_frame_of_the_middle_one(drawn_volumes, tmp_path):
    data, alone = (
        open_dataset(folder_source(drawn_volumes, domains=DOMAINS, slicing=Slicing(slab=slab)), cache=str(tmp_path))
        for slab in (Slab(1), Slab())
    )
    mine = [index for index, case in enumerate(data.cases) if "MRI" in case.files][:8]
    assert [data.cases[at].name for at in mine] == [alone.cases[at].name for at in mine]
    # What a slice is does not change with what lies around it; what is prepared of it does.
    assert [data.scans[at][0].sha256 for at in mine] == [alone.scans[at][0].sha256 for at in mine]
    assert data.cases[mine[0]].around and not alone.cases[mine[0]].around
    preparation = data.preparation("MRI", mine, framing="head")
    made, single = (
        prepared_slices(
            [one.cases[at] for at in mine], [one.scans[at] for at in mine], "MRI", preparation, size=32, folder=tmp_path
        )
        for one in (data, alone)
    )
    assert made.pixels.shape == (8, 32, 32, 3) and single.pixels.shape == (8, 32, 32)
    np.testing.assert_array_equal(made.pixels[..., 1], single.pixels)
    assert made.masks.shape == (8, 32, 32, 3)
    np.testing.assert_array_equal(made.masks[..., 1], single.masks)
    case = data.cases[mine[3]]
    number, opened = int(case.name.rpartition("#")[2]), case.volume()
    frame = _frame(picture_of(opened.slices(), number, opened.window), preparation)
    for place, at in ((0, number - 1), (1, number), (2, number + 1)):
        seen = picture_of(opened.slices(), at, opened.window).scaled()
        expected = take(np.where(head_mask(seen), np.maximum(seen, 1 / 255), 0), frame, 32, fill=0.0)
        np.testing.assert_allclose(made.scaled()[3, ..., place], expected, atol=1e-4)
        # What is outside a slice's own head is black, so the outline of another slice says nothing of it.
        assert made.scaled()[3, ..., place][~made.masks[3, ..., place]].mean() < 0.02


def _frame(picture, preparation):
    return prepare(picture, preparation, size=32).frame


def test_batches_hold_slabs_and_the_head_of_each_slice(drawn_volumes, tmp_path):
    config = make_config(
        {"data": str(drawn_volumes), "neighbours": 2, "image_size": 32, "cache": str(tmp_path), "batch_size": 2}
    )
    data = load_training_data(config)
    assert config.data.image_channels == 5
    batch = next(iter(data.pipeline(config).batches(0).take(1)))
    assert batch["a"].shape == (2, 32, 32, 5) and batch["mask_a"].shape == (2, 32, 32, 5)
    assert np.ptp(batch["mask_a"].numpy().sum((1, 2)), axis=-1).min() > 0
    # Neighbours are alike and not the same.
    images = batch["a"].numpy()
    assert 0.001 < np.abs(images[..., 2] - images[..., 3]).mean() < 0.5


def test_neighbours_further_apart_in_one_domain_are_said(tmp_path):
    for seed in range(3):
        for letter, kind, step in (("A", "ct", 16.0), ("B", "mri", 8.0)):
            volume = getattr(draw_head(seed + 50 * (letter == "B"), spacing=(8.0, 8.0, step)), kind)
            write_drawn(tmp_path / "d" / f"train{letter}", volume, name=f"p{seed}", as_dicom=False)
    given = {"data": str(tmp_path / "d"), "neighbours": 1, "image_size": 32, "cache": str(tmp_path / "cache")}
    said = [one.text for one in load_training_data(make_config(given)).findings if one.topic == "neighbours"]
    assert len(said) == 1 and "8 mm apart in MRI and 16 mm in CT" in said[0] and "neighbour_mm=16 takes" in said[0]
    even = load_training_data(make_config({**given, "neighbour_mm": 16.0}))
    assert not [one for one in even.findings if one.topic == "neighbours"]
    planes = load_training_data(make_config({**given, "plane": "all"}))  # in the others' planes they lie alike
    assert [one.text[:26] for one in planes.findings if one.topic == "neighbours"] == ["neighbouring axial slices "]


def test_of_thin_series_slices_at_a_distance_are_taken_with_their_own_neighbours(drawn_volumes, tmp_path):
    given = {"data": str(drawn_volumes), "image_size": 32, "cache": str(tmp_path), "slice_mm": 27.0, "neighbours": 1}
    data, all_of_them = (load_training_data(make_config(one)) for one in (given, {**given, "slice_mm": 0.0}))
    numbers = {int(case.name.rpartition("#")[2]) for case in data.dataset.cases}
    assert numbers and all(number % 3 == 0 for number in numbers)
    assert 2.5 < len(all_of_them.dataset.cases) / len(data.dataset.cases) < 3.5
    mine = next(case for case in data.dataset.cases if int(case.name.rpartition("#")[2]) == 6)
    theirs = next(case for case in all_of_them.dataset.cases if case.name == mine.name)
    for one, other in zip(*(case.load().pictures[mine.labels[0]].slab for case in (mine, theirs)), strict=True):
        np.testing.assert_array_equal(one.pixels, other.pixels)


def test_what_is_prepared_depends_on_how_far_slices_lie_apart(tmp_path):
    """The same voxels in another grid: other neighbours at a distance, another size of a head in its square."""
    keys = []
    for step in (8.0, 4.0):
        volume = draw_head(3, spacing=(8.0, 8.0, 8.0)).ct
        affine = volume.affine.copy()
        affine[:3, 2] *= step / 8
        write_drawn(tmp_path / f"{step}" / "trainA", replace(volume, affine=affine), name="p", as_dicom=False)
        write_drawn(
            tmp_path / f"{step}" / "trainB", draw_head(4, spacing=(8.0, 8.0, 8.0)).mri, name="p", as_dicom=False
        )
        source = folder_source(tmp_path / f"{step}", domains=DOMAINS, slicing=Slicing(slab=Slab(1, 16.0)))
        case = next(case for case in source.cases if "CT" in case.files)
        assert case.slab_mm == 16.0
        keys.append(case)
    one, other = keys
    assert one.reading != other.reading and one.around == other.around  # the voxels are the same


@pytest.mark.more
@pytest.mark.parametrize("model", ["cyclegan", "unit", "pccgan", "medgan", "cut", "fastcut"])
def test_a_step_of_every_system_of_slices_takes_slabs(model, random):
    filters = {"generator_filters": 4, "discriminator_filters": 4}
    options = {"data": "volumes", "neighbours": 1, "model": model, "image_size": 32, "precision": "float32", **filters}
    outlined = {"critic_sees_outline": True} if model == "cyclegan" else {}
    system = system_class(model)(make_config({**options, **outlined}), policy="float32", total_steps=10)
    a, b = (tf.constant(random.uniform(-1, 1, (1, 32, 32, 3)).astype(np.float32)) for _ in "ab")
    masks = tf.constant(random.integers(0, 2, (1, 32, 32, 3)).astype(np.float32))
    losses = system.train_step({"a": a, "b": b, "mask_a": masks, "mask_b": masks}, tf.constant(0, tf.int64))
    assert all(np.isfinite(float(value)) for value in losses.values())
    (network, *_) = system.inference_networks().values()
    assert network.input_shape[-1] == network.output_shape[-1] == 3


def test_a_head_beside_the_middle_ones_is_no_background():
    """What is black outside is each slice's own; of one outline for all a larger neighbour would be cut."""
    masks = np.zeros((1, 32, 32, 3), np.float32)
    for place, radius in enumerate((6, 8, 10)):
        masks[0, ..., place] = np.hypot(*np.mgrid[-16:16, -16:16]) < radius
    slabs = tf.constant(2 * masks - 1)
    assert float(outside_head(tf.constant(masks), slabs)) == 0
    assert float(outside_head(tf.constant(masks[..., 1:2]), slabs)) > 0


def test_start_weights_of_other_neighbours_are_refused(run, drawn_volumes, tmp_path, capsys):
    words = [*TINY, "--data", drawn_volumes, "--weights", run, "--run", tmp_path / "run", "--steps", 1]
    assert _run(train_cyclegan, *words, "--channels", 3) == 2
    said = capsys.readouterr().err
    assert "sees 1 neighbours on either side" in said and said.count("\n") == 1


def test_frozen_networks_see_the_slices_of_a_slab(random):
    slabs = tf.constant(random.uniform(-1, 1, (2, 64, 64, 5)).astype(np.float32))
    maps, single = load_feature_maps("efficientnetlite0", slices=5)(slabs), load_feature_maps("efficientnetlite0")
    assert maps[0].shape[0] == 10
    np.testing.assert_allclose(maps[0][7], single(slabs[1:, ..., 2:3])[0][0], atol=1e-4)
    three, five = (
        ProjectedCritic(size=64, channels=count, filters=8, seed=1, policy="float32", name="critic") for count in (3, 5)
    )
    logits = five(slabs)
    assert logits.shape == three(slabs[..., :3]).shape == (2, 4, 4, 4)
    for place in range(5):
        shuffled = tf.concat([slabs[..., :place], -slabs[..., place : place + 1], slabs[..., place + 1 :]], axis=-1)
        assert np.abs(five(shuffled) - logits).max() > 1e-4  # none is overlooked


@pytest.fixture(scope="module")
def run(drawn_volumes, tmp_path_factory):
    """A run of slabs, hardly trained."""
    folder = tmp_path_factory.mktemp("slabs")
    words = [*TINY, "--data", drawn_volumes, "--set", "neighbours=1", "--cache", folder / "cache", "--save-every", 0]
    with contextlib.redirect_stdout(io.StringIO()):
        assert _run(train_cyclegan, *words, "--run", folder / "run", "--steps", 2) == 0
    return folder / "run"


class _Numbers:
    """Networks that give each slice of a slab back plus a tenth of its place in it."""

    def __init__(self, translate):
        self._translate = translate
        self.networks = translate.networks

    def __call__(self, images, network):
        return images + np.array([0.0, 0.1, 0.2], np.float32)


def test_a_slice_is_the_mean_of_all_slabs_that_hold_it(run, drawn_volumes):
    translator = load_translator(run)
    volume = read_nifti(drawn_volumes / "pairs" / "p100" / "CT.nii.gz")[0]
    fixed = replace(translator, translate=_Numbers(translator.translate))
    made, _ = translate_volume(fixed, volume, source="CT", target="MRI", network="a_to_b")
    plain = replace(translator, translate=lambda images, network: images)
    same, _ = translate_volume(plain, volume, source="CT", target="MRI", network="a_to_b")
    apart = (made.voxels - same.voxels) / 4095
    inside = [k for k in range(volume.shape[2]) if same.voxels[..., k].max() > 0]
    for k in inside:
        # Every slice is the first, the middle and the last of a slab but at the ends of the head.
        places = [place for place, middle in ((2, k - 1), (1, k), (0, k + 1)) if middle in inside]
        shown = same.voxels[..., k] > 400  # well within the frame, and below white
        np.testing.assert_allclose(np.median(apart[..., k][shown]), 0.1 * np.mean(places), atol=0.02)
    assert len(inside) > 10


@pytest.mark.more
def test_a_run_of_slabs_translates_volumes_and_lone_pictures_and_is_reported_on(run, drawn_volumes, tmp_path, capsys):
    source = drawn_volumes / "pairs" / "p100" / "CT.nii.gz"
    assert _run(translate, "--run", run, "--direction", "CT2MRI", "--input", source, "--output", tmp_path / "out") == 0
    made = read_nifti(tmp_path / "out" / "CT.nii.gz")[0]
    assert made.shape == read_nifti(source)[0].shape and made.voxels.max() > 0
    assert list((run / "samples").iterdir())
    lone = load_translator(run).translate(np.zeros((2, 32, 32), np.float32), "a_to_b")
    assert lone.shape == (2, 32, 32)
    words = ["--translator", run, "--pairs", drawn_volumes / "pairs", "--output", tmp_path / "report"]
    assert _run(evaluate, *words) == 0
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert {"cycle", "content", "volumes"} <= set(report["sections"])
    capsys.readouterr()
    assert _run(export, "--run", run, "--format", "onnx", "--output", tmp_path / "exported") == 2
    said = capsys.readouterr().err
    assert "each slice with 1 on either side" in said and said.count("\n") == 1 and not (tmp_path / "exported").exists()


@pytest.mark.more
def test_three_planes_are_learned_and_their_mean_comes_back(drawn_volumes, tmp_path):
    data = tmp_path / "d"
    for seed in range(3):
        for letter in "AB":
            (data / f"train{letter}").mkdir(parents=True, exist_ok=True)
            shutil.copy(drawn_volumes / f"train{letter}" / f"p{seed}.nii.gz", data / f"train{letter}")
    words = [*TINY, "--data", data, "--cache", tmp_path / "cache", "--set", "plane=all", "--steps", 1]
    with contextlib.redirect_stdout(said := io.StringIO()):
        assert _run(train_cyclegan, *words, "--run", tmp_path / "run") == 0
    assert "axial, coronal, sagittal slices" in said.getvalue()
    names = (tmp_path / "run" / "manifest.csv").read_text()
    assert all(f"p0.nii.gz#{plane}-0" in names for plane in ("axial", "coronal", "sagittal"))
    translator = load_translator(tmp_path / "run")
    volume = read_nifti(drawn_volumes / "pairs" / "p100" / "CT.nii.gz")[0]
    seen = []

    def identity(images, network):
        seen.append(images.shape)
        return images

    plain = replace(translator, translate=identity)
    made, _ = translate_volume(plain, volume, source="CT", target="MRI", network="a_to_b")
    only = replace(translator, config=make_config({"data": str(data), "image_size": 32}), translate=identity)
    axial, _ = translate_volume(only, volume, source="CT", target="MRI", network="a_to_b")
    inside = axial.voxels > 400
    assert np.corrcoef(made.voxels.ravel(), axial.voxels.ravel())[0, 1] > 0.9
    assert 1 < np.abs(made.voxels - axial.voxels)[inside].mean() < 200  # of 4095: no plane's own, and a mean of all
    assert sum(shape[0] for shape in seen[:-3]) > 2 * volume.shape[2]


@pytest.mark.parametrize(
    "more, message",
    [
        ({"channels": 3}, "--channels 3: with --set neighbours="),
        ({"model": "pix2pix"}, "--model pix2pix learns from pairs"),
        ({"model": "cyclegan3d", "neighbours": 0, "slice_mm": 5.0}, "cyclegan3d sees all slices"),
        ({"pairs": "p"}, "--pairs p: holds pictures without neighbours"),
        ({"model": "cyclegan3d"}, "--model cyclegan3d sees all neighbours"),
        ({"data": "phantom"}, "--set neighbours=1: does nothing here"),
        ({"neighbours": 0, "neighbour_mm": 3.0}, "--set neighbour_mm=3.0: does nothing here; it needs neighbours"),
    ],
)
def test_what_does_not_go_with_neighbours_is_one_line(more, message):
    with pytest.raises(UserError, match=message.replace("(", r"\(")):
        make_config({"data": "d", "neighbours": 1, **more})


def test_planes_without_a_head_are_left_out_and_a_volume_without_one_is_refused(run, drawn_volumes, monkeypatch):
    planes = make_config({"data": "d", "image_size": 32, "plane": "all"})
    translator = replace(load_translator(run), config=planes, translate=lambda images, network: images)
    volume = read_nifti(drawn_volumes / "pairs" / "p100" / "CT.nii.gz")[0]
    whole, _ = translate_volume(translator, volume, source="CT", target="MRI", network="a_to_b")
    for blind, said in ((["coronal"], 1), (["axial", "sagittal"], 2), (["axial", "coronal", "sagittal"], 3)):
        found = iter(("axial", "coronal", "sagittal"))

        def looked(*words, found=found, blind=blind):
            if next(found) in blind:
                raise NoHead("no slice shows a head")
            return head_slices(*words)

        monkeypatch.setattr("cyclegan_tf.volume_translation.head_slices", looked)
        if said == 3:
            with pytest.raises(NoHead):
                translate_volume(translator, volume, source="CT", target="MRI", network="a_to_b")
            break
        made, notes = translate_volume(translator, volume, source="CT", target="MRI", network="a_to_b")
        assert sum("show no head and are left out" in note for note in notes) == said
        inside = whole.voxels > 400
        assert np.abs(made.voxels - whole.voxels)[inside].mean() < 200  # a mean of those that are left, and no less


def test_a_lone_picture_stands_for_its_neighbours_with_a_line(run, phantom_folder, tmp_path, capsys):
    words = ["--run", run, "--direction", "CT2MRI", "--output", tmp_path / "out", "--window", "CT=0:255"]
    assert _run(translate, *words, "--input", phantom_folder / "testA") == 0
    assert "a picture has none and stands for them too" in capsys.readouterr().out


def test_slices_of_pictures_lie_at_no_distance(phantom_folder, tmp_path, capsys):
    words = [*TINY, "--data", phantom_folder, "--run", tmp_path / "run", "--steps", 1, "--set", "slice_mm=5"]
    assert _run(train_cyclegan, *words) == 2
    assert "holds no volumes" in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_pictures_have_no_neighbours(phantom_folder, tmp_path, capsys):
    words = [*TINY, "--data", phantom_folder, "--run", tmp_path / "run", "--steps", 1, "--set", "neighbours=1"]
    assert _run(train_cyclegan, *words) == 2
    said = capsys.readouterr().err
    assert "pictures without neighbours" in said and said.count("\n") == 1 and not (tmp_path / "run").exists()
