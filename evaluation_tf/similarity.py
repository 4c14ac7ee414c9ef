"""How near is an image to its truth, and how much of it survives a cycle?"""

from functools import partial
from typing import Mapping, Optional

import numpy as np

from common_tf.images.intensity import quantise
from common_tf.images.pairs import PairedPictures
from common_tf.metrics import similarity as metrics
from common_tf.metrics.floors import apply_intensity_table, fit_intensity_table
from evaluation_tf.cache import ArrayCache
from evaluation_tf.measurement import Column, Gap, Row, Section, Table, mean_over, plain_number
from evaluation_tf.outputs import Outputs
from evaluation_tf.slices import TestSet

IN_MASK = (
    Column("mae", "MAE", "mean absolute error, images on [0, 1], inside the head mask", "lower"),
    Column("rmse", "RMSE", "root of the mean squared error, images on [0, 1], inside the head mask", "lower"),
    Column("mse", "MSE", "mean squared error, images on [0, 1], inside the head mask", "lower", 4),
    Column("psnr", "PSNR, dB", "-10 log10(MSE), range 1, inside the head mask", "higher", 2),
    Column("ssim", "SSIM", "tf.image.ssim (Gaussian 11x11, sigma 1.5, K .01 and .03), range 1; mean of its map "
           "over the head mask", "higher"),
    Column("pearson", "Pearson", "correlation of the pixels inside the head mask", "higher"),
)  # fmt: skip
_FULL = (
    Column("mae", "MAE", "mean absolute error, images on [0, 1], full frame", "lower"),
    Column("rmse", "RMSE", "root of the mean squared error, images on [0, 1], full frame", "lower"),
    Column("psnr", "PSNR, dB", "-10 log10(MSE), range 1, full frame", "higher", 2),
    Column("ssim", "SSIM", "tf.image.ssim (Gaussian 11x11, sigma 1.5, K .01 and .03), range 1, full frame", "higher"),
    Column("ms_ssim", "MS-SSIM", "tf.image.ssim_multiscale, five scales, range 1, full frame", "higher"),
    Column("cosine", "Cosine", "cosine of the images as vectors on [0, 1], full frame; it rewards a common background",
           "higher"),
)  # fmt: skip
_DOCUMENT_PAIRS = 40
_BATCH = 32


def cycle_section(outputs: Outputs, test: TestSet) -> Section:
    """Input against cycled input, both directions, full frame and inside the head."""
    section = Section(
        key="cycle",
        title="What survives the way there and back?",
        intro="Each input against itself after both translations. A high value is necessary and proves little: a "
        "pair of generators that change nothing, or that hide the input in invisible noise, is perfect here (see "
        "the content checks).",
    )
    for region, columns in (("head", IN_MASK), ("full", _FULL)):
        rows, how = [], dict(section=section, cache=outputs.cache)
        for source, given in test.slices.items():
            _, cycled = outputs.squares(given.squares, source)
            mask = given.masks if region == "head" else None
            name = f"{source} to {outputs.target(source)} and back"
            cells = measure(cycled, given.squares, columns, mask=mask, groups=given.groups, **how)
            rows.append(Row(name, cells))
        where = "inside the head" if region == "head" else "full frame"
        section.tables.append(
            Table(f"cycle_{region}", f"Cycle, {where}", columns, rows, "Squares of the network's size.")
        )
    return section


def pair_section(outputs: Outputs, pairs: PairedPictures, fitting: Optional[PairedPictures], name: str) -> Section:
    """Output against aligned truth, beside the floors.

    Args:
        outputs: of the translator.
        pairs: the test pairs.
        fitting: other pairs, on which the intensity table and the mean image are fitted; ``None`` to fit each on the
            other patients of the test itself.
        name: what to call the set.
    """
    patients = len(np.unique(pairs.groups))
    section = Section(
        key="pairs",
        title="Is the translation right?",
        intro=f"Outputs against the aligned truth of {len(pairs.names)} pairs ({name}), at the pictures' own size. The "
        "floors need no learning to speak of; a translator below them has learnt to look right, not to be right. The "
        "intensity table is fitted on aligned pairs, which an unpaired translator never sees.",
    )
    if pairs.group_word == "patients" and patients < 5:
        section.warnings.append(
            f"the pairs are slices of {patients} patients: their intervals say nothing of other patients"
        )
    for source in outputs.sources:
        target = outputs.target(source)
        truth = pairs.images[target]
        given = pairs.images[source]
        predictions = {
            "translator": (np.stack(outputs.pictures(list(given), source)), "result"),
            "floor: copy of the input": (given, "floor"),
            "floor: black image": (np.zeros_like(given), "floor"),
            **fitted_floors(pairs, fitting, source, target),
            "floor: another patient's truth": (_others(truth, pairs.groups), "floor"),
        }
        for region, columns in (("head", IN_MASK), ("full", _FULL)):
            mask = pairs.mask if region == "head" else None
            rows = []
            how = dict(groups=interval_groups(pairs), unit=interval_words(pairs), section=section, cache=outputs.cache)
            for label, (images, kind) in predictions.items():
                if images is None:
                    continue
                cells = measure(images, truth, columns, mask=mask, **how)
                rows.append(Row(label, cells, kind))
            where = "inside the head" if region == "head" else "full frame"
            section.tables.append(
                Table(f"pairs_{source}2{target}_{region}", f"{source} to {target}, {where}", columns, rows)
            )
        _compare(section, source, target)
    return section


def document_ssim(outputs: Outputs, test: TestSet) -> Section:
    """The quantity that the document's table calls SSIM, and why it misleads."""
    section = Section(
        key="document_ssim",
        title="SSIM as in the document",
        intro="The code behind the document's .80 to .88 averages SSIM over every real times every translated "
        "image, with a data range of 2 for images on [0, 1]. It never looks at the input or at a truth: shuffling "
        "the outputs, or giving every patient the same head, leaves it unchanged. It is shown here for that "
        "comparison only.",
    )
    column = Column(
        "all_pairs_ssim",
        "SSIM as in the document",
        "mean over all real x translated pairs; uniform 7x7 window, data range 2 on [0, 1] images",
    )
    rows = []
    for source in outputs.sources:
        target = outputs.target(source)
        real = test.slices[target].squares[:_DOCUMENT_PAIRS]
        fake, _ = outputs.squares(test.slices[source].squares, source)
        for label, images, kind in (
            (f"{source} to {target}, translated", fake[:_DOCUMENT_PAIRS], "result"),
            (f"{source} to {target}, one output for all", np.repeat(fake[:1], 2, axis=0), "floor"),
            (f"{source} to {target}, black images", np.zeros_like(real[:1]), "floor"),
        ):
            value = float(outputs.cache.values("all pairs", _all_pairs, real, images))
            rows.append(Row(label, {column.key: plain_number(value, len(real) * len(images))}, kind))
    caption = f"n counts pairs; at most {_DOCUMENT_PAIRS} images of a side."
    section.tables.append(Table("document_ssim", "SSIM over all pairs", [column], rows, caption))
    return section


def measure(
    images, truth, columns, *, mask, groups, section: Section, cache: ArrayCache, unit: str = "groups"
) -> Mapping:
    """Measures uint8 images against uint8 truth; what cannot be computed becomes a gap of the section.

    Args:
        images, truth: ``(n, height, width)``.
        columns: each with the name of a function of `common_tf.metrics.similarity` as its key.
        mask: bool of the same shape, or ``None`` for the full frame.
        groups: for the intervals.
        section: that gets the gaps.
        cache: of the values.
        unit: what the groups are.
    """
    options = {} if mask is None else {"mask": mask}
    cells = {}
    for column in columns:
        try:
            values = cache.values(column.key, partial(_on_units, column.key), images, truth, **options)
        except ValueError as error:
            gap = Gap(column.title, str(error))
            if gap not in section.gaps:
                section.gaps.append(gap)
            continue
        # A picture without error has an infinite PSNR, and a mean over it says nothing.
        cells[column.key] = mean_over(np.where(np.isinf(values), np.nan, values), groups, unit=unit)
    return cells


def _on_units(name: str, images: np.ndarray, truth: np.ndarray, **options) -> np.ndarray:
    """A similarity of images in [0, 1], batch by batch: a whole test set in double precision fills the memory."""
    results = []
    for start in range(0, len(images), _BATCH):
        part = slice(start, start + _BATCH)
        given = {key: value[part] for key, value in options.items()}
        units = (np.asarray(side[part], np.float32) / 255 for side in (images, truth))
        results.append(getattr(metrics, name)(*units, **given))
    return np.concatenate(results)


def fitted_floors(pairs: PairedPictures, fitting: Optional[PairedPictures], source: str, target: str) -> dict:
    """Intensity table and mean image by the words that say what they were fitted on; see `pair_section`."""
    given, truth = pairs.images[source], pairs.images[target]
    table_images, mean_images = np.zeros(given.shape, np.float32), np.zeros(given.shape, np.float32)
    if fitting is not None:
        sources, targets = fitting.images[source] / 255.0, fitting.images[target] / 255.0
        table_images = apply_intensity_table(given / 255.0, fit_intensity_table(sources, targets))
        if targets.shape[1:] == truth.shape[1:]:
            mean_images = np.broadcast_to(targets.mean(axis=0), given.shape)
        else:
            mean_images = None
        words = "fitted on the training pairs"
    else:
        names = np.unique(pairs.groups)
        if len(names) < 2:
            return {}
        for name in names:
            mine = pairs.groups == name
            table = fit_intensity_table(given[~mine] / 255.0, truth[~mine] / 255.0)
            table_images[mine] = apply_intensity_table(given[mine] / 255.0, table)
            mean_images[mine] = (truth[~mine] / 255.0).mean(axis=0)
        words = f"fitted on the other {pairs.group_word}"
    floors = {f"floor: intensity table ({words})": (quantise(table_images), "floor")}
    if mean_images is not None:
        floors[f"floor: mean image ({words})"] = (quantise(mean_images), "floor")
    return floors


def _all_pairs(real: np.ndarray, images: np.ndarray) -> float:
    return metrics.all_pairs_ssim(real / 255.0, images / 255.0)


def _others(truth: np.ndarray, groups: np.ndarray) -> Optional[np.ndarray]:
    """For each image the truth of a slice of somebody else."""
    random = np.random.default_rng(0)
    chosen = []
    for group in groups:
        strangers = np.flatnonzero(groups != group)
        if not strangers.size:
            return None
        chosen.append(random.choice(strangers))
    return truth[chosen]


def interval_groups(pairs: PairedPictures) -> Optional[np.ndarray]:
    """Patients where there are enough to resample; else slices, with a warning in the section."""
    return pairs.groups if len(np.unique(pairs.groups)) >= 5 else None


def interval_words(pairs: PairedPictures) -> str:
    count = len(np.unique(pairs.groups))
    return pairs.group_word if count >= 5 else f"slices of {count} {pairs.group_word}"


def _compare(section: Section, source: str, target: str) -> None:
    table = section.table(f"pairs_{source}2{target}_head")
    result = table.rows[0].cells["mae"].value
    beaten_by = [row.name for row in table.rows[1:] if row.cells["mae"].value <= result]
    if beaten_by:
        section.warnings.append(
            f"{source} to {target}: by MAE in the head the translator does not beat {', '.join(beaten_by)}"
        )
