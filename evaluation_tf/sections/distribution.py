"""Does the set of translated images look like the set of real ones?"""

from collections.abc import Sequence

import numpy as np

from common_tf.measurement.measurement import Measurement, plain_number
from common_tf.measurement.tables import Column, Row, Table
from common_tf.metrics import frechet, kernel
from common_tf.metrics.distribution import sliced_wasserstein
from common_tf.randomness import Stream
from evaluation_tf.context import Context
from evaluation_tf.features import Extractor
from evaluation_tf.images import Images
from evaluation_tf.parts import Card, Section
from evaluation_tf.sections._directions import direction_key, direction_words, side_by_side
from evaluation_tf.slices import Slices

ORDER = 10
_CHOSEN = Stream("evaluation.distribution")
_SWD = Column(
    "swd",
    "Texture distance",
    "sliced Wasserstein distance of 7x7 patches over a Laplacian pyramid (after Karras et al. 2018), in standard "
    "deviations of the real patches; squares of the network's size on [0, 1]; no trained network",
    better="lower",
)


def build(context: Context) -> Section | None:
    """Distances of both directions' outputs to real slices, beside real against real and untranslated against real."""
    outputs, test = context.translation, context.test
    if outputs is None or test is None:
        return None
    section = Section(
        key="distribution",
        title="Do translated images look real?",
        intro="Distances between the set of translated slices and real slices of the target domain. They say "
        "nothing of any single image: a generator that ignores its input can score well here.",
    )
    directions = []
    for source in outputs.sources:
        target = outputs.target(source)
        given, real = test.slices[source], test.slices[target]
        fake, _ = outputs.squares(given.squares, source)
        reference, unseen = _halves(real)
        count = min(len(reference), len(unseen), len(fake))
        if not count:
            section.add_gap(
                f"{source} to {target}", "the test slices are of one group: no real slices to compare others with"
            )
            continue
        directions.append((source, target))
        chosen = _some(len(fake), count, source)
        rows = (
            ("translated", f"{source} translated to {target}", fake.chosen(chosen), "result"),
            (
                "real",
                f"real {target}, other slices",
                unseen.chosen(_some(len(unseen), count, target, "unseen")),
                "reference",
            ),
            ("untranslated", f"{source}, untranslated", given.squares.chosen(chosen), "floor"),
        )
        reference = reference.chosen(_some(len(reference), count, target, "reference"))
        table = Table(
            key=f"distribution_{direction_key(source, target)}",
            title=f"{source} to {target}",
            columns=[_SWD, *(column for extractor in context.extractors for column in _columns(extractor))],
            rows=[_row(row, reference, context, section) for row in rows],
            caption=f"Each row against the same {count} real {target} slices ({_reference_words(real)}), with {count} "
            "slices of its own.",
        )
        section.tables.append(table)
        result, floor = (_value(table, key) for key in ("translated", "untranslated"))
        if result >= floor:
            section.warnings.append(
                f"{source} to {target}: by texture the outputs are no nearer to {target} than the inputs"
            )
    if section.tables:
        section.card = _card(section.tables, directions)
    return section


def _row(row: tuple, reference: Images, context: Context, section: Section) -> Row:
    key, name, squares, kind = row
    distance = context.cache.of_sets("swd", sliced_wasserstein, reference, squares)
    cells = {_SWD.key: plain_number(distance, len(squares))}
    for extractor in context.extractors:
        cells.update(_distances(extractor, reference, squares, context, section))
    return Row(name, cells, kind, key)


def _columns(extractor: Extractor) -> list[Column]:
    """Of its Fréchet and of its kernel distance."""
    suffix = "inception" if extractor.is_inception else "detector"
    return [
        Column(
            f"frechet_{suffix}",
            extractor.name,
            f"Fréchet distance of Gaussians fitted to features (Heusel et al. 2017); {extractor.description}. Biased "
            "upwards at small n: compare with rows of equal n only",
            better="lower",
            digits=2,
        ),
        Column(
            f"kid_{suffix}",
            "KID x 100" if extractor.is_inception else "Kernel distance x 100",
            "unbiased squared MMD with the kernel (x.y/d + 1)^3 (Binkowski et al. 2018), times 100; mean and one "
            f"standard deviation over 100 random subsets of half the images; {extractor.description}",
            better="lower",
        ),
    ]


def _distances(
    extractor: Extractor, reference: Images, squares: Images, context: Context, section: Section
) -> dict[str, Measurement]:
    cells, (distance, likeness) = {}, _columns(extractor)
    features = [extractor.features(images, context.cache).astype(np.float64) for images in (reference, squares)]
    try:
        cells[distance.key] = plain_number(frechet.frechet_distance(*features), len(squares))
    except ValueError as error:
        section.add_gap(distance.title, str(error))
    try:
        result = kernel.kernel_distance(*features)
    except ValueError as error:
        section.add_gap(likeness.title, str(error))
        return cells
    mean, spread = 100 * result["mean"], 100 * result["standard_deviation"]
    words = f"mean -+ one standard deviation over {result['subsets']} subsets of {result['subset_size']}"
    cells[likeness.key] = Measurement(mean, len(squares), mean - spread, mean + spread, interval=words)
    return cells


def _some(total: int, count: int, *words: str) -> np.ndarray:
    """Which of ``total`` images are compared: drawn, for the first ones of a folder are often of one patient."""
    return np.sort(_CHOSEN.numpy(0, *words).permutation(total)[:count])


def _halves(real: Slices) -> tuple[Images, Images]:
    """Reference and held-out real slices: training against test where there are training slices, else two halves of
    whole groups.
    """
    if len(real.training):
        return real.training, real.squares
    names = np.unique(real.groups)
    first = np.isin(real.groups, _CHOSEN.numpy(0, "halves").permutation(names)[: len(names) // 2])
    return real.squares.chosen(np.flatnonzero(first)), real.squares.chosen(np.flatnonzero(~first))


def _reference_words(real: Slices) -> str:
    return "of the training set" if len(real.training) else "one half of the groups"


def _value(table: Table, key: str) -> float:
    row = table.row(key)
    return float("nan") if row is None else row.value(_SWD.key)


def _card(tables: Sequence[Table], directions: Sequence[tuple[str, str]]) -> Card:
    result, real, untranslated = (
        [_value(table, key) for table in tables] for key in ("translated", "real", "untranslated")
    )
    good = all(mine < floor for mine, floor in zip(result, untranslated))
    return Card(
        title="Do outputs look real? Texture distance",
        value=side_by_side(result),
        detail=f"{direction_words(directions)}; untranslated {side_by_side(untranslated)}, real slices "
        f"{side_by_side(real)}; lower is better",
        verdict="good" if good else "bad",
        words="nearer than the inputs" if good else "no nearer than the inputs",
    )
