"""Masks of lesions in new scans: ``NAME_mask.png`` of slices, ``NAME_mask.nii.gz`` of volumes, a table and a figure."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from common_tf.files import replace_file
from common_tf.pictures.geometry import BLANK_EXTENT, head_extent, resize
from common_tf.pictures.head import head_mask
from common_tf.pictures.intensity import quantise
from common_tf.pictures.picture import Picture
from common_tf.progress import progress
from common_tf.sources.inputs import PictureInputs, refuse_unusable
from common_tf.sources.segmentation import MASK_SUFFIX, channel_labels, channel_pictures
from common_tf.volumes.files import VolumeFile, nifti_stem, result_places
from common_tf.volumes.heads import HeadSlices
from common_tf.volumes.nifti import write_nifti
from common_tf.volumes.planes import voxels_of
from detector_tf.figures import save_contours
from detector_tf.new_scans.folder import NOTICE, shown_of, write_table
from detector_tf.new_scans.volumes import heads_of, refuse_volume
from detector_tf.segmenter import TrainedSegmenter

TABLE_FILE, FIGURE_FILE = "masks.csv", "masks.png"
_AT_ONCE = 16


class Figure:
    """Slices with the outlines of what was found, for a person's eyes."""

    def __init__(self) -> None:
        self._gray: list[np.ndarray] = []
        self._found: list[np.ndarray] = []
        self._titles: list[str] = []

    def add(self, gray: np.ndarray, found: np.ndarray, title: str) -> None:
        """Adds a slice: ``(height, width)`` in [0, 1] and bool."""
        self._gray.append(quantise(gray))
        self._found.append(found)
        self._titles.append(title)

    def save(self, folder: Path) -> None:
        """Writes the figure."""
        save_contours(folder / FIGURE_FILE, self._gray, self._found, titles=self._titles)


def mask_pictures(
    segmenter: TrainedSegmenter, files: PictureInputs, folder: Path, window: tuple[float, float] | None
) -> list[str]:
    """Writes a mask of each picture file's size, 0 and 255.

    Returns:
        What a person should know.
    """
    segmenter = segmenter.for_files(files.facts(), window=window)
    labels = channel_labels(segmenter.config.data.channels)
    names = files.output_names(suffix=MASK_SUFFIX, taken=(FIGURE_FILE,))
    shown, figure = shown_of(len(files.paths)), Figure()
    rows: list[dict] = []
    for number, path in enumerate(progress(files.paths, total=len(files.paths), words="marking lesions")):
        pictures = list(channel_pictures(path, labels)[0].values())
        gray = segmenter.source.preparation.ranged(pictures[len(pictures) // 2]).scaled()
        head = head_mask(gray)
        has_head = head_extent(head) > BLANK_EXTENT
        found = segmenter.masks([pictures])[0] if has_head else np.zeros(gray.shape, bool)
        _write_png(folder / names[path], found)
        place, pixels = files.place(path), int(found.sum())
        rows.append({"mask": names[path], "input": place, "pixels": pixels, "head_pixels": int(head.sum())})
        if number in shown:
            figure.add(gray, found, f"{place}\n{pixels} pixels" if has_head else f"{place}\nno head found")
    write_table(folder / TABLE_FILE, [{**row, "notice": NOTICE} for row in rows])
    figure.save(folder)
    blank = [row["input"] for row in rows if not row["head_pixels"]]
    return [f"no head found in {len(blank)} of {len(rows)} pictures, whose masks are empty"] if blank else []


def mask_volumes(
    segmenter: TrainedSegmenter, files: Sequence[VolumeFile], folder: Path, window: tuple[float, float] | None
) -> list[str]:
    """Writes a mask on each volume's own grid, and how many millilitres it holds.

    Returns:
        What a person should know.

    Raises:
        UserError: volumes that cannot be used, or one that shows no head.
    """
    preparation = segmenter.source.preparation
    refuse_unusable(files, lambda volume: refuse_volume(volume, preparation, window))
    shown, figure = shown_of(len(files)), Figure()
    places = result_places(files, as_nifti=True)
    notes: list[str] = []
    rows: list[dict] = []
    for number, file in enumerate(files):
        volume, heads, said = heads_of(file, preparation, window)
        masks = _masks(segmenter, heads)
        inside = voxels_of(masks, volume)
        name = f"{nifti_stem(places[file.name])[0]}{MASK_SUFFIX}.nii.gz"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_nifti(folder / name, volume.with_voxels(inside, unit="", modality=""), description=NOTICE)
        ml = float(inside.sum(axis=(0, 1)) @ volume.voxel_ml)
        rows.append(
            {
                "mask": name,
                "input": file.name,
                "voxels": int(inside.sum()),
                "ml": f"{ml:.3f}",
                "slices": int(masks.any(axis=(1, 2)).sum()),
                "notice": NOTICE,
            }
        )
        notes += said
        if number in shown:
            most = int(heads.found[np.argmax(masks[heads.found].sum(axis=(1, 2)))])
            picture = heads.picture(most)
            found = _sized(masks[most], picture)
            figure.add(picture.scaled(), found, f"{file.name}\n{ml:.1f} ml; slice {most} of {len(masks)}")
    write_table(folder / TABLE_FILE, rows)
    figure.save(folder)
    return notes


def _masks(segmenter: TrainedSegmenter, heads: HeadSlices) -> np.ndarray:
    """``(n, height, width)`` float32 of 0 and 1, of a volume's slices."""
    segmenter = segmenter.prepared_by(heads.preparation)
    masks = np.zeros(heads.slices.values.shape, np.float32)
    starts = range(0, len(heads.found), _AT_ONCE)
    for start in progress(starts, total=len(starts), words="marking lesions"):
        part = heads.found[start : start + _AT_ONCE].tolist()
        for k, found in zip(part, segmenter.masks([[heads.picture(k)] for k in part])):
            masks[k] = resize(found.astype(np.float32), *masks.shape[1:]) > 0.5
    return masks


def _sized(mask: np.ndarray, picture: Picture) -> np.ndarray:
    return resize(mask.astype(np.float32), *picture.pixels.shape) > 0.5


def _write_png(path: Path, mask: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, lambda file: Image.fromarray(mask.astype(np.uint8) * 255).save(file, format="PNG"))
