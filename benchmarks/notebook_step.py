"""The Kaggle notebook's training step, transcribed: the yardstick of the speed claims.

Networks, losses, order of work and optimizers are those of the TensorFlow CycleGAN tutorial that the notebook follows:
float32, the tutorial's instance norm by moments, each network called once per image, one persistent tape asked four
times, and the notebook's extra inference pass for its logged "MSE". Nothing of it is used by the project.
"""

import tensorflow as tf

_LAMBDA = 10


class TutorialInstanceNorm(tf.keras.layers.Layer):
    """Instance norm as the tutorial writes it."""

    def build(self, input_shape):
        shape = input_shape[-1:]
        self.scale = self.add_weight(name="scale", shape=shape, initializer=tf.random_normal_initializer(1.0, 0.02))
        self.offset = self.add_weight(name="offset", shape=shape, initializer="zeros")

    def call(self, inputs):
        mean, variance = tf.nn.moments(inputs, axes=[1, 2], keepdims=True)
        return self.scale * (inputs - mean) * tf.math.rsqrt(variance + 1e-5) + self.offset


def _down(filters: int, norm: bool = True) -> tf.keras.Sequential:
    block = tf.keras.Sequential()
    start = tf.random_normal_initializer(0.0, 0.02)
    block.add(tf.keras.layers.Conv2D(filters, 4, 2, "same", kernel_initializer=start, use_bias=False))
    if norm:
        block.add(TutorialInstanceNorm())
    block.add(tf.keras.layers.LeakyReLU())
    return block


def _up(filters: int, dropout: bool = False) -> tf.keras.Sequential:
    block = tf.keras.Sequential()
    start = tf.random_normal_initializer(0.0, 0.02)
    block.add(tf.keras.layers.Conv2DTranspose(filters, 4, 2, "same", kernel_initializer=start, use_bias=False))
    block.add(TutorialInstanceNorm())
    if dropout:
        block.add(tf.keras.layers.Dropout(0.5))
    block.add(tf.keras.layers.ReLU())
    return block


def notebook_generator() -> tf.keras.Model:
    """The U-Net for 256 px and 3 channels, 54,414,979 parameters."""
    start = tf.random_normal_initializer(0.0, 0.02)
    inputs = tf.keras.Input((256, 256, 3))
    x, skips = inputs, []
    for number, filters in enumerate((64, 128, 256, 512, 512, 512, 512, 512)):
        x = _down(filters, norm=number > 0)(x)
        skips.append(x)
    for number, (filters, skip) in enumerate(zip((512, 512, 512, 512, 256, 128, 64), reversed(skips[:-1]))):
        x = tf.keras.layers.Concatenate()([_up(filters, dropout=number < 3)(x), skip])
    last = tf.keras.layers.Conv2DTranspose(3, 4, 2, "same", kernel_initializer=start, activation="tanh")
    return tf.keras.Model(inputs, last(x))


def notebook_discriminator() -> tf.keras.Model:
    """The 70x70 PatchGAN, 2,765,569 parameters."""
    start = tf.random_normal_initializer(0.0, 0.02)
    inputs = tf.keras.Input((256, 256, 3))
    x = _down(256)(_down(128)(_down(64, norm=False)(inputs)))
    x = tf.keras.layers.ZeroPadding2D()(x)
    x = tf.keras.layers.Conv2D(512, 4, 1, kernel_initializer=start, use_bias=False)(x)
    x = tf.keras.layers.ZeroPadding2D()(tf.keras.layers.LeakyReLU()(TutorialInstanceNorm()(x)))
    return tf.keras.Model(inputs, tf.keras.layers.Conv2D(1, 4, 1, kernel_initializer=start)(x))


class NotebookStep:
    """The notebook's networks and its ``train_step``."""

    def __init__(self) -> None:
        self.generator_g, self.generator_f = notebook_generator(), notebook_generator()
        self.discriminator_x, self.discriminator_y = notebook_discriminator(), notebook_discriminator()
        self.optimizers = [tf.keras.optimizers.Adam(2e-4, beta_1=0.5) for _ in range(4)]
        for optimizer, network in zip(self.optimizers, self._networks()):
            optimizer.build(network.trainable_variables)
        self._bce = tf.keras.losses.BinaryCrossentropy(from_logits=True)

    def _networks(self):
        return self.generator_g, self.generator_f, self.discriminator_x, self.discriminator_y

    @tf.function
    def __call__(self, real_x: tf.Tensor, real_y: tf.Tensor) -> tf.Tensor:
        """One step; both images ``(1, 256, 256, 3)``. Returns the notebook's "MSE"."""
        with tf.GradientTape(persistent=True) as tape:
            fake_y = self.generator_g(real_x, training=True)
            cycled_x = self.generator_f(fake_y, training=True)
            fake_x = self.generator_f(real_y, training=True)
            cycled_y = self.generator_g(fake_x, training=True)
            same_x = self.generator_f(real_x, training=True)
            same_y = self.generator_g(real_y, training=True)
            real_x_judged = self.discriminator_x(real_x, training=True)
            real_y_judged = self.discriminator_y(real_y, training=True)
            fake_x_judged = self.discriminator_x(fake_x, training=True)
            fake_y_judged = self.discriminator_y(fake_y, training=True)
            cycle = _LAMBDA * (tf.reduce_mean(tf.abs(real_x - cycled_x)) + tf.reduce_mean(tf.abs(real_y - cycled_y)))
            same_g = _LAMBDA * 0.5 * tf.reduce_mean(tf.abs(real_y - same_y))
            same_f = _LAMBDA * 0.5 * tf.reduce_mean(tf.abs(real_x - same_x))
            losses = (
                self._bce(tf.ones_like(fake_y_judged), fake_y_judged) + cycle + same_g,
                self._bce(tf.ones_like(fake_x_judged), fake_x_judged) + cycle + same_f,
                self._discriminator_loss(real_x_judged, fake_x_judged),
                self._discriminator_loss(real_y_judged, fake_y_judged),
            )
        for network, optimizer, loss in zip(self._networks(), self.optimizers, losses):
            gradients = tape.gradient(loss, network.trainable_variables)
            optimizer.apply_gradients(zip(gradients, network.trainable_variables))
        return tf.reduce_mean(tf.square(real_y - self.generator_f(real_x)))

    def _discriminator_loss(self, real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
        return 0.5 * (self._bce(tf.ones_like(real), real) + self._bce(tf.zeros_like(fake), fake))
