"""Sections of a report with answers that are known beforehand."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from common_tf.measurement.tables import Row
from common_tf.pictures.intensity import quantise
from common_tf.pictures.phantom import draw_phantom
from evaluation_tf import two_sample
from evaluation_tf.cache import ArrayCache
from evaluation_tf.features import Extractor
from evaluation_tf.images import Images, Pictures
from evaluation_tf.pairs import Pairs
from evaluation_tf.panel import Verdicts
from evaluation_tf.parts import Section
from evaluation_tf.perturbations import PERTURBATIONS
from evaluation_tf.sections import content, diagnosis, distribution, document, document_ssim, pairs
from evaluation_tf.sections._rates import rate_table
from evaluation_tf.sections.gallery import best_median_worst
from evaluation_tf.slices import Slices, TestSet
from evaluation_tf.verdicts import flip_rates

HEADS = [draw_phantom(seed, size=48) for seed in range(24)]
HEAD_MASKS = np.stack([head.head for head in HEADS])


@pytest.fixture(autouse=True)
def _long_enough(monkeypatch):
    monkeypatch.setattr(two_sample, "EPOCHS", 4)


class _Fake:
    """Translations of a translator that does one thing to every picture."""

    sources = domains = ("CT", "MRI")
    has_cycle = True

    def __init__(self, change):
        self._change = change

    def target(self, source):
        return {"CT": "MRI", "MRI": "CT"}[source]

    def pictures(self, pictures, source):
        return Images.of(self._changed([picture.pixels for picture in pictures.items])).pictures()

    def squares(self, squares, source):
        return Images.of(self._changed(squares.pixels)), squares

    def perturbed_cycles(self, squares, masks, source):
        return {name: np.full(len(squares), 0.01) for name in ("untouched", *PERTURBATIONS)}

    def _changed(self, images):
        return np.stack([self._change(image) for image in images])


def _images(side):
    return Images.of(np.stack([quantise(getattr(head, side)) for head in HEADS]))


def _slices(name, side, **more):
    squares, count = _images(side), len(HEADS)
    training = squares.chosen(np.arange(count)[::-1])
    groups = np.arange(count)
    return Slices(name, squares, Images.of(HEAD_MASKS), groups, "heads", training, groups + count, **more)


@pytest.fixture
def context(tmp_path):
    """A context of one change to every picture, with 24 drawn heads of 12 patients."""

    def make(change, **more):
        aligned = Pairs(
            name="heads",
            images={"CT": _images("ct"), "MRI": _images("mri")},
            mask=Images.of(HEAD_MASKS),
            groups=np.arange(len(HEADS)) // 2,
            group_word="patients",
        )
        test = TestSet({"CT": _slices("CT", "ct"), "MRI": _slices("MRI", "mri")}, "", ())
        given = dict(
            translation=_Fake(change), test=test, pairs=aligned, fitting=None, extractors=[], gaps=[], sections=[],
            cache=ArrayCache(tmp_path / "cache"), domains=("CT", "MRI"),
        )  # fmt: skip
        return SimpleNamespace(**{**given, **more})

    return make


def _same(picture):
    return picture


def test_a_copy_and_a_black_image_land_on_their_floors(context):
    for change, floor in ((_same, "copy"), (np.zeros_like, "black")):
        section = pairs.build(context(change))
        for key in ("pairs_CT2MRI_head", "pairs_MRI2CT_full"):
            table = section.table(key)
            mine, beside = table.row("translator"), table.row(floor)
            assert {k: v.value for k, v in mine.cells.items() if v.value == v.value} == {
                k: v.value for k, v in beside.cells.items() if v.value == v.value
            }
        assert any("does not beat" in warning for warning in section.warnings)
        assert section.card.verdict == "bad"


def test_the_truth_itself_is_perfect_and_beats_every_floor(context):
    ct, mri = _images("ct").pixels, _images("mri").pixels
    truth = {image.tobytes(): mri[i] for i, image in enumerate(ct)}
    truth.update({image.tobytes(): ct[i] for i, image in enumerate(mri)})
    section = pairs.build(context(lambda picture: truth[picture.tobytes()]))
    row = section.table("pairs_CT2MRI_head").row("translator")
    assert row.value("mae") == 0 and row.value("ssim") == pytest.approx(1)
    assert not section.warnings and section.card.verdict == "good"


def test_floors_are_fitted_on_everybody_but_the_patient_they_are_for(context):
    """Against a table and a mean that are made here, pixel by pixel."""
    section = pairs.build(context(_same))
    ct, mri = _images("ct").pixels, _images("mri").pixels
    errors = {"table": [], "mean": []}
    for patient in range(len(HEADS) // 2):
        mine = np.arange(len(HEADS)) // 2 == patient
        lookup = np.zeros(256)
        seen = np.unique(ct[~mine])
        for level in seen:
            lookup[level] = mri[~mine][ct[~mine] == level].mean()
        lookup = np.interp(np.arange(256), seen, lookup[seen])
        for name, guess in (("table", lookup[ct[mine]]), ("mean", mri[~mine].mean(axis=0)[None])):
            difference = np.abs(np.round(guess) - mri[mine]) / 255
            errors[name] += [one[inside].mean() for one, inside in zip(difference, HEAD_MASKS[mine])]
    for name, values in errors.items():
        row = section.table("pairs_CT2MRI_head").row(name)
        assert row.value("mae") == pytest.approx(np.mean(values), abs=1e-5)
        assert "fitted on the other patients" in row.name


def test_few_patients_are_said_and_slices_resampled(context):
    made = context(_same)
    object.__setattr__(made.pairs, "groups", np.arange(len(HEADS)) // 8)
    section = pairs.build(made)
    assert "slices of 3 patients: their intervals say nothing of other patients" in section.warnings[0]
    cell = section.table("pairs_CT2MRI_head").row("translator").cells["mae"]
    assert cell.groups == 24 and "slices of 3 patients" in cell.interval


def test_collapse_and_inversion_are_called_by_name(context):
    copied = content.build(context(_same))
    assert any("identity collapse" in warning for warning in copied.warnings)
    assert any("gray-value table" in warning for warning in copied.warnings)
    negative = content.build(context(lambda picture: 255 - picture))
    assert any("inversion" in warning for warning in negative.warnings)
    one = _images("mri").pixels[0]
    same = content.build(context(lambda picture: one))
    assert any("differ from each other 0%" in warning for warning in same.warnings)


def test_hidden_signals_are_called_by_name(context):
    class Hiding(_Fake):
        def perturbed_cycles(self, squares, masks, source):
            errors = super().perturbed_cycles(squares, masks, source)
            return {name: error if name == "untouched" else 9 * error for name, error in errors.items()}

    section = content.build(context(None, translation=Hiding(_same)))
    assert any("9.0 times" in warning and "hidden" in warning for warning in section.warnings)
    assert (section.card.verdict, section.card.value) == ("bad", "0.010 / 0.010")
    honest = content.build(context(_same))
    assert honest.card.verdict == "good"


def _brightness(images):
    return np.asarray(images)[..., 0].mean(axis=1)


def test_distances_know_real_from_untranslated(context):
    extractor = Extractor(
        word="detector", name="Spread", kernel_name="Kernel", description="of rows", key="k", size=16, channels=1,
        function=_brightness,
    )  # fmt: skip
    made = context(_same, extractors=[extractor])
    section = distribution.build(made)
    table = section.table("distribution_CT2MRI")
    translated, real, untranslated = (table.row(key) for key in ("translated", "real", "untranslated"))
    for key in ("swd", "frechet_detector", "kid_detector", "two_sample"):
        assert translated.value(key) == untranslated.value(key) > real.value(key)
    assert real.value("precision_detector") == real.value("recall_detector") == 1
    assert untranslated.value("precision_detector") < 1
    assert real.value("frechet_detector") == pytest.approx(0, abs=1e-6)
    assert any("no nearer" in warning for warning in section.warnings) and section.card.verdict == "bad"
    outlines = [section.table(f"distribution_{key}").row("outlines") for key in ("CT2MRI", "MRI2CT")]
    first, second = (row.cells["two_sample"] for row in outlines)
    assert first == second and (first.n, first.groups) == (48, 24) and 0.35 < first.value < 0.65  # the same heads
    assert "Outlines alone" in table.caption
    misses = made.cache.misses
    again = context(_same, extractors=[extractor])
    # As text: since Python 3.13 two dataclasses with the same nan differ.
    assert [one.as_csv() for one in distribution.build(again).tables] == [one.as_csv() for one in section.tables]
    assert again.cache.misses == 0 and again.cache.hits == misses


def test_heads_of_the_reference_are_not_compared_with_it(context):
    """Without training slices that is half of the heads; translated to their truth the others are the other half."""
    ct, mri = _images("ct").pixels, _images("mri").pixels
    truth = {image.tobytes(): mri[i] for i, image in enumerate(ct)}
    truth.update({image.tobytes(): ct[i] for i, image in enumerate(mri)})
    none = dict(training=Images.of(mri[:0]), training_groups=np.zeros(0, int))
    slices = {name: replace(_slices(name, name.lower()), **none) for name in ("CT", "MRI")}
    section = distribution.build(context(lambda picture: truth[picture.tobytes()], test=TestSet(slices, "", ())))
    table = section.table("distribution_CT2MRI")
    translated, real = (table.row(key).cells["swd"] for key in ("translated", "real"))
    assert translated.n == real.n == len(HEADS) // 2 and translated.value == real.value


def test_the_reference_is_not_the_first_slices_of_the_folder(context):
    """Of 24 slices of two patients, sorted by their names, the 12 that are compared are of both."""
    made = context(_same)
    training = Images.of(np.repeat(np.uint8([0, 255]), 12)[:, None, None] * np.ones((1, 48, 48), np.uint8))
    few = np.arange(12)
    real = made.test.slices["MRI"]
    groups = np.arange(24) + 100
    slices = Slices("MRI", real.squares.chosen(few), real.masks.chosen(few), few, "heads", training, groups)
    compared = []

    class Watching(ArrayCache):
        def of_sets(self, name, function, reference, squares):
            compared.append(reference.pixels)
            return super().of_sets(name, function, reference, squares)

    made.test = TestSet({"CT": made.test.slices["CT"], "MRI": slices}, "", ())
    made.cache = Watching(made.cache.folder)
    distribution.build(made)
    assert len(compared[0]) == 12 and {0, 255} == set(np.unique(compared[0]).tolist())


def test_slices_of_one_group_are_a_gap_and_no_traceback(context):
    made = context(_same)
    alone = {
        name: Slices(
            name,
            one.squares,
            one.masks,
            np.zeros(len(one.squares), int),
            "heads",
            one.squares.chosen(np.zeros(0, int)),
            np.zeros(0, int),
        )
        for name, one in made.test.slices.items()
    }
    made.test = TestSet(alone, "", ())
    section = distribution.build(made)
    assert not section.tables and section.card is None
    assert len(section.gaps) == 2 and "of one group" in str(section.gaps[0])


def test_all_pairs_of_one_output_are_a_floor(context):
    section = document_ssim.build(context(_same))
    table = section.table("document_ssim")
    assert [row.key for row in table.rows[:3]] == ["CT2MRI/translated", "CT2MRI/one", "CT2MRI/black"]
    assert table.row("CT2MRI/translated").cells["all_pairs_ssim"].n == 24 * 24


def test_the_document_finds_its_numbers_by_their_keys(context):
    made = context(_same)
    made.sections = [distribution.build(made), pairs.build(made), document_ssim.build(made)]
    rows = {row.name: row for row in document.build(made).table("document").rows}
    wanted = made.sections[1].table("pairs_CT2MRI_head").row("translator").cells["mae"]
    assert rows["MAE against the truth, CT to MRI"].cells["ours"] == wanted
    wanted = made.sections[2].table("document_ssim").row("MRI2CT/translated").cells["all_pairs_ssim"]
    assert rows["SSIM, MRI to CT"].cells["ours"] == wanted
    assert rows["Accuracy of the detector"].cells["ours"] == "not measured in this report"


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
    made = diagnosis.card(Row("cycled", flip_rates(before, after, np.arange(len(was)))))
    return made.verdict, made.words


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


def test_a_detector_rates_no_slice_that_it_was_trained_on(context):
    class Panel:
        """Calls every picture a tumour, and has seen the slices whose scan says so."""

        def seen(self, scans):
            return np.array([scan == "seen" for scan in scans])

        def judge(self, pictures: Pictures):
            return Verdicts(np.ones(len(pictures)), np.full(len(pictures), 0.5))

    scans = ["seen"] * 5 + ["new"] * 19
    test = TestSet({"CT": _slices("CT", "ct"), "MRI": _slices("MRI", "mri", scans=scans)}, "", ())
    section = Section("diagnosis", "", "")
    table = rate_table(section, context(_same).translation, Panel(), test, "MRI")
    counts = {row.key: row.cells["positive"].n for row in table.rows}
    assert counts == {"real": 19, "cycled": 19, "translated": 24}
    (warning,) = section.warnings
    assert warning.startswith("5 of 24 MRI test slices are (nearly) among the images that the detector was trained on")
    everything = TestSet({name: _slices(name, "ct", scans=["seen"] * 24) for name in ("CT", "MRI")}, "", ())
    assert rate_table(section, context(_same).translation, Panel(), everything, "MRI") is None
    assert section.gaps[0].what == "test slices called tumour"


def test_best_median_and_worst_are_different_cases():
    errors = np.array([5.0, 1.0, 4.0, 2.0, 3.0, 9.0, 8.0])
    assert best_median_worst(errors) == [1, 3, 4, 2, 6, 5]
    assert best_median_worst(np.array([2.0, 1.0])) == [1, 0]
