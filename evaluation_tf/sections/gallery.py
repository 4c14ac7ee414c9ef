"""Pictures of the best, the median and the worst cases."""

import numpy as np

from common_tf.metrics.similarity.mae import mae
from common_tf.pictures.grid import SYNTHETIC_NOTICE, save_grid
from evaluation_tf.context import Context
from evaluation_tf.images import Images
from evaluation_tf.parts import Figure, Section
from evaluation_tf.sections._directions import direction_key
from evaluation_tf.translations import Translations

ORDER = 5
_EACH = 2
_CELL = 150
_WORDS = f"Rows: the {_EACH} best, the {_EACH} nearest to the median, and the {_EACH} worst"


def build(context: Context) -> Section | None:
    """Best, median and worst of both directions: by error against the truth where there is one, else by the cycle's."""
    outputs = context.translation
    if outputs is None or context.is_volumetric:
        return None
    section = Section(key="gallery", title="Best, median and worst cases", intro="Chosen by number, not by eye.")
    for source in outputs.sources:
        target = outputs.target(source)
        found = _with_truth(context, outputs, source) or _with_cycle(context, outputs, source)
        if found is None:
            section.add_gap(f"{source} to {target}", "neither a truth nor a way back to choose cases by")
            continue
        columns, titles, by, count = found
        file = f"gallery_{direction_key(source, target)}.png"
        save_grid(context.figures / file, columns, titles=titles, footer=SYNTHETIC_NOTICE, cell=_CELL)
        caption = f"{source} to {target}. {_WORDS} of {count} by {by}."
        section.figures.append(Figure(file, caption, caption))
    return section


def best_median_worst(errors: np.ndarray, each: int = _EACH) -> list[int]:
    """Indices of the ``each`` smallest, the ones around the median, and the largest; none twice."""
    order = np.argsort(errors, kind="stable")
    middle = max(0, (len(order) - each) // 2)
    chosen = [*order[:each], *order[middle : middle + each], *order[-each:]]
    return list(dict.fromkeys(int(index) for index in chosen))


def _with_truth(context: Context, outputs: Translations, source: str) -> tuple | None:
    pairs, target = context.pairs, outputs.target(source)
    if pairs is None:
        return None
    given, truth = pairs.images[source], pairs.images[target]
    fake = outputs.pictures(given.pictures(), source).images()
    columns, count = _columns(context, given, fake, truth, (fake, truth), pairs.mask)
    titles = [f"{source}, input", f"{target}, synthetic", f"{target}, truth", "difference"]
    return columns, titles, f"mean absolute error against the true {target} in the head", count


def _with_cycle(context: Context, outputs: Translations, source: str) -> tuple | None:
    if context.test is None or not outputs.has_cycle:
        return None
    slices, target = context.test.slices[source], outputs.target(source)
    fake, cycled = outputs.squares(slices.squares, source)
    assert cycled is not None
    columns, count = _columns(context, slices.squares, fake, cycled, (slices.squares, cycled), slices.masks)
    titles = [f"{source}, input", f"{target}, synthetic", f"back to {source}", "cycle difference"]
    by = f"mean absolute error of the cycle back to {source} in the head; there is no truth to compare with"
    return columns, titles, by, count


def _columns(
    context: Context, given: Images, fake: Images, last: Images, compared: tuple[Images, Images], mask: Images
) -> tuple[list[np.ndarray], int]:
    """Chosen rows of input, output, what it is compared with, and the difference inside the head."""
    errors = context.cache.per_image("mae", mae, *compared, mask=mask)
    chosen = np.array(best_median_worst(errors))
    difference = np.abs(compared[0].scaled(chosen) - compared[1].scaled(chosen)) * mask.scaled(chosen)
    return [*(one.scaled(chosen) for one in (given, fake, last)), difference], len(errors)
