"""Sections on finished pictures and slices: are the files fit to be compared, and do they look real?"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from common_tf.errors import UserError
from common_tf.measurement.measurement import FEWEST_GROUPS, number
from common_tf.measurement.tables import Column, Row, Table
from common_tf.pictures.grid import SYNTHETIC_NOTICE, save_grid
from common_tf.pictures.intensity import quantise
from common_tf.pictures.preparation import Preparation
from common_tf.sources.cache import prepared_slices
from common_tf.sources.dataset import Dataset, open_dataset
from common_tf.sources.source import Case, Source, listed
from evaluation_tf.features import Extractor
from evaluation_tf.finished.sides import FAKE, REAL, common_preparations
from evaluation_tf.image_sets import ImageSet, halves_of, row_value, set_columns, set_rows, yardsticks
from evaluation_tf.images import Images
from evaluation_tf.output import ReportFolder
from evaluation_tf.pairs import is_empty
from evaluation_tf.parts import Card, Figure, Section
from evaluation_tf.perturbations import PERTURBATIONS

_LARGEST = 256
_MEANS_NOTHING = ("looks like another label",)  # how much fake looks like real is asked properly below
_SHARED = "shared"  # of patients on both sides it would say that they are near-duplicates
_SHOWN = 6
_CELL = 150


def likeness_sections(
    source: Source,
    windows: Mapping[str, tuple[float, float]],
    *,
    of: str,
    extractors: Sequence[Extractor],
    paired: bool,
    folder: ReportFolder,
) -> list[Section]:
    """Whether the files are fit to be compared, and how far the fake set is from the real one.

    Args:
        source: of both sides.
        windows: black and white of picture files that the user gave, by side.
        of: what is compared: ``pictures``, or ``slices`` of volumes, of which empty ones are left out.
        extractors: networks whose features are compared.
        paired: those of one name are of one head, whatever their groups.
        folder: of the report.

    Raises:
        UserError: files that cannot be used.
    """
    keep_blank = of == "pictures"
    dataset = open_dataset(source, bad_files="skip", keep_blank=keep_blank)
    broken = [f"{row.path}: {row.note}" for row in dataset.skipped if not is_empty(row)]
    if broken:
        raise UserError(f"{len(broken)} files cannot be used ({listed(broken)}); mend or remove them")
    facts = {label: dataset.facts(label, range(len(dataset.cases))) for label in (REAL, FAKE)}
    for label, some in facts.items():
        if not some:
            raise UserError(f"--{label}: nothing is seen on any of its {of}")
    preparations, said = common_preparations(facts, windows)
    # The audit counts the empty slices of volumes.
    said += [f"{row.path}: left out, {row.note}" for row in dataset.skipped if keep_blank]
    audit = _audit(dataset, preparations, said, of)
    size = min(_LARGEST, int(np.median([max(one.height, one.width) for one in facts[REAL]])))
    sets = {label: _set(dataset, label, preparations[label], size, folder) for label in facts}
    section = Section(
        key="distribution",
        title="Do they look real?",
        intro=f"Distances between the fake {of} and one half of the real ones, whole and padded to squares of "
        f"{size} px. The other half of the real ones shows what can be hoped for, and the same half blurred how much a "
        "little blur costs by each yardstick. They say nothing of any single one.",
    )
    # By the real pictures alone: what is scored has no say in what it is compared with.
    real = replace(source, cases=[case for case in source.cases if REAL in case.files])
    first, second = halves_of(open_dataset(real, bad_files="skip", keep_blank=keep_blank).groups)
    reference, others = sets[REAL].chosen(first), sets[REAL].chosen(second)
    fakes = sets[FAKE].chosen(_without_partners(dataset, first, paired=paired))
    count = min(len(reference), len(others), len(fakes))
    if not count:
        reason = f"the real {of} are of one group" if not len(reference) else f"all fake {of} are of heads of theirs"
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
        caption=f"Each row against the same {count} real {of} (one half of the groups), with {count} of its own; "
        "none of the fake ones is a near-duplicate of that half, or a partner.",
    )
    section.tables.append(table)
    section.figures.append(_some_of_each(sets, folder, of))
    counts = [len(np.unique(one.groups)) for one in (reference, others, fakes)]
    if min(counts) < FEWEST_GROUPS:
        section.warnings.append(
            f"the halves of the real {of} and the fake ones are of {counts[0]}, {counts[1]} and {counts[2]} "
            f"{dataset.group_word}: distances between so few say little of others"
        )
    section.card = _likeness_card(table, count, of)
    if section.card is not None and min(counts) < 2:
        words = f"too few {dataset.group_word} for a verdict"
        section.card = replace(section.card, verdict="open", words=words)
    return [audit, section]


def _audit(dataset: Dataset, preparations: Mapping[str, Preparation], said: Sequence[str], of: str) -> Section:
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
        section.warnings.append(f"{same} of {sum(digests[FAKE].values())} fake {of} are real ones, byte for byte")
    blank = Counter(scan.label for mine in dataset.scans for scan in mine if not scan.extent)
    section.warnings += [f"{count} {label} {of} show no head" for label, count in blank.items()]
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


def _some_of_each(sets: Mapping[str, ImageSet], folder: ReportFolder, of: str) -> Figure:
    count = min(_SHOWN, *(len(one) for one in sets.values()))
    rows = [one.images.scaled(np.linspace(0, len(one) - 1, count).astype(int)) for one in sets.values()]
    file = "finished_some.png"
    save_grid(folder.figures / file, list(zip(*rows)), titles=[""] * count, footer=SYNTHETIC_NOTICE, cell=_CELL)
    caption = f"Above real, below fake {of}, spread evenly over either side and not chosen by eye; they are no pairs."
    return Figure(file, caption, caption)


def _likeness_card(table: Table, count: int, of: str) -> Card | None:
    """By the yardsticks that fake and blurred both have; the texture alone decides nothing."""
    columns = [one for one in yardsticks(table, "fake") if np.isfinite(row_value(table, "blurred", one))]
    if not columns:
        return None
    shown = columns[0]
    further = [one.title for one in columns if row_value(table, "fake", one) >= row_value(table, "blurred", one)]
    words = f"further off than blurred real {of} by {len(further)} of {len(columns)}"
    verdict = "good" if not further else "bad" if len(further) == len(columns) else "open"
    if len(columns) < 2:
        verdict, words = "open", f"too few {of} for more than one yardstick"
    elif not further:
        words = f"nearer than blurred real {of} by all {len(columns)}"
    result, real, blurred = (number(row_value(table, key, shown), shown.digits) for key in ("fake", "real", "blurred"))
    return Card(
        title=f"Do they look real? {shown.title}",
        value=result,
        detail=f"n = {count} of each; real {of} {real}, real and blurred {blurred}; lower is better",
        verdict=verdict,
        words=words,
    )
