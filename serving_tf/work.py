"""Doing a job: the functions of translate.py and of train_detector.py --predict, and what the page draws of them."""

import csv
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from PIL import Image

from common_tf.csv_table import read_csv
from common_tf.errors import UserError
from common_tf.pictures.grid import save_png
from common_tf.pictures.intensity import quantise
from common_tf.pictures.readers import read_file
from common_tf.progress import progress_told_to
from common_tf.sources.inputs import picture_inputs
from common_tf.sources.listing import SHEET_FILE, TABLE_FILE
from common_tf.volumes.files import DICOM, list_volumes
from common_tf.volumes.planes import slices_of
from common_tf.volumes.resampling import regular
from common_tf.volumes.volume import HOUNSFIELD, BadVolume, Volume
from common_tf.volumes.windows import head_range, is_ct, looks_like_ct
from cyclegan_tf.inference import TrainedTranslator, load_translator
from cyclegan_tf.translation import translate_files
from detector_tf.inference import TrainedDetector
from detector_tf.new_scans.predict import load_predictor, look_at
from detector_tf.new_scans.verdicts import FIGURE_FILE
from detector_tf.new_scans.verdicts import TABLE_FILE as VERDICTS_FILE
from detector_tf.sections import SLICE
from detector_tf.segmenter import TrainedSegmenter
from serving_tf.jobs import BACK, INPUT, MADE, VIEW, Job

_VERDICTS = "verdicts"
_SAY_EVERY = 0.25
_BRAIN = 0.0, 80.0


class Models:
    """Runs that are loaded: the translator and the detector that were asked for last.

    Args:
        runs: folder by name.
    """

    def __init__(self, runs: Mapping[str, Path]):
        self._runs = runs
        self._held: dict[str, tuple[str, Any]] = {}

    def translator(self, name: str) -> TrainedTranslator:
        """A run of train_cyclegan.py."""
        return self._loaded("translator", name, load_translator)

    def detector(self, name: str) -> TrainedDetector | TrainedSegmenter:
        """A run of train_detector.py."""
        return self._loaded("detector", name, load_predictor)

    def _loaded(self, kind: str, name: str, load: Callable[[Path], Any]) -> Any:
        if self._held.get(kind, ("",))[0] != name:
            self._held.pop(kind, None)  # before the next is loaded: one at a time is in memory
            self._held[kind] = name, load(self._runs[name])
        return self._held[kind][1]


def work(job: Job, folder: Path, models: Models, say: Callable[[str, int, int], None]) -> dict[str, Any]:
    """Does a job.

    Args:
        job: what is asked.
        folder: of the job.
        models: that are loaded.
        say: takes what is being done, how many are done, and of how many; not more often than the page can show.

    Returns:
        The job's ``items``, ``verdicts`` and ``notes``.

    Raises:
        UserError: what the scripts refuse.
    """
    given, made, view = folder / INPUT, folder / MADE, folder / VIEW
    view.mkdir(exist_ok=True)
    notes: list[str] = []
    with progress_told_to(_seldom(say)):
        translator = None
        source = target = window = ""
        if job.translator:
            translator = models.translator(job.translator)
            source, target, _ = translator.direction(job.direction)
            window = f"{source}={job.window}" if job.window else ""
            notes += translate_files(
                translator, direction=job.direction, source=given, output=made, window=window
            ).notes
        items = _volume_items(folder, source, target, job.window) or _picture_items(folder, translator, source, window)
        verdicts: list[dict[str, Any]] = []
        if job.detector:
            try:
                verdicts, said = _verdicts(job, folder, models, translator, source, target)
            except UserError as error:
                if translator is None:
                    raise
                said = [f"no verdict: {error}"]  # the translation is there all the same
            notes += said
    return {"items": items, "verdicts": verdicts, "notes": list(dict.fromkeys(notes))}


def _seldom(say: Callable[[str, int, int], None]) -> Callable[[str, int, int], None]:
    said = 0.0

    def listener(words: str, count: int, total: int) -> None:
        nonlocal said
        if time.monotonic() - said >= _SAY_EVERY or count == total:
            said = time.monotonic()
            say(words, count, total)

    return listener


def _picture_items(
    folder: Path, translator: TrainedTranslator | None, source: str, window: str
) -> list[dict[str, Any]]:
    """Input and output of each picture, as the page shows them: the input with the black and white it was read with."""
    given = picture_inputs(folder / INPUT, flag="the drop")
    made = {row["input"]: row["file"] for row in _table(folder / MADE)}
    preparation = None
    if translator is not None:
        preparation = translator.for_files(given.facts(), source=source, window=window).preparations[source]
    items = []
    for number, path in enumerate(given.paths):
        place, (picture, _) = given.place(path), read_file(path, may_be_constant=True)
        picture = picture.spread() if preparation is None else preparation.ranged(picture)
        shown = folder / VIEW / f"{number}.png"
        save_png(shown, Image.fromarray(quantise(picture.scaled())))
        height, width = picture.pixels.shape
        item = {"name": place, "kind": "picture", "width": width, "height": height, "input": f"{VIEW}/{shown.name}"}
        items.append({**item, "output": f"{MADE}/{made[place]}"} if place in made else item)
    return items


def _volume_items(folder: Path, source: str, target: str, window: str) -> list[dict[str, Any]]:
    """Input and output of each volume on an even grid, for a viewer in the browser."""
    given = list_volumes(folder / INPUT).volumes
    if not given:
        return []
    made = {row["input"]: row["file"] for row in _table(folder / MADE) if not row["file"].endswith(".png")}
    outputs = {}
    if made:
        places = {}
        for file in list_volumes(folder / MADE).volumes:
            for path in file.paths:
                places[path.relative_to(folder / MADE).as_posix()] = file
        outputs = {name: places[file] for name, file in made.items() if file in places}
    items = []
    for number, file in enumerate(given):
        try:
            sides = {"input": file.read().volume}
        except BadVolume:
            continue  # the notes of the translation, or of the verdicts, name what was left out
        if file.name in outputs:
            sides["output"] = outputs[file.name].read().volume
        item: dict[str, Any] = {"name": file.name, "kind": "volume", "dicom": file.kind == DICOM}
        for side, volume in sides.items():
            name = f"{number}-{side}.nii"
            item["shape"] = _write_view(folder / VIEW / name, volume)
            item[side] = f"{VIEW}/{name}"
            has_unit = _is_hounsfield(volume, source if side == "input" else target)
            shown = _BRAIN if has_unit else head_range(slices_of(volume))
            if side == "input" and window:
                low, _, high = window.partition(":")
                shown = float(low), float(high)
            item[f"{side}_window"] = list(shown)
            item[f"{side}_unit"] = HOUNSFIELD if has_unit else volume.unit
        items.append(item)
    return items


def _write_view(path: Path, volume: Volume) -> list[int]:
    """An uncompressed copy on an even grid whose axes run to right, front and top; returns its shape."""
    even = regular(volume)
    whole = np.array_equal(even.voxels, np.round(even.voxels)) and np.abs(even.voxels).max() < 2**15
    stored = nibabel.Nifti1Image(even.voxels.astype(np.int16 if whole else np.float32), even.affine)
    turned = nibabel.as_closest_canonical(stored)
    nibabel.save(turned, path)
    return [int(side) for side in turned.shape]


def _is_hounsfield(volume: Volume, domain: str) -> bool:
    """By what the file says, by the domain's name, or by air, of which only a CT has values."""
    return is_ct(domain) or looks_like_ct(volume)


def _verdicts(
    job: Job, folder: Path, models: Models, translator: TrainedTranslator | None, source: str, target: str
) -> tuple[list[dict[str, Any]], list[str]]:
    """What a detector says of the input, or of what a translation leaves of it; and whether it says the same."""
    detector = models.detector(job.detector)
    window = f"{SLICE}={job.window}" if job.window else ""
    if translator is None:
        return _said(detector, folder / INPUT, folder, "input", window)
    reads = translator.config.data.domain_names[1]
    if source != reads:
        made, notes = _said(detector, _without_pictures(folder, MADE), folder, f"{target}, translated", "")
        return made, [*notes, f"the detector reads {reads}, so there is no verdict on the {source} itself"]
    before, notes = _said(detector, folder / INPUT, folder, f"{source}, as it was dropped", window)
    way_back = next((words for words in translator.directions if words == f"{target}2{source}"), None)
    if way_back is None:
        return before, [*notes, "the run has no way back, so there is no verdict after translation"]
    try:
        _translate_back(translator, folder, target, way_back)
    except UserError as error:
        return before, [*notes, f"no verdict after translation: {error}"]
    after, more = _said(
        detector, _without_pictures(folder, BACK), folder, f"{source}, translated to {target} and back", ""
    )
    kept = _agreement(folder, before, after)
    return [*before, *after], [*notes, *more, *kept]


def _translate_back(translator: TrainedTranslator, folder: Path, target: str, way_back: str) -> None:
    # A CT of a narrow window holds no air by which a volume's HU would be recognised.
    scale = translator.preparations[target].physical
    is_volume = any(row["file"].endswith((".nii", ".nii.gz", ".dcm")) for row in _table(folder / MADE))
    translate_files(
        translator,
        direction=way_back,
        source=_without_pictures(folder, MADE),
        output=folder / BACK,
        window=f"{target}={scale[0]:g}:{scale[1]:g}" if is_volume and scale is not None else "",
    )


def _said(detector, source: Path, folder: Path, what: str, window: str) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows, figure and notes of one look; a segmenter's masks are files of the job."""
    name = f"{_VERDICTS}-{len(list(folder.glob(f'{_VERDICTS}-*')))}"
    notes = look_at(detector, source, folder / name, window=window)[:-1]  # the last line names a folder of this machine
    is_mask = isinstance(detector, TrainedSegmenter)
    table = folder / name / ("masks.csv" if is_mask else VERDICTS_FILE)
    figure = folder / name / ("masks.png" if is_mask else FIGURE_FILE)
    found: dict[str, Any] = {"what": what, "rows": _rows(table), "folder": name, "table": f"{name}/{table.name}"}
    if not is_mask and len(detector.classes) == 2:
        found["threshold"] = detector.threshold
    if figure.is_file():
        found["figure"] = f"{name}/{figure.name}"
    return [found], notes


def _agreement(folder: Path, before: Sequence[Mapping], after: Sequence[Mapping]) -> list[str]:
    """How many verdicts are the same before and after; of inputs that got one both times."""
    first = {row["input"]: row.get("predicted") for row in before[0]["rows"]}
    there = {row["file"]: row["input"] for row in _table(folder / MADE)}
    back = {row["file"]: _input_of(there, row["input"]) for row in _table(folder / BACK)}
    second = {_input_of(back, row["input"]): row.get("predicted") for row in after[0]["rows"]}
    both = [name for name in first if first[name] and second.get(name)]
    if not both:
        return []
    same = sum(first[name] == second[name] for name in both)
    return [f"{same} of {len(both)} verdicts are the same before and after"]


def _input_of(made_of: Mapping[str, str], name: str) -> str:
    """The input of a file, or of a series whose folder is named."""
    return made_of.get(name) or next((given for file, given in made_of.items() if file.startswith(f"{name}/")), "")


def _without_pictures(folder: Path, name: str) -> Path:
    """The results of a translation alone: of volumes without the pictures beside them, which are no scans."""
    rows = _table(folder / name)
    if all(row["file"].endswith(".png") for row in rows):
        return folder / name
    alone = folder / f"{name}-alone"
    if not alone.exists():
        ignored = shutil.ignore_patterns("*.png", TABLE_FILE, SHEET_FILE)
        shutil.copytree(folder / name, alone, copy_function=os.link, ignore=ignored)
    return alone


def _table(folder: Path) -> list[dict[str, str]]:
    return _rows(folder / TABLE_FILE)


def _rows(table: Path) -> list[dict[str, str]]:
    if not table.is_file():
        return []
    try:
        with open(table, newline="", encoding="utf-8") as stream:
            names, rows = read_csv(stream)
    except (ValueError, csv.Error) as error:
        raise UserError(f"{table.name}: cannot be read ({error})") from error
    return [dict(zip(names, row)) for row in rows]


def describe(name: str, folder: Path) -> dict[str, Any]:
    """What a run does, for the page: a translator with its directions, a detector with its classes.

    Args:
        name, folder: of the run.

    Raises:
        UserError: a run that cannot be used.
    """
    is_detector = (folder / "detector.json").is_file()
    return {"name": name, **(_of_detector(folder) if is_detector else _of_translator(folder))}


def _of_translator(folder: Path) -> dict[str, Any]:
    from cyclegan_tf.config import load_translator_config
    from cyclegan_tf.directions import direction_words

    config = load_translator_config(folder)
    names = config.data.domain_names
    directions = [direction_words(network, names) for network in config.directions]
    return {"kind": "translator", "model": config.model, "directions": directions, "reads": names[1]}


def _of_detector(folder: Path) -> dict[str, Any]:
    from detector_tf.config import load_detector_config
    from detector_tf.inference import read_record

    config = load_detector_config(folder)
    if config.task == "segment":
        return {"kind": "detector", "task": "segment"}
    record = read_record(folder)
    card: dict[str, Any] = {"kind": "detector", "task": "classify", "classes": list(record.classes)}
    card["calibration"] = f"temperature {record.temperature:.2f}, chosen on the run's validation images"
    if len(record.classes) == 2:
        card["threshold"] = record.threshold
    return card
