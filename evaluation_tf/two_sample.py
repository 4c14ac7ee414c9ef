"""Can a small network that nobody trained against tell translated slices from real ones?

A classifier two-sample test (Lopez-Paz and Oquab, ICLR 2017). A distance in the features of a network that the critics
looked through could be pleased without the images being right; this network is new for every question, learns from
these images alone, and is asked about groups that it has not seen.
"""

import numpy as np
import tensorflow as tf
from sklearn.model_selection import StratifiedGroupKFold

from common_tf.lanes import OPTIMIZER_OPTIONS
from common_tf.measurement.measurement import Measurement, interval_words
from common_tf.measurement.resampling import percentile_interval, resampled_groups
from common_tf.metrics.classification import roc_auc
from common_tf.pictures.geometry import resize
from common_tf.randomness import Stream
from evaluation_tf.cache import ArrayCache
from evaluation_tf.images import Images, content_hash

SIDE, FOLDS, EPOCHS, BATCH = 64, 5, 20, 16
FEWEST = 2 * FOLDS
"""Groups in each set."""

DEFINITION = (
    f"area under the ROC curve of a small CNN ({SIDE} px, new weights, {EPOCHS} epochs, {FOLDS} grouped folds) that "
    "learns to tell the row's slices from the reference slices (classifier two-sample test, Lopez-Paz and Oquab 2017); "
    ".5: it cannot, 1: always"
)
_RATE, _WIDTHS, _SHIFT = 2e-3, (12, 24, 48), 4
_WEIGHTS, _ORDER = Stream("two_sample.weights"), Stream("two_sample.order")
_MOVES, _SPLIT = Stream("two_sample.moves"), Stream("two_sample.folds")


def two_sample_auc(
    first: Images, second: Images, groups: tuple[np.ndarray, np.ndarray], *, cache: ArrayCache
) -> Measurement:
    """How well the sets are told apart, with its interval over groups.

    Args:
        first, second: uint8 squares of one size.
        groups: of each image of either set; what is of one group is in one fold, also where both sets have it.
        cache: of the scores.

    Raises:
        ValueError: too few groups to learn from some and ask about others.
    """
    if min(len(np.unique(one)) for one in groups) < FEWEST:
        raise ValueError(f"fewer than {FEWEST} groups in a set; a network cannot learn from them")
    truth = np.repeat([0, 1], [len(first), len(second)])
    both = set(np.unique(groups[0]).tolist()) & set(np.unique(groups[1]).tolist())
    names = np.array(
        [f"{name}" if name in both else f"{side} {name}" for side, one in enumerate(groups) for name in one.tolist()]
    )

    def compute() -> dict[str, np.ndarray]:
        learner = _Learner(np.concatenate([_small(first), _small(second)]), truth)
        chances = np.zeros(len(truth))
        folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=_SPLIT.integer(0)).split(truth, truth, names)
        for number, (learn, ask) in enumerate(folds):
            chances[ask] = learner.chances(learn, ask, number)
        return {"chances": chances}

    key = content_hash("two samples", SIDE, FOLDS, EPOCHS, first.digest, second.digest, *names)
    return _measured(truth == 1, cache.arrays(key, compute)["chances"], names)


def _measured(positive: np.ndarray, chances: np.ndarray, names: np.ndarray) -> Measurement:
    groups, members = np.unique(names, return_inverse=True)
    draws = [
        roc_auc(positive, chances, weights=np.bincount(row, minlength=len(groups))[members].astype(np.float64))
        for row in resampled_groups(len(groups))
    ]
    value, words = roc_auc(positive, chances), interval_words(len(groups), "groups")
    return Measurement(value, len(positive), *percentile_interval(np.array(draws)), len(groups), words)


def _small(images: Images) -> np.ndarray:
    return np.stack([resize(one, SIDE, SIDE) for one in images.pixels])[..., None] / np.float32(127.5) - np.float32(1)


class _Learner:
    """One graph for every fold; each begins with weights and an optimizer of its own."""

    def __init__(self, images: np.ndarray, truth: np.ndarray):
        self._network = _network()
        self._optimizer = tf.keras.optimizers.Adam(_RATE, **OPTIMIZER_OPTIONS)
        self._optimizer.build(self._network.trainable_variables)
        self._begin = [one.numpy() for one in (*self._network.variables, *self._optimizer.variables)]
        self._images, self._truth = tf.constant(images), tf.constant(truth, tf.float32)
        self._ask = tf.function(
            lambda batch: self._network(batch, training=False)[:, 0],
            autograph=False,
            input_signature=[tf.TensorSpec([None, *images.shape[1:]], tf.float32)],
        )

    def chances(self, learn: np.ndarray, ask: np.ndarray, fold: int) -> np.ndarray:
        """Probabilities of the second set, of images that were not learned from."""
        for variable, value in zip((*self._network.variables, *self._optimizer.variables), self._begin):
            variable.assign(value)
        steps = max(1, len(learn) // BATCH)
        random = _ORDER.numpy(fold)
        for epoch in range(EPOCHS):
            order = random.permutation(learn)
            for number in range(steps):
                done = epoch * steps + number
                # Falls to nothing, so that the last weights are as good as their average.
                rate = _RATE * (1 - done / (EPOCHS * steps))
                chosen = np.resize(order[number * BATCH : (number + 1) * BATCH], BATCH)
                self._step(tf.constant(chosen), _MOVES.tensor(fold, done), tf.constant(rate, tf.float32))
        asked = self._images.numpy()[ask]
        # Whole and mirrored, as it learned them.
        logits = np.mean([self._ask(tf.constant(one)).numpy() for one in (asked, asked[:, :, ::-1])], axis=0)
        return 1.0 / (1.0 + np.exp(-logits))

    @tf.function(autograph=False)
    def _step(self, chosen: tf.Tensor, seed: tf.Tensor, rate: tf.Tensor) -> None:
        variables = self._network.trainable_variables
        batch, truth = _moved(tf.gather(self._images, chosen), seed), tf.gather(self._truth, chosen)
        with tf.GradientTape() as tape:
            logits = self._network(batch, training=True)[:, 0]
            loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(truth, logits))
        self._optimizer.learning_rate.assign(rate)
        self._optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))


def _network() -> tf.keras.Model:
    layers = tf.keras.layers
    tf.keras.utils.set_random_seed(_WEIGHTS.integer(0))
    x = inputs = tf.keras.Input((SIDE, SIDE, 1))
    for width in _WIDTHS:
        x = layers.Conv2D(width, 3, padding="same", use_bias=False, kernel_initializer="he_normal")(x)
        x = layers.MaxPooling2D(2)(layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x)))
    x = layers.Concatenate()([layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)])
    return tf.keras.Model(inputs, layers.Dense(1)(x))


def _moved(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Mirrored or not, and shifted by some pixels: of few images it shall not learn the places by heart."""
    size = tf.shape(images)
    mirror, down, right = tf.unstack(tf.random.stateless_uniform([3], seed))
    images = tf.where(mirror < 0.5, tf.reverse(images, [2]), images)
    padded = tf.pad(images, [[0, 0], [_SHIFT, _SHIFT], [_SHIFT, _SHIFT], [0, 0]], constant_values=-1.0)
    top, left = (tf.cast(one * (2 * _SHIFT + 1), tf.int32) for one in (down, right))
    return tf.slice(padded, [0, top, left, 0], size)
