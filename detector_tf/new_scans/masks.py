"""Masks of lesions in new scans: ``NAME_mask.png`` of slices, ``NAME_mask.nii.gz`` of volumes, a table and a figure."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from common_tf.files import replace_file
from common_tf.pictures.geometry import BLANK_EXTENT, head_extent, resize
from common_tf.pictures.head import head_mask, unlike_a_head
from common_tf.pictures.intensity import quantise
from common_tf.pictures.picture import Picture
from common_tf.progress import progress
from common_tf.sources.inputs import PictureInputs, refuse_unusable, unlike_lines
from common_tf.sources.segmentation import MASK_SUFFIX, channel_labels, channel_pictures
from common_tf.volumes.files import VolumeFile, nifti_stem, result_places
from common_tf.volumes.nifti import write_nifti
from common_tf.volumes.planes import slices_of, voxels_of
from detector_tf.figures import save_contours
from detector_tf.new_scans.folder import NOTICE, shown_of, write_table
from detector_tf.new_scans.volumes import OpenedScan, new_scans, open_scan, refuse_volume
from detector_tf.segmenter import TrainedSegmenter

TABLE_FILE, FIGURE_FILE = "masks.csv", "masks.png"


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
        """Writes the figure; none where no head was found at all."""
        if self._titles:
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
    unlike: dict[str, str] = {}
    blank = 0
    for number, path in enumerate(progress(files.paths, total=len(files.paths), words="marking lesions")):
        pictures = list(channel_pictures(path, labels)[0].values())
        middle = pictures[len(pictures) // 2]
        gray = segmenter.source.preparation.ranged(middle).scaled()
        head = head_mask(gray) if middle.head is None else middle.head
        has_head = head_extent(head) > BLANK_EXTENT
        blank += not has_head
        pictures = [replace(picture, head=head) for picture in pictures]  # found once; channels share one
        found = segmenter.masks([pictures])[0] if has_head else np.zeros(gray.shape, bool)
        _write_png(folder / names[path], found)
        place, pixels = files.place(path), int(found.sum())
        reason = unlike_a_head(head) if has_head else ""
        if reason:
            unlike[place] = reason
        rows.append({"mask": names[path], "input": place, "pixels": pixels, "unlike": reason, "notice": NOTICE})
        if number in shown:
            words = f"{pixels} pixels" + (f"; unlike a head: {reason}" if reason else "")
            figure.add(gray, found, f"{place}\n{words if has_head else 'no head found'}")
    write_table(folder / TABLE_FILE, rows)
    figure.save(folder)
    notes = [f"no head found in {blank} of {len(rows)} pictures, whose masks are empty"] if blank else []
    return [*notes, *unlike_lines(unlike)]


def mask_volumes(
    segmenter: TrainedSegmenter, files: Sequence[VolumeFile], folder: Path, window: tuple[float, float] | None
) -> list[str]:
    """Writes a mask on each volume's own grid, and how many millilitres it holds.

    Returns:
        What a person should know.

    Raises:
        UserError: volumes that cannot be used.
    """
    preparation = segmenter.source.preparation
    scans, notes = new_scans(files, channels=segmenter.config.data.channels)
    refuse_unusable(
        [file for scan in scans for file in scan.channels], lambda volume: refuse_volume(volume, preparation, window)
    )
    shown, figure = shown_of(len(scans)), Figure()
    places = result_places([scan.file for scan in scans], as_nifti=True)
    rows: list[dict] = []
    for number, scan in enumerate(scans):
        opened = open_scan(scan, preparation, window)
        volume = opened.volume
        masks = _masks(segmenter, opened)
        inside = voxels_of(masks, volume)
        name = f"{nifti_stem(places[scan.file.name])[0]}{MASK_SUFFIX}.nii.gz"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_nifti(folder / name, volume.with_voxels(inside, unit="", modality=""), description=NOTICE)
        ml = float(inside.sum(axis=(0, 1)) @ volume.voxel_ml)
        rows.append(
            {
                "mask": name,
                "input": scan.file.name,
                "voxels": int(inside.sum()),
                "ml": f"{ml:.3f}",
                "slices": int(masks.any(axis=(1, 2)).sum()),
                "notice": NOTICE,
            }
        )
        notes += opened.notes
        if not volume.is_even:
            notes.append(
                f"{scan.file.name}: its slices lie unevenly, for which NIfTI has no words: the mask has their mean "
                f"spacing, and only {TABLE_FILE} counts each slice's own thickness"
            )
        if number in shown and opened.channels:
            heads = opened.channels[len(opened.channels) // 2]
            most = int(heads.found[np.argmax(masks[heads.found].sum(axis=(1, 2)))])
            picture = heads.picture(most)
            title = f"{scan.file.name}\n{ml:.1f} ml; slice {most} of {len(masks)}"
            figure.add(picture.scaled(), _sized(masks[most], picture), title)
    write_table(folder / TABLE_FILE, rows)
    figure.save(folder)
    return notes


def _masks(segmenter: TrainedSegmenter, opened: OpenedScan) -> np.ndarray:
    """``(n, height, width)`` float32 of 0 and 1, of a volume's slices."""
    masks = np.zeros(slices_of(opened.volume).values.shape, np.float32)
    if not opened.channels:
        return masks
    middle = opened.channels[len(opened.channels) // 2]
    segmenter = segmenter.prepared_by(middle.preparation)
    for part in middle.parts("marking lesions"):
        # One head for all channels, and so one frame, as in training.
        slices = [[replace(one.picture(k), head=middle.masks[k]) for one in opened.channels] for k in part]
        for k, found in zip(part, segmenter.masks(slices)):
            masks[k] = resize(found.astype(np.float32), *masks.shape[1:]) > 0.5
    return masks


def _sized(mask: np.ndarray, picture: Picture) -> np.ndarray:
    return resize(mask.astype(np.float32), *picture.pixels.shape) > 0.5


def _write_png(path: Path, mask: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, lambda file: Image.fromarray(mask.astype(np.uint8) * 255).save(file, format="PNG"))
