import gzip
from pathlib import Path

import nibabel
import numpy as np
import pytest

from common_tf.volumes.nifti import is_nifti, read_nifti, write_nifti
from common_tf.volumes.planes import slices_of
from common_tf.volumes.volume import BadVolume, Volume

_FILES = Path(nibabel.__file__).parent / "tests" / "data"
_VOLUMES = {
    "anatomical.nii": None,
    "example4d.nii.gz": 1,
    "example_nifti2.nii.gz": 0,
    "functional.nii": 19,
    "reoriented_anat_moved.nii": None,
    "resampled_anat_moved.nii": None,
    "standard.nii.gz": None,
}


@pytest.mark.skipif(not _FILES.is_dir(), reason="nibabel was installed without its test files")
@pytest.mark.parametrize("name, number", _VOLUMES.items())
def test_reading_and_writing_keep_voxels_and_affine(name, number, tmp_path):
    volume, _ = read_nifti(_FILES / name, number=number)
    image = nibabel.load(_FILES / name)
    values = np.asarray(image.dataobj, np.float32)
    values = values if number is None else values[..., number]
    known = np.isfinite(values)
    np.testing.assert_allclose(volume.voxels[known], values[known], rtol=1e-6)
    np.testing.assert_allclose(volume.affine, image.affine)
    for ending in (".nii", ".nii.gz"):
        write_nifti(tmp_path / f"again{ending}", volume)
        again, notes = read_nifti(tmp_path / f"again{ending}")
        np.testing.assert_array_equal(again.voxels, volume.voxels)
        np.testing.assert_allclose(again.affine, volume.affine, atol=1e-4)
        assert notes == []


@pytest.mark.parametrize("codes", ["RAS", "LPS", "LAS", "PIR", "SRP", "ILA", "ASL"])
def test_a_mark_on_the_right_stays_on_the_right_in_any_orientation(codes, marked, tmp_path):
    image = nibabel.Nifti1Image(marked.voxels, marked.affine)
    turn = nibabel.orientations.ornt_transform(
        nibabel.io_orientation(image.affine), nibabel.orientations.axcodes2ornt(codes)
    )
    nibabel.save(image.as_reoriented(turn), tmp_path / "turned.nii.gz")
    volume, _ = read_nifti(tmp_path / "turned.nii.gz")
    place = volume.world(np.argwhere(volume.voxels == 300)[0])
    np.testing.assert_allclose(place, [5.0, -5.5, 46.0], atol=1e-4)
    # Axial pictures show the patient's right on the left and the back below; the top slice comes last.
    shown = slices_of(volume)
    assert np.argwhere(shown.values == 300).tolist() == [[4, 6, 0]]
    np.testing.assert_allclose((*shown.spacing, shown.step), (1.5, 2.0, 4.0), rtol=1e-5)


def test_values_go_through_slope_and_intercept_and_big_endian(tmp_path):
    header = nibabel.Nifti1Header(endianness=">")
    stored = np.arange(60, dtype=">i2").reshape(3, 4, 5)
    header.set_data_dtype(">i2")
    content = bytearray(nibabel.Nifti1Image(stored, np.eye(4), header).to_bytes())
    content[112:120] = np.array([2.0, -1000.0], ">f4").tobytes()  # scl_slope and scl_inter
    path = tmp_path / "scaled.nii"
    path.write_bytes(content)
    volume, _ = read_nifti(path)
    np.testing.assert_allclose(volume.voxels, 2.0 * stored.astype(float) - 1000.0)
    np.testing.assert_allclose(volume.voxels, nibabel.load(path).get_fdata(), rtol=1e-6)


def test_units_of_the_header_become_millimetres(marked, tmp_path):
    affine = marked.affine.copy()
    affine[:3] /= 1000
    image = nibabel.Nifti1Image(marked.voxels, affine)
    image.header.set_xyzt_units("meter")
    nibabel.save(image, tmp_path / "metres.nii")
    np.testing.assert_allclose(read_nifti(tmp_path / "metres.nii")[0].affine, marked.affine, atol=1e-4)


def test_numbers_that_are_none_become_the_lowest_value_and_a_line(marked, tmp_path):
    voxels = marked.voxels.copy()
    voxels[0, 0, :2] = np.nan, np.inf
    nibabel.save(nibabel.Nifti1Image(voxels, marked.affine), tmp_path / "nan.nii")
    volume, notes = read_nifti(tmp_path / "nan.nii")
    assert volume.voxels[0, 0, :2].tolist() == [-1000, -1000] and "2 voxels are no numbers" in notes[0]


def test_the_same_volume_is_the_same_file_and_whole_numbers_take_16_bits(marked, tmp_path):
    for name in ("a.nii.gz", "b.nii.gz"):
        write_nifti(tmp_path / name, marked, description="synthetic MRI, not for diagnosis")
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()
    image = nibabel.load(tmp_path / "a.nii.gz")
    assert image.get_data_dtype() == np.int16 and b"not for diagnosis" in image.header["descrip"].tobytes()


def _saved(path, array, **changes):
    image = nibabel.Nifti1Image(array, np.eye(4))
    for name, value in changes.items():
        image.header[name] = value
    nibabel.save(image, path)


@pytest.mark.parametrize(
    "array, message",
    [
        (np.zeros((4, 4, 4), np.int16), "constant"),
        (np.zeros((4, 4, 4, 2, 3), np.int16), "has 5 dimensions"),
        (np.arange(16, dtype=np.int16).reshape(4, 4, 1), "one slice"),
        (np.arange(32, dtype=np.int16).reshape(4, 4, 2).astype(np.complex64), "complex"),
        (np.random.default_rng(0).integers(0, 9, (4, 4, 4, 3)).astype(np.int16), "holds 3 volumes; say which"),
        (np.full((4, 4, 4), np.nan, np.float32), "NaN everywhere"),
    ],
)
def test_what_is_no_volume_is_refused_in_a_line(array, message, tmp_path):
    _saved(tmp_path / "a.nii.gz", array)
    with pytest.raises(BadVolume, match=message):
        read_nifti(tmp_path / "a.nii.gz")


def test_damaged_files_are_refused_in_a_line(marked, tmp_path):
    write_nifti(tmp_path / "a.nii.gz", marked)
    packed = (tmp_path / "a.nii.gz").read_bytes()
    plain = gzip.decompress(packed)
    damaged = {
        "cut": packed[: len(packed) // 2], "short": plain[:500], "header": plain[:200], "empty": b"",
        "text": b"hello" * 200, "flipped": packed[:40] + bytes([packed[40] ^ 255]) + packed[41:],
    }  # fmt: skip
    for name, content in damaged.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BadVolume) as caught:
            read_nifti(tmp_path / name)
        assert "\n" not in str(caught.value), name
    with pytest.raises(BadVolume, match="no number 7"):
        read_nifti(tmp_path / "a.nii.gz", number=7)
    huge = bytearray(plain)
    huge[40:56] = np.array([3, 30000, 30000, 30000, 1, 1, 1, 1], "<i2").tobytes()
    (tmp_path / "huge").write_bytes(bytes(huge))
    with pytest.raises(BadVolume, match="too many"):
        read_nifti(tmp_path / "huge")
    assert is_nifti(plain) and is_nifti(packed) and not is_nifti(b"\x1f\x8bxx") and not is_nifti(b"")


def test_what_a_packed_file_holds_beyond_its_voxels_is_not_unpacked(tmp_path, monkeypatch):
    """A few bytes can unpack to any size; a header can announce any."""
    volume = Volume(np.arange(60, dtype=np.float32).reshape(3, 4, 5), np.diag([2.0, 2.0, 2.0, 1.0]))
    write_nifti(tmp_path / "v.nii", volume)
    content = (tmp_path / "v.nii").read_bytes()
    (tmp_path / "bomb.nii.gz").write_bytes(gzip.compress(content + bytes(50_000_000)))
    with pytest.raises(BadVolume, match="far more than its header announces"):
        read_nifti(tmp_path / "bomb.nii.gz")
    (tmp_path / "longer.nii.gz").write_bytes(gzip.compress(content + bytes(5000)))
    np.testing.assert_array_equal(read_nifti(tmp_path / "longer.nii.gz")[0].voxels, volume.voxels)
    header = bytearray(content)
    header[40:56] = np.array([3, 32000, 32000, 32000, 1, 1, 1, 1], "<i2").tobytes()
    (tmp_path / "large.nii.gz").write_bytes(gzip.compress(bytes(header)))
    with pytest.raises(BadVolume, match="32000"):
        read_nifti(tmp_path / "large.nii.gz")
    header[40:56] = np.array([4, 512, 512, 512, 32000, 1, 1, 1], "<i2").tobytes()
    (tmp_path / "long.nii.gz").write_bytes(gzip.compress(bytes(header)))
    with pytest.raises(BadVolume, match="announces"):
        read_nifti(tmp_path / "long.nii.gz", number=0)


def test_no_bit_of_a_packed_file_changes_a_voxel_in_silence(tmp_path):
    voxels = np.random.default_rng(0).normal(0, 300, (12, 12, 12)).round().astype(np.float32)
    write_nifti(tmp_path / "v.nii.gz", Volume(voxels, np.diag([2.0, 2.0, 2.0, 1.0])))
    content = (tmp_path / "v.nii.gz").read_bytes()
    refused = 0
    for at in range(20, len(content), len(content) // 40):
        (tmp_path / "w.nii.gz").write_bytes(content[:at] + bytes([content[at] ^ 16]) + content[at + 1 :])
        try:
            np.testing.assert_array_equal(read_nifti(tmp_path / "w.nii.gz")[0].voxels, voxels)
        except BadVolume:
            refused += 1
    assert refused >= 38
