"""Volumes from training to a report in HU."""

import contextlib
import io
import json
import shutil

import numpy as np
import pytest

import evaluate
import train_cyclegan
import translate
from common_tf.command_line import run_script
from common_tf.metrics.hounsfield import mean_absolute_error, multi_scale_ssim
from common_tf.splits.manifest import read_manifest
from common_tf.volumes.nifti import read_nifti, write_nifti
from common_tf.volumes.phantom import draw_head, write_drawn

SPACING = (4.0, 4.0, 16.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Unpaired volumes of six patients a domain, CT as DICOM, and pairs of three others."""
    root = tmp_path_factory.mktemp("volumes")
    for seed in range(6):
        write_drawn(root / "trainA", draw_head(seed, spacing=SPACING).ct, name=f"c{seed}", as_dicom=True)
        write_drawn(root / "trainB", draw_head(50 + seed, spacing=SPACING).mri, name=f"m{seed}", as_dicom=False)
    for seed in range(100, 103):
        head = draw_head(seed, spacing=SPACING)
        write_drawn(root / "pairs" / f"p{seed}", head.ct, name="CT", as_dicom=seed == 101)
        write_drawn(root / "pairs" / f"p{seed}", head.mri, name="mr" if seed == 102 else "MRI", as_dicom=seed == 101)
        if seed != 101:
            mask = head.mri.with_voxels(head.head.astype(np.float32), unit="", modality="")
            write_nifti(root / "pairs" / f"p{seed}" / "mask.nii.gz", mask)
    return root


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "run"
    words = ["--data", folder, "--run", run, "--steps", 3, "--image-size", 32, "--save-every", 0]
    words += ["--set", "generator_filters=4", "--set", "discriminator_filters=4"]
    with contextlib.redirect_stdout(io.StringIO()):
        assert run_script(train_cyclegan.main, list(map(str, words))) == 0
    return run


def _run(script, *words):
    return run_script(script.main, list(map(str, words)))


@pytest.mark.more
def test_training_splits_volumes_by_patient_and_keeps_hounsfield_units(run):
    rows = [row for row in read_manifest(run / "manifest.csv") if row.split != "skipped"]
    sides = {}
    for row in rows:
        sides.setdefault(row.path.split("#")[0], set()).add(row.split)
    assert len(sides) == 12 and all(len(one) == 1 for one in sides.values())
    assert {"train", "validation", "test"} == set.union(*sides.values())
    text = (run / "preparation.yaml").read_text()
    assert "low: -1000.0" in text and "high: 2000.0" in text and "reference_mm" in text


@pytest.mark.more
def test_the_report_in_hu_is_what_the_volumes_say(run, folder, tmp_path):
    assert _run(evaluate, "--translator", run, "--pairs", folder / "pairs", "--output", tmp_path / "report") == 0
    table = json.loads((tmp_path / "report" / "report.json").read_text())["sections"]["volumes"]["tables"]
    patients = {row["name"]: row for row in table["volumes_patients"]["rows"]}
    assert list(patients) == ["p100", "p101", "p102"]
    for seed, name in ((100, "MRI"), (102, "mr")):
        source = folder / "pairs" / f"p{seed}" / f"{name}.nii.gz"
        words = ("--run", run, "--direction", "MRI2CT", "--input", source, "--output", tmp_path / "made")
        assert _run(translate, *words) == 0
        made, truth = (
            read_nifti(path)[0].voxels
            for path in (tmp_path / "made" / f"{name}.nii.gz", folder / "pairs" / f"p{seed}" / "CT.nii.gz")
        )
        row = patients[f"p{seed}"]
        head = draw_head(seed, spacing=SPACING).head
        error = mean_absolute_error(truth, made, head)
        assert row["mae"]["value"] == pytest.approx(error, abs=1e-6)
        assert row["ms_ssim"]["value"] == pytest.approx(multi_scale_ssim(truth, made, head), abs=1e-6)
    rows = {row["key"]: row for row in table["volumes"]["rows"]}
    assert set(rows) == {"translator", "table", "mean", "window"} and rows["translator"]["mae"]["n"] == 3
    assert rows["table"]["mae"]["value"] < rows["mean"]["mae"]["value"] and rows["window"]["mae"]["value"] < 1
    for file in ("volume_median.png", "volume_worst.png", "bland_altman.png"):
        assert (tmp_path / "report" / "figures" / file).stat().st_size > 5000


@pytest.mark.more
def test_patients_of_the_training_are_left_out_and_another_space_is_refused(run, folder, tmp_path, capsys):
    rows = [row for row in read_manifest(run / "manifest.csv") if row.split == "train" and row.label == "MRI"]
    name = rows[0].path.split("#")[0]
    trained, _ = read_nifti(folder / name)
    pairs = tmp_path / "pairs"
    for patient in ("known", "new"):
        (pairs / patient).mkdir(parents=True)
        shutil.copy(folder / "pairs" / "p100" / "CT.nii.gz", pairs / patient)
    write_nifti(pairs / "known" / "MRI.nii.gz", trained)
    assert _run(evaluate, "--translator", run, "--pairs", pairs, "--output", tmp_path / "r") == 2
    assert "was trained on all 1 patients" in capsys.readouterr().err
    shutil.copy(folder / "pairs" / "p100" / "MRI.nii.gz", pairs / "new" / "MRI_1.nii.gz")
    shutil.copy(folder / "pairs" / "p100" / "MRI.nii.gz", pairs / "new" / "MRI_2.nii.gz")
    assert _run(evaluate, "--translator", run, "--pairs", pairs, "--output", tmp_path / "r") == 2
    assert "has 2 volumes of MRI" in capsys.readouterr().err
    shutil.rmtree(pairs)
    for name, seed in (("CT", 100), ("MRI", 102)):
        head = draw_head(seed, spacing=SPACING)
        volume = head.ct if name == "CT" else head.mri
        moved = volume.affine.copy()
        moved[0, 3] += 3.0 if name == "CT" else 0.0
        other = type(volume)(volume.voxels, moved, None, volume.unit, volume.modality, volume.frame_of_reference)
        write_drawn(pairs / "p", other, name=name, as_dicom=True)
    assert _run(evaluate, "--translator", run, "--pairs", pairs, "--output", tmp_path / "r") == 2
    said = capsys.readouterr().err
    assert "different frames of reference" in said and said.count("\n") == 1 and not (tmp_path / "r").exists()


@pytest.mark.more
def test_pairs_that_are_no_hu_or_miss_their_mask_or_a_side_are_named(run, folder, tmp_path, capsys):
    pairs = tmp_path / "pairs"
    shutil.copytree(folder / "pairs" / "p100", pairs / "p")
    shutil.copytree(folder / "pairs" / "p100", pairs / "half")
    (pairs / "half" / "CT.nii.gz").unlink()
    volume, _ = read_nifti(pairs / "p" / "CT.nii.gz")
    write_nifti(pairs / "p" / "CT.nii.gz", volume.with_voxels(volume.voxels + 1024, unit="", modality=""))
    assert _run(evaluate, "--translator", run, "--pairs", pairs, "--output", tmp_path / "r") == 2
    said = capsys.readouterr()
    assert "left out, with one side only: half" in said.out and "no HU" in said.err and said.err.count("\n") == 1
    write_nifti(pairs / "p" / "CT.nii.gz", volume)
    mask, _ = read_nifti(pairs / "p" / "mask.nii.gz")
    moved = mask.affine.copy()
    moved[0, 3] += 2000
    write_nifti(pairs / "p" / "mask.nii.gz", type(mask)(mask.voxels, moved))
    assert _run(evaluate, "--translator", run, "--pairs", pairs, "--output", tmp_path / "r") == 2
    said = capsys.readouterr().err
    assert "in the mask; do they lie in one space?" in said and said.count("\n") == 1


def test_a_run_of_8_bit_pictures_gets_no_figures_in_hu(folder, tmp_path, capsys):
    words = ("--translator", "checkpoints/ct_mri_fast", "--pairs", folder / "pairs", "--output", tmp_path / "r")
    assert _run(evaluate, *words) == 2
    assert "errors in HU would measure its window" in capsys.readouterr().err


def test_a_series_of_another_grid_is_resampled_onto_the_source(folder):
    from common_tf.sources.volume_pairs import find_volume_pairs

    pairs = find_volume_pairs(folder / "pairs", domains=("CT", "MRI"))
    straight = pairs[0].load("MRI", "CT")
    assert straight.notes == [] and straight.mask.mean() > 0.2
    shifted = straight.truth.affine.copy()
    shifted[0, 3] += 2.0
    volume = type(straight.truth)(straight.truth.voxels, shifted, None, "HU", "CT", "")
    fake = type(pairs[0].files["CT"])("x", "NIfTI", [], lambda: type("R", (), {"volume": volume}))
    moved = type(pairs[0])("p", {"MRI": pairs[0].files["MRI"], "CT": fake}).load("MRI", "CT")
    assert "resampled" in moved.notes[0] and moved.truth.shape == straight.truth.shape
    expected = (straight.truth.voxels[1:] + straight.truth.voxels[:-1]) / 2
    np.testing.assert_allclose(moved.truth.voxels[1:], expected, atol=1e-2)
