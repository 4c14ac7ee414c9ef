import numpy as np
import pytest
from PIL import Image

from common_tf.pictures.phantom import draw_phantom
from common_tf.pictures.picture import Picture
from common_tf.pictures.readers import FileFacts
from common_tf.sources.dataset import open_dataset
from common_tf.sources.folders import folder_source
from common_tf.sources.scanning import scan_picture
from common_tf.splits.audit import audit
from common_tf.splits.finding import Finding, audit_lines, audit_record, sorted_findings


@pytest.fixture(scope="module")
def scans():
    """Of 60 heads, by side: CT or MRI."""
    found = {}
    for seed in range(60):
        phantom = draw_phantom(seed, size=32)
        for side in ("ct", "mri"):
            pixels = np.round(getattr(phantom, side) * 255).astype(np.uint8)
            facts = FileFacts("PNG", "L", 8, 32, 32, int(pixels.min()), int(pixels.max()))
            found[side, seed] = Picture(pixels), facts
    return found


def _files(scans, wanted):
    return [
        scan_picture(*scans[side, seed], name=f"{label}/{number}.png", label=label)
        for number, (label, side, seed) in enumerate(wanted)
    ]


def test_few_large_groups_may_hold_all_of_a_label(scans):
    """Two patients of each label: where the others do not have both, nobody is suspected, and nothing breaks."""
    sizes = {0: ("A", 14), 1: ("B", 13), 2: ("B", 12), 3: ("A", 11)}
    groups = np.concatenate([[group] * count for group, (_, count) in sizes.items()])
    wanted = [(label, "mri", group) for group, (label, count) in sizes.items() for _ in range(count)]
    found = audit(_files(scans, wanted), groups, ["train"] * len(wanted), of="patients")
    assert not any(finding.topic == "looks like another label" for finding in found)
    assert any("A: 2 patients among 25 files" in finding.text for finding in found)


def test_a_stray_is_suspected_by_what_the_other_groups_look_like(scans):
    wanted = [("CT", "ct", seed) for seed in range(30)] + [("MRI", "mri", seed) for seed in range(30, 59)]
    wanted.append(("MRI", "ct", 59))
    found = audit(_files(scans, wanted), np.arange(60), ["train"] * 60)
    suspects = [finding for finding in found if finding.topic == "looks like another label"]
    assert [finding.files for finding in suspects if finding.text.startswith("MRI")] == [("59.png",)]


@pytest.mark.parametrize(("wanted", "says"), [({"CT": "ct", "MRI": "mri"}, False), ({"CT": "mri", "MRI": "ct"}, True)])
def test_domains_that_are_swapped_as_a_whole_are_told_by_bone(wanted, says):
    """Every file fits all others of its label, so nothing else sees it. Classes of a detector are not asked."""
    drawn = {}
    for seed in range(12):
        phantom = draw_phantom(seed, size=96)
        for side in ("ct", "mri"):
            facts = FileFacts("PNG", "L", 8, 96, 96, 0, 255)
            drawn[side, seed] = Picture(np.round(getattr(phantom, side) * 255).astype(np.uint8)), facts
    files = [(label, side, seed) for label, side in wanted.items() for seed in range(12)]
    found = audit(_files(drawn, files), np.arange(24), ["train"] * 24, aligned=True)
    assert [finding.severity for finding in found if finding.topic == "swapped"] == ["warning"] * says
    classes = [({"CT": "ctrl", "MRI": "tumour"}[label], side, seed) for label, side, seed in files]
    found = audit(_files(drawn, classes), np.arange(24), ["train"] * 24)
    assert not any(finding.topic == "swapped" for finding in found)


@pytest.mark.parametrize(
    ("tops", "says"),
    [
        ([4000] * 5 + [60000] * 20, 5),
        (list(range(600, 4000, 100)) + list(range(12000, 65000, 1000)), 34),
        (list(range(300, 4000, 150)), 0),  # one scanner, 12 bits
        ([145, *range(966, 3850, 150)], 0),  # with a slice near the vertex
        (list(range(2000, 32000, 900)), 0),  # one scanner, 15 bits
        ([4000], 0),
    ],
)
def test_deep_files_of_two_scales_are_told_apart(tops, says):
    """12 and 16 bits in one folder: the first would be nearly black. Slices of one scanner differ by little."""
    head = draw_phantom(0, size=32).mri
    files = [
        scan_picture(
            Picture(np.round(head * top).astype(np.uint16)),
            FileFacts("PNG", "I;16", 16, 32, 32, 0, top),
            name=f"{number}.png",
            label="MRI",
        )
        for number, top in enumerate(tops)
    ]
    found = audit(files, np.arange(len(files)), ["train"] * len(files))
    assert [finding.count for finding in found if finding.topic == "two scales"] == [says] * bool(says)


def test_files_of_one_name_are_named_by_their_folders(scans):
    files = [scan_picture(*scans["mri", 0], name=f"p{n}/slice.png", label="MRI") for n in range(2)]
    files += _files(scans, [("MRI", "mri", 0)])
    found = audit(files, np.zeros(3, int), ["train", "test", "validation"])
    leaks = {finding.topic: finding.files for finding in found if finding.severity == "leak"}
    assert leaks == {"leak, test": ("p1/slice.png",), "leak, validation": ("0.png",)}


def test_leaks_of_each_side_are_counted(scans):
    files = _files(scans, [("MRI", "mri", seed) for seed in range(6)])
    groups = np.array([0, 0, 0, 1, 1, 2])
    found = audit(files, groups, ["train", "test", "validation", "train", "train", "test"])
    leaks = {finding.topic: finding.files for finding in found if finding.severity == "leak"}
    assert leaks == {"leak, test": ("1.png",), "leak, validation": ("2.png",)}


def test_findings_are_told_the_worst_first_with_some_names():
    findings = [
        Finding("note", "a", "a note", 1),
        Finding("leak", "b", "a leak", 9, tuple(f"{i}.png" for i in range(9))),
        Finding("warning", "c", "a warning", 1, ("t\udceate.png",)),
    ]
    assert audit_lines(sorted_findings(findings)) == [
        "  leak    a leak: 0.png, 1.png, 2.png, 3.png, 4.png, 5.png, 6.png, 7.png, ...",
        "  warning a warning: t?te.png",
        "  note    a note",
    ]
    assert audit_lines([]) == ["  nothing found"]
    assert audit_record(findings)[1]["files"][8] == "8.png"


def test_a_gray_scale_that_leaves_nothing_to_the_head_is_said(tmp_path):
    """Hounsfield units with 1024 added, in 16 bits, and the same slices windowed."""
    for place in ("offset", "window"):
        for number in range(8):
            head = draw_phantom(number, size=48)
            hu = np.where(head.ct > 0.95, 1200.0, 20 + 40 * head.ct)
            hu[head.ct < 0.02] = -1000
            if place == "offset":
                stored = np.round(hu + 1024).astype(np.uint16)
            else:
                stored = np.round(np.clip(hu / 80, 0, 1) * 255).astype(np.uint8)
            for letter, image in (("A", stored), ("B", np.round(head.mri * 255).astype(np.uint8))):
                file = tmp_path / place / f"train{letter}" / f"{number}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(image).save(file)
        dataset = open_dataset(folder_source(tmp_path / place, domains=("CT", "MRI")))
        found = {}
        for label in ("CT", "MRI"):
            chosen = [i for i, case in enumerate(dataset.cases) if label in case.files]
            found[label] = dataset.contrast(label, dataset.preparation(label, chosen, framing="head"))
        assert not found["MRI"]
        assert [one.severity for one in found["CT"]] == (["warning"] if place == "offset" else [])
        if place == "offset":
            assert "--window CT=BLACK:WHITE" in found["CT"][0].text and "4095" in found["CT"][0].text
            windowed = dataset.preparation("CT", [0, 1], framing="head", window=(1024.0, 1104.0))
            assert not dataset.contrast("CT", windowed)
