"""Pictures of the best, the median and the worst cases, and of cases that a user names."""

from pathlib import Path
from typing import Optional, Sequence

import numpy as np

from common_tf.errors import UserError
from common_tf.images.grid import SYNTHETIC_NOTICE, save_grid
from common_tf.images.pairs import PairedPictures
from common_tf.images.reading import BadImage, image_paths, read_image
from common_tf.metrics.similarity import mae
from evaluation_tf.measurement import Column, Figure, Gap, Row, Section, Table, plain_number
from evaluation_tf.outputs import Outputs
from evaluation_tf.panel import Panel
from evaluation_tf.slices import TestSet, stored_picture

_EACH = 2
_CELL = 150
_WORDS = f"Rows: the {_EACH} best, the {_EACH} nearest to the median, and the {_EACH} worst"


def gallery_section(outputs: Outputs, test: TestSet, pairs: Optional[PairedPictures], figures: Path) -> Section:
    """Best, median and worst of both directions: by error against the truth where there is one, else by the cycle's.

    Args:
        outputs: of the translator.
        test: its test set.
        pairs: aligned pairs, or ``None``.
        figures: where the PNGs go.
    """
    section = Section(
        key="gallery",
        title="Best, median and worst cases",
        intro="Chosen by number, not by eye.",
    )
    for source in outputs.sources:
        target = outputs.target(source)
        if pairs is not None:
            given, truth, mask = pairs.images[source], pairs.images[target], pairs.mask
            fake = np.stack(outputs.pictures(list(given), source))
            errors = mae(fake / 255.0, truth / 255.0, mask=mask)
            last, titles = truth, [f"{source}, input", f"{target}, synthetic", f"{target}, truth", "difference"]
            by = f"mean absolute error against the true {target} in the head"
            difference = np.abs(fake.astype(float) - truth) * mask
        elif not outputs.has_cycle:
            section.gaps.append(Gap(f"{source} to {target}", "neither a truth nor a way back to choose cases by"))
            continue
        else:
            given, mask = test.slices[source].squares, test.slices[source].masks
            fake, last = outputs.squares(given, source)
            errors = mae(given / 255.0, last / 255.0, mask=mask)
            titles = [f"{source}, input", f"{target}, synthetic", f"back to {source}", "cycle difference"]
            by = f"mean absolute error of the cycle back to {source} in the head; there is no truth to compare with"
            difference = np.abs(given.astype(float) - last) * mask
        chosen = best_median_worst(errors)
        columns = [[images[i] / 255.0 for i in chosen] for images in (given, fake, last, difference)]
        file = f"gallery_{source}2{target}.png"
        save_grid(figures / file, columns, titles=titles, footer=SYNTHETIC_NOTICE, cell=_CELL)
        caption = f"{source} to {target}. {_WORDS} of {len(errors)} by {by}."
        section.figures.append(Figure(file, caption, caption))
    return section


def best_median_worst(errors: np.ndarray, each: int = _EACH) -> list:
    """Indices of the ``each`` smallest, the ones around the median, and the largest; none twice."""
    order = np.argsort(errors, kind="stable")
    middle = max(0, (len(order) - each) // 2)
    chosen = [*order[:each], *order[middle : middle + each], *order[-each:]]
    return list(dict.fromkeys(int(index) for index in chosen))


def cases_section(outputs: Outputs, panel: Optional[Panel], folder: Path, domain: str, figures: Path) -> Section:
    """Pictures that a user names: input, translation, cycle, and what the detector says of them.

    Args:
        outputs: of the translator.
        panel: the detector, or ``None``.
        folder: pictures of domain A, or folders named as the domains.
        domain: name of the detector's modality.
        figures: where the PNGs go.

    Raises:
        UserError: no pictures in the folder.
    """
    section = Section(
        key="cases",
        title="Cases",
        intro="Pictures given with --cases. There is no truth for them: what looks right need not be.",
    )
    if not folder.is_dir():
        raise UserError(f"--cases {folder}: no such folder")
    names = outputs.translator.config.domain_names
    found = {name: image_paths(folder / name) for name in names if (folder / name).is_dir()} or {
        names[0]: image_paths(folder)
    }
    if not any(found.values()):
        raise UserError(f"--cases {folder}: no pictures; put them there, or into {names[0]}/ and {names[1]}/")
    for source, paths in found.items():
        if source not in outputs.sources:
            section.gaps.append(Gap(f"{source} pictures", "the run does not translate them"))
            continue
        pictures, kept = [], []
        for path in paths:
            try:
                picture = read_image(path)
            except (OSError, BadImage) as error:
                section.gaps.append(Gap(path.name, str(error)))
                continue
            pictures.append(picture.pixels_8_bit)
            kept.append(path.name)
        if pictures:
            _cases(section, outputs, panel, source, pictures, kept, domain, figures)
    return section


def _cases(
    section, outputs, panel, source: str, pictures: Sequence, names: Sequence[str], domain: str, figures
) -> None:
    target = outputs.target(source)
    fake = outputs.pictures(pictures, source)
    cycled = outputs.pictures(fake, target) if outputs.has_cycle else None
    columns = [[image / 255.0 for image in images] for images in (pictures, fake, cycled) if images is not None]
    file = f"cases_{source}.png"
    titles = [f"{source}, input", f"{target}, synthetic", f"back to {source}"][: len(columns)]
    save_grid(figures / file, columns, titles=titles, footer=SYNTHETIC_NOTICE, cell=_CELL)
    caption = f"From the top: {', '.join(names)}."
    section.figures.append(Figure(file, caption, caption))
    if panel is None:
        return
    shown = {"input": pictures, "back": cycled} if source == domain else {"translated": fake}
    shown = {key: images for key, images in shown.items() if images is not None}
    columns = [Column(key, f"p(tumour), {key}", "calibrated probability of the detector") for key in shown]
    verdicts = {key: panel.judge([stored_picture(image) for image in images]) for key, images in shown.items()}
    rows = [
        Row(name, {key: plain_number(verdict.chances[i], 1) for key, verdict in verdicts.items()})
        for i, name in enumerate(names)
    ]
    section.tables.append(Table(f"cases_{source}", f"{source} cases", columns, rows))
