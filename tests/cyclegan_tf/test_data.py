"""Pairs by patient, and drawn pairs."""

import numpy as np
import pytest
from scipy import ndimage

from common_tf.pictures.phantom import draw_phantom, weak_field
from common_tf.sources.drawn import phantom_side
from cyclegan_tf.config import make_config
from cyclegan_tf.data import load_training_data


def test_pairs_train_by_patient(strips):
    """Whole patients are held out; a paired and an unpaired system take the same folder."""
    for model in ("pix2pix", "cyclegan"):
        config = make_config(dict(model=model, data=str(strips), image_size=32))
        data = load_training_data(config, paired=model == "pix2pix")
        assert data.paired == (model == "pix2pix") and data.dataset.source.is_aligned
        assert data.dataset.group_word == "patients"
        sides = {}
        for row in data.dataset.rows(data.splits):
            assert len(row.sha256) == 64 and len(row.phash) == 16
            sides.setdefault(row.group, set()).add(row.split)
        assert len(sides) == 5 and all(len(side) == 1 for side in sides.values())
        assert {split for side in sides.values() for split in side} == {"train", "validation", "test"}


@pytest.mark.parametrize("preset", ["fast", "field-strength"])
def test_drawn_pairs_share_a_frame(preset):
    config = make_config(dict(model="pix2pix", image_size=64, phantoms=6, preset=preset))
    data = load_training_data(config, paired=True)
    assert data.a.preparation == data.b.preparation
    first, second = (data.slices(domain, data.chosen(domain, "train"), 64).masks for domain in (data.a, data.b))
    np.testing.assert_array_equal(first, second)


def test_drawn_field_strengths_differ_as_scanners_do():
    heads = [draw_phantom(seed, size=64) for seed in range(4)]
    for head in heads:
        weak, strong = (phantom_side(head, side) for side in ("weak", "mri"))
        np.testing.assert_array_equal(weak, weak_field(head.mri))  # the same each time
        np.testing.assert_array_equal(strong, head.mri)
        outside = ~ndimage.binary_dilation(head.head, iterations=3)
        assert weak[outside].std() > 1.5 * strong[outside].std()
        assert 0.8 < np.corrcoef(weak[head.head], strong[head.head])[0, 1] < 0.999
