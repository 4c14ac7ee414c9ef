"""What is kept of a look at files: nothing that has changed or is damaged; and it goes on where it stopped."""

import os
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from common_tf.pictures.intensity import quantise
from common_tf.pictures.phantom import draw_phantom
from common_tf.sources import scans as scans_module
from common_tf.sources.folders import folder_source
from common_tf.sources.pairs import pair_source
from common_tf.sources.scan_store import SCANS_FILE, Remembered, ScanStore, forget_scans
from common_tf.sources.scans import open_store, scan_cases
from common_tf.sources.segmentation import segmentation_source
from common_tf.volumes.phantom import draw_head, write_drawn
from common_tf.volumes.slices import Slab, Slicing

DOMAINS = ("CT", "MRI")


@pytest.fixture
def folder(tmp_path):
    """Six slices of either domain, written a minute ago."""
    for number in range(6):
        head = draw_phantom(number, size=48)
        for letter, image in (("A", head.ct), ("B", head.mri)):
            place = tmp_path / "data" / f"train{letter}"
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(quantise(image)).save(place / f"s{number}.png")
    time.sleep(0.05)
    return tmp_path / "data"


@pytest.fixture(autouse=True)
def settled(monkeypatch):
    """Files need not be seconds old to be trusted."""
    monkeypatch.setattr("common_tf.sources.scan_store._SETTLED_SECONDS", 0.02)


@pytest.fixture
def looked(monkeypatch):
    """The names of the cases that were looked at."""
    names: list[str] = []
    real = scans_module.scan_case

    def counted(case):
        names.append(case.name)
        return real(case)

    monkeypatch.setattr(scans_module, "scan_case", counted)
    return names


def _cases(folder):
    return folder_source(folder, domains=DOMAINS).cases


def _same(one, other) -> bool:
    for mine, theirs in zip(one, other, strict=True):
        for a, b in zip(mine, theirs, strict=True):
            for name in ("phash", "mirrored_phash", "thumbnail"):
                np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
            blank = dict(phash=None, mirrored_phash=None, thumbnail=None)
            assert replace(a, **blank) == replace(b, **blank)
    return True


def test_slices_of_volumes_are_looked_at_again_where_a_file_of_theirs_has_changed(tmp_path, looked):
    for seed in range(2):
        head = draw_head(seed, spacing=(12.0, 12.0, 40.0))
        write_drawn(tmp_path / "data" / "trainA", head.ct, name=f"p{seed}", as_dicom=True)
        write_drawn(tmp_path / "data" / "trainB", head.mri, name=f"p{seed}", as_dicom=False)
    time.sleep(0.05)
    first = scan_cases(_cases(tmp_path / "data"), ScanStore(tmp_path / "cache"))
    assert len(looked) == len(first) == 16
    assert _same(first, scan_cases(_cases(tmp_path / "data"), ScanStore(tmp_path / "cache"))) and len(looked) == 16
    touched = sorted((tmp_path / "data" / "trainA" / "p1").iterdir())[2]
    os.utime(touched)
    time.sleep(0.05)
    scan_cases(_cases(tmp_path / "data"), ScanStore(tmp_path / "cache"))
    assert sorted(looked[16:]) == [f"trainA/p1#00{number}" for number in range(4)]
    # A file that is another now is never known by what an earlier volume in memory showed.
    cases = _cases(tmp_path / "data")
    write_drawn(tmp_path / "data" / "trainB", draw_head(9, spacing=(12.0, 12.0, 40.0)).mri, name="p0", as_dicom=False)
    time.sleep(0.05)
    fresh = scan_cases(_cases(tmp_path / "data"), None)
    kept = scan_cases(cases, ScanStore(tmp_path / "cache"))
    again = scan_cases(_cases(tmp_path / "data"), ScanStore(tmp_path / "cache"))
    digests = [[scan.sha256 for scans in some for scan in scans] for some in (fresh, kept, again)]
    assert digests[0] == digests[1] == digests[2]
    del looked[:]
    # Another window is another look, and neighbours are none.
    other = folder_source(tmp_path / "data", domains=DOMAINS, windows={"CT": (0.0, 80.0)}).cases
    scan_cases(other, ScanStore(tmp_path / "cache"))
    assert len(looked) == 8
    scan_cases(
        folder_source(tmp_path / "data", domains=DOMAINS, slicing=Slicing(slab=Slab(1))).cases,
        ScanStore(tmp_path / "cache"),
    )
    assert len(looked) == 8


def test_what_has_not_changed_is_not_looked_at_again(folder, tmp_path, looked):
    first = scan_cases(_cases(folder), ScanStore(tmp_path / "cache"))
    assert len(looked) == 12
    again = scan_cases(_cases(folder), ScanStore(tmp_path / "cache"))
    assert len(looked) == 12 and _same(first, again)
    assert again[0][0].thumbnail.__class__.__name__ == "StoredThumbnail"  # on disk, not in memory
    assert _same(first, scan_cases(_cases(folder), None)) and len(looked) == 24
    forget_scans(tmp_path / "cache")
    scan_cases(_cases(folder), ScanStore(tmp_path / "cache"))
    assert len(looked) == 36


def test_a_changed_file_is_seen_whatever_its_time_says(folder, tmp_path, looked):
    scan_cases(_cases(folder), ScanStore(tmp_path / "cache"))
    looked.clear()
    changed = folder / "trainA" / "s3.png"
    before = os.stat(changed)
    pixels = np.array(Image.open(changed))
    content = changed.read_bytes()
    Image.fromarray(pixels[:, ::-1]).save(changed)
    os.utime(changed, ns=(before.st_atime_ns, before.st_mtime_ns))  # as `cp -p` and rsync do
    (folder / "trainB" / "s1.png").rename(folder / "trainB" / "s9.png")  # another name is another file
    found = scan_cases(_cases(folder), ScanStore(tmp_path / "cache"))
    assert sorted(looked) == ["trainA/s3.png", "trainB/s9.png"]
    by_name = {scan.name: scan for (scan,) in found}
    np.testing.assert_array_equal(by_name["trainA/s3.png"].phash, scan_cases(_cases(folder), None)[3][0].phash)
    assert changed.read_bytes() != content


def test_a_file_that_is_still_being_changed_is_not_trusted(folder, tmp_path, looked, monkeypatch):
    monkeypatch.setattr("common_tf.sources.scan_store._SETTLED_SECONDS", 3600)
    for _ in range(2):
        scan_cases(_cases(folder), ScanStore(tmp_path / "cache"))
    assert len(looked) == 24


def test_masks_and_strips_are_part_of_their_case(patients_with_masks, tmp_path, looked):
    def scanned():
        looked.clear()
        cases = segmentation_source(patients_with_masks, channels=1).cases
        return scan_cases(cases, ScanStore(tmp_path / "cache"))

    first = scanned()
    assert len(looked) == 2 and _same(first, scanned()) and not looked
    mask = patients_with_masks / "p0" / "s0_mask.png"
    Image.fromarray(np.full((48, 48), 255, np.uint8)).save(mask)
    time.sleep(0.05)
    changed = scanned()
    assert looked == ["p0/s0.png"] and changed[0][0].sha256 != first[0][0].sha256

    strips = tmp_path / "strips"
    strips.mkdir()
    head = draw_phantom(3, size=48)
    Image.fromarray(quantise(np.concatenate([head.ct, head.mri], axis=1))).save(strips / "one.png")
    time.sleep(0.05)
    for order in ("CT,MRI", "MRI,CT"):  # the same file, read the other way round
        cases = pair_source(strips, domains=DOMAINS, order=order).cases
        one, two = (scan_cases(cases, ScanStore(tmp_path / "cache")) for _ in range(2))
        assert _same(one, two)
    assert len(looked) == 3


@pytest.fixture
def patients_with_masks(tmp_path):
    """Two patients with a slice beside its mask each."""
    for number in range(2):
        head = draw_phantom(number, size=48, lesion_probability=1.0)
        place = tmp_path / "patients" / f"p{number}"
        place.mkdir(parents=True)
        Image.fromarray(quantise(head.mri)).save(place / "s0.png")
        Image.fromarray(head.lesion.astype(np.uint8)).save(place / "s0_mask.png")
    time.sleep(0.05)
    return tmp_path / "patients"


def test_stopped_half_way_it_goes_on(folder, tmp_path, looked, monkeypatch):
    real = scans_module.progress

    def stopping(items, **words):
        for count, item in enumerate(real(items, **words)):
            if count == 5:
                raise KeyboardInterrupt
            yield item

    monkeypatch.setattr(scans_module, "progress", stopping)
    with pytest.raises(KeyboardInterrupt):
        scan_cases(_cases(folder), ScanStore(tmp_path / "cache"))
    monkeypatch.setattr(scans_module, "progress", real)
    looked.clear()
    found = scan_cases(_cases(folder), ScanStore(tmp_path / "cache"))
    assert len(looked) == 12 - 5 and len(found) == 12


def test_processes_find_what_threads_find(folder, tmp_path, monkeypatch):
    threads = scan_cases(_cases(folder), None)
    monkeypatch.setattr(scans_module, "_WORTH_PROCESSES", 3)
    monkeypatch.setattr(scans_module, "_BATCH", 5)
    (folder / "trainA" / "s2.png").write_bytes(b"no picture")
    processes = scan_cases(_cases(folder), ScanStore(tmp_path / "cache"))
    assert processes[2][0].problem
    assert _same(threads[:2] + threads[3:], processes[:2] + processes[3:])


def test_a_damaged_or_foreign_store_is_made_anew(folder, tmp_path, looked, capsys):
    cache = tmp_path / "cache"
    scan_cases(_cases(folder), ScanStore(cache))
    with sqlite3.connect(cache / SCANS_FILE) as base:  # of another version, or somebody's hand
        base.execute("UPDATE scans SET record = '[{}]'")
    looked.clear()
    scan_cases(_cases(folder), ScanStore(cache))
    assert len(looked) == 12
    (cache / SCANS_FILE).write_bytes(b"this is no data base, whatever its name says" * 100)
    scan_cases(_cases(folder), ScanStore(cache))
    assert len(looked) == 24
    content = bytearray((cache / SCANS_FILE).read_bytes())  # its head is whole, its pages are not
    content[4096 * 3 :] = os.urandom(len(content) - 4096 * 3)
    (cache / SCANS_FILE).write_bytes(bytes(content))
    found = scan_cases(_cases(folder), ScanStore(cache))
    assert len(found) == 12 and all(not scan.problem for (scan,) in found)
    (tmp_path / "file").write_text("")
    assert open_store(str(tmp_path / "file" / "cache")) is None
    assert "cannot be written" in capsys.readouterr().out


def test_a_store_that_another_process_holds_is_not_thrown_away(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("common_tf.sources.scan_store._BUSY_SECONDS", 0.1)
    scan_cases(_cases(folder), ScanStore(tmp_path))
    before = (tmp_path / SCANS_FILE).stat().st_ino
    holder = sqlite3.connect(tmp_path / SCANS_FILE, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    assert open_store(str(tmp_path)) is None and "locked" in capsys.readouterr().out
    holder.execute("ROLLBACK")
    holder.close()
    assert (tmp_path / SCANS_FILE).stat().st_ino == before
    assert all(scans is not None for scans in ScanStore(tmp_path).known(_cases(folder)))


def test_two_processes_share_a_cache(folder, tmp_path):
    code = (
        "import sys; from pathlib import Path; from common_tf.sources.folders import folder_source\n"
        "from common_tf.sources.scan_store import ScanStore; from common_tf.sources.scans import scan_cases\n"
        "import common_tf.sources.scan_store as s; s._SETTLED_SECONDS = 0.0\n"
        "for _ in range(5):\n"
        "    cases = folder_source(Path(sys.argv[1]), domains=('CT', 'MRI')).cases\n"
        "    found = scan_cases(cases, ScanStore(Path(sys.argv[2])))\n"
        "print(len(found))\n"
    )
    words = [sys.executable, "-c", code, str(folder), str(tmp_path / "cache")]
    both = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate(timeout=60)[0].strip() for process in both] == ["12", "12"]


def test_results_are_remembered_for_the_same_scans_only(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("common_tf.sources.scan_store._WORTH_KEEPING", 1)
    store = ScanStore(tmp_path / "cache")
    scans = [scan for (scan,) in scan_cases(_cases(folder), store)]
    calls = []

    def compute():
        calls.append(1)
        return np.arange(5) * 0.5

    for _ in range(2):
        np.testing.assert_array_equal(
            Remembered(ScanStore(tmp_path / "cache"), scans)("x", compute), [0, 0.5, 1, 1.5, 2]
        )
    assert len(calls) == 1
    Remembered(store, scans)("y", compute)
    Remembered(store, scans)("x", compute, np.arange(3))
    Remembered(store, scans[1:])("x", compute)
    Remembered(store, [replace(scans[0], sha256=""), *scans[1:]])("x", compute)
    assert len(calls) == 5
