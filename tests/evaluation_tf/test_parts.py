"""Parts of an evaluation with answers that are known beforehand."""

import numpy as np
import pytest

from common_tf.images.intensity import quantise
from common_tf.images.pairs import PairedPictures
from common_tf.images.phantom import draw_phantom
from evaluation_tf.cache import ArrayCache, content_hash
from evaluation_tf.content import content_section
from evaluation_tf.diagnosis import flip_rates
from evaluation_tf.distribution import distribution_section
from evaluation_tf.features import Extractor
from evaluation_tf.gallery import best_median_worst
from evaluation_tf.measurement import Row, Section, Table
from evaluation_tf.outputs import PERTURBATIONS
from evaluation_tf.panel import Verdicts
from evaluation_tf.similarity import pair_section
from evaluation_tf.slices import Slices, TestSet
from evaluation_tf.summary import highlights

HEADS = [draw_phantom(seed, size=48) for seed in range(24)]


class _Fake:
    """Outputs of a translator that does one thing to every picture."""

    class translator:
        class config:
            domain_names = ("CT", "MRI")

    sources, has_cycle = ("CT", "MRI"), True

    class cache:
        """Keeps nothing."""

        @staticmethod
        def values(name, function, *inputs, **options):
            return function(*inputs, **options)

    def __init__(self, change):
        self._change = change

    def target(self, source):
        return {"CT": "MRI", "MRI": "CT"}[source]

    def pictures(self, pictures, source):
        return [self._change(picture) for picture in pictures]

    def squares(self, squares, source):
        fake = np.stack([self._change(square) for square in squares])
        return fake, squares

    def perturbed_cycles(self, squares, masks, source):
        return {name: np.full(len(squares), 0.01) for name in ("untouched", *PERTURBATIONS)}


@pytest.fixture(scope="module")
def pairs():
    return PairedPictures(
        names=[str(number) for number in range(len(HEADS))],
        images={"CT": _stack("ct"), "MRI": _stack("mri")},
        mask=np.stack([head.head for head in HEADS]),
        groups=np.arange(len(HEADS)) // 2,
        group_word="patients",
    )


@pytest.fixture(scope="module")
def test_set():
    slices = {}
    for name, side in (("CT", "ct"), ("MRI", "mri")):
        squares = _stack(side)
        masks = np.stack([head.head for head in HEADS])
        slices[name] = Slices(name, squares, masks, [""] * len(squares), np.arange(len(squares)), squares[::-1])
    return TestSet(slices, "", ())


def _stack(side):
    return np.stack([quantise(getattr(head, side)) for head in HEADS])


def _row(section, table, name):
    return next(row for row in section.table(table).rows if row.name.startswith(name))


def test_a_copy_and_a_black_image_land_on_their_floors(pairs):
    for change, floor in ((lambda picture: picture, "floor: copy"), (np.zeros_like, "floor: black")):
        section = pair_section(_Fake(change), pairs, None, "heads")
        for table in ("pairs_CT2MRI_head", "pairs_MRI2CT_full"):
            mine, beside = _row(section, table, "translator"), _row(section, table, floor)
            assert {k: v.value for k, v in mine.cells.items() if v.value == v.value} == {
                k: v.value for k, v in beside.cells.items() if v.value == v.value
            }
        assert any("does not beat" in warning for warning in section.warnings)


def test_the_truth_itself_is_perfect_and_beats_every_floor(pairs):
    truth = {image.tobytes(): pairs.images["MRI"][i] for i, image in enumerate(pairs.images["CT"])}
    back = {image.tobytes(): pairs.images["CT"][i] for i, image in enumerate(pairs.images["MRI"])}
    section = pair_section(_Fake(lambda picture: {**truth, **back}[picture.tobytes()]), pairs, None, "heads")
    row = _row(section, "pairs_CT2MRI_head", "translator")
    assert row.cells["mae"].value == 0 and row.cells["ssim"].value == pytest.approx(1)
    assert not section.warnings


def test_collapse_and_inversion_are_called_by_name(test_set):
    copied = content_section(_Fake(lambda picture: picture), test_set)
    assert any("identity collapse" in warning for warning in copied.warnings)
    assert any("gray-value table" in warning for warning in copied.warnings)
    negative = content_section(_Fake(lambda picture: 255 - picture), test_set)
    assert any("inversion" in warning for warning in negative.warnings)
    one = test_set.slices["MRI"].squares[0]
    same = content_section(_Fake(lambda picture: one), test_set)
    assert any("differ from each other 0%" in warning for warning in same.warnings)


def test_hidden_signals_are_called_by_name(test_set):
    class Hiding(_Fake):
        def perturbed_cycles(self, squares, masks, source):
            errors = super().perturbed_cycles(squares, masks, source)
            return {name: error if name == "untouched" else 9 * error for name, error in errors.items()}

    section = content_section(Hiding(lambda picture: picture), test_set)
    assert any("9.0 times" in warning and "hidden" in warning for warning in section.warnings)


def test_distances_know_real_from_untranslated(test_set, tmp_path):
    extractor = Extractor(
        name="mean and spread",
        description="of rows",
        is_inception=False,
        key="k",
        size=16,
        channels=1,
        function=lambda images: np.asarray(images)[..., 0].mean(axis=1),
    )
    cache = ArrayCache(tmp_path)
    section = distribution_section(_Fake(lambda picture: picture), test_set, [extractor], cache)
    translated, real, untranslated = section.table("distribution_CT2MRI").rows
    for key in ("swd", "frechet_detector", "kid_detector"):
        assert translated.cells[key].value == untranslated.cells[key].value > real.cells[key].value
    assert real.cells["frechet_detector"].value == pytest.approx(0, abs=1e-6)
    assert any("no nearer" in warning for warning in section.warnings)
    made = cache.misses
    again = distribution_section(_Fake(lambda picture: picture), test_set, [extractor], cache)
    assert cache.misses == made and again.tables == section.tables


def test_flips_count_each_side_against_its_own():
    before = Verdicts(np.array([0.9, 0.8, 0.7, 0.1, 0.2, 0.3, 0.4, 0.45]), np.full(8, 0.5))
    after = Verdicts(np.array([0.9, 0.4, 0.7, 0.9, 0.2, 0.3, 0.4, 0.45]), np.full(8, 0.5))
    rates = flip_rates(before, after, np.arange(8))
    assert rates["lost"].value == pytest.approx(1 / 3) and rates["lost"].n == 3
    assert rates["gained"].value == pytest.approx(1 / 5) and rates["gained"].n == 5
    assert rates["agreement"].value == pytest.approx(6 / 8)
    assert rates["agreement"].low < rates["agreement"].value < rates["agreement"].high


def _survival_card(was, now):
    before, after = (Verdicts(np.array(called, float), np.full(len(called), 0.5)) for called in (was, now))
    row = Row("cycled", flip_rates(before, after, np.arange(len(was))))
    section = Section(key="diagnosis", title="", intro="", tables=[Table("flips", "", (), [row])])
    (card,) = highlights([section], ("CT", "MRI"))
    return card.verdict, card.words


def test_the_summary_judges_changed_diagnoses_by_their_intervals():
    """1: called tumour, 0: called healthy."""
    sick, healthy = [1] * 40, [0] * 40
    assert _survival_card(sick + healthy, sick + healthy)[0] == "good"
    assert _survival_card(sick + healthy, [0] * 20 + sick[20:] + healthy) == ("bad", "no: tumours are lost")
    assert _survival_card(sick + healthy, [0] * 80)[0] == "bad"
    assert _survival_card(sick + healthy, sick + [1] * 30 + [0] * 10) == ("bad", "no: tumours are gained")
    assert _survival_card(sick + healthy, [0] * 5 + sick[5:] + healthy)[0] == "open", "an interval around .125"
    assert _survival_card(sick[:5] + healthy, sick[:5] + healthy)[0] == "open", "five tumours acquit nobody"
    assert _survival_card(sick, sick)[0] == "open", "nobody was called healthy"


def test_best_median_and_worst_are_different_cases():
    errors = np.array([5.0, 1.0, 4.0, 2.0, 3.0, 9.0, 8.0])
    assert best_median_worst(errors) == [1, 3, 4, 2, 6, 5]
    assert best_median_worst(np.array([2.0, 1.0])) == [1, 0]


def test_the_cache_keeps_by_content_and_survives_damage(tmp_path):
    calls = []

    def compute():
        calls.append(1)
        return {"x": np.arange(3)}

    cache = ArrayCache(tmp_path)
    key = content_hash("kind", np.arange(4))
    assert key != content_hash("kind", np.arange(4).reshape(2, 2)) != content_hash("other", np.arange(4))
    for _ in range(2):
        np.testing.assert_array_equal(cache.arrays(key, compute)["x"], np.arange(3))
    assert len(calls) == 1 and cache.hits == 1
    file = next(tmp_path.glob("*.npz"))
    file.write_bytes(file.read_bytes()[:20])
    np.testing.assert_array_equal(ArrayCache(tmp_path).arrays(key, compute)["x"], np.arange(3))
    assert len(calls) == 2
