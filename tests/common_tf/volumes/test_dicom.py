from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedCTImageStorage, generate_uid

from common_tf.volumes.dicom.files import find_series, is_dicom
from common_tf.volumes.dicom.reading import read_series
from common_tf.volumes.dicom.writing import write_series
from common_tf.volumes.files import DICOM, NIFTI, list_volumes
from common_tf.volumes.nifti import write_nifti
from common_tf.volumes.phantom import draw_head, write_drawn
from common_tf.volumes.volume import BadVolume

_FILES = Path(pydicom.__file__).parent / "data" / "test_files"
_have_files = pytest.mark.skipif(not _FILES.is_dir(), reason="pydicom was installed without its test files")


def _read(files):
    (series,), _ = find_series(files)
    return read_series(series)


def test_a_series_comes_back_whatever_its_files_are_called(marked, write_dicom, random):
    files = write_dicom(marked, lambda dataset, k: setattr(dataset, "InstanceNumber", (7 * k) % 5))
    names = random.permutation(len(files))
    moved = [file.rename(file.with_name(f"IM{name}")) for file, name in zip(files, names)]
    volume, header, notes = _read(moved)
    np.testing.assert_array_equal(volume.voxels, marked.voxels)
    np.testing.assert_allclose(volume.affine, marked.affine, atol=1e-6)
    assert (volume.unit, volume.modality, volume.frame_of_reference) == ("HU", "CT", "1.2.3")
    assert volume.is_regular and notes == [] and header.PatientName == "Doe^Jane" and "PixelData" not in header


@pytest.mark.parametrize("tilt, uneven", [(0.0, False), (18.0, False), (0.0, True), (-22.0, True)])
def test_landmarks_lie_where_the_tags_say(tilt, uneven, marked, write_dicom):
    """Gantry tilt and uneven slices: every slice has its own position, and none is resampled."""
    heights = np.array([0.0, 4.0, 8.0, 13.0, 18.0]) if uneven else 4.0 * np.arange(5)
    slope = np.tan(np.deg2rad(tilt))

    def spoil(dataset, k):
        x, y, _ = dataset.ImagePositionPatient
        dataset.ImagePositionPatient = [x, float(y) + slope * heights[k], 100 + heights[k]]

    files = write_dicom(marked, spoil)
    volume, _, notes = _read(files)
    assert volume.is_even != uneven and volume.is_tilted == bool(tilt)
    assert len(notes) == uneven + bool(tilt)
    for k, file in enumerate(files):
        tags = pydicom.dcmread(file)
        row, column = 3, 5
        across, down = (np.array(part, float) for part in np.split(np.array(tags.ImageOrientationPatient), 2))
        place = np.array(tags.ImagePositionPatient, float)
        place = place + across * column * float(tags.PixelSpacing[1]) + down * row * float(tags.PixelSpacing[0])
        np.testing.assert_allclose(volume.world([column, row, k]), place * [-1, -1, 1], atol=0.01)
        assert volume.voxels[column, row, k] == tags.pixel_array[row, column] + float(tags.RescaleIntercept)


def test_each_frame_has_its_own_rescale_and_padding_becomes_air(marked, write_dicom):
    def spoil(dataset, k):
        dataset.RescaleSlope = str(1 + k)
        dataset.add_new("PixelPaddingValue", "US", 24)

    volume, _, _ = _read(write_dicom(marked, spoil))
    # Air of the fixture is stored as 24, which here is said to be padding.
    assert set(np.unique(volume.voxels)) == {-1024.0, (1 + 4) * 1324 - 1024.0}


def test_of_an_mri_padding_becomes_the_lowest_value_and_there_is_no_unit(marked, write_dicom):
    mri = marked.with_voxels(np.where(marked.voxels > 0, 500, 40).astype(np.float32), unit="", modality="MR")
    mri.voxels[0, 0, 0] = 7

    def spoil(dataset, k):
        dataset.add_new("PixelPaddingValue", "US", 7)

    volume, _, _ = _read(write_dicom(mri, spoil))
    assert volume.unit == "" and set(np.unique(volume.voxels)) == {40.0, 500.0}


def test_copies_are_taken_once_and_another_picture_in_the_same_place_is_refused(marked, write_dicom, tmp_path):
    files = write_dicom(marked)
    (tmp_path / "copy.dcm").write_bytes(files[2].read_bytes())
    volume, _, notes = _read([*files, tmp_path / "copy.dcm"])
    assert volume.shape == marked.shape and "1 slices are there twice" in notes[0]
    other = pydicom.dcmread(files[2])
    other.PixelData = bytes(reversed(other.PixelData[:-2])) + b"\7\0"
    other.save_as(tmp_path / "copy.dcm")
    with pytest.raises(BadVolume, match="two scans in one"):
        _read([*files, tmp_path / "copy.dcm"])


def test_acquisitions_of_one_series_are_told_apart(marked, write_dicom):
    first = write_dicom(marked, name="one", spoil=lambda d, k: d.update({"SeriesInstanceUID": "1.9"}))
    other = marked.with_voxels(marked.voxels + 5, unit="HU", modality="CT")
    second = write_dicom(other, name="two", spoil=lambda d, k: d.update({"SeriesInstanceUID": "1.9"}))
    for number, files in enumerate((first, second)):
        for file in files:
            dataset = pydicom.dcmread(file)
            dataset.AcquisitionNumber = number
            dataset.save_as(file)
    found, _ = find_series([*first, *second])
    assert len(found) == 2 and [read_series(one)[0].voxels.max() for one in found] == [300.0, 305.0]


def test_localisers_and_files_without_pixels_are_left_out_with_a_line(marked, write_dicom, tmp_path):
    files = write_dicom(marked)
    localiser, report = pydicom.dcmread(files[0]), pydicom.dcmread(files[1])
    localiser.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    localiser.save_as(tmp_path / "localiser.dcm")
    for name in ("Rows", "Columns", "PixelData"):
        delattr(report, name)
    report.save_as(tmp_path / "report.dcm")
    report.SeriesInstanceUID = "1.2.3.4"  # of a series of its own, as they usually are
    report.save_as(tmp_path / "report.dcm")
    screen = pydicom.dcmread(files[0])
    screen.SeriesInstanceUID = "1.2.3.5"
    screen.save_as(tmp_path / "screen.dcm")
    (series,), left_out = find_series([tmp_path / f"{name}.dcm" for name in ("localiser", "report", "screen")] + files)
    assert read_series(series)[0].shape == marked.shape
    assert left_out == {"localiser(s)": 1, "file(s) without an image": 1, "single picture(s)": 1}
    assert "1 DICOM localiser(s) left out" in list_volumes(tmp_path).notes


def test_an_enhanced_file_says_where_each_of_its_frames_lies(marked, tmp_path):
    voxels = marked.voxels
    order = [3, 0, 4, 1, 2]
    dataset = pydicom.dcmread(write_series(tmp_path, marked, Dataset(), description="", derivation="")[0])
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    dataset.NumberOfFrames, frames = 5, []
    for k in order:
        frame, plane, value = Dataset(), Dataset(), Dataset()
        plane.ImagePositionPatient = [5.0, 7.0, 30.0 + 4.0 * k]
        value.RescaleSlope, value.RescaleIntercept = "1", str(-1024 - k)
        frame.PlanePositionSequence, frame.PixelValueTransformationSequence = Sequence([plane]), Sequence([value])
        frames.append(frame)
    shared, orientation, measures = Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = [-1, 0, 0, 0, -1, 0]
    measures.PixelSpacing = [1.5, 2.0]
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = Sequence([orientation]), Sequence([measures])
    dataset.PerFrameFunctionalGroupsSequence, dataset.SharedFunctionalGroupsSequence = (
        Sequence(frames),
        Sequence([shared]),
    )
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope", "RescaleIntercept"):
        delattr(dataset, name)
    dataset.PixelData = np.stack([voxels[:, :, k].T + 1024 + k for k in order]).astype("<u2").tobytes()
    file = tmp_path / "enhanced.dcm"
    dataset.save_as(file)
    volume, _, _ = _read([file])
    np.testing.assert_array_equal(volume.voxels, voxels)
    np.testing.assert_allclose(volume.affine, marked.affine, atol=1e-9)
    assert volume.unit == "HU"
    del dataset.PerFrameFunctionalGroupsSequence
    dataset.save_as(file)
    with pytest.raises(BadVolume, match="do not say where each lies"):
        _read([file])


def _without(name):
    return lambda dataset, k: delattr(dataset, name)


@pytest.mark.parametrize(
    "spoil, message",
    [
        (_without("ImagePositionPatient"), "does not say where in the patient it lies"),
        (_without("ImageOrientationPatient"), "does not say where"),
        (_without("PixelSpacing"), "how large its pixels are"),
        (lambda d, k: setattr(d, "ImagePositionPatient", [5, 7, 30 + 4 * k + 8 * (k > 2)]), "slices are missing"),
        (lambda d, k: setattr(d, "ImagePositionPatient", [5, 7, 30 + 4 * k + 5 * (k > 2) + 5 * (k > 1)]), "missing"),
        (lambda d, k: setattr(d, "ImagePositionPatient", [5, 7, 30 + 4 * k + 8 * (k > 3)]), "slices are missing"),
        (lambda d, k: setattr(d, "SamplesPerPixel", 3), "in colour"),
        (lambda d, k: setattr(d, "ImageType", ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]), "mosaic"),
        (lambda d, k: setattr(d, "PixelData", d.PixelData[:40]), "truncated or corrupt"),
        (lambda d, k: setattr(d, "PixelSpacing", [1.5 + k, 2]), "mixes several scans"),
    ],
)
def test_a_series_that_cannot_be_used_is_refused_in_a_line(spoil, message, marked, write_dicom):
    with pytest.raises(BadVolume, match=message) as caught:
        _read(write_dicom(marked, spoil))
    assert "\n" not in str(caught.value)


def test_one_slice_is_no_volume(marked, write_dicom):
    with pytest.raises(BadVolume, match="one slice"):
        _read(write_dicom(marked)[:1])


@_have_files
def test_real_files_of_many_makers_are_read_or_refused_in_a_line():
    outcomes = {}
    for file in sorted(_FILES.glob("*.dcm")):
        if not is_dicom(file):
            continue
        try:
            for series in find_series([file])[0]:
                read_series(series)
        except BadVolume as error:
            assert "\n" not in str(error)
            outcomes[file.name] = str(error)
    assert "wants a plug-in: pip install" in outcomes["MR_small_jpeg_ls_lossless.dcm"]
    assert "truncated" in outcomes["MR_truncated.dcm"] and "in colour" in outcomes["examples_ybr_color.dcm"]
    # Compressed and big-endian slices are decoded, and refused for being one slice only.
    for name in ("MR_small_RLE", "MR_small_jp2klossless", "MR_small_bigendian", "MR_small_implicit", "693_J2KI"):
        assert "one slice" in outcomes[f"{name}.dcm"]


@_have_files
def test_a_real_series_is_read_and_one_with_a_gap_is_refused():
    folders = _FILES / "dicomdirtests"
    volume, _, _ = _read(sorted((folders / "98892001" / "CT5N").iterdir()))
    assert volume.shape == (16, 16, 5) and volume.unit == "HU" and volume.spacing[2] == pytest.approx(2.5)
    with pytest.raises(BadVolume, match="slices are missing"):
        _read(sorted((folders / "77654033" / "CT2").iterdir()))


def test_the_real_head_keeps_its_tilt_and_its_uneven_slices(real_data):
    volume, _, notes = _read(sorted((real_data / "volumes" / "ct_head_dicom").iterdir()))
    assert volume.shape == (512, 512, 28) and not volume.is_even and volume.is_tilted and len(notes) == 2
    assert volume.voxels.min() == -1024  # padding of -1500 is air


_IDENTIFYING = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "PatientAge", "PatientAddress", "OtherPatientIDs",
    "StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate", "StudyTime", "AccessionNumber", "StudyID",
    "ReferringPhysicianName", "PerformingPhysicianName", "OperatorsName", "InstitutionName", "InstitutionAddress",
    "StationName", "DeviceSerialNumber", "StudyDescription", "ProtocolName", "RequestingPhysician",
)  # fmt: skip


def test_a_derived_series_names_nobody_and_is_valid(marked, write_dicom, tmp_path):
    source = pydicom.dcmread(write_dicom(marked)[0])
    for name in _IDENTIFYING:
        date = "20200101" if name.endswith("Date") else "101010" if name.endswith("Time") else "SECRET"
        setattr(source, name, {"PatientSex": "F", "PatientAge": "040Y"}.get(name, date))
    source.StudyInstanceUID = "1.2.840.999"
    made = tmp_path / "made"
    made.mkdir()
    settings = pydicom.config.settings
    before = settings.writing_validation_mode
    settings.writing_validation_mode = pydicom.config.RAISE
    try:
        files = write_series(made, marked, source, description="synthetic CT, not for diagnosis", derivation="d")
    finally:
        settings.writing_validation_mode = before
    datasets = [pydicom.dcmread(file) for file in files]
    for dataset, file in zip(datasets, files):
        assert all(not dataset.get(name, None) for name in _IDENTIFYING), file
        content = file.read_bytes()
        assert b"SECRET" not in content and b"1.2.840.999" not in content and b"20200101" not in content
        assert dataset.ImageType[:2] == ["DERIVED", "SECONDARY"] and "not for diagnosis" in dataset.SeriesDescription
        assert dataset.StudyInstanceUID == datasets[0].StudyInstanceUID != source.StudyInstanceUID
        assert dataset.SeriesInstanceUID == datasets[0].SeriesInstanceUID and dataset.PatientIdentityRemoved == "YES"
    assert len({dataset.SOPInstanceUID for dataset in datasets}) == 5
    again = tmp_path / "again"
    again.mkdir()
    other = pydicom.dcmread(write_series(again, marked, source, description="", derivation="")[0])
    # Series of one study stay one study; a second translation is a series of its own.
    assert other.StudyInstanceUID == datasets[0].StudyInstanceUID
    assert other.SeriesInstanceUID != datasets[0].SeriesInstanceUID


def test_identity_stays_where_it_is_asked_for(marked, write_dicom, tmp_path):
    source = pydicom.dcmread(write_dicom(marked)[0])
    (tmp_path / "kept").mkdir()
    file = write_series(tmp_path / "kept", marked, source, description="", derivation="", keep_identity=True)[0]
    kept = pydicom.dcmread(file)
    for name in ("PatientName", "PatientID", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert kept[name].value == source[name].value
    assert kept.SOPInstanceUID != source.SOPInstanceUID and kept.SeriesInstanceUID != source.SeriesInstanceUID
    assert "PatientIdentityRemoved" not in kept


def test_what_a_folder_holds_is_told_by_content_and_named_by_place(marked, write_dicom, tmp_path):
    files = write_dicom(marked, name="deep")
    root = tmp_path / "root"
    (root / "p1" / "ct").mkdir(parents=True)
    for number, file in enumerate(files):
        (root / "p1" / "ct" / f"IM{number}").write_bytes(file.read_bytes())
    write_nifti(root / "p2.nii.gz", marked)
    (root / "p2.nii.gz").rename(root / "p2.anything")
    (root / "notes.txt").write_text("hello")
    (root / "a.png").write_bytes(b"x")
    listing = list_volumes(root)
    assert [(one.name, one.kind) for one in listing.volumes] == [("p1/ct", DICOM), ("p2.anything", NIFTI)]
    assert listing.pictures == 1 and dict(listing.others) == {".txt": 1, ".png": 1}
    for one in listing.volumes:
        np.testing.assert_array_equal(one.read().volume.voxels, marked.voxels)
    (one,) = list_volumes(root / "p1" / "ct" / "IM3").volumes
    assert one.name == "ct" and len(one.paths) == 5
    # Two series of one folder are two volumes.
    for number, file in enumerate(files):
        dataset = pydicom.dcmread(file)
        dataset.SeriesInstanceUID, dataset.SeriesDescription = generate_uid(entropy_srcs=["x"]), "Bone / thin"
        dataset.save_as(root / "p1" / "ct" / f"B{number}")
    names = [one.name for one in list_volumes(root).volumes]
    assert names == ["p1/ct/series-bone-thin", "p1/ct/series-drawn", "p2.anything"]


def test_people_and_folders_are_not_mixed_where_the_series_has_no_name(marked, write_dicom):
    def of(patient):
        def spoil(dataset, k):
            dataset.PatientID, dataset.SeriesInstanceUID = patient, ""
            dataset.ImagePositionPatient = [5, 7, 30 + 4 * k + 2 * (patient == "b")]

        return spoil

    files = write_dicom(marked, of("a"), "a") + write_dicom(marked, of("b"), "b") + write_dicom(marked, of("a"), "c")
    assert [len(one.paths) for one in find_series(files)[0]] == [5, 5, 5]


def test_rounding_of_orientation_and_echo_does_not_split_a_series(marked, write_dicom):
    def spoil(dataset, k):
        cosine = 0.995 + 1e-7 * (-1) ** k
        sine = -np.sqrt(1 - cosine**2)
        dataset.ImageOrientationPatient = [f"{one:.9f}" for one in (-1, 0, 0, 0, -cosine, sine)]
        dataset.EchoTime = "4.20" if k % 2 else "4.2000"

    assert len(find_series(write_dicom(marked, spoil))[0]) == 1


def test_a_padding_range_may_end_at_nothing_and_only_hu_are_hu(marked, write_dicom):
    def spoil(dataset, k):
        dataset.add_new("PixelPaddingValue", "US", 60)
        dataset.add_new("PixelPaddingRangeLimit", "US", 0)
        dataset.RescaleType = "US"

    marked.voxels[0, 0, 0] = 100
    volume, _, _ = _read(write_dicom(marked, spoil))
    # All air was padding, and becomes the lowest of the rest.
    assert volume.unit == "" and set(np.unique(volume.voxels)) == {100.0, 300.0}


def test_all_slices_of_a_series_lie_in_one_study_and_one_space(marked, tmp_path):
    for keep in (False, True):
        (tmp_path / str(keep)).mkdir()
        files = write_series(tmp_path / str(keep), marked, Dataset(), description="", derivation="", keep_identity=keep)
        for name in ("StudyInstanceUID", "FrameOfReferenceUID", "SeriesInstanceUID"):
            assert len({pydicom.dcmread(file)[name].value for file in files}) == 1


def test_a_size_of_several_numbers_is_a_damaged_file(tmp_path):
    place = write_drawn(tmp_path, draw_head(1, spacing=(12.0, 12.0, 24.0)).ct, name="v", as_dicom=True)
    file = sorted(place.iterdir())[0]
    dataset = pydicom.dcmread(file)
    dataset.Rows = [16, 16]
    dataset.save_as(file)
    with pytest.raises(BadVolume, match="truncated or corrupt"):
        list_volumes(tmp_path)
