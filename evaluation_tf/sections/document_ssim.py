"""The quantity that the founding document's table calls SSIM, and why it misleads."""

import numpy as np

from common_tf.measurement.measurement import plain_number
from common_tf.measurement.tables import Column, Row, Table
from common_tf.metrics.all_pairs import all_pairs_ssim
from evaluation_tf.context import Context
from evaluation_tf.images import Images
from evaluation_tf.parts import Section
from evaluation_tf.sections._directions import direction_key

ORDER = 90
_MOST = 40
_COLUMN = Column(
    "all_pairs_ssim",
    "SSIM as in the document",
    "mean over all real x translated pairs; uniform 7x7 window, data range 2 on [0, 1] images",
)


def build(context: Context) -> Section | None:
    """SSIM of every real image with every translated one, and of images that no translator made."""
    outputs, test = context.translation, context.test
    if outputs is None or test is None:
        return None
    section = Section(
        key="document_ssim",
        title="SSIM as in the document",
        intro="The code behind the document's .80 to .88 averages SSIM over every real times every translated "
        "image, with a data range of 2 for images on [0, 1]. It never looks at the input or at a truth: shuffling "
        "the outputs, or giving every patient the same head, leaves it unchanged. It is shown here for that "
        "comparison only.",
    )
    rows = []
    for source in outputs.sources:
        target = outputs.target(source)
        real = _spread(test.slices[target].squares)
        fake = _spread(outputs.squares(test.slices[source].squares, source)[0])
        for key, label, images, kind in (
            ("translated", "translated", fake, "result"),
            ("one", "one output for all", fake.chosen(np.array([0, 0])), "floor"),
            ("black", "black images", Images.of(np.zeros_like(real.pixels[:1])), "floor"),
        ):
            value = context.cache.of_sets("all pairs", all_pairs_ssim, real, images)
            cells = {_COLUMN.key: plain_number(value, len(real) * len(images))}
            rows.append(Row(f"{source} to {target}, {label}", cells, kind, f"{direction_key(source, target)}/{key}"))
    caption = f"n counts pairs; at most {_MOST} images of a side, spread evenly over the test slices."
    section.tables.append(Table("document_ssim", "SSIM over all pairs", [_COLUMN], rows, caption))
    return section


def _spread(images: Images) -> Images:
    return images.chosen(np.linspace(0, len(images) - 1, min(_MOST, len(images))).astype(int))
