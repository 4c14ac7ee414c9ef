"""Sections on finished pictures: are the files fit to be compared, do they look real, are they right?"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from common_tf.errors import UserError
from common_tf.measurement.measurement import number
from common_tf.measurement.tables import Column, Row, Table
from common_tf.metrics.similarity.mae import mae
from common_tf.pictures.grid import SYNTHETIC_NOTICE, save_grid
from common_tf.pictures.intensity import quantise
from common_tf.pictures.preparation import Preparation
from common_tf.pictures.readers import FileFacts
from common_tf.sources.cache import prepared_slices
from common_tf.sources.dataset import Dataset, open_dataset
from common_tf.sources.folders import nothing_here, single_case
from common_tf.sources.listing import list_pictures, others_finding
from common_tf.sources.patients import with_patients
from common_tf.sources.source import Case, Source, listed
from evaluation_tf.features import Extractor
from evaluation_tf.finished.sides import FAKE, REAL, common_preparations
from evaluation_tf.floors import black_floor, fitted_floors, stranger_floor
from evaluation_tf.image_sets import ImageSet, halves_of, row_value, set_columns, set_rows, yardsticks
from evaluation_tf.images import Images
from evaluation_tf.output import ReportFolder
from evaluation_tf.pairs import Pairs, is_empty, open_paired_folders, prepared_pairs
from evaluation_tf.parts import Card, Figure, Section
from evaluation_tf.perturbations import PERTURBATIONS
from evaluation_tf.sections.gallery import best_median_worst
from evaluation_tf.similarity import REGIONS, similarity_cells, similarity_columns

_LARGEST = 256
_MEANS_NOTHING = ("looks like another label",)  # how much fake looks like real is asked properly below
_SHARED = "shared"  # of patients on both sides it would say that they are near-duplicates
_SHOWN = 6
_CELL = 150


def likeness_sections(
    folders: Mapping[str, Path],
    windows: Mapping[str, tuple[float, float]],
    *,
    extractors: Sequence[Extractor],
    paired: bool,
    folder: ReportFolder,
) -> list[Section]:
    """Whether the files are fit to be compared, and how far the fake set is from the real one.

    Args:
        folders: by side.
        windows: black and white that the user gave, by side.
        extractors: networks whose features are compared.
        paired: files of one name are of one head.
        folder: of the report.

    Raises:
        UserError: no pictures, or files that cannot be used.
    """
    source = _both(folders)
    dataset = open_dataset(source, bad_files="skip", keep_blank=True)
    broken = [f"{row.path}: {row.note}" for row in dataset.skipped if not is_empty(row)]
    if broken:
        raise UserError(f"{len(broken)} files cannot be used ({listed(broken)}); mend or remove them")
    facts = {label: dataset.facts(label, range(len(dataset.cases))) for label in folders}
    for label, some in facts.items():
        if not some:
            raise UserError(f"--{label} {folders[label]}: every picture in it has one value everywhere")
    preparations, said = common_preparations(facts, windows)
    said += [f"{row.path}: left out, {row.note}" for row in dataset.skipped]
    audit = _audit(dataset, preparations, said)
    size = min(_LARGEST, int(np.median([max(one.height, one.width) for one in facts[REAL]])))
    sets = {label: _set(dataset, label, preparations[label], size, folder) for label in folders}
    section = Section(
        key="distribution",
        title="Do they look real?",
        intro="Distances between the fake pictures and one half of the real ones, whole and padded to squares of "
        f"{size} px. The other half of the real ones shows what can be hoped for, and the same half blurred how much a "
        "little blur costs by each yardstick. They say nothing of any single picture.",
    )
    # By the real pictures alone: what is scored has no say in what it is compared with.
    real = replace(source, cases=[case for case in source.cases if REAL in case.files])
    first, second = halves_of(open_dataset(real, bad_files="skip", keep_blank=True).groups)
    reference, others = sets[REAL].chosen(first), sets[REAL].chosen(second)
    fakes = sets[FAKE].chosen(_without_partners(dataset, first, paired=paired))
    count = min(len(reference), len(others), len(fakes))
    if not count:
        reason = (
            "the real pictures are of one group" if not len(reference) else "every fake picture is of a head of theirs"
        )
        section.add_gap("likeness", f"{reason}: none are left to compare others with")
        return [audit, section]
    other = others.some(count, REAL, "unseen")
    blurred_words, blur = PERTURBATIONS["blurred"]
    blurred = ImageSet(Images.of(quantise(blur(other.images.scaled()))), other.groups)
    table = Table(
        key="distribution",
        title="Fake against real",
        columns=set_columns(extractors),
        rows=set_rows(
            [
                ("fake", "fake", fakes.some(count, FAKE), "result"),
                ("real", "real, the other half", other, "reference"),
                ("blurred", f"floor: real, the other half, {blurred_words}", blurred, "floor"),
            ],
            reference=reference.some(count, REAL, "reference"),
            extractors=extractors,
            section=section,
            cache=folder.cache,
        ),
        caption=f"Each row against the same {count} real pictures (one half of the groups), with {count} of its own; "
        "no fake picture is a near-duplicate of that half, or its partner.",
    )
    section.tables.append(table)
    section.figures.append(_some_of_each(sets, folder))
    section.card = _likeness_card(table, count)
    return [audit, section]


def pair_sections(
    folders: Mapping[str, Path], windows: Mapping[str, tuple[float, float]], *, folder: ReportFolder
) -> list[Section]:
    """How near each fake picture is to its real partner of the same name, beside what needs no learning.

    Args:
        folders: by side.
        windows: black and white that the user gave, by side.
        folder: of the report.

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
    pairs, _ = prepared_pairs(opened, (REAL, FAKE), lambda label, _: preparations[label], flag=flag)
    section = Section(
        key="pairs",
        title="Are they right?",
        intro=f"Each fake picture against the real one of the same name: {len(pairs)} pairs in {pairs.group_count} "
        f"{pairs.group_word}, at the pictures' own size. The floors need no learning to speak of.",
        warnings=pairs.caveats,
    )
    rows = list(_predictions(pairs))
    for region, words in REGIONS.items():
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
        section.tables.append(Table(f"pairs_{region}", f"Fake against real, {words}", columns, made))
    errors = folder.cache.per_image("mae", mae, pairs.images[FAKE], pairs.images[REAL], mask=pairs.mask)
    equal = int((pairs.images[FAKE].pixels == pairs.images[REAL].pixels).all(axis=(1, 2)).sum())
    if equal:
        section.warnings.append(
            f"{equal} of {len(pairs)} fake pictures equal their real partner in every pixel, at 8 bits"
        )
    section.figures.append(_cases(pairs, errors, folder))
    section.card = _pair_card(section)
    return [section]


def _both(folders: Mapping[str, Path]) -> Source:
    cases: list[Case] = []
    findings = []
    for label, folder in folders.items():
        listing = list_pictures(folder)
        if not listing.paths:
            raise UserError(f"--{label} {folder}: {nothing_here([listing])}")
        mine = [single_case(path, folder, label=label, given_split="test") for path in listing.paths]
        above = Path(os.path.commonpath([one.resolve() for one in folders.values()]))
        mine, who = with_patients(folder, mine, above=above)
        # Two folders may hold the same names.
        cases += [
            replace(case, name=f"{label}/{case.name}", files={label: f"{label}/{case.files[label]}"}) for case in mine
        ]
        findings += [*who, *others_finding([listing], label)]
    return Source("folders", folders[REAL], cases, findings)


def _audit(dataset: Dataset, preparations: Mapping[str, Preparation], said: Sequence[str]) -> Section:
    """What the audit of a training says of data, said of two folders."""
    section = Section(
        key="files",
        title="Are these files fit to be compared?",
        intro="What a training's audit would say of them. Where a file's format, size or colour tells fake from real, "
        "so may any network that is asked which is which.",
        warnings=list(said),
    )
    digests = {label: Counter(scan.sha256 for mine in dataset.scans for scan in mine if scan.label == label)
               for label in (REAL, FAKE)}  # fmt: skip
    same = sum(count for digest, count in digests[FAKE].items() if digest in digests[REAL])
    if same:
        section.warnings.append(f"{same} of {sum(digests[FAKE].values())} fake files are real files, byte for byte")
    blank = Counter(scan.label for mine in dataset.scans for scan in mine if not scan.extent)
    section.warnings += [f"{count} {label} pictures show no head" for label, count in blank.items()]
    findings = dataset.audited(["test"] * len(dataset.cases))
    for label, preparation in preparations.items():
        findings += dataset.contrast(label, preparation)
    notes = []
    for finding in findings:
        names = f": {', '.join(finding.files[:3])}{', ...' if len(finding.files) > 3 else ''}" if finding.files else ""
        if finding.severity == "note":
            notes.append(Row(finding.topic, {"text": f"{finding.text}{names}"}))
        elif finding.topic not in _MEANS_NOTHING and not (
            finding.topic == _SHARED and dataset.group_word == "patients"
        ):
            section.warnings.append(f"{finding.text}{names}")
    if notes:
        section.tables.append(Table("findings", "Noted", (Column("text", "", ""),), notes))
    return section


def _set(dataset: Dataset, label: str, preparation: Preparation, size: int, folder: ReportFolder) -> ImageSet:
    mine = [index for index, case in enumerate(dataset.cases) if label in case.files]
    made = prepared_slices(
        [dataset.cases[index] for index in mine],
        [dataset.scans[index] for index in mine],
        label,
        preparation,
        size=size,
        folder=folder.cache.folder,
    )
    return ImageSet(Images.prepared(made), dataset.groups[mine])


def _without_partners(dataset: Dataset, reference: np.ndarray, *, paired: bool) -> np.ndarray:
    """Which fake pictures are of no head of the reference: against their own origin they would be nearer than any real
    picture can be.
    """
    sides = {
        label: [index for index, case in enumerate(dataset.cases) if label in case.files] for label in (REAL, FAKE)
    }
    mine = [sides[REAL][index] for index in reference]
    groups = set(dataset.groups[mine].tolist())
    names = {_partner(dataset.cases[index]) for index in mine} if paired else set()
    kept = [
        number
        for number, index in enumerate(sides[FAKE])
        if dataset.groups[index] not in groups and _partner(dataset.cases[index]) not in names
    ]
    return np.array(kept, int)


def _partner(case: Case) -> str:
    """What partners share: the name without its side and ending."""
    return case.name.partition("/")[2].rpartition(".")[0]


def _some_of_each(sets: Mapping[str, ImageSet], folder: ReportFolder) -> Figure:
    count = min(_SHOWN, *(len(one) for one in sets.values()))
    rows = [one.images.scaled(np.linspace(0, len(one) - 1, count).astype(int)) for one in sets.values()]
    file = "finished_some.png"
    save_grid(folder.figures / file, list(zip(*rows)), titles=[""] * count, footer=SYNTHETIC_NOTICE, cell=_CELL)
    caption = (
        "Above real, below fake pictures, spread evenly over either folder and not chosen by eye; they are no pairs."
    )
    return Figure(file, caption, caption)


def _likeness_card(table: Table, count: int) -> Card | None:
    """By the yardsticks that fake and blurred both have; the texture alone decides nothing."""
    columns = [one for one in yardsticks(table, "fake") if np.isfinite(row_value(table, "blurred", one))]
    if not columns:
        return None
    shown = columns[0]
    further = [one.title for one in columns if row_value(table, "fake", one) >= row_value(table, "blurred", one)]
    words = f"further off than blurred real pictures by {len(further)} of {len(columns)}"
    verdict = "good" if not further else "bad" if len(further) == len(columns) else "open"
    if len(columns) < 2:
        verdict, words = "open", "too few pictures for more than one yardstick"
    elif not further:
        words = f"nearer than blurred real pictures by all {len(columns)}"
    result, real, blurred = (number(row_value(table, key, shown), shown.digits) for key in ("fake", "real", "blurred"))
    return Card(
        title=f"Do they look real? {shown.title}",
        value=result,
        detail=f"n = {count} of each; real pictures {real}, real and blurred {blurred}; lower is better",
        verdict=verdict,
        words=words,
    )


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
