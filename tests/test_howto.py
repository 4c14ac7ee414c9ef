"""The pages of tasks: what they mark is run, in their order and in one folder, with less to train."""

import csv
import os
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from common_tf.volumes.phantom import draw_head, write_drawn

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = sorted((REPOSITORY / "docs" / "howto").glob("*.md"))
_MARK = "<!-- run -->"
_MARKED = re.compile(_MARK + r"\n\n((?:(?:    .*)?\n)+)")
_LESS = ["--image-size", "64", "--set", "generator_filters=8", "--set", "discriminator_filters=8"]


_SHELL = re.compile(r"<!-- shell -->\n\n((?:(?:    .*)?\n)+)")


def _commands(page: Path) -> list[list[str]]:
    """Words of each command that is marked; of a training with less to do."""
    found = []
    for block in _MARKED.findall(page.read_text(encoding="utf-8")):
        for line in block.splitlines():
            words = shlex.split(line, comments=True)
            if "train_cyclegan.py" in words:
                words += _LESS
                if "--steps" not in words or int(words[words.index("--steps") + 1]) > 4:
                    words += ["--steps", "2"]
                words += ["--set", "phantoms=16"] if "phantom" in words else []
            found += [words] if words else []
    return found


def test_every_page_but_the_index_and_that_of_a_card_is_run():
    assert {page.stem for page in PAGES if not _commands(page)} == {"index", "one-gpu", "public-sets"}
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert text.count(_MARK) == len(_MARKED.findall(text)), page  # a mark that no block follows
    assert all(words[0] == "python" for page in PAGES for words in _commands(page))


@pytest.mark.more
@pytest.mark.parametrize("page", [page for page in PAGES if _commands(page)], ids=lambda page: page.stem)
def test_what_a_page_marks_can_be_typed(page, tmp_path):
    (tmp_path / "checkpoints").symlink_to(REPOSITORY / "checkpoints")
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "CT_MRI_CACHE": str(tmp_path / "cache")}
    for _, first, *words in _commands(page):
        command = [sys.executable, first if first == "-m" else str(REPOSITORY / first), *words]
        ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600)
        assert not ended.returncode, f"{' '.join(command[1:])}: {ended.stderr[-500:]}"


def _draw_public_sets(folder: Path) -> None:
    """Drawn heads that are called and lie as those of CQ500, IXI and BraTS do."""
    spacing = (8.0, 8.0, 10.0)
    for seed in range(6):
        head = draw_head(seed, spacing=spacing, lesion_probability=1.0)
        for series in ("CT PLAIN THIN", "CT POST CONTRAST THIN", "CT Plain") if seed else ("CT 2.55mm Plain",):
            study = folder / "CQ500" / f"CQ500CT{seed} CQ500CT{seed}" / "Unknown Study"
            made = write_drawn(study, head.ct, name=f"CQ500-CT-{seed}", as_dicom=True)
            made.rename(study / series)
            for at, file in enumerate(sorted((study / series).iterdir())):
                file.rename(file.with_name(f"CT{at:06d}.dcm"))
        write_drawn(folder / "IXI-T1", head.mri, name=f"IXI00{seed}-Guys-082{seed}-T1", as_dicom=False)
        patient = f"BraTS20_Training_00{seed}"
        for contrast, scale in (("t1", 0.5), ("t1ce", 0.7), ("t2", 1.0), ("flair", 0.9)):
            volume = head.mri.with_voxels(head.mri.voxels * scale, unit="", modality="")
            write_drawn(folder / "BraTS" / patient, volume, name=f"{patient}_{contrast}", as_dicom=False)
        label = head.mri.with_voxels(4.0 * head.lesion, unit="", modality="")
        write_drawn(folder / "BraTS" / patient, label, name=f"{patient}_seg", as_dicom=False)


@pytest.mark.more
def test_the_recipes_of_public_sets_fit_their_layouts(tmp_path):
    (page,) = (page for page in PAGES if page.stem == "public-sets")
    blocks = [textwrap.dedent(block) for block in _SHELL.findall(page.read_text(encoding="utf-8"))]
    assert len(blocks) == page.read_text(encoding="utf-8").count("<!-- shell -->") == 5
    _draw_public_sets(tmp_path)
    small = "--steps 2 --image-size 32 --set generator_filters=4 --set discriminator_filters=4"
    script = "\n".join(blocks).replace(" --run runs/cq500_ixi --set", f" --run runs/cq500_ixi {small} --set")
    script = script.replace("--domains T1,FLAIR", f"--domains T1,FLAIR {small}")
    script = script.replace("--channels 3", "--channels 3 --image-size 32 --epochs 1")
    script = re.sub(r"python (\w+\.py)", rf'"{sys.executable}" "{REPOSITORY}/\1"', script)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "CT_MRI_CACHE": str(tmp_path / "cache")}
    command = ["bash", "-euo", "pipefail", "-c", script]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600)
    assert not ended.returncode, ended.stderr[-800:]
    assert os.readlink(tmp_path / "heads" / "trainA" / "CQ500CT0").endswith("CT 2.55mm Plain")
    assert os.readlink(tmp_path / "heads" / "trainA" / "CQ500CT3").endswith("CT PLAIN THIN")
    assert "CT: 6 volumes of 6 patients" in ended.stdout and "MRI: 6 volumes of 6 patients" in ended.stdout
    assert len(list((tmp_path / "out_mri" / "CQ500CT1").glob("*.dcm"))) == 16
    # Both contrasts of one head are one patient, on one side of the split.
    sides: dict[str, set[str]] = {}
    with (tmp_path / "runs" / "t1_flair" / "manifest.csv").open(newline="") as stream:
        for row in csv.DictReader(stream):
            if row["group"]:  # slices without a head are in none
                sides.setdefault(row["path"].split("/")[1], set()).add(row["group"])
    assert len(sides) == 6 and all(len(groups) == 1 for groups in sides.values())
    assert (tmp_path / "found" / "BraTS20_Training_002_flair_mask.nii.gz").is_file()
