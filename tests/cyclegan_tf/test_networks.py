import numpy as np
import pytest
import tensorflow as tf

from common_tf.layers import CountedDropout
from cyclegan_tf.networks.discriminators import patch_discriminator
from cyclegan_tf.networks.generators import light_generator, resnet_generator, unet_generator
from cyclegan_tf.networks.layers import InstanceNormalization, ReflectionPadding, enlarging_convolution
from cyclegan_tf.networks.spectral_normalization import spectral_normalization
from cyclegan_tf.systems.pccgan.networks import conditional_generator
from cyclegan_tf.systems.unit.networks import joined, unit_parts


@pytest.mark.parametrize(
    "build, options, count",
    [
        (resnet_generator, dict(channels=3, blocks=9), 11_378_179),
        (resnet_generator, dict(channels=3, blocks=6), 7_837_699),
        (resnet_generator, dict(channels=1, blocks=9), 11_365_633),
        (unet_generator, dict(channels=3, tutorial_bottleneck=True), 54_414_979),
        (patch_discriminator, dict(channels=3), 2_764_737),
        (patch_discriminator, dict(channels=1), 2_762_689),
        (patch_discriminator, dict(channels=3, form="tutorial"), 2_765_569),
    ],
)
def test_parameter_counts(build, options, count):
    """The counts of the authors' code (Zhu et al. 2017) and of the TensorFlow tutorial, at 256 px."""
    assert build(size=256, name="net", **options).count_params() == count


@pytest.mark.parametrize("form", ["paper", "tutorial"])
def test_discriminator_judges_30x30_patches_of_70_pixels(form):
    network = patch_discriminator(size=256, channels=1, form=form, name="d")
    assert tuple(network.outputs[0].shape) == (None, 30, 30, 1)
    field = 1
    for layer in reversed(network.layers):
        if isinstance(layer, tf.keras.layers.Conv2D):
            field = field * layer.strides[0] + layer.kernel_size[0] - layer.strides[0]
    assert field == 70


SMALL = [
    (resnet_generator, dict(blocks=2)),
    (unet_generator, {}),
    (unet_generator, dict(tutorial_bottleneck=True)),
    (light_generator, dict(blocks=2)),
]


@pytest.mark.parametrize("build, options", SMALL)
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_generators_keep_shape_and_range(build, options, policy, random):
    network = build(size=32, channels=1, filters=4, policy=policy, name="g", **options)
    images = random.uniform(-1, 1, (2, 32, 32, 1)).astype(np.float32)
    output = network(images, training=True)
    assert output.shape == images.shape and output.dtype == tf.float32
    assert np.abs(output).max() <= 1 and np.std(output) > 0


@pytest.mark.parametrize("build, options", SMALL)
def test_a_batch_is_its_images_one_by_one(build, options, random):
    network = build(size=32, channels=1, filters=4, name="g", **options)
    images = random.uniform(-1, 1, (3, 32, 32, 1)).astype(np.float32)
    single = np.concatenate([network(images[i : i + 1]) for i in range(3)])
    np.testing.assert_allclose(network(images), single, atol=2e-5)
    # And with a batch size that is unknown when the graph is traced.
    traced = tf.function(lambda x: network(x), input_signature=[tf.TensorSpec([None, 32, 32, 1])])
    np.testing.assert_allclose(traced(images), single, atol=2e-5)


@pytest.mark.parametrize("build", [light_generator, unet_generator, conditional_generator])
def test_pictures_are_not_moved(build, random):
    """With mirrored kernels a network mirrors with its input, unless its strides sample off centre."""
    network = build(size=32, channels=1, filters=4, seed=1, policy="float32", name="g")
    _mirror_kernels(network)
    images = [random.uniform(-1, 1, (1, 32, 32, 1)).astype(np.float32) for _ in network.inputs]

    def first_output(images):
        return tf.nest.flatten(network(images if len(images) > 1 else images[0]))[0].numpy()

    output = first_output(images)
    assert output.std() > 0
    mirrored = first_output([image[:, ::-1, ::-1] for image in images])
    np.testing.assert_allclose(mirrored[:, ::-1, ::-1], output, atol=2e-5)


def _unit(**options):
    name = options.pop("name")
    return joined(unit_parts(policy="float32", **options), "a", "b", name=name)


@pytest.mark.parametrize("build", [resnet_generator, _unit], ids=["resnet", "unit"])
def test_enlarging_puts_a_pixel_back_where_it_came_from(build):
    """With mirrored kernels the answer to a dot in the middle lies around it, not two or three pixels beside it."""
    options = dict(blocks=1) if build is resnet_generator else {}
    network = build(size=64, channels=1, filters=4, seed=3, name="g", **options)
    _mirror_kernels(network)
    moved = []
    for row, column in ((32, 32), (32, 31), (31, 32), (31, 31), (30, 33)):
        image = np.zeros((1, 64, 64, 1), np.float32)
        dotted = image.copy()
        dotted[0, row, column] = 1
        answer = np.abs(network(dotted).numpy() - network(image).numpy())[0, ..., 0] ** 2
        y, x = np.mgrid[:64, :64]
        moved.append([(answer * y).sum() / answer.sum() - row, (answer * x).sum() / answer.sum() - column])
    assert np.abs(np.mean(moved, axis=0)).max() < 1, moved


def _mirror_kernels(network) -> None:
    for layer in network.layers:
        if isinstance(layer, tf.keras.Model):
            _mirror_kernels(layer)
        else:
            layer.set_weights([(w + w[::-1, ::-1]) / 2 if w.ndim == 4 else w for w in layer.get_weights()])


def test_the_enlarging_convolution_is_pytorchs(random):
    """Against its definition: every input pixel adds its kernel at twice its place, one row and column cut off."""
    images = random.normal(size=(1, 3, 4, 2)).astype(np.float32)
    inputs = tf.keras.Input((3, 4, 2))
    layer = enlarging_convolution(inputs, 5, initializer="random_normal", dtype="float32")
    network = tf.keras.Model(inputs, layer)
    kernel = network.get_weights()[0]
    wanted = np.zeros((9, 11, 5), np.float32)
    for row in range(3):
        for column in range(4):
            wanted[2 * row : 2 * row + 3, 2 * column : 2 * column + 3] += np.einsum(
                "klov,v->klo", kernel, images[0, row, column]
            )
    np.testing.assert_allclose(network(images)[0], wanted[1:7, 1:9], atol=1e-5)


@pytest.mark.parametrize(
    "build, options",
    [
        (light_generator, dict(blocks=1)),
        (conditional_generator, dict(filters=2, policy="float32")),
        (patch_discriminator, dict(filters=4, spectral_norm=True)),
    ],
)
def test_weights_follow_from_the_seed(build, options):
    first, second, third = (build(size=32, channels=1, seed=s, name="n", **options).get_weights() for s in (1, 1, 2))
    for a, b in zip(first, second):
        np.testing.assert_array_equal(a, b)
    assert any(not np.array_equal(a, b) for a, b in zip(first, third))


def test_initialisers_are_the_papers():
    weights = resnet_generator(size=64, channels=1, filters=32, blocks=2, name="g").get_weights()
    kernels = np.concatenate([w.ravel() for w in weights if w.ndim == 4])
    assert abs(kernels.mean()) < 1e-3 and kernels.std() == pytest.approx(0.02, rel=0.02)
    assert all(not w.any() for w in weights if w.ndim == 1)


def _bottleneck_gradient(tutorial_bottleneck):
    network = unet_generator(size=32, channels=1, filters=4, tutorial_bottleneck=tutorial_bottleneck, name="g")
    kernel = [layer for layer in network.layers if isinstance(layer, tf.keras.layers.Conv2D)][4].kernel
    with tf.GradientTape() as tape:
        images = tf.random.stateless_uniform([1, 32, 32, 1], [1, 2], -1, 1)
        loss = tf.reduce_mean(tf.square(network(images, training=True) - 0.3))
    return float(tf.reduce_max(tf.abs(tape.gradient(loss, kernel))))


def test_the_tutorials_bottleneck_is_dead_and_ours_is_not():
    assert _bottleneck_gradient(tutorial_bottleneck=True) == 0.0
    assert _bottleneck_gradient(tutorial_bottleneck=False) > 0.0


@pytest.mark.parametrize("batch, affine", [(1, False), (1, True), (3, False), (3, True)])
def test_instance_norm_equals_its_formula(batch, affine, random):
    layer = InstanceNormalization(affine=affine, seed=1)
    images = random.normal(2, 3, (batch, 9, 7, 5)).astype(np.float32)
    output = layer(images).numpy()
    expected = (images - images.mean((1, 2), keepdims=True)) / np.sqrt(images.var((1, 2), keepdims=True) + 1e-5)
    if affine:
        assert layer.scale.numpy().std() > 0
        expected = expected * layer.scale.numpy() + layer.offset.numpy()
    np.testing.assert_allclose(output, expected, atol=2e-5)


@pytest.mark.filterwarnings("ignore:(?s).*TensorFlow Addons")
def test_instance_norm_equals_tensorflow_addons(random):
    tfa = pytest.importorskip("tensorflow_addons", reason="no TensorFlow Addons in this lane")

    images = random.normal(size=(2, 8, 8, 3)).astype(np.float32)
    theirs = tfa.layers.InstanceNormalization(epsilon=1e-5, center=False, scale=False)
    np.testing.assert_allclose(InstanceNormalization()(images), theirs(images), atol=2e-5)


def test_reflection_padding(random):
    images = random.normal(size=(1, 5, 6, 2)).astype(np.float32)
    expected = np.pad(images, [(0, 0), (2, 2), (2, 2), (0, 0)], mode="reflect")
    np.testing.assert_array_equal(ReflectionPadding(2)(images), expected)


def test_dropout_masks_follow_from_the_counter():
    images = tf.ones([1, 40, 40, 4])
    first, second = CountedDropout(0.5, seed=3), CountedDropout(0.5, seed=3)
    runs = [first(images, training=True).numpy() for _ in range(2)]
    assert not np.array_equal(*runs)
    np.testing.assert_array_equal(second(images, training=True), runs[0])
    assert set(np.unique(runs[0])) == {0.0, 2.0} and runs[0].mean() == pytest.approx(1.0, abs=0.1)
    np.testing.assert_array_equal(first(images), images)
    assert first.get_weights() == []


def test_spectral_norm_bounds_the_kernels():
    network = patch_discriminator(size=32, channels=1, filters=4, spectral_norm=True, name="d")
    images = tf.random.stateless_uniform([1, 32, 32, 1], [0, 0])
    for _ in range(30):
        network(images, training=True)
    for weight in network.trainable_weights:
        if weight.shape.rank == 4:
            norm = np.linalg.svd(weight.numpy().reshape(-1, weight.shape[-1]), compute_uv=False)[0]
            assert norm == pytest.approx(1.0, abs=0.1)


def test_spectral_norm_equals_keras(random):
    """That of Addons and that of Keras give the same kernels and outputs, step by step."""
    images = random.normal(size=(2, 8, 8, 3)).astype(np.float32)
    kernel = random.normal(size=(3, 3, 3, 5)).astype(np.float32)
    ours = spectral_normalization(tf.keras.layers.Conv2D(5, 3))
    theirs = tf.keras.layers.SpectralNormalization(tf.keras.layers.Conv2D(5, 3))
    ours(images), theirs(images)
    start = tf.random.stateless_normal((1, 5), (0, 0), stddev=0.02)
    theirs.vector_u.assign(start)
    for layer in (ours, theirs):
        layer.layer.kernel.assign(kernel)
    for _ in range(3):
        np.testing.assert_allclose(ours(images, training=True), theirs(images, training=True), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(ours.layer.kernel, theirs.layer.kernel, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(ours(images), theirs(images), rtol=1e-4, atol=1e-6)


def test_spectral_norm_does_not_round_the_weights():
    """The kernel that it writes back is float32, also where the convolution computes in bfloat16."""
    layer = spectral_normalization(tf.keras.layers.Conv2D(8, 3, dtype="mixed_bfloat16"))
    layer(tf.ones([1, 8, 8, 4]), training=True)
    kernel = layer.layer.kernel.numpy()
    rounded = tf.cast(tf.cast(kernel, tf.bfloat16), tf.float32).numpy()
    assert np.mean(kernel != rounded) > 0.9
