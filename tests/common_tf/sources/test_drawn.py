import numpy as np
import pytest

from common_tf.pictures.intensity import quantise
from common_tf.pictures.phantom import draw_phantom, weak_field
from common_tf.pictures.preparation import Preparation
from common_tf.sources.dataset import open_dataset
from common_tf.sources.drawn import (
    LARGEST_COUNT,
    TEST,
    VALIDATION,
    drawn_classes,
    drawn_domains,
    drawn_lesions,
    fitting_heads,
)
from common_tf.splits.finding import audit_lines

OPTIONS = dict(count=5, size=32, pair="ct-mri", domains=("CT", "MRI"))


def _numbers(cases):
    return {int(case.name.split("/")[1]) for case in cases}


def _sides(source, label, split):
    return [case for case in source.cases if label in case.files and case.given_split == split]


def test_unpaired_domains_share_no_head_but_those_of_the_test():
    source = drawn_domains(seed=1, aligned=False, **OPTIONS)
    for split, count in (("train", 5), ("validation", VALIDATION)):
        ct, mri = (_sides(source, label, split) for label in ("CT", "MRI"))
        assert len(ct) == len(mri) == count and not _numbers(ct) & _numbers(mri)
    test = [case for case in source.cases if case.given_split == "test"]
    assert len(test) == TEST and all(case.labels == ("CT", "MRI") for case in test)
    assert not _numbers(test) & _numbers(case for case in source.cases if case.given_split != "test")


def test_aligned_domains_share_every_head():
    source = drawn_domains(seed=1, aligned=True, **OPTIONS)
    assert source.is_aligned and len(source.cases) == 5 + VALIDATION + TEST
    loaded = source.cases[0].load()
    phantom = draw_phantom(int(source.cases[0].name.split("/")[1]), size=32)
    np.testing.assert_array_equal(loaded.pictures["CT"].pixels, quantise(phantom.ct))
    np.testing.assert_array_equal(loaded.pictures["MRI"].head, phantom.head)
    np.testing.assert_array_equal(loaded.lesion, phantom.lesion)


def test_the_fitting_heads_are_those_of_domain_a_in_both_domains():
    source = drawn_domains(seed=3, aligned=False, **OPTIONS)
    heads = fitting_heads(seed=3, **OPTIONS)
    assert _numbers(heads) == _numbers(_sides(source, "CT", "train"))
    assert all(case.labels == ("CT", "MRI") for case in heads)


def test_the_weak_field_is_the_phantoms_own():
    case = drawn_domains(seed=0, aligned=False, **{**OPTIONS, "pair": "field-strength"}).cases[0]
    phantom = draw_phantom(int(case.name.split("/")[1]), size=32)
    np.testing.assert_array_equal(case.load().pictures["CT"].pixels, quantise(weak_field(phantom.mri)))


def test_no_two_kinds_of_training_draw_one_head_whatever_their_seeds():
    """Kinds begin so far apart that the largest count of one, both domains and the test, ends before the next."""
    begin = []
    for seed in (0, 1, 2**31 - 1):
        one = dict(count=1, size=32)
        sources = (
            drawn_domains(seed=seed, aligned=False, **{**OPTIONS, "count": 1}),
            drawn_classes(seed=seed, modality="MRI", classes=("no", "yes"), **one),
            drawn_lesions(seed=seed, modality="MRI", label="slice", **one),
        )
        begin += [min(_numbers(source.cases)) for source in sources]
    lengths = [2 * (LARGEST_COUNT + VALIDATION) + TEST, LARGEST_COUNT, LARGEST_COUNT] * 3
    assert all(first + length <= second for first, length, second in zip(begin, lengths, begin[1:]))


def test_every_other_head_of_a_detectors_data_has_a_lesion():
    source = drawn_classes(seed=0, count=8, size=64, modality="MRI", classes=("no", "yes"))
    found = [(case.labels[0], bool(case.load().lesion.any())) for case in source.cases]
    assert all(not lesion for label, lesion in found if label == "no")
    assert sum(lesion for label, lesion in found if label == "yes") >= 3


def test_drawn_heads_say_that_they_were_not_audited():
    dataset = open_dataset(drawn_domains(seed=0, aligned=False, **OPTIONS))
    assert dataset.is_drawn and dataset.group_word == "drawn heads"
    assert len(set(dataset.groups.tolist())) == len(dataset.cases)
    assert "there is nothing to audit" in audit_lines(dataset.audited(dataset.given))[0]
    rows = dataset.rows(dataset.given)
    assert {row.note for row in rows} == {"drawn"} and {row.sha256 for row in rows} == {""}
    assert len(rows) == len(dataset.cases) + TEST


@pytest.mark.parametrize("window", [None, (20.0, 200.0)])
def test_the_preparation_of_drawn_heads(window):
    dataset = open_dataset(drawn_domains(seed=0, aligned=True, **OPTIONS))
    preparation = dataset.preparation("CT", range(5), framing="head", window=window)
    assert 0.7 < preparation.reference < 1
    low, high = window or (0.0, 255.0)
    assert preparation == Preparation("head", preparation.reference, 0 if window else 8, low, high)
