"""What becomes of lesions that are known, as drawn heads have them."""

import numpy as np

from common_tf.measurement.measurement import measure
from common_tf.measurement.tables import Column, Row, Table
from common_tf.metrics.content import lesion_contrast
from evaluation_tf.images import Images, batches
from evaluation_tf.pairs import Pairs
from evaluation_tf.panel import Panel
from evaluation_tf.verdicts import Question

_VISIBLE_CONTRAST = 0.05
_LESIONS = (
    Column("kept", "Contrast kept", "median of lesion contrast in the output over that in the truth; contrast: "
           f"mean in the lesion minus mean in a ring around it, where the truth's is above {_VISIBLE_CONTRAST:g}; "
           "1 is right"),
    Column("sign", "Right sign", "share of these lesions whose contrast has the right sign", "higher"),
    Column("hallucinated", "Hallucinated", "of the heads without a lesion that were called healthy in the true "
           "image, the share called tumour after", "lower"),
)  # fmt: skip


def lesion_table(panel: Panel, heads: Pairs, asked: Question, domain: str) -> Table:
    """Contrast kept and lesions invented.

    Args:
        panel: the detector.
        heads: drawn ones.
        asked: about the same heads.
        domain: name of the detector's modality.
    """
    truth = _contrast(heads.images[domain], heads)
    visible = np.abs(truth) > _VISIBLE_CONTRAST
    clean = ~asked.tumour & ~panel.judge(asked.before).called
    rows = []
    for key, (name, pictures) in asked.after.items():
        ratio = np.where(visible, _contrast(pictures.images(), heads) / np.where(visible, truth, 1.0), np.nan)
        after = panel.judge(pictures)
        cells = {
            "kept": measure(ratio, of="lesions", statistic=np.median),
            "sign": measure(np.where(visible, ratio > 0, np.nan), of="lesions"),
            "hallucinated": measure(np.where(clean, after.called, np.nan), of="heads"),
        }
        rows.append(Row(name, cells, key=key))
    return Table("lesions", "Known lesions of drawn heads", _LESIONS, rows)


def _contrast(images: Images, heads: Pairs) -> np.ndarray:
    assert heads.lesion is not None
    parts = batches(len(images))
    return np.concatenate(
        [lesion_contrast(images.scaled(part), heads.lesion[part], heads.mask.pixels[part]) for part in parts]
    )
