"""Translating picture files: one PNG an input, in its place, marked as synthetic."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from common_tf.pictures.grid import SYNTHETIC_NOTICE, save_grid, save_png
from common_tf.pictures.head import head_mask, unlike_a_head
from common_tf.pictures.intensity import quantise
from common_tf.pictures.picture import Picture
from common_tf.pictures.readers import FileFacts, read_file
from common_tf.progress import progress_in_parts
from common_tf.sources.inputs import picture_inputs, unlike_lines
from common_tf.sources.listing import SHEET_FILE, TABLE_FILE
from cyclegan_tf.inference import TrainedTranslator
from cyclegan_tf.translations_folder import Translated, TranslationsFolder

_SHEET_ROWS = 12
_FILES_AT_ONCE = 32


def translate_picture_files(
    translator: TrainedTranslator, *, direction: str, source: Path, output: Path, window: str = ""
) -> Translated:
    """Translates a file, or a folder of files with its sub-folders.

    Writes one PNG per input (same place, same name, same size, 8 bits), ``synthetic.csv`` with a line for each, and
    ``contact_sheet.png`` with inputs beside outputs. Every PNG carries the text chunk ``Synthetic``. A folder that
    holds translations already gets more, and what was made of an input of the same name in the same direction is made
    anew; one that holds anything else is refused.

    Args:
        translator: from `load_translator`.
        direction: such as ``CT2MRI``.
        source: a picture file, or a folder of them.
        output: folder; made if it is not there.
        window: stored values that are black and white, ``NAME=BLACK:WHITE``; ``""`` for the files' own.

    Raises:
        UserError: nothing to translate, files that cannot be used (nothing is written then), an output folder that
            holds other files than translations.
    """
    domain, target, network = translator.direction(direction)
    source = Path(source)
    given = picture_inputs(source, flag="--input")
    paths, root = given.paths, given.root
    folder = TranslationsFolder(output, source=source)
    facts = given.facts()
    ranged = translator.for_files(facts, source=domain, window=window)
    notes = [*given.notes, *_range_notes(ranged, facts, domain)]
    if translator.config.data.neighbours:
        notes.append("this run translates a slice with its neighbours; a picture has none and stands for them too")
    if blank := sum(one.smallest == one.largest for one in facts.values()):
        notes.append(f"{blank} of {len(facts)} pictures have one value everywhere; theirs are background")
    names = given.output_names(taken=(SHEET_FILE, TABLE_FILE))
    folder.refuse_taken({names[path]: path.relative_to(root).as_posix() for path in paths}, direction)
    with folder.writing() as (staging, rows):
        found, unlike = _write_translations(ranged, paths, root, names, domain, target, network, direction, staging)
        rows += found
    return Translated(len(paths), [*notes, *unlike_lines(unlike)])


def _write_translations(
    translator, paths, root, names, domain, target, network, direction, folder: Path
) -> tuple[list[tuple[str, ...]], dict[str, str]]:
    """The rows of the table, and by name why a picture is unlike a head."""
    shown_ones = set(np.linspace(0, len(paths) - 1, min(_SHEET_ROWS, len(paths))).astype(int).tolist())
    rows: list[tuple[str, ...]] = []
    sheet: list[tuple[np.ndarray, np.ndarray]] = []
    unlike: dict[str, str] = {}
    own = translator.preparations[domain]
    for start, part in progress_in_parts(paths, size=_FILES_AT_ONCE, words="translating"):
        pictures = [read_file(path, may_be_constant=True)[0] for path in part]
        # Found once, for the frames of the squares and to say whether it is one.
        heads = [head_mask(own.ranged(picture).scaled()) for picture in pictures]
        pictures = [replace(picture, head=head) for picture, head in zip(pictures, heads)]
        results = _translated(translator, pictures, domain, network)
        for number, (path, picture, head, result) in enumerate(zip(part, pictures, heads, results), start=start):
            (folder / names[path]).parent.mkdir(parents=True, exist_ok=True)
            save_png(folder / names[path], Image.fromarray(quantise(result)))
            given = path.relative_to(root).as_posix()
            notice = SYNTHETIC_NOTICE
            if not _is_blank(picture) and (reason := unlike_a_head(head)):
                unlike[given] = reason
                notice = f"{SYNTHETIC_NOTICE} Its input is unlike a head: {reason}."
            rows.append((names[path], given, direction, str(translator.record["step"]), notice))
            if number in shown_ones:
                sheet.append((own.ranged(picture).scaled(), result))
    titles = [f"{domain}, input", f"{target}, synthetic"]
    save_grid(folder / SHEET_FILE, list(zip(*sheet)), titles=titles, footer=SYNTHETIC_NOTICE.split(".")[0])
    return rows, unlike


def _translated(translator, pictures: Sequence[Picture], domain: str, network: str) -> list[np.ndarray]:
    """The pictures translated; those of one value, such as the ends of a series, are background."""
    blank = [_is_blank(picture) for picture in pictures]
    some = [picture for picture, empty in zip(pictures, blank) if not empty]
    made = iter(translator.translate_pictures(some, source=domain, network=network) if some else ())
    zeros = (np.zeros(picture.pixels.shape, np.float32) for picture in pictures)
    return [background if empty else next(made) for background, empty in zip(zeros, blank)]


def _is_blank(picture: Picture) -> bool:
    return bool(picture.pixels.min() == picture.pixels.max())


def _range_notes(translator: TrainedTranslator, facts: dict[str, FileFacts], domain: str) -> list[str]:
    deep = sum(one.is_deep for one in facts.values())
    own = translator.preparations[domain]
    if not deep and own.depth:
        return []
    what = f"{deep} file(s) of more than 8 bits" if own.depth else "all files"
    return [f"{what}: {own.low:g} is black and {own.high:g} is white; --window {domain}=BLACK:WHITE says otherwise"]
