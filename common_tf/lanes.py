"""The one place that knows which TensorFlow and Keras these are."""

import functools
import warnings

import keras
import tensorflow as tf

KERAS_VERSION: str = keras.__version__
KERAS_MAJOR = int(KERAS_VERSION.split(".")[0])
LANE = "addons" if KERAS_MAJOR < 3 else "current"
"""``addons``: TensorFlow 2.15, Keras 2, TensorFlow Addons and keras-cv; ``current``: Keras 3."""

HAS_KERAS_CV = KERAS_MAJOR < 3
"""keras-cv 0.9 is of the first lane."""

# XLA on the CPU makes steps slower, and Keras 2 asks for it where it can.
OPTIMIZER_OPTIONS: dict = {"jit_compile": False} if KERAS_MAJOR < 3 else {}


def without_drop_connect(build, **options) -> "tf.keras.Model":
    """An EfficientNet that does not drop whole blocks at random: it would draw from a generator that no checkpoint
    holds, and a resumed run would differ. Keras 2 has an argument for it, Keras 3 a layer that is told here.
    """
    if KERAS_MAJOR < 3:
        return build(drop_connect_rate=0.0, **options)
    network = build(**options)
    for layer in network.layers:
        if isinstance(layer, tf.keras.layers.Dropout):
            layer.rate = 0.0
    return network


@functools.cache
def spectral_normalization_base() -> tuple[type, str]:
    """The layer that divides a kernel by its largest singular value, and its attribute with the vector of the power
    iteration: that of TensorFlow Addons, or Keras' own, which computes the same (`tests/cyclegan_tf/test_networks.py`).
    """
    if KERAS_MAJOR >= 3:
        return tf.keras.layers.SpectralNormalization, "vector_u"
    # Imported on use: it costs a second and prints its end of life, and most runs do not need it.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import tensorflow_addons as tfa
    return tfa.layers.SpectralNormalization, "u"


def tensorflow_variable(variable) -> "tf.Variable | None":
    """Keras' or TensorFlow's variable as the latter knows it; ``None`` for what is neither."""
    if KERAS_MAJOR >= 3 and isinstance(variable, keras.Variable):
        return variable.value
    return variable if isinstance(variable, tf.Variable) else None


def tensorflow_variables(model) -> list:
    """A network's variables as TensorFlow knows them; those of Keras 3 hold them as their values."""
    return [variable.value if KERAS_MAJOR >= 3 else variable for variable in model.variables]
