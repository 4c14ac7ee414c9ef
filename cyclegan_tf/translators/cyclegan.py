"""CycleGAN (Zhu, Park, Isola, Efros 2017), with the options that its presets need."""

from typing import Mapping

import tensorflow as tf

from common_tf.averaging import update_average
from cyclegan_tf.config import TranslatorConfig
from cyclegan_tf.image_pool import ImagePool
from cyclegan_tf.losses import ADVERSARIAL, edge_consistency, head_mask, l1, outside_head
from cyclegan_tf.networks.build import build_discriminator, build_generator
from cyclegan_tf.optimization import LinearDecay, ramp
from cyclegan_tf.translators.base import A_TO_B, B_TO_A, Translator


def _three(images: tf.Tensor) -> tuple:
    """The same tensor for three uses, so that no gradient sums three parts at once; see `CycleGAN`."""
    first, rest = tf.identity(images), tf.identity(images)
    return first, tf.identity(rest), tf.identity(rest)


class CycleGAN(Translator):
    """Two generators named by their direction and two critics named by the domain they judge.

    Generators minimise adversarial + ``cycle_weight`` * cycle + ``identity_weight`` * identity, both critics their
    half of the adversarial game. With ``cycle_ramp`` the cycle weight starts low: a strong cycle from the first step on
    holds the generators near the identity they start from, and a bright skull becomes a bright ring of the MRI. All
    gradients of a step come from the weights before it. (The paper's code updates the generators before the critics,
    but on fakes made before that update, which is the same.)

    A network is passed through at most twice in a step: the image to translate and the image to leave unchanged go
    together, then the cycle. So each weight gets at most two gradient contributions, and their sum does not depend on
    an order that TensorFlow would choose at run time: training is reproducible to the bit.
    """

    def __init__(self, config: TranslatorConfig, *, policy: str, total_steps: int):
        super().__init__(name="cyclegan")
        self.config = config
        self.policy = policy
        self.total_steps = total_steps
        seed = config.seed * 10
        self.a_to_b = build_generator(config, seed=seed + 1, policy=policy, name=A_TO_B)
        self.b_to_a = build_generator(config, seed=seed + 2, policy=policy, name=B_TO_A)
        self.critic_a = build_discriminator(config, seed=seed + 3, policy=policy, name="critic_a")
        self.critic_b = build_discriminator(config, seed=seed + 4, policy=policy, name="critic_b")
        schedule = LinearDecay(rate=config.learning_rate, total_steps=total_steps, decay_start=config.decay_start)
        self.optimizers = {}
        for network in self._trained():
            optimizer = tf.keras.optimizers.Adam(schedule, beta_1=config.beta_1, jit_compile=False)
            if policy == "mixed_float16":
                optimizer = tf.keras.mixed_precision.LossScaleOptimizer(optimizer)
            # Built now, so that a checkpoint finds every slot to restore into.
            optimizer.build(network.trainable_variables)
            self.optimizers[network.name] = optimizer
        self.averages = {}
        if config.ema_decay:
            for network in (self.a_to_b, self.b_to_a):
                average = build_generator(config, seed=0, policy=policy, name=network.name)
                average.set_weights(network.get_weights())
                self.averages[network.name] = average
        shape = (config.image_size, config.image_size, config.channels + int(config.critic_sees_outline))
        self.pools = {}
        if config.pool_size:
            for number, name in enumerate("ab"):
                self.pools[name] = ImagePool(capacity=config.pool_size, shape=shape, seed=seed + 5 + number)

    def _trained(self) -> tuple:
        return self.a_to_b, self.b_to_a, self.critic_a, self.critic_b

    def inference_networks(self) -> Mapping[str, tf.keras.Model]:
        return dict(self.averages) or {A_TO_B: self.a_to_b, B_TO_A: self.b_to_a}

    # Nothing here depends on the value of a tensor; without AutoGraph the first step comes sooner.
    @tf.function(autograph=False)
    def train_step(self, batch: Mapping[str, tf.Tensor], step: tf.Tensor) -> Mapping[str, tf.Tensor]:
        config = self.config
        real_a, real_b = batch["a"], batch["b"]
        game = ADVERSARIAL[config.adversarial]
        # Without a pool the critics judge the same fakes in both games: one forward pass serves both.
        with tf.GradientTape(persistent=True) as tape:
            fake_b, same_b = self._translate_and_keep(self.a_to_b, real_a, real_b)
            fake_a, same_a = self._translate_and_keep(self.b_to_a, real_b, real_a)
            (fake_a, back_a, out_a), (fake_b, back_b, out_b) = _three(fake_a), _three(fake_b)
            flip = self._cycle_flip(step)
            cycled_a = self.b_to_a(flip(back_b), training=True)
            cycled_b = self.a_to_b(flip(back_a), training=True)
            fake_a, fake_b = self._to_judge(fake_a, real_b), self._to_judge(fake_b, real_a)
            judged_a = self.critic_a(fake_a, training=True)
            judged_b = self.critic_b(fake_b, training=True)
            losses = {
                "adversarial_a_to_b": game.generator(judged_b),
                "adversarial_b_to_a": game.generator(judged_a),
                "cycle_a": l1(cycled_a, flip(real_a)),
                "cycle_b": l1(cycled_b, flip(real_b)),
            }
            total = losses["adversarial_a_to_b"] + losses["adversarial_b_to_a"]
            total += self._cycle_weight(step) * (losses["cycle_a"] + losses["cycle_b"])
            if config.outline_weight:
                losses["outside_a_to_b"] = outside_head(real_a, out_b)
                losses["outside_b_to_a"] = outside_head(real_b, out_a)
                total += config.outline_weight * (losses["outside_a_to_b"] + losses["outside_b_to_a"])
            if config.edge_weight:
                losses["edges_a_to_b"] = edge_consistency(real_a, out_b)
                losses["edges_b_to_a"] = edge_consistency(real_b, out_a)
                late = tf.cast(step, tf.float32) >= config.edge_start * self.total_steps
                weight = config.edge_weight * tf.cast(late, tf.float32)
                total += weight * (losses["edges_a_to_b"] + losses["edges_b_to_a"])
            if config.identity_weight:
                losses["identity_a"] = l1(same_a, real_a)
                losses["identity_b"] = l1(same_b, real_b)
                total += config.identity_weight * (losses["identity_a"] + losses["identity_b"])
            losses["critic_a"] = self._critic_loss(
                "a", self.critic_a, self._to_judge(real_a, real_a), fake_a, judged_a, step
            )
            losses["critic_b"] = self._critic_loss(
                "b", self.critic_b, self._to_judge(real_b, real_b), fake_b, judged_b, step
            )
            if config.log_style == "notebook":
                # Of unrelated images, so it measures nothing; the notebook prints it, and so does its preset.
                losses["unpaired_mse"] = tf.reduce_mean(tf.square(real_b - out_b))
            critics = losses["critic_a"] + losses["critic_b"]
            total, critics = self._scale(total), self._scale(critics)
        self._apply(tape, total, (self.a_to_b, self.b_to_a))
        self._apply(tape, critics, (self.critic_a, self.critic_b))
        for network in (self.a_to_b, self.b_to_a):
            if network.name in self.averages:
                update_average(self.averages[network.name], network, decay=config.ema_decay, step=step)
        return losses

    def _to_judge(self, images: tf.Tensor, source: tf.Tensor) -> tf.Tensor:
        """What a critic is shown: the images, and with ``critic_sees_outline`` the outline of the head they are of.

        The outline does not depend on the generator. Without it a generator may darken the scalp to nothing and call
        the bright skull the scalp of a smaller head: a critic of patches cannot tell.
        """
        if not self.config.critic_sees_outline:
            return images
        return tf.concat([images, 2.0 * head_mask(source) - 1.0], axis=-1)

    def _cycle_flip(self, step):
        """A flip for the way back, drawn from (seed, step): left-right, upside down, both or none."""
        if not self.config.cycle_flips:
            return lambda images: images
        seed = tf.stack([tf.constant(self.config.seed, tf.int64), step])
        draws = tf.random.stateless_uniform([2], seed) < 0.5

        def flip(images: tf.Tensor) -> tf.Tensor:
            for axis in (1, 2):
                images = tf.where(draws[axis - 1], tf.reverse(images, [axis]), images)
            return images

        return flip

    def _cycle_weight(self, step):
        config = self.config
        steps = config.cycle_ramp * self.total_steps
        return ramp(step, start=config.cycle_weight_start, end=config.cycle_weight, steps=steps)

    def _translate_and_keep(self, generator, source, target):
        """The source translated, and the target left unchanged (``None`` where the identity loss has no weight)."""
        if not self.config.identity_weight:
            return generator(source, training=True), None
        return tf.split(generator(tf.concat([source, target], axis=0), training=True), 2)

    def _critic_loss(self, name, critic, real, fake, judged, step):
        game = ADVERSARIAL[self.config.adversarial]
        if name not in self.pools:
            return game.discriminator(critic(real, training=True), judged)
        shown = tf.concat([real, self.pools[name].exchange(fake, step)], axis=0)
        return game.discriminator(*tf.split(critic(shown, training=True), 2))

    def _scale(self, loss: tf.Tensor) -> tf.Tensor:
        if self.policy == "mixed_float16":
            return self.optimizers[A_TO_B].get_scaled_loss(loss)
        return loss

    def _apply(self, tape: tf.GradientTape, loss: tf.Tensor, networks) -> None:
        """One backward pass for both networks, then each one's optimizer."""
        gradients = tape.gradient(loss, [network.trainable_variables for network in networks])
        for network, mine in zip(networks, gradients):
            optimizer = self.optimizers[network.name]
            if self.policy == "mixed_float16":
                mine = optimizer.get_unscaled_gradients(mine)
            optimizer.apply_gradients(zip(mine, network.trainable_variables))
