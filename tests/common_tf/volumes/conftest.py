"""A small volume with a mark, and DICOM series whose tags a test may spoil."""

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from common_tf.volumes.dicom.writing import write_series
from common_tf.volumes.volume import Volume


@pytest.fixture
def marked() -> Volume:
    """A CT of 6 x 8 x 5 voxels, air but for a mark at index (5, 1, 4): the patient's right, back and top."""
    voxels = np.full((6, 8, 5), -1000, np.float32)
    voxels[5, 1, 4] = 300
    affine = np.diag([2.0, 1.5, 4.0, 1.0])
    affine[:3, 3] = [-5.0, -7.0, 30.0]
    return Volume(voxels, affine, None, "HU", "CT", "1.2.3")


@pytest.fixture
def write_dicom(tmp_path):
    """Writes a volume as a series, lets a function spoil each dataset (by its slice), and gives the files."""

    def write(volume: Volume, spoil=None, name: str = "series") -> list[Path]:
        folder = tmp_path / name
        folder.mkdir()
        source = Dataset()
        source.PatientName, source.PatientID, source.PatientPosition = "Doe^Jane", "42", "HFS"
        source.StudyInstanceUID, source.FrameOfReferenceUID = "1.2.840.1", volume.frame_of_reference
        files = write_series(folder, volume, source, description="drawn", derivation="drawn", keep_identity=True)
        if spoil is not None:
            import pydicom

            for k, file in enumerate(files):
                dataset = pydicom.dcmread(file)
                spoil(dataset, k)
                dataset.save_as(file)
        return files

    return write
