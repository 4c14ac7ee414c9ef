"""Feature-patch contrast between input and output (PatchNCE of CUT, Park et al. 2020)."""

import tensorflow as tf

from cyclegan_tf.losses import patch_nce

_PATCHES = 256
_SMALLEST = 8


class PatchContrast(tf.Module):
    """Two-layer heads on the feature maps of a generator's way down, and the loss on them.

    Features of a place in the output must be more like those of the same place in the input than like any other
    place's. Maps: the last activation at each resolution of the generator's way down, and the last map at the coarsest.

    Args:
        generator: whose encoder is used; it is not copied.
        dimensions: of the heads' output.
        seed: of the heads' weights and of the places.
    """

    def __init__(self, generator: tf.keras.Model, *, dimensions: int = 128, seed: int):
        super().__init__(name="contrast")
        outputs = encoder_taps(generator)
        # Not an attribute that tf.Module would follow: the generator is saved once, by its owner.
        self._hidden = (tf.keras.Model(generator.input, outputs),)
        self._seed = seed
        self.heads = []
        for number, tap in enumerate(outputs):
            weights = [tf.keras.initializers.GlorotUniform(seed=seed * 100 + 2 * number + layer) for layer in range(2)]
            shapes = (int(tap.shape[-1]), dimensions), (dimensions, dimensions)
            kernels = [
                tf.Variable(make(shape), name=f"kernel_{i}") for i, (make, shape) in enumerate(zip(weights, shapes))
            ]
            self.heads.append({"kernels": kernels, "bias": tf.Variable(tf.zeros([dimensions]), name="bias")})

    def loss(self, source: tf.Tensor, output: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """Mean PatchNCE over the maps.

        Args:
            source, output: ``(batch, size, size, channels)`` in [-1, 1].
            step: the places follow from (seed, step).
        """
        return self.losses(source, output, step, parts=1)[0]

    def losses(self, source: tf.Tensor, output: tf.Tensor, step: tf.Tensor, *, parts: int) -> list:
        """The loss of each of ``parts`` equal parts of the batch, from one pass of encoder and heads."""
        encoder = self._hidden[0]
        keys, queries = encoder(tf.stop_gradient(source), training=False), encoder(output, training=True)
        totals = [0.0] * parts
        for number, (key, query, head) in enumerate(zip(keys, queries, self.heads)):
            places = self._places(query, step, number)
            # One pass of the head for both, so that its weights get one gradient.
            both = tf.concat([tf.stop_gradient(_at(key, places)), _at(query, places)], axis=0)
            key_features, query_features = tf.split(_project(both, head), 2)
            for part, (mine, wanted) in enumerate(zip(tf.split(query_features, parts), tf.split(key_features, parts))):
                totals[part] += patch_nce(mine, wanted)
        return [total / len(self.heads) for total in totals]

    def _places(self, maps: tf.Tensor, step: tf.Tensor, number: int) -> tf.Tensor:
        count = maps.shape[1] * maps.shape[2]
        seed = tf.stack([tf.constant(self._seed * 10 + number, tf.int64), step])
        order = tf.argsort(tf.random.stateless_uniform([count], seed))
        return order[: min(_PATCHES, count)]


def encoder_taps(generator: tf.keras.Model) -> list:
    """The last activation at each resolution on the way down, and the last map at the coarsest one used."""
    down, coarsest = {}, None
    for layer in generator.layers:
        shape = layer.output_shape
        if not isinstance(shape, tuple) or len(shape) != 4 or not shape[1] or shape[1] < _SMALLEST:
            continue
        smallest = min(down) if down else shape[1]
        if shape[1] > smallest and down:
            continue
        if isinstance(layer, (tf.keras.layers.ReLU, tf.keras.layers.LeakyReLU)):
            down.setdefault(shape[1], layer.output)
        if down and shape[1] == min(down) and isinstance(layer, tf.keras.layers.Add):
            coarsest = layer.output
    taps = [down[size] for size in sorted(down, reverse=True)]
    return taps + ([coarsest] if coarsest is not None and coarsest.shape[1] == min(down) else [])


def _at(maps: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    flat = tf.reshape(tf.cast(maps, tf.float32), [maps.shape[0], -1, maps.shape[-1]])
    return tf.gather(flat, places, axis=1)


def _project(features: tf.Tensor, head) -> tf.Tensor:
    hidden = tf.nn.relu(tf.linalg.matmul(features, head["kernels"][0]) + head["bias"])
    return tf.math.l2_normalize(tf.linalg.matmul(hidden, head["kernels"][1]), axis=-1)
