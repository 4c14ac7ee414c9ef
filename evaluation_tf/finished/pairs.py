"""The section on finished pictures beside their real partners: are they right?"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from common_tf.measurement.measurement import number
from common_tf.measurement.tables import Row, Table
from common_tf.metrics.similarity.mae import mae
from common_tf.pictures.grid import SYNTHETIC_NOTICE, save_grid
from common_tf.pictures.readers import FileFacts
from evaluation_tf.finished.sides import FAKE, REAL, common_preparations
from evaluation_tf.floors import black_floor, fitted_floors, stranger_floor
from evaluation_tf.images import Images
from evaluation_tf.output import ReportFolder
from evaluation_tf.pairs import Pairs, open_paired_folders, prepared_pairs
from evaluation_tf.parts import Card, Figure, Section
from evaluation_tf.sections.gallery import best_median_worst
from evaluation_tf.similarity import REGIONS, similarity_cells, similarity_columns

_CELL = 150


def picture_pairs(folders: Mapping[str, Path], windows: Mapping[str, tuple[float, float]]) -> Pairs:
    """The pictures of both sides by their names.

    Args:
        folders: by side.
        windows: black and white that the user gave, by side.

    Raises:
        UserError: partners that are missing, or of another size.
    """
    opened = open_paired_folders(folders)
    facts: dict[str, list[FileFacts]] = {
        label: [scan.facts for mine in opened.dataset.scans for scan in mine if scan.label == label and scan.facts]
        for label in folders
    }
    preparations, _ = common_preparations(facts, windows)
    flag = f"--real {folders[REAL]}, --fake {folders[FAKE]}"
    return prepared_pairs(opened, (REAL, FAKE), lambda label, _: preparations[label], flag=flag)[0]


def pair_section(pairs: Pairs, *, of: str, intro: str, regions: Sequence[str], folder: ReportFolder) -> Section:
    """How near each fake picture is to its real partner, beside what needs no learning.

    Args:
        pairs: of the two sides.
        of: what they are: ``pictures`` or ``slices``.
        intro: what is compared.
        regions: of `evaluation_tf.similarity.REGIONS`.
        folder: of the report.
    """
    section = Section(
        key="pairs",
        title="Are they right?",
        intro=f"{intro} The floors need no learning to speak of.",
        warnings=list(pairs.caveats),
    )
    rows = list(_predictions(pairs))
    for region in regions:
        columns = similarity_columns(region)
        made = [
            Row(
                name,
                similarity_cells(
                    images,
                    pairs.images[REAL],
                    columns,
                    mask=pairs.mask if region == "head" else None,
                    groups=pairs.interval_groups,
                    of=pairs.interval_of,
                    section=section,
                    cache=folder.cache,
                ),
                kind,
                key,
            )
            for key, name, images, kind in rows
        ]
        section.tables.append(Table(f"pairs_{region}", f"Fake against real, {REGIONS[region]}", columns, made))
    errors = folder.cache.per_image("mae", mae, pairs.images[FAKE], pairs.images[REAL], mask=pairs.mask)
    equal = int((pairs.images[FAKE].pixels == pairs.images[REAL].pixels).all(axis=(1, 2)).sum())
    if equal:
        section.warnings.append(f"{equal} of {len(pairs)} fake {of} equal their real partner in every pixel, at 8 bits")
    section.figures.append(_cases(pairs, errors, folder))
    section.card = _pair_card(section)
    return section


def _predictions(pairs: Pairs) -> Iterator[tuple[str, str, Images, str]]:
    """Key, name, images and kind of each row."""
    yield "fake", "fake", pairs.images[FAKE], "result"
    black = black_floor(pairs, REAL)
    yield black.key, black.name, black.images, "floor"
    for floor in fitted_floors(pairs, None, FAKE, REAL):
        if floor.key == "table":
            words = floor.name.removeprefix("floor: ")
            yield floor.key, f"fake, its gray values through an {words}", floor.images, "reference"
        else:
            yield floor.key, floor.name, floor.images, "floor"
    for floor in stranger_floor(pairs, REAL):
        yield floor.key, floor.name, floor.images, "floor"


def _cases(pairs: Pairs, errors: np.ndarray, folder: ReportFolder) -> Figure:
    chosen = np.array(best_median_worst(errors))
    real, fake = (pairs.images[label].scaled(chosen) for label in (REAL, FAKE))
    columns = [list(one) for one in (real, fake, np.abs(real - fake) * pairs.mask.scaled(chosen))]
    file = "finished_cases.png"
    titles = [REAL, FAKE, "difference in the head"]
    save_grid(folder.figures / file, columns, titles=titles, footer=SYNTHETIC_NOTICE, cell=_CELL)
    caption = f"From the best to the worst of {len(errors)} pairs by MAE in the head: the first, the middle, the last."
    return Figure(file, caption, caption)


def _pair_card(section: Section) -> Card:
    table = section.table("pairs_head")
    assert table is not None
    result = next(row for row in table.rows if row.kind == "result")
    floors = [row for row in table.rows if row.kind == "floor"]
    lost = [row.name.removeprefix("floor: ") for row in floors if row.value("mae") <= result.value("mae")]
    cell = result.cells["mae"]
    return Card(
        title="Are they right? MAE against the real partner, in the head",
        value=number(result.value("mae")),
        detail=f"n = {getattr(cell, 'n', 0)} pairs; "
        + ", ".join(f"{row.name.removeprefix('floor: ')} {number(row.value('mae'))}" for row in floors)
        + "; lower is better",
        verdict="bad" if lost else "good" if len(floors) > 1 else "open",
        words=f"below: {', '.join(lost)}" if lost else "above all floors" if len(floors) > 1 else "no floor but black",
    )
