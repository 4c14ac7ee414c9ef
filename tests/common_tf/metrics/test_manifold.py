"""Precision and recall against their definition, written out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.neighbors import NearestNeighbors

from common_tf.metrics.manifold import precision_recall


def _sets(size):
    return arrays(np.float64, st.tuples(st.integers(5, 12), st.just(size)), elements=st.integers(-20, 20).map(float))


def _share(reference, judged, neighbours):
    """Of the judged inside any ball of the reference, by scikit-learn's neighbours."""
    radii = NearestNeighbors(n_neighbors=neighbours + 1).fit(reference).kneighbors(reference)[0][:, -1]
    inside = [any(np.linalg.norm(one - centre) <= r + 1e-6 for centre, r in zip(reference, radii)) for one in judged]
    return np.mean(inside)


@given(_sets(3), _sets(3), st.integers(1, 4))
def test_it_is_its_definition(reference, judged, neighbours):
    found = precision_recall(reference, judged, neighbours=neighbours)
    assert found.precision == pytest.approx(_share(reference, judged, neighbours))
    assert found.recall == pytest.approx(_share(judged, reference, neighbours))


def test_one_mode_of_two_is_precise_and_forgets_half(random):
    near, far = random.normal(size=(2, 40, 5)) + [[[0.0]], [[100.0]]]
    found = precision_recall(np.concatenate([near, far]), near + 0.01)
    assert found.precision > 0.95 and 0.4 < found.recall <= 0.5


def test_what_cannot_be_said_is_refused():
    with pytest.raises(ValueError, match="at least 4"):
        precision_recall(np.zeros((3, 2)), np.zeros((9, 2)))
    with pytest.raises(ValueError, match="cannot be compared"):
        precision_recall(np.zeros((9, 2)), np.zeros((9, 3)))
