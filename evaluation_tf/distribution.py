"""Does the set of translated images look like the set of real ones?"""

import numpy as np

from common_tf.metrics import frechet, kernel
from common_tf.metrics.distribution import sliced_wasserstein
from evaluation_tf.cache import ArrayCache
from evaluation_tf.features import Extractor
from evaluation_tf.measurement import Column, Gap, Measurement, Row, Section, Table, plain_number
from evaluation_tf.outputs import Outputs
from evaluation_tf.slices import TestSet

SWD = Column(
    "swd",
    "Texture distance",
    "sliced Wasserstein distance of 7x7 patches over a Laplacian pyramid (after Karras et al. 2018), in standard "
    "deviations of the real patches; squares of the network's size on [0, 1]; no trained network",
    better="lower",
)


def _columns(extractor: Extractor) -> list:
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


def distribution_section(outputs: Outputs, test: TestSet, extractors: list, cache: ArrayCache) -> Section:
    """Distances of both directions' outputs to real slices, beside real against real and untranslated against real.

    Args:
        outputs: of the translator.
        test: its test set.
        extractors: networks whose features are compared; may be empty.
        cache: of features.
    """
    section = Section(
        key="distribution",
        title="Do translated images look real?",
        intro="Distances between the set of translated slices and real slices of the target domain. They say "
        "nothing of any single image: a generator that ignores its input can score well here.",
    )
    columns = [SWD] + [column for extractor in extractors for column in _columns(extractor)]
    for source in outputs.sources:
        target = outputs.target(source)
        given, real = test.slices[source], test.slices[target]
        fake, _ = outputs.squares(given.squares, source)
        reference, unseen = _halves(real)
        count = min(len(reference), len(unseen), len(fake))
        chosen = np.sort(np.random.default_rng(0).permutation(len(fake))[:count])
        rows = (
            (f"{source} translated to {target}", fake[chosen], "result"),
            (f"real {target}, other slices", unseen[:count], "reference"),
            (f"{source}, untranslated", given.squares[chosen], "floor"),
        )
        table = Table(
            key=f"distribution_{source}2{target}",
            title=f"{source} to {target}",
            columns=columns,
            rows=[],
            caption=f"Each row against the same {count} real {target} slices ({_reference_words(real)}), with {count} "
            "slices of its own.",
        )
        for name, squares, kind in rows:
            cells = {SWD.key: plain_number(float(cache.values("swd", _texture, reference[:count], squares)), count)}
            for extractor in extractors:
                cells.update(_distances(extractor, reference[:count], squares, cache, section))
            table.rows.append(Row(name, cells, kind))
        section.tables.append(table)
        _warn(section, table, source, target)
    return section


def _warn(section: Section, table: Table, source: str, target: str) -> None:
    result, _, untranslated = (row.cells[SWD.key].value for row in table.rows)
    if result >= untranslated:
        section.warnings.append(
            f"{source} to {target}: by texture the outputs are no nearer to {target} than the inputs"
        )


def _halves(real) -> tuple:
    """Reference and held-out real slices: training against test where there are training slices, else two halves of
    whole groups.
    """
    if len(real.training):
        return real.training, real.squares
    names = np.unique(real.groups)
    first = np.isin(real.groups, np.random.default_rng(0).permutation(names)[: len(names) // 2])
    return real.squares[first], real.squares[~first]


def _reference_words(real) -> str:
    return "of the training set" if len(real.training) else "one half of the near-duplicate groups"


def _distances(extractor, reference, squares, cache, section) -> dict:
    cells, (distance, likeness) = {}, _columns(extractor)
    features = [extractor.features(images, cache).astype(np.float64) for images in (reference, squares)]
    try:
        cells[distance.key] = plain_number(frechet.frechet_distance(*features), len(squares))
    except ValueError as error:
        _gap(section, distance.title, str(error))
    try:
        result = kernel.kernel_distance(*features)
        spread = 100 * result["standard_deviation"]
        cells[likeness.key] = Measurement(
            100 * result["mean"],
            len(squares),
            100 * result["mean"] - spread,
            100 * result["mean"] + spread,
            f"mean -+ one standard deviation over {result['subsets']} subsets of {result['subset_size']}",
        )
    except ValueError as error:
        _gap(section, likeness.title, str(error))
    return cells


def _gap(section: Section, what: str, reason: str) -> None:
    gap = Gap(what, reason)
    if gap not in section.gaps:
        section.gaps.append(gap)


def _texture(first: np.ndarray, second: np.ndarray) -> float:
    return sliced_wasserstein(first.astype(np.float32) / 255, second.astype(np.float32) / 255)
