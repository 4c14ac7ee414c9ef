"""Feature-patch contrast between input and output (PatchNCE of CUT, Park et al. 2020)."""

import tensorflow as tf

from common_tf.randomness import Stream
from cyclegan_tf.losses import patch_nce

_PATCHES = 256
_SMALLEST = 8
_HEADS, _PLACES = Stream("contrast.heads"), Stream("contrast.places")


class PatchContrast(tf.Module):
    """Two-layer heads on the feature maps of a generator's way down, and the loss on them.

    Features of a place in the output must be more like those of the same place in the input than like any other
    place's. Maps: the last activation at each resolution of the generator's way down, and the last map at the coarsest.

    Args:
        generator: whose encoder is used; it is not copied.
        dimensions: of the heads' output.
        seed: of the run.
        name: of the direction.
    """

    def __init__(self, generator: tf.keras.Model, *, dimensions: int = 128, seed: int, name: str):
        super().__init__(name=f"contrast_{name}")
        outputs = encoder_taps(generator)
        encoder = tf.keras.Model(generator.input, outputs)
        # Closed over and not assigned: tf.Module follows attributes, also into tuples, and whoever asked for this
        # module's variables would get the generator's too, and train them twice.
        self._encode = lambda images, training: encoder(images, training=training)
        self._seed, self._key = seed, name
        self.heads = []
        for number, tap in enumerate(outputs):
            weights = [
                tf.keras.initializers.GlorotUniform(seed=_HEADS.integer(seed, name, number, layer))
                for layer in range(2)
            ]
            shapes = (int(tap.shape[-1]), dimensions), (dimensions, dimensions)
            kernels = [
                tf.Variable(make(shape), name=f"kernel_{i}") for i, (make, shape) in enumerate(zip(weights, shapes))
            ]
            self.heads.append({"kernels": kernels, "bias": tf.Variable(tf.zeros([dimensions]), name="bias")})

    def losses(
        self, source: tf.Tensor, output: tf.Tensor, step: tf.Tensor, *, parts: int = 1, turned: tf.Tensor | None = None
    ) -> list[tf.Tensor]:
        """Mean PatchNCE over the maps, of each of ``parts`` equal parts of the batch, from one pass.

        Args:
            source, output: ``(batch, size, size, channels)`` in [-1, 1].
            step: the places follow from (seed, step).
            parts: of the batch.
            turned: bool scalar: the output was made of the mirrored source, so its features are mirrored back.
        """
        keys, queries = self._encode(tf.stop_gradient(source), False), self._encode(output, True)
        totals = [tf.constant(0.0)] * parts
        for number, (key, query, head) in enumerate(zip(keys, queries, self.heads)):
            if turned is not None:
                query = tf.where(turned, tf.reverse(query, [2]), query)
            places = self._places(query, step, number)
            # One pass of the head for both, so that its weights get one gradient.
            both = tf.concat([tf.stop_gradient(_at(key, places)), _at(query, places)], axis=0)
            key_features, query_features = tf.split(_project(both, head), 2)
            for part, (mine, wanted) in enumerate(zip(tf.split(query_features, parts), tf.split(key_features, parts))):
                totals[part] += patch_nce(mine, wanted)
        return [total / len(self.heads) for total in totals]

    def _places(self, maps: tf.Tensor, step: tf.Tensor, number: int) -> tf.Tensor:
        count = maps.shape[1] * maps.shape[2]
        order = tf.argsort(tf.random.stateless_uniform([count], _PLACES.tensor(self._seed, step, self._key, number)))
        return order[: min(_PATCHES, count)]


def encoder_taps(generator: tf.keras.Model) -> list[tf.Tensor]:
    """The last activation at each resolution on the way down, and the last map at the coarsest one used."""
    down: dict[int, tf.Tensor] = {}
    coarsest = None
    for layer in generator.layers:
        shape = layer.output.shape
        if len(shape) != 4 or not shape[1] or shape[1] < _SMALLEST:
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
