"""A few aligned pairs beside unpaired slices: what they teach, and that whole patients are held out."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import train_cyclegan
from common_tf.command_line import run_script
from common_tf.errors import UserError
from common_tf.pictures.intensity import quantise
from common_tf.pictures.phantom import draw_phantom
from common_tf.splits.manifest import read_manifest, with_split, write_manifest
from cyclegan_tf.config import make_config
from cyclegan_tf.losses import best_shift, masked_l1
from cyclegan_tf.pairs_beside import PAIR, load_pairs_beside
from cyclegan_tf.systems import system_class

TINY = {
    "image_size": 32, "precision": "float32", "generator_filters": 4, "discriminator_filters": 2, "jitter": 1.0,
    "validation_images": 2, "sample_images": 1, "save_every_steps": 2, "validate_every_steps": 4, "steps": 4,
}  # fmt: skip


@pytest.fixture(scope="module")
def strips(tmp_path_factory):
    """Strips of MRI, CT and mask, 2 slices each of 4 patients."""
    folder = tmp_path_factory.mktemp("strips") / "pairs"
    folder.mkdir()
    lines = ["file,patient"]
    for number in range(8):
        head = draw_phantom(500 + number, size=64)
        tiles = [quantise(head.mri), quantise(head.ct), head.head.astype(np.uint8) * 255]
        Image.fromarray(np.concatenate(tiles, axis=1)).save(folder / f"strip{number}.png")
        lines.append(f"strip{number}.png,patient{number // 2}")
    (folder / "patients.csv").write_text("\n".join(lines) + "\n")
    return folder


def _train(folder, run, *words, **changes):
    flags = [word for name, value in {**TINY, **changes}.items() for word in ("--set", f"{name}={value}")]
    return run_script(train_cyclegan.main, [str(word) for word in ("--data", folder, "--run", run, *flags, *words)])


def test_a_shifted_truth_is_found_and_no_further(random):
    output = random.uniform(-1, 1, (2, 20, 20, 1)).astype(np.float32)
    mask = np.zeros((2, 20, 20, 1), np.float32)
    mask[:, 5:15, 5:15] = 1
    truth = np.stack([np.roll(output[0], (2, -1), (0, 1)), np.roll(output[1], (0, 3), (0, 1))])
    found = best_shift(tf.constant(output), tf.constant(truth), tf.constant(mask), most=2).numpy()
    inside = mask[..., 0].astype(bool)
    np.testing.assert_array_equal(found[0][inside[0]], output[0][inside[0]])
    assert np.abs(found[1][inside[1]] - output[1][inside[1]]).mean() > 0.1  # three pixels are too many for two
    unmoved = best_shift(tf.constant(output), tf.constant(truth), tf.constant(mask), most=0)
    np.testing.assert_array_equal(unmoved, truth)
    # Where every place is as good (nothing is inside the mask), the truth stays.
    np.testing.assert_array_equal(best_shift(output, truth, tf.zeros_like(mask), most=2), truth)


def test_only_the_head_counts(random):
    first, second = (tf.constant(random.uniform(-1, 1, (1, 8, 8, 1)).astype(np.float32)) for _ in range(2))
    mask = np.zeros((1, 8, 8, 1), np.float32)
    mask[0, 2:4, 3:7] = 1
    expected = np.abs(first.numpy() - second.numpy())[mask > 0].mean()
    assert float(masked_l1(first, second, tf.constant(mask))) == pytest.approx(expected)
    assert float(masked_l1(first, second, tf.zeros_like(first))) == 0


@pytest.mark.more
@pytest.mark.parametrize("model", ["cyclegan", "unit", "pccgan", "cut", "fastcut"])
def test_pairs_pull_every_generator_towards_their_truth(model, strips, random):
    """One step with and one without, all else equal, differ by the pairs' pull; losses name it."""
    base = {
        "model": model,
        "image_size": 32,
        "generator_filters": 4,
        "discriminator_filters": 2,
        "precision": "float32",
    }
    images = {name: tf.constant(random.uniform(-1, 1, (1, 32, 32, 1)).astype(np.float32)) for name in "abcd"}
    mask = tf.ones([1, 32, 32, 1])
    batch = {"a": images["a"], "b": images["b"], "mask_a": mask, "mask_b": mask}
    pairs = {f"{PAIR}a": images["c"], f"{PAIR}b": images["d"], f"{PAIR}mask": mask}
    moved = []
    for given in (batch, {**batch, **pairs}):
        config = make_config({**base, "pairs": str(strips), "pair_feature_weight": 0, "pool_size": 0})
        system = system_class(model)(config, policy="float32", total_steps=10)
        losses = system.train_step(given, tf.constant(0, tf.int64))
        moved.append([network.get_weights() for network in system.inference_networks().values()])
    assert {name for name in losses if name.startswith("pair_")} == {f"pair_{one}" for one in config.directions}
    assert all(any(np.any(a != b) for a, b in zip(*two)) for two in zip(*moved))


@pytest.mark.more
def test_a_training_holds_out_patients_goes_on_and_is_known_to_have_seen_them(phantom_folder, strips, tmp_path, capsys):
    run = tmp_path / "run"
    assert _train(phantom_folder, run, "--pairs", strips, pair_feature_weight=0) == 0
    printed = capsys.readouterr().out
    assert "pairs beside them" in printed and "pair_mae_a_to_b" in printed
    rows = read_manifest(run / "pairs.csv")
    patients = {split: {row.group for row in rows if row.split == split} for split in ("train", "validation", "test")}
    assert all(patients.values()) and sum(map(len, patients.values())) == 4
    assert not any("strip" in row.path for row in read_manifest(run / "manifest.csv"))
    # The same command goes on, also where the pairs lie elsewhere; without them it is another training.
    assert _train(phantom_folder, run, "--pairs", f"{strips}/", steps=6, pair_feature_weight=0) == 0
    assert "after step 4" in capsys.readouterr().out
    assert _train(phantom_folder, run, steps=8) == 2
    assert "holds a run with another config" in capsys.readouterr().err
    other = tmp_path / "other"
    assert _train(phantom_folder, other) == 0
    assert _train(phantom_folder, other, "--pairs", strips, steps=6) == 2
    assert "begun without pairs" in capsys.readouterr().err


def test_what_cannot_be_learned_from_is_one_line(phantom_folder, strips, tmp_path, capsys):
    for words, reason in (
        (("--pairs", tmp_path / "nowhere"), "no such folder"),
        (("--pairs", phantom_folder), "are no strip of"),
        (("--pairs", strips, "--set", "pair_order=CT,mask"), "pair_order"),
        (("--model", "pix2pix", "--pairs", strips), "not a setting of this model"),
        (("--set", "pair_shift=1"), "does nothing here; it needs pairs"),
        (("--set", "choose_by=pairs"), "add --pairs"),
        (("--model", "pix2pix", "--set", "choose_by=pairs"), "--model pix2pix has none"),
    ):
        assert _train(phantom_folder, tmp_path / "run", *words) == 2, words
        complaint = capsys.readouterr().err
        assert reason in complaint and complaint.count("\n") == 1, complaint
        assert not (tmp_path / "run").exists()


def test_pairs_that_the_start_weights_know_by_heart_do_not_choose(strips, tmp_path):
    """Split anew by another seed, held-out patients may be those that the start was trained on."""
    given = {**TINY, "pairs": str(strips), "weights": str(tmp_path)}
    pairs = load_pairs_beside(make_config({**TINY, "pairs": str(strips)}))
    rows, count = pairs.rows(), len(pairs.chosen("validation"))
    write_manifest(tmp_path / "manifest.csv", rows)
    assert load_pairs_beside(make_config(given)).findings == pairs.findings, "the same split: held out there as here"
    write_manifest(tmp_path / "manifest.csv", with_split(rows, "train"))
    (warning,) = set(load_pairs_beside(make_config(given)).findings) - set(pairs.findings)
    assert f"{count} of {count} validation pairs are in the training of the start weights" in warning.text and count
    with pytest.raises(UserError, match="choose_by=pairs: .* known by heart; give the --seed"):
        load_pairs_beside(make_config({**given, "choose_by": "pairs"}))


def test_too_few_patients_are_all_learned_from_and_it_is_said(strips, tmp_path):
    folder = tmp_path / "few"
    folder.mkdir()
    for number in range(2):
        (folder / f"strip{number}.png").write_bytes((strips / f"strip{number}.png").read_bytes())
    (folder / "patients.csv").write_text("file,patient\nstrip0.png,one\nstrip1.png,one\n")
    pairs = load_pairs_beside(make_config({**TINY, "pairs": str(folder)}))
    assert pairs.splits == ["train", "train"]
    assert any("too few patients to hold any out" in finding.text for finding in pairs.findings)
    with pytest.raises(UserError, match="too few patients to hold any out that could choose"):
        load_pairs_beside(make_config({**TINY, "pairs": str(folder), "choose_by": "pairs"}))
