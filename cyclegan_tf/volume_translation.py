"""Translating volumes: slice by slice, each volume on its own grid, marked as synthetic."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common_tf.errors import UserError
from common_tf.pictures.geometry import resize
from common_tf.pictures.grid import SYNTHETIC_NOTICE, save_grid
from common_tf.pictures.intensity import parse_windows
from common_tf.pictures.preparation import prepare, restore
from common_tf.sources.inputs import refuse_unusable
from common_tf.sources.listing import Listing, others_finding
from common_tf.sources.source import listed
from common_tf.volumes.blocks import Block, restore_block, take_block
from common_tf.volumes.dicom.writing import write_series
from common_tf.volumes.files import DICOM, ReadVolume, VolumeFile, VolumeListing, nifti_stem, result_places
from common_tf.volumes.heads import NoHead, head_slices
from common_tf.volumes.nifti import write_nifti
from common_tf.volumes.planes import PLANES, Slices, slices_of, slices_on_grid, voxels_of
from common_tf.volumes.slices import middle_slices
from common_tf.volumes.volume import BadVolume, Volume
from common_tf.volumes.windows import (
    head_range,
    is_ct,
    may_be,
    physical_values,
    refuse_other,
    refuse_run,
    volume_window,
)
from cyclegan_tf.inference import TrainedTranslator
from cyclegan_tf.sliding_window import slide
from cyclegan_tf.translations_folder import Translated, TranslationsFolder

_CT_SHOWN = -100.0, 200.0


def translate_volume_files(
    translator: TrainedTranslator,
    *,
    direction: str,
    source: Path,
    listing: VolumeListing,
    output: Path,
    window: str = "",
    as_nifti: bool = False,
    keep_identity: bool = False,
) -> Translated:
    """Translates NIfTI files and DICOM series, each on its own grid: the same positions, the same number of slices.

    A NIfTI file gives one of the same name, a series one in a folder of its name, both with a picture of three planes
    beside them. Every volume is read before anything is written, and is moved into the output as soon as it is whole.

    Args:
        translator: from `load_translator`.
        direction: such as ``CT2MRI``.
        source: a NIfTI file, a file of a DICOM series, or a folder of either with its sub-folders.
        listing: what it holds.
        output: folder; made if it is not there.
        window: values that are black and white, ``NAME=BLACK:WHITE`` in HU or stored values; ``""`` for the run's own.
        as_nifti: NIfTI for DICOM too.
        keep_identity: keep patient, study and frame of reference of DICOM.

    Raises:
        UserError: nothing to translate, volumes that cannot be used (nothing is written then), an output folder that
            holds other files than translations.
    """
    domain, target, network = translator.direction(direction)
    given = parse_windows(window, [domain]).get(domain)
    source = Path(source)
    listing.refuse_pictures(f"--input {source}")
    folder = TranslationsFolder(output, source=source)
    volumes, notes = _usable(translator, listing.volumes, domain, given)
    notes = [*listing.notes, *notes]
    notes += [finding.text for finding in others_finding([Listing((), listing.others)], str(source))]
    places = result_places(volumes, as_nifti=as_nifti)
    made_of = {place: name for name, place in places.items()}
    pictures = {_picture_name(place): name for place, name in made_of.items()}
    folder.refuse_taken({**made_of, **pictures}, direction)
    for one in volumes:
        read = one.read()
        try:
            made, said = translate_volume(
                translator, read.volume, source=domain, target=target, network=network, given=given
            )
        except BadVolume as error:
            raise UserError(f"{one.name}: {error}") from error
        notes += [f"{one.name}: {note}" for note in (*read.notes, *said)]
        with folder.writing() as (staging, rows):
            files = _write(staging, places[one.name], made, read, one, direction, as_nifti, keep_identity)
            files.append(_picture(staging, places[one.name], {domain: read.volume, target: made}))
            step = str(translator.record["step"])
            rows += [
                (file.relative_to(staging).as_posix(), one.name, direction, step, SYNTHETIC_NOTICE) for file in files
            ]
    return Translated(len(volumes), notes, "volumes")


def translate_volume(
    translator: TrainedTranslator,
    volume: Volume,
    *,
    source: str,
    target: str,
    network: str,
    given: tuple[float, float] | None = None,
) -> tuple[Volume, Sequence[str]]:
    """Translates a volume on its own grid.

    Slice by slice in the planes of the run's training, of which the mean is taken, where slices without a head become
    background; or as a whole, in overlapping cubes on an even grid from which the values come back onto the volume's
    own (`cyclegan3d`).

    Args:
        translator: from `load_translator`.
        volume: of the source domain.
        source, target: domain names.
        network: one of `cyclegan_tf.directions.DIRECTIONS`.
        given: values that are black and white, by the user.

    Returns:
        A volume on the same grid, of whole numbers: HU where the run knows them, else 0 to 4095; and what a person
        should know of it.

    Raises:
        BadVolume: values that cannot be understood, or slices that cut across uneven ones.
    """
    planes = translator.config.data.planes
    sliced = _checked_slices(volume, domain=source, planes=planes, has_window=given is not None)
    if given is None:
        refuse_run(translator.preparations[source], domain=source)
    window, line = volume_window(sliced[planes[0]], translator.preparations[source], domain=source, given=given)
    notes = [line]
    if translator.is_volumetric:
        scaled, note = _translate_whole(translator, volume, window, network)
        notes.append(note)
    else:
        scaled, times = np.zeros(volume.shape, np.float32), np.zeros(volume.shape, np.uint8)
        for plane, slices in sliced.items():
            try:
                made, found = _translate_slices(translator, slices, window, source, network)
            except NoHead:
                if plane == planes[-1] and not times.any():
                    raise
                notes.append(f"{plane} slices show no head and are left out")
                continue
            scaled += voxels_of(made, volume, plane)
            times += voxels_of(np.broadcast_to(found[:, None, None], made.shape).astype(np.uint8), volume, plane)
            if not found.all():
                which = f"{plane} slices" if len(planes) > 1 else "slices"
                notes.append(f"{np.sum(~found)} of {len(found)} {which} show no head and are background")
        scaled /= np.maximum(times, 1)
    values, unit, meaning = physical_values(scaled, translator.preparations[target], domain=target)
    modality = "CT" if is_ct(target) else "MR"
    return volume.with_voxels(values, unit=unit, modality=modality), [*notes, meaning]


def best_possible(translator: TrainedTranslator, volume: Volume, *, domain: str) -> np.ndarray:
    """What a run could make of a volume if it were perfect: its values within the run's window and voxels.

    Args:
        translator: from `load_translator`.
        volume: of the domain, with its unit.
        domain: its name.

    Returns:
        ``(i, j, k)`` float32 in the unit of the volume.
    """
    low, high = translator.preparations[domain].physical or (-np.inf, np.inf)
    if not translator.is_volumetric:
        return np.clip(volume.voxels, low, high)
    block = _block(translator, volume, (low, high))
    return restore_block(block.pixels, block) * np.float32(high - low) + np.float32(low)


def _block(translator: TrainedTranslator, volume: Volume, window: tuple[float, float]) -> Block:
    system, data = translator.config.system, translator.config.data
    return take_block(volume, window=window, voxel_mm=system.voxel_mm, side=data.image_size, framing=data.framing)


def _translate_whole(
    translator: TrainedTranslator, volume: Volume, window: tuple[float, float], network: str
) -> tuple[np.ndarray, str]:
    """``(i, j, k)`` in [0, 1], and what a person should know."""
    system, data = translator.config.system, translator.config.data
    block = _block(translator, volume, window)
    made = slide(
        block.pixels,
        lambda cubes: translator.translate(cubes, network),
        side=data.image_size,
        overlap=system.overlap,
    )
    note = f"translated on cubic voxels of {system.voxel_mm:g} mm and resampled back, so finer detail is lost"
    return restore_block(made, block), note


def _translate_slices(translator, slices: Slices, window, source: str, network: str) -> tuple[np.ndarray, np.ndarray]:
    """``(n, height, width)`` in [0, 1], each the mean of what all slabs make of it, and which of them show a head."""
    heads = head_slices(slices, window, translator.preparations[source])
    scaled = np.zeros(slices.values.shape, np.float32)
    data, (height, width) = translator.config.data, scaled.shape[1:]
    found, times = np.isin(np.arange(len(scaled)), heads.found), np.zeros(len(scaled), int)
    for part in heads.parts("translating slices"):
        slabs = [data.slab.numbers(slices, k) for k in part]
        squares = [prepare(heads.picture(*one), heads.preparation, size=data.image_size) for one in zip(part, slabs)]
        outputs = translator.translate(np.stack([square.pixels for square in squares]), network)
        for k, slab, square, output in zip(part, slabs, squares, outputs):
            for at, one in _slices_made(output, slab or [k]).items():
                if found[at]:
                    scaled[at] += resize(restore(one, square), height, width)
                    times[at] += 1
    scaled /= np.maximum(times, 1)[:, None, None]
    return scaled, found


def _slices_made(output: np.ndarray, numbers: Sequence[int]) -> dict[int, np.ndarray]:
    """The slices of an output by their numbers. Beyond an end of the volume a slab repeats the last one, and of these
    the nearest to the middle counts.
    """
    parts = np.moveaxis(output, -1, 0) if len(numbers) > 1 else output[None]
    made: dict[int, np.ndarray] = {}
    for place in sorted(range(len(numbers)), key=lambda place: abs(place - len(numbers) // 2)):
        made.setdefault(numbers[place], parts[place])
    return made


def _checked_slices(volume: Volume, *, domain: str, planes: Sequence[str], has_window: bool) -> dict[str, Slices]:
    refuse_other(volume, domain=domain, has_window=has_window)
    return {plane: slices_on_grid(volume, plane) for plane in planes}


def _usable(translator, volumes: Sequence[VolumeFile], domain: str, given) -> tuple[list[VolumeFile], list[str]]:
    """Reads each once, so that all that is wrong is said before anything is written; series of other kinds stay out."""
    other = [one for one in volumes if not may_be(one.modality, domain)]
    wanted = [one for one in volumes if one not in other]
    if not wanted:
        found = listed([f"{one.name} ({one.modality})" for one in other])
        raise UserError(f"--input: {found}: not {domain}; take the other --direction")
    if given is None:
        refuse_run(translator.preparations[domain], domain=domain)
    planes = translator.config.data.planes
    refuse_unusable(
        wanted, lambda volume: _checked_slices(volume, domain=domain, planes=planes, has_window=given is not None)
    )
    return wanted, [f"{one.name}: {one.modality}, left out: {domain} is wanted" for one in other]


def _write(
    staging, place: str, made: Volume, read: ReadVolume, file: VolumeFile, direction: str, as_nifti, keep_identity
):
    description = f"synthetic {direction.split('2')[1]}, not for diagnosis"
    if file.kind != DICOM or as_nifti:
        path = staging / place
        path.parent.mkdir(parents=True, exist_ok=True)
        write_nifti(path, made, description=description)
        return [path]
    (staging / place).mkdir(parents=True, exist_ok=True)
    derivation = f"{direction} by a neural network. {SYNTHETIC_NOTICE}"
    return write_series(
        staging / place, made, read.header, description=description, derivation=derivation, keep_identity=keep_identity
    )


def _picture_name(place: str) -> str:
    return f"{nifti_stem(place)[0]}_planes.png"


def _picture(staging: Path, place: str, volumes: dict[str, Volume]) -> Path:
    """Three planes through the middle, input above, output below."""
    path = staging / _picture_name(place)
    windows = {name: _CT_SHOWN if is_ct(name) else head_range(slices_of(one)) for name, one in volumes.items()}
    columns = list(zip(*(middle_slices(volume, windows[name]) for name, volume in volumes.items())))
    given, made = volumes
    footer = f"above: {given}, input; below: {made}, {SYNTHETIC_NOTICE.split('.')[0].lower()}"
    save_grid(path, columns, titles=list(PLANES), footer=footer, cell=256)
    return path
