"""Pictures that a user names, one by one."""

from pathlib import Path

from common_tf.measurement.measurement import plain_number
from common_tf.measurement.tables import Column, Row, Table
from common_tf.pictures.grid import SYNTHETIC_NOTICE, save_grid
from common_tf.pictures.picture import Picture
from common_tf.sources.folders import picture_cases
from common_tf.sources.inputs import unlike_lines
from common_tf.sources.listing import list_pictures, others_finding
from common_tf.sources.scanning import Scan
from common_tf.sources.scans import open_store, scan_cases
from common_tf.sources.source import listed
from evaluation_tf.context import Context
from evaluation_tf.images import scaled_pictures
from evaluation_tf.parts import Figure, Section
from evaluation_tf.seen import seen_by
from evaluation_tf.translations import Translations

ORDER = 80
_CELL = 150


def build(context: Context) -> Section | None:
    """Input, translation, cycle, and what the detector says of them."""
    outputs = context.translation
    if outputs is None or context.request.cases is None:
        return None
    folder = Path(context.request.cases)
    section = Section(
        key="cases",
        title="Cases",
        intro="Pictures given with --cases. There is no truth for them: what looks right need not be.",
    )
    # Folders named as the domains, or else one of domain A.
    places = {name: folder / name for name in outputs.domains if (folder / name).is_dir()} or {
        outputs.domains[0]: folder
    }
    for source, place in places.items():
        if source in outputs.sources:
            pictures, scans = _read(section, outputs, place, source)
            if pictures:
                _show(section, context, outputs, source, pictures, scans)
        else:
            section.add_gap(f"{source} pictures", "the run does not translate them")
    return section


def _read(section: Section, outputs: Translations, place: Path, source: str) -> tuple[list[Picture], list[Scan]]:
    listing = list_pictures(place)
    section.warnings += [f"--cases: {finding.text}" for finding in others_finding([listing], place.name)]
    cases = picture_cases(listing.paths, place, label=source, given_split="test")
    pictures, scans = [], []
    for case, (scan,) in zip(cases, scan_cases(cases, open_store())):
        if scan.problem:
            section.add_gap(scan.name, scan.problem)
            continue
        pictures.append(case.load().pictures[source])
        scans.append(scan)
    section.warnings += unlike_lines({scan.name: scan.unlike for scan in scans if scan.unlike})
    if scans:
        seen = seen_by(outputs.run, scans, flag="--translator")
        if seen.any():
            names = listed([scan.name for scan, mine in zip(scans, seen) if mine], most=5)
            section.warnings.append(
                f"{int(seen.sum())} of {len(seen)} {source} cases are (nearly) among the slices that the translator "
                f"was trained on ({names}); what becomes of them says nothing of new ones"
            )
    return pictures, scans


def _show(
    section: Section, context: Context, outputs: Translations, source: str, stored: list[Picture], scans: list[Scan]
) -> None:
    target, domain = outputs.target(source), context.detector_domain
    facts = {scan.name: scan.facts for scan in scans if scan.facts is not None}
    preparation = outputs.preparation(facts, source=source, flag=f"--cases {context.request.cases}")
    given = scaled_pictures(stored, preparation)
    fake = outputs.pictures(given, source)
    columns = {f"{source}, input": given, f"{target}, synthetic": fake}
    judged = {"input": given} if source == domain else {"translated": fake}
    if outputs.has_cycle:
        columns[f"back to {source}"] = outputs.pictures(fake, target)
        if source == domain:
            judged["back"] = columns[f"back to {source}"]
    file = f"cases_{source}.png"
    save_grid(
        context.figures / file,
        [[picture.scaled() for picture in pictures.items] for pictures in columns.values()],
        titles=list(columns),
        footer=SYNTHETIC_NOTICE,
        cell=_CELL,
    )
    names = [scan.name for scan in scans]
    caption = f"From the top: {', '.join(names)}."
    section.figures.append(Figure(file, caption, caption))
    panel = context.panel
    if panel is None:
        return
    chances = {key: panel.judge(pictures).chances for key, pictures in judged.items()}
    rows = [
        Row(name, {key: plain_number(values[index], 1) for key, values in chances.items()}, key=name)
        for index, name in enumerate(names)
    ]
    shown = [Column(key, f"p(tumour), {key}", "calibrated probability of the detector") for key in judged]
    section.tables.append(Table(f"cases_{source}", f"{source} cases", shown, rows))
