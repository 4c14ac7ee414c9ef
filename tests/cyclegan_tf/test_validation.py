"""What chooses the best checkpoint."""

from types import SimpleNamespace

import numpy as np
import pytest

from common_tf.lite0 import lite0_embedding
from common_tf.pictures.intensity import quantise
from common_tf.pictures.phantom import draw_phantom
from common_tf.sources.cache import PreparedSlices
from common_tf.sources.scan_store import ScanStore
from common_tf.volumes.slices import middle_of_slabs
from cyclegan_tf.config import make_config
from cyclegan_tf.data import spread
from cyclegan_tf.directions import DIRECTIONS
from cyclegan_tf.validation import Validation

_HEADS = [draw_phantom(seed, size=64) for seed in range(24)]


class _Data:
    """Twelve drawn heads to train on and twelve to validate on, or fewer, each some times over."""

    pairs = None
    a, b = SimpleNamespace(name="CT"), SimpleNamespace(name="MRI")

    slices_in = middle_of = staticmethod(middle_of_slabs)

    def __init__(self, paired=False, *, different=12, times=1, store=None):
        self.dataset = SimpleNamespace(store=store)
        self.paired, self._different, self._count = paired, different, different * times

    def some(self, domain, split, most, config):
        first = 0 if split == "train" else 12
        chosen = [first + index % self._different for index in spread(self._count, most)]
        images = [quantise(getattr(_HEADS[i], domain.name.lower())) for i in chosen]
        return PreparedSlices(np.stack(images), np.stack([_HEADS[i].head for i in chosen]))


@pytest.fixture
def validation(monkeypatch):
    """Of a translator that does something to images, given by direction."""

    def make(change, *, has_cycle=True, data=None, **options):
        class Array:
            def __init__(self, networks, channels):
                self._networks = networks

            def __call__(self, images, direction):
                return np.stack([self._networks[direction](image) for image in images]).astype(np.float32)

        monkeypatch.setattr("cyclegan_tf.validation.ArrayTranslator", Array)
        translator = SimpleNamespace(inference_networks=lambda: dict(zip(DIRECTIONS, change)), has_cycle=has_cycle)
        config = make_config({"image_size": 64, **options})
        return Validation(translator, config, data or _Data())

    return make


def _known(images):
    """A table from one side of a head to the other."""
    return {quantise(getattr(head, images[0])).tobytes(): getattr(head, images[1]) for head in _HEADS}


def _right(image, table):
    return table[quantise(image).tobytes()]


def test_the_truth_is_chosen_before_a_copy_and_before_noise(validation, random):
    there, back = (_known(sides) for sides in (("ct", "mri"), ("mri", "ct")))
    noise = random.uniform(size=(64, 64))
    first = validation((lambda image: image, lambda image: image))
    copied = first.figures()
    right = validation((lambda image: _right(image, there), lambda image: _right(image, back))).figures()
    noisy = validation((lambda image: noise, lambda image: noise)).figures()
    assert right["score"] < copied["score"] < noisy["score"]
    assert right["kid_a_to_b"] < copied["kid_a_to_b"] and right["cycle_mae_a"] < 2e-3
    assert right["precision_a_to_b"] > copied["precision_a_to_b"]
    references = first.references()
    assert references["untranslated_kid_a_to_b"] == copied["kid_a_to_b"]
    assert references["real_kid_a_to_b"] < copied["kid_a_to_b"]
    assert "EfficientNet-Lite0" in first.figure and "cycle MAE" in first.figure


def test_features_of_real_slices_are_computed_once_and_not_again_by_a_later_start(validation, monkeypatch, tmp_path):
    embedded = []

    def counted():
        return lambda images: embedded.append(len(images)) or lite0_embedding()(images)

    monkeypatch.setattr("cyclegan_tf.validation.lite0_embedding", counted)
    same = (lambda image: image, lambda image: image)
    first = validation(same, data=_Data(store=ScanStore(tmp_path)))
    references, figures = first.references(), first.figures()
    assert len(embedded) == 6  # real and training slices of both domains, and two translations
    later = validation(same, data=_Data(store=ScanStore(tmp_path)))
    assert later.references() == references and later.figures() == figures and len(embedded) == 8
    store = ScanStore(tmp_path)
    store._base.execute("UPDATE results SET array = substr(array, 1, length(array) / 2)")
    store._base.commit()
    damaged = validation(same, data=_Data(store=ScanStore(tmp_path)))
    assert damaged.references() == references and len(embedded) == 12
    del embedded[:]
    other = validation(same, data=_Data(different=11, times=2, store=ScanStore(tmp_path)))
    assert other.references() != references and len(embedded) == 4
    assert validation(same).references() == references and len(embedded) == 8  # nothing is kept, and all is the same


def test_a_score_is_made_of_parts_in_units_of_chance(validation):
    """A change by one unit of any part moves the score by one half: there are two directions."""
    one = validation((lambda image: image, lambda image: image))
    figures, unit = one.figures(), one._units["a_to_b"]
    assert unit == validation((lambda image: image * 0, lambda image: image))._units["a_to_b"] and min(unit) > 0
    for name, size, sign in (
        ("kid_a_to_b", unit.kid, 1),
        ("cycle_mae_a", unit.cycle, 1),
        ("edges_a_to_b", unit.edges, -1),
    ):
        moved = one._score({**figures, name: figures[name] + sign * size})
        assert moved == pytest.approx(figures["score"] + 0.5)


def test_a_system_without_a_cycle_is_held_by_edges(validation):
    one = validation((lambda image: image, lambda image: image), has_cycle=False)
    assert "cycle" not in one.figure and not any("cycle" in name for name in one.figures())
    shifted = validation((lambda image: np.roll(image, 9, 0), lambda image: np.roll(image, 9, 0)), has_cycle=False)
    assert shifted.figures()["score"] > one.figures()["score"]


def test_few_slices_and_those_who_ask_for_it_are_judged_by_texture(validation):
    few = validation((lambda image: image, lambda image: image), validation_images=9)
    asked = validation((lambda image: image, lambda image: image), choose_by="texture")
    for one in (few, asked):
        figures = one.figures()
        assert not any("kid" in name for name in figures) and "Wasserstein" in one.figure
        parts = [figures[f"distance_{there}"] + 5 * figures[f"cycle_mae_{source}"] for there, source in
                 (("a_to_b", "a"), ("b_to_a", "b"))]  # fmt: skip
        assert figures["score"] == pytest.approx(np.mean(parts))


def test_copies_are_no_measure_of_chance(validation):
    """Half a turn of slices that repeat brings each before its copy, whose edges agree in all."""
    same = (lambda image: image, lambda image: image)
    twice = validation(same, data=_Data(times=2))
    assert twice.figures()["score"] > 0
    np.testing.assert_allclose(twice._units["a_to_b"], validation(same)._units["a_to_b"], rtol=1e-4)
    few = validation(same, data=_Data(different=3, times=8))
    assert "Wasserstein" in few.figure and np.isfinite(few.figures()["score"])


def test_pairs_beside_choose_where_that_is_asked_for(validation):
    """Their error in the head alone, by another way than `mae`; what lies outside does not count."""
    pairs = _Data()
    pairs.pairs = SimpleNamespace(chosen=lambda split: [1] if split == "validation" else [])
    pairs.pair_slices = lambda split, size: {
        letter: pairs.some(domain, split, 5, None) for letter, domain in (("a", pairs.a), ("b", pairs.b))
    }
    heads = [_HEADS[12 + index] for index in spread(12, 5)]
    errors = [np.abs(quantise(head.ct) / 255.0 - quantise(head.mri) / 255.0)[head.head].mean() for head in heads]
    one = validation((lambda image: image, lambda image: image), data=pairs, choose_by="pairs", pairs="pairs")
    figures = one.figures()
    assert figures["score"] == pytest.approx(np.mean(errors), rel=1e-4)
    assert "pairs beside" in one.figure and {"kid_a_to_b", "cycle_mae_a", "edges_a_to_b"} <= set(figures)
    usual = validation((lambda image: image, lambda image: image), data=pairs, pairs="pairs")
    assert usual.figures()["pair_mae_a_to_b"] == figures["pair_mae_a_to_b"] and "pairs" not in usual.figure
    assert usual.figures()["score"] == validation((lambda image: image, lambda image: image)).figures()["score"]


def test_pairs_are_judged_by_their_truth(validation):
    there, back = (_known(sides) for sides in (("ct", "mri"), ("mri", "ct")))
    right = validation((lambda image: _right(image, there), lambda image: _right(image, back)), data=_Data(paired=True))
    assert right.figures()["score"] == pytest.approx(0.0, abs=2e-3)
