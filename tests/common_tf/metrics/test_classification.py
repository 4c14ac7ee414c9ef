import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as oracle

from common_tf.metrics.calibration import (
    brier_score,
    expected_calibration_error,
    fit_temperature,
    reliability_bins,
    to_probabilities,
)
from common_tf.metrics.classification import (
    METRICS,
    best_threshold,
    classification_metrics,
    confusion_matrix,
    measured_metrics,
    roc_auc,
)
from common_tf.metrics.segmentation import dice


def _sample(classes, count=80, seed=0):
    random = np.random.default_rng(seed)
    truth = np.concatenate([np.arange(classes), random.integers(0, classes, count)])
    logits = random.normal(size=(len(truth), classes)) + 1.2 * np.eye(classes)[truth]
    # Rounded, so that there are ties.
    return truth, to_probabilities(np.round(logits, 1))


@pytest.mark.parametrize("weighted", [False, True])
def test_two_classes_against_scikit_learn(weighted):
    truth, probabilities = _sample(2)
    weights = np.random.default_rng(1).integers(0, 4, len(truth)).astype(float) if weighted else np.ones(len(truth))
    predicted, chances = (probabilities[:, 1] >= 0.4).astype(int), probabilities[:, 1]
    ours = classification_metrics(truth, probabilities, threshold=0.4, weights=weights)
    options = dict(sample_weight=weights)
    assert ours == pytest.approx(
        {
            "accuracy": oracle.accuracy_score(truth, predicted, **options),
            "balanced_accuracy": oracle.balanced_accuracy_score(truth, predicted, **options),
            "precision": oracle.precision_score(truth, predicted, **options),
            "sensitivity": oracle.recall_score(truth, predicted, **options),
            "specificity": oracle.recall_score(truth, predicted, pos_label=0, **options),
            "f1": oracle.f1_score(truth, predicted, **options),
            "mcc": oracle.matthews_corrcoef(truth, predicted, **options),
            "roc_auc": oracle.roc_auc_score(truth, chances, **options),
            "pr_auc": oracle.average_precision_score(truth, chances, **options),
            "brier": oracle.brier_score_loss(truth, chances, **options),
            "ece": ours["ece"],  # scikit-learn has none; see below
        }
    )


def test_four_classes_against_scikit_learn():
    truth, probabilities = _sample(4)
    predicted = probabilities.argmax(axis=1)
    ours = classification_metrics(truth, probabilities)
    assert ours["accuracy"] == pytest.approx(oracle.accuracy_score(truth, predicted))
    assert ours["f1"] == pytest.approx(oracle.f1_score(truth, predicted, average="macro"))
    assert ours["sensitivity"] == pytest.approx(oracle.recall_score(truth, predicted, average="macro"))
    assert ours["mcc"] == pytest.approx(oracle.matthews_corrcoef(truth, predicted))
    assert ours["roc_auc"] == pytest.approx(oracle.roc_auc_score(truth, probabilities, multi_class="ovr"))
    matrix = confusion_matrix(truth, predicted, classes=4)
    np.testing.assert_array_equal(matrix, oracle.confusion_matrix(truth, predicted))  # rows = truth there too


def test_rows_of_the_confusion_matrix_are_the_truth():
    matrix = confusion_matrix(np.array([1, 1, 1]), np.array([0, 0, 1]), classes=2)
    np.testing.assert_array_equal(matrix, [[0, 0], [2, 1]])
    # The document swapped the arguments: its precision is our sensitivity.
    figures = classification_metrics(np.array([1, 1, 1, 0]), np.eye(2)[[0, 0, 1, 0]])
    assert (figures["sensitivity"], figures["precision"]) == (pytest.approx(1 / 3), 1.0)


@settings(deadline=None, max_examples=50)
@given(hnp.arrays(float, st.integers(2, 30), elements=st.floats(0, 1)), st.integers(0, 2**31 - 1))
def test_ranges_and_invariance(scores, seed):
    truth = np.random.default_rng(seed).integers(0, 2, len(scores))
    probabilities = np.stack([1 - scores, scores], axis=1)
    for name, value in classification_metrics(truth, probabilities).items():
        assert np.isnan(value) or (-1 if name == "mcc" else 0) - 1e-12 <= value <= 1 + 1e-12
    # Only the order matters to an area.
    ranks = np.unique(scores, return_inverse=True)[1]
    first, second = roc_auc(truth == 1, scores), roc_auc(truth == 1, ranks)
    assert (np.isnan(first) and np.isnan(second)) or first == pytest.approx(second)
    shuffled = np.random.default_rng(seed).permutation(len(scores))
    np.testing.assert_allclose(
        list(classification_metrics(truth[shuffled], probabilities[shuffled]).values()),
        list(classification_metrics(truth, probabilities).values()),
        atol=1e-12,
    )


def test_weights_are_repetitions():
    truth, probabilities = _sample(2, count=20)
    times = np.random.default_rng(3).integers(1, 4, len(truth))
    weighted = classification_metrics(truth, probabilities, weights=times)
    repeated = classification_metrics(np.repeat(truth, times), np.repeat(probabilities, times, axis=0))
    assert weighted == pytest.approx(repeated)


def test_intervals_by_group_are_wider_where_groups_repeat():
    truth, probabilities = _sample(2, count=60)
    alone = measured_metrics(truth, probabilities, np.arange(len(truth)), of="patients")
    copies = 4
    many = measured_metrics(
        np.repeat(truth, copies), np.repeat(probabilities, copies, axis=0), np.repeat(np.arange(len(truth)), copies)
    )
    assert set(alone) == set(METRICS)
    for name in ("accuracy", "roc_auc"):
        assert alone[name].low <= alone[name].value <= alone[name].high
        # Copies of an image are no new evidence: the interval stays what it is without them.
        assert (many[name].low, many[name].high) == pytest.approx((alone[name].low, alone[name].high))
    assert many["accuracy"].n == copies * len(truth) and many["accuracy"].groups == len(truth)
    assert alone["f1"].interval == f"95 % percentile bootstrap over {len(truth)} patients"


def test_one_group_has_figures_and_no_intervals():
    truth, probabilities = _sample(2, count=6)
    found = measured_metrics(truth, probabilities, np.zeros(len(truth)))
    assert found["accuracy"].value == classification_metrics(truth, probabilities)["accuracy"]
    assert not any(one.has_interval for one in found.values())


def test_each_image_may_have_a_threshold_of_its_own():
    """As in a cross-validation, where every fold chooses its own."""
    truth, probabilities = np.array([0, 1, 1]), np.array([[0.7, 0.3], [0.7, 0.3], [0.2, 0.8]])
    figures = classification_metrics(truth, probabilities, threshold=np.array([0.5, 0.2, 0.9]))
    assert figures["sensitivity"] == 0.5 and figures["specificity"] == 1


def test_threshold_of_many_images_is_that_of_the_highest_youden_within_its_error():
    random = np.random.default_rng(0)
    truth = np.repeat([0, 1], 1000)
    chances = np.concatenate([random.beta(2, 18, 1000), random.beta(6, 14, 1000)])
    false, true, thresholds = oracle.roc_curve(truth, chances, drop_intermediate=False)
    highest = np.argmax(true - false)
    error = np.sqrt(
        sum((k + 1) / 1002 * (1 - (k + 1) / 1002) / 1000 for k in 1000 * np.array([true, 1 - false])[:, highest])
    )
    good = thresholds[true - false >= (true - false)[highest] - error]
    chosen = best_threshold(truth, chances)
    assert 0.1 < chosen < 0.3 and chosen == pytest.approx(good[np.argmin(np.abs(good - 0.5))], abs=1e-3)


def test_threshold_of_few_images_stays_near_one_half():
    truth = np.array([0, 0, 0, 1, 1])
    assert best_threshold(truth, [0.1, 0.2, 0.45, 0.6, 0.9]) == 0.5
    assert best_threshold(truth, [0.1, 0.2, 0.3, 0.4, 0.9]) == pytest.approx(0.35)  # half of the positives
    eight = np.repeat([0, 1], 4)
    assert best_threshold(eight, [0.1, 0.2, 0.25, 0.3, 0.4, 0.7, 0.8, 0.9]) == 0.5  # better by one image: chance
    assert best_threshold(truth, [0.1, 0.15, 0.2, 0.3, 0.4]) < 0.4  # all would be called negative
    assert best_threshold(np.ones(3, int), [0.1, 0.2, 0.3]) == 0.5


def test_calibration():
    truth = np.array([1, 1, 0, 0])
    chances = np.array([0.8, 0.8, 0.8, 0.2])
    probabilities = np.stack([1 - chances, chances], axis=1)
    # Two bins: 3 images at .8 of which 2/3 come true, one at .2 of which none does.
    assert expected_calibration_error(truth, probabilities) == pytest.approx(0.75 * (0.8 - 2 / 3) + 0.25 * 0.2)
    assert brier_score(truth, probabilities) == pytest.approx((0.04 + 0.04 + 0.64 + 0.04) / 4)
    stated, observed, counts = reliability_bins(truth, probabilities)
    np.testing.assert_allclose(stated, [0.2, 0.8])
    np.testing.assert_allclose(observed, [0, 2 / 3])
    np.testing.assert_array_equal(counts, [1, 3])


@pytest.mark.parametrize("true_temperature", [0.5, 2.0])
def test_temperature_is_found(true_temperature):
    random = np.random.default_rng(0)
    logits = random.normal(size=(20000, 3)) * 2
    chances = to_probabilities(logits, temperature=true_temperature)
    truth = (chances.cumsum(axis=1) > random.uniform(size=(len(logits), 1))).argmax(axis=1)
    assert fit_temperature(logits, truth) == pytest.approx(true_temperature, rel=0.05)


def test_dice():
    first, second = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    assert dice(first, second) == 1.0
    first[:2] = True
    assert dice(first, second) == 0.0
    second[1:3] = True
    assert dice(first, second) == pytest.approx(0.5)
    assert dice(first, second) == dice(second, first)
