"""A volume as a derived DICOM series: classic single frames, marked as synthetic, with nobody's name unless asked for.

The dataset is built from nothing, so a tag of the source that is not named here cannot pass on: PS3.15's basic
confidentiality profile by construction.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

from common_tf.files import replace_file
from common_tf.volumes.volume import HOUNSFIELD, Volume

IDENTITY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate", "StudyTime",
    "StudyID", "AccessionNumber", "ReferringPhysicianName", "FrameOfReferenceUID", "PositionReferenceIndicator",
)  # fmt: skip
"""What `write_series` takes from the source where it may keep the identity; empty or new otherwise."""

_INTERCEPT, _LARGEST = -1024, 2**16 - 1
_TO_LPS = np.array([-1.0, -1.0, 1.0])
_MANUFACTURER = "ct-mri-cyclegan"


def write_series(
    folder: Path, volume: Volume, source: Dataset, *, description: str, derivation: str, keep_identity: bool = False
) -> list[Path]:
    """Writes one file a slice, ``0001.dcm`` on, in the order of the slices.

    Series and images get new UIDs, so that no viewer takes them for the original. Without identity the study's and the
    frame of reference's are replaced by ones that follow from the old: series of one study stay one study.

    Args:
        folder: that exists.
        volume: of modality ``CT`` or ``MR``; values are rounded to whole ones from -1024 to 64511 (HU) or from 0 on.
        source: tags of the series that it was made of.
        description: of the series.
        derivation: how it was made.
        keep_identity: keep patient, study and frame of reference, so that a planning system lays it over the source.

    Returns:
        The files.
    """
    series, number = generate_uid(), _series_number(source)
    identity = _identity(source, keep_identity)
    width = max(4, len(str(volume.shape[2])))
    files = []
    for k in range(volume.shape[2]):
        dataset = _image(volume, k, source)
        dataset.update(identity)
        dataset.SeriesInstanceUID, dataset.SeriesNumber, dataset.SeriesDescription = series, number, description[:64]
        dataset.DerivationDescription = derivation[:1024]
        files.append(Path(folder) / f"{k + 1:0{width}d}.dcm")
        replace_file(files[-1], partial(dataset.save_as, enforce_file_format=True))
    return files


def _image(volume: Volume, k: int, source: Dataset) -> FileDataset:
    is_ct = volume.modality == "CT"
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage if is_ct else MRImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.ImageType = ["DERIVED", "SECONDARY", "AXIAL" if is_ct else "OTHER"]
    dataset.Modality, dataset.Manufacturer = volume.modality, _MANUFACTURER
    dataset.PatientPosition = str(source.get("PatientPosition", "") or "")
    dataset.BodyPartExamined, dataset.AcquisitionNumber = "HEAD", None
    dataset.InstanceNumber = k + 1
    dataset.ImageComments = "Synthetic. Research only, not for diagnosis."
    # What is written into the source's pixels may still be read in these.
    dataset.BurnedInAnnotation = "YES" if source.get("BurnedInAnnotation", None) == "YES" else "NO"
    _place(dataset, volume, k)
    _fill(dataset, volume, k)
    if is_ct:
        dataset.KVP = None
    else:
        dataset.ScanningSequence, dataset.SequenceVariant = "RM", "NONE"
        dataset.ScanOptions, dataset.MRAcquisitionType = None, None
        dataset.EchoTime, dataset.EchoTrainLength, dataset.RepetitionTime = None, None, None
    return dataset


def _identity(source: Dataset, keep_identity: bool) -> Dataset:
    """Who it is of and in which space it lies: one answer for all slices."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    for name in IDENTITY:
        value = source.get(name, None) if keep_identity else None
        setattr(dataset, name, value if value not in (None, "") else None)
    for name in ("StudyInstanceUID", "FrameOfReferenceUID"):
        if not dataset.get(name, None):
            setattr(dataset, name, _remapped(source.get(name, None)))
    if keep_identity:
        dataset.SpecificCharacterSet = source.get("SpecificCharacterSet", None) or "ISO_IR 192"
        return dataset
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = "made anew from pixels; PS3.15 basic profile"
    method = Dataset()
    method.CodeValue, method.CodingSchemeDesignator = "113100", "DCM"
    method.CodeMeaning = "Basic Application Confidentiality Profile"
    dataset.DeidentificationMethodCodeSequence = DicomSequence([method])
    return dataset


def _remapped(uid: UID | None) -> UID:
    """A UID that follows from the old one and from which the old does not follow; a new one where there is none."""
    return generate_uid(entropy_srcs=[_MANUFACTURER, str(uid)]) if uid else generate_uid()


def _place(dataset: Dataset, volume: Volume, k: int) -> None:
    steps = volume.affine[:3, :2] * _TO_LPS[:, None]
    across, down = (steps[:, axis] / np.linalg.norm(steps[:, axis]) for axis in (0, 1))
    dataset.ImageOrientationPatient = _decimals([*across, *down])
    dataset.ImagePositionPatient = _decimals(volume.world(np.array([0, 0, k])) * _TO_LPS)
    dataset.PixelSpacing = _decimals([volume.spacing[1], volume.spacing[0]])
    dataset.SliceThickness = _decimals([volume.spacing[2]])[0]


def _fill(dataset: Dataset, volume: Volume, k: int) -> None:
    values = np.round(volume.voxels[:, :, k].T)
    intercept = _INTERCEPT if volume.modality == "CT" else 0
    stored = np.clip(values - intercept, 0, _LARGEST).astype("<u2")
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
    if volume.modality == "CT":
        dataset.RescaleSlope, dataset.RescaleIntercept = "1", str(intercept)
        dataset.RescaleType = HOUNSFIELD if volume.unit == HOUNSFIELD else "US"
    low, high = float(volume.voxels.min()), float(volume.voxels.max())
    dataset.WindowCenter, dataset.WindowWidth = _decimals([(low + high) / 2, max(1.0, high - low)])
    dataset.PixelData = stored.tobytes()


def _series_number(source: Dataset) -> int:
    """Far from the source's, and the same for all translations of it."""
    return 9000 + int(source.get("SeriesNumber", None) or 0) % 1000


def _decimals(values: Sequence[float]) -> list[str]:
    """DS of at most 16 characters."""
    return [f"{value + 0.0:.10g}"[:16] for value in np.round(np.asarray(values, float), 9)]
