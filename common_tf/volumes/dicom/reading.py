"""From a series to a volume: slices by where they lie, values by each frame's own rescale."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.pixels import get_decoder

from common_tf.volumes.dicom.files import Series, interpreting, slice_normal
from common_tf.volumes.volume import AIR, HOUNSFIELD, BadVolume, Volume, placed, refuse_size, refuse_values

_SAME_PLACE = 0.01
_GAP, _SAME_STEP, _PROTOCOL = 1.5, 0.2, 3
_TO_RAS = np.array([-1.0, -1.0, 1.0])
_PLUGINS = "pylibjpeg pylibjpeg-libjpeg pylibjpeg-openjpeg"


@dataclass(frozen=True)
class _Frame:
    """One slice: its values, its place and direction in DICOM's own coordinates (LPS, mm)."""

    values: np.ndarray
    padding: np.ndarray | None
    position: np.ndarray
    orientation: np.ndarray
    spacing: tuple[float, float]
    name: str


def read_series(series: Series) -> tuple[Volume, Dataset, Sequence[str]]:
    """Reads a series.

    Slices are ordered along their normal, never by name or instance number. Values go through each frame's rescale;
    those of the padding value become air in a CT and the lowest value elsewhere. The unit is ``HU`` for a CT whose
    files have a rescale.

    Args:
        series: from `find_series`.

    Returns:
        The volume; the tags of its first slice, without pixels; what a person should know.

    Raises:
        BadVolume: a damaged file, colours, no positions, slices that do not fit together, a gap, one slice, nothing to
            see, or a compression whose plug-in is missing.
    """
    notes: list[str] = []
    frames: list[_Frame] = []
    header: Dataset | None = None
    for path in series.paths:
        with interpreting(path):
            dataset = pydicom.dcmread(path, force=True)
            if header is None and "Rows" in dataset:
                refuse_size((int(dataset.Rows), int(dataset.Columns), len(series.paths)))
            frames += _frames(dataset, path)
        if header is None:
            header = dataset
    assert header is not None
    for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData"):
        if name in header:
            delattr(header, name)
    frames = _ordered(frames, notes)
    refuse_size((*frames[0].values.shape, len(frames)))
    if len(frames) < 2:
        raise BadVolume("has one slice; a volume wants at least two")
    columns = np.stack(
        [frames[0].orientation[:3] * frames[0].spacing[1], frames[0].orientation[3:] * frames[0].spacing[0]]
    )
    positions = np.stack([frame.position for frame in frames]) * _TO_RAS
    _refuse_gap(positions, frames)
    affine, uneven = placed((columns * _TO_RAS).T, positions)
    modality = str(header.get("Modality", "") or "")
    kind = str(header.get("RescaleType", "") or HOUNSFIELD)
    unit = HOUNSFIELD if modality == "CT" and _has_rescale(header) and kind == HOUNSFIELD else ""
    # DICOM stores rows first; i counts columns.
    voxels = np.stack([frame.values.T for frame in frames], axis=-1)
    _fill_padding(voxels, frames, AIR if unit else None)
    refuse_values(voxels)
    frame_of_reference = str(header.get("FrameOfReferenceUID", "") or "")
    if header.get("PhotometricInterpretation", "") == "MONOCHROME1":
        notes.append("is meant to be shown with low values bright (MONOCHROME1); its values are taken as they are")
    if uneven is not None:
        notes.append(f"uneven slices: {_steps(positions).min():.2f} to {_steps(positions).max():.2f} mm apart")
    volume = Volume(voxels, affine, uneven, unit, modality, frame_of_reference)
    if volume.is_tilted:
        notes.append("a gantry tilt: slices are shifted against each other")
    return volume, header, notes


def _frames(dataset: Dataset, path: Path) -> list[_Frame]:
    if int(dataset.get("SamplesPerPixel", 1) or 1) != 1:
        raise BadVolume(f"{path.name}: in colour; gray values are wanted")
    if "MOSAIC" in [str(part).upper() for part in dataset.get("ImageType", None) or ()]:
        raise BadVolume(f"{path.name}: a mosaic of several slices in one picture; export it as single slices")
    refuse_size((int(dataset.Rows), int(dataset.Columns), int(dataset.get("NumberOfFrames", 1) or 1)))
    stored = _stored(dataset, path)
    if stored.ndim == 2:
        stored = stored[None] if "PerFrameFunctionalGroupsSequence" in dataset else stored
    if stored.ndim == 2:
        return [_frame(stored, dataset, [dataset], path.name)]
    shared = _first(dataset, "SharedFunctionalGroupsSequence")
    own = dataset.get("PerFrameFunctionalGroupsSequence", None)
    if own is None or len(own) != len(stored):
        raise BadVolume(f"{path.name}: {len(stored)} frames that do not say where each lies")
    places = [[group for group in (mine, shared, dataset) if group is not None] for mine in own]
    return [
        _frame(one, dataset, place, f"{path.name}, frame {k}") for k, (one, place) in enumerate(zip(stored, places), 1)
    ]


def _stored(dataset: Dataset, path: Path) -> np.ndarray:
    try:
        return dataset.pixel_array
    except (RuntimeError, NotImplementedError, ImportError) as error:
        syntax = getattr(dataset, "file_meta", Dataset()).get("TransferSyntaxUID", None)
        if syntax is None or not syntax.is_compressed or not get_decoder(syntax).missing_dependencies:
            raise
        raise BadVolume(
            f"{path.name}: compressed as {syntax.name}, which wants a plug-in: pip install {_PLUGINS}"
        ) from error


def _frame(stored: np.ndarray, dataset: Dataset, groups: Sequence[Dataset], name: str) -> _Frame:
    position = _tag(groups, "PlanePositionSequence", "ImagePositionPatient")
    orientation = _tag(groups, "PlaneOrientationSequence", "ImageOrientationPatient")
    spacing = _tag(groups, "PixelMeasuresSequence", "PixelSpacing")
    if position is None or orientation is None or len(position) != 3 or len(orientation) != 6:
        raise BadVolume(f"{name}: does not say where in the patient it lies (no position or no orientation)")
    if spacing is None or len(spacing) != 2 or min(map(float, spacing)) <= 0:
        raise BadVolume(f"{name}: does not say how large its pixels are")
    slope = _tag(groups, "PixelValueTransformationSequence", "RescaleSlope")
    intercept = _tag(groups, "PixelValueTransformationSequence", "RescaleIntercept")
    values = stored.astype(np.float32)
    values = values * np.float32(1 if slope is None else slope) + np.float32(0 if intercept is None else intercept)
    directions = np.asarray(orientation, np.float64)
    directions = np.concatenate([part / np.linalg.norm(part) for part in np.split(directions, 2)])
    if not (np.isfinite(values).all() and np.isfinite(directions).all()) or abs(directions[:3] @ directions[3:]) > 0.01:
        raise BadVolume(f"{name}: its orientation or its rescale is none")
    return _Frame(
        values,
        _padding(stored, dataset),
        np.asarray(position, np.float64),
        directions,
        (float(spacing[0]), float(spacing[1])),
        name,
    )


def _padding(stored: np.ndarray, dataset: Dataset) -> np.ndarray | None:
    """Where stored values are padding, ``(rows, columns)`` bool; ``None`` where they are nowhere."""
    value = dataset.get("PixelPaddingValue", None)
    if value is None:
        return None
    limit = dataset.get("PixelPaddingRangeLimit", None)
    ends = [int(value), int(value if limit is None else limit)]
    if dataset.get("PixelRepresentation", 0):
        # Files that state it as unsigned mean the same bits.
        ends = [end - 2**16 if end >= 2**15 else end for end in ends]
    found = (stored >= min(ends)) & (stored <= max(ends))
    return found if found.any() else None


def _fill_padding(voxels: np.ndarray, frames: Sequence[_Frame], air: float | None) -> None:
    paddings = [(k, frame.padding.T) for k, frame in enumerate(frames) if frame.padding is not None]
    if not paddings:
        return
    if air is None:
        everywhere = np.zeros(voxels.shape, bool)
        for k, padding in paddings:
            everywhere[..., k] = padding
        air = float(voxels[~everywhere].min()) if not everywhere.all() else 0.0
    for k, padding in paddings:
        voxels[..., k][padding] = air


def _ordered(frames: list[_Frame], notes: list[str]) -> list[_Frame]:
    """Along the normal, copies left out."""
    first = frames[0]
    for frame in frames:
        if frame.values.shape != first.values.shape or not np.allclose(frame.spacing, first.spacing, rtol=1e-3):
            raise BadVolume(f"{frame.name}: of another size than {first.name}; the series mixes several scans")
        if np.abs(frame.orientation - first.orientation).max() > 0.01:
            raise BadVolume(f"{frame.name}: of another orientation than {first.name}; the series mixes several scans")
    normal = slice_normal(first.orientation)
    frames = sorted(frames, key=lambda frame: float(frame.position @ normal))
    kept, copies = frames[:1], 0
    for frame in frames[1:]:
        if abs((frame.position - kept[-1].position) @ normal) > _SAME_PLACE:
            kept.append(frame)
        elif np.array_equal(frame.values, kept[-1].values):
            copies += 1
        else:
            raise BadVolume(f"{frame.name}: lies where {kept[-1].name} lies and shows something else; two scans in one")
    if copies:
        notes.append(f"{copies} slices are there twice and were taken once")
    return kept


def _refuse_gap(positions: np.ndarray, frames: Sequence[_Frame]) -> None:
    """One or two steps that are longer than those beside them are slices that are not there; three are a protocol."""
    steps = _steps(positions)
    starts = [0, *(np.flatnonzero(np.abs(np.diff(steps)) > _SAME_STEP * steps[:-1]) + 1), len(steps)]
    parts = [(start, end, float(np.median(steps[start:end]))) for start, end in zip(starts[:-1], starts[1:])]
    for number, (start, end, step) in enumerate(parts):
        beside = [parts[other][2] for other in (number - 1, number + 1) if 0 <= other < len(parts)]
        if end - start < _PROTOCOL and beside and step > _GAP * min(beside):
            raise BadVolume(
                f"{frames[start].name} and {frames[start + 1].name} lie {step:.1f} mm apart, slices beside them "
                f"{min(beside):.1f} mm: slices are missing"
            )


def _steps(positions: np.ndarray) -> np.ndarray:
    return np.linalg.norm(np.diff(positions, axis=0), axis=1)


def _tag(groups: Sequence[Dataset], sequence: str, name: str):
    """A tag of a frame: in its functional groups, else in the file itself."""
    for group in groups:
        inner = _first(group, sequence)
        value = inner.get(name, None) if inner is not None else group.get(name, None)
        if value not in (None, ""):
            return value
    return None


def _first(dataset: Dataset, sequence: str) -> Dataset | None:
    found = dataset.get(sequence, None)
    return found[0] if found else None


def _has_rescale(header: Dataset) -> bool:
    groups = [
        _first(header, "PerFrameFunctionalGroupsSequence"),
        _first(header, "SharedFunctionalGroupsSequence"),
        header,
    ]
    return (
        _tag([one for one in groups if one is not None], "PixelValueTransformationSequence", "RescaleIntercept")
        is not None
    )
