"""What the training loop asks of a translation system, and what adversarial systems share."""

from typing import Any, Mapping, Sequence

import tensorflow as tf

from common_tf.averaging import update_average
from cyclegan_tf.config import TranslatorConfig
from cyclegan_tf.image_pool import ImagePool
from cyclegan_tf.losses import ADVERSARIAL, head_mask
from cyclegan_tf.networks.build import build_generator
from cyclegan_tf.optimization import LinearDecay, ramp

A_TO_B, B_TO_A = "a_to_b", "b_to_a"
DIRECTIONS = (A_TO_B, B_TO_A)
SIDES = {A_TO_B: ("a", "b"), B_TO_A: ("b", "a")}
"""Source and target letter of each direction."""


class Translator(tf.Module):
    """A translation system: its networks, optimizers and losses, and all state that a checkpoint must hold.

    As a `tf.Module`, everything assigned to an attribute is saved and restored with it.
    """

    wants_pairs = False
    """Whether ``a`` and ``b`` of a batch must be aligned."""

    has_cycle = True
    """Whether both directions are trained to undo each other."""

    @classmethod
    def check(cls, config: TranslatorConfig) -> None:
        """Raises `UserError` for what the system lacks, before anything is written."""

    def train_step(self, batch: Mapping[str, tf.Tensor], step: tf.Tensor) -> Mapping[str, tf.Tensor]:
        """One update of every network.

        Args:
            batch: ``a`` and ``b``, each ``(batch, size, size, channels)`` float32 in [-1, 1].
            step: int64 scalar, the number of updates made before; random draws follow from it.

        Returns:
            float32 scalars by name; all finite while training is healthy.
        """
        raise NotImplementedError

    def translate(self, images: tf.Tensor, direction: str) -> tf.Tensor:
        """Translates images as inference does (averaged weights, no dropout).

        Args:
            images: ``(batch, size, size, channels)`` float32 in [-1, 1].
            direction: one of `DIRECTIONS`.

        Returns:
            A tensor of the same shape and range.
        """
        return self.inference_networks()[direction](images, training=False)

    def inference_networks(self) -> Mapping[str, tf.keras.Model]:
        """The generators that inference uses, by direction; a one-sided system has one."""
        raise NotImplementedError

    def diagnostics(self, batch: Mapping[str, tf.Tensor], step: tf.Tensor) -> Mapping[str, tf.Tensor]:
        """What is too dear for every step; called with each validation. Empty where there is nothing to say."""
        return {}

    @classmethod
    def build_inference(cls, config: TranslatorConfig, *, policy: str) -> Mapping[str, tf.keras.Model]:
        """Untrained networks into which the weights of `inference_networks` can be loaded."""
        return {
            direction: build_generator(config, seed=0, policy=policy, name=direction)
            for direction in trained_directions(config)
        }


def trained_directions(config: TranslatorConfig) -> tuple:
    """The directions that a config trains."""
    return DIRECTIONS if config.direction == "both" else (config.direction,)


class AdversarialTranslator(Translator):
    """Optimizers, averages and pools of generators and critics.

    Every gradient of a step comes from the weights before it, and one backward pass serves each side. So that training
    is reproducible to the bit, no variable and no tensor may gather more than two gradients at once: TensorFlow sums
    three in an order that it chooses at run time. `fan_out` hands a tensor to several uses accordingly.
    """

    def __init__(self, config: TranslatorConfig, *, policy: str, total_steps: int):
        super().__init__(name=config.model)
        self.config = config
        self.policy = policy
        self.total_steps = total_steps
        self.optimizers: dict = {}
        self.averages: dict = {}
        self.pools: dict = {}

    def set_up(self, trained: Mapping[str, Sequence[tf.Variable]], averaged: Mapping[str, tf.keras.Model]) -> None:
        """Builds the optimizers, and the averages of the networks that inference uses.

        Args:
            trained: variables by the name of their optimizer; critics' names begin with ``critic``.
            averaged: by direction.
        """
        config = self.config
        rates = {True: config.critic_learning_rate or config.learning_rate, False: config.learning_rate}
        for name, variables in trained.items():
            schedule = LinearDecay(
                rate=rates[name.startswith("critic")], total_steps=self.total_steps, decay_start=config.decay_start
            )
            optimizer = tf.keras.optimizers.Adam(schedule, beta_1=config.beta_1, jit_compile=False)
            if self.policy == "mixed_float16":
                optimizer = tf.keras.mixed_precision.LossScaleOptimizer(optimizer)
            # Built now, so that a checkpoint finds every slot to restore into.
            optimizer.build(variables)
            self.optimizers[name] = optimizer
        self._live = dict(averaged)
        if config.ema_decay:
            self.averages = dict(self.build_inference(config, policy=self.policy))
            for direction, network in averaged.items():
                self.averages[direction].set_weights(network.get_weights())

    def add_pools(self, letters: str, channels: int) -> None:
        """Pools of past fakes for the domains of the given letters."""
        config = self.config
        if config.pool_size:
            shape = (config.image_size, config.image_size, channels)
            for name in letters:
                seed = config.seed * 10 + 5 + "ab".index(name)
                self.pools[name] = ImagePool(capacity=config.pool_size, shape=shape, seed=seed)

    def inference_networks(self) -> Mapping[str, tf.keras.Model]:
        return dict(self.averages) or dict(self._live)

    def critic_loss(self, name: str, critic, real: tf.Tensor, fake: tf.Tensor, judged: tf.Tensor, step: tf.Tensor):
        """The critic's side of the game; without a pool the pass over the fakes serves both games.

        Args:
            name: letter of the domain that is judged.
            critic: its network.
            real, fake: what it is shown.
            judged: its logits of ``fake``.
            step: of the training.
        """
        game = ADVERSARIAL[self.config.adversarial]
        if name not in self.pools:
            return game.discriminator(critic(real, training=True), judged)
        shown = tf.concat([real, self.pools[name].exchange(fake, step)], axis=0)
        return game.discriminator(*tf.split(critic(shown, training=True), 2))

    def to_judge(self, images: tf.Tensor, source: tf.Tensor) -> tf.Tensor:
        """What a critic is shown: the images, and with ``critic_sees_outline`` the outline of the head they are of.

        The outline does not depend on the generator. Without it a generator may darken the scalp to nothing and call
        the bright skull the scalp of a smaller head: a critic of patches cannot tell.

        Args:
            images: real or translated.
            source: the real image whose head it is; the image itself where it is real.
        """
        if not self.config.critic_sees_outline:
            return images
        return tf.concat([images, 2.0 * head_mask(source) - 1.0], axis=-1)

    def cycle_weight(self, step: tf.Tensor) -> tf.Tensor:
        """The weight of the cycle loss at a step; it rises over ``cycle_ramp`` of the training."""
        config = self.config
        steps = config.cycle_ramp * self.total_steps
        return ramp(step, start=config.cycle_weight_start, end=config.cycle_weight, steps=steps)

    def edge_weight(self, step: tf.Tensor) -> tf.Tensor:
        """The weight of the edge term at a step; 0 until ``edge_start`` of the training."""
        late = tf.cast(step, tf.float32) >= self.config.edge_start * self.total_steps
        return self.config.edge_weight * tf.cast(late, tf.float32)

    def scaled(self, loss: tf.Tensor) -> tf.Tensor:
        """The loss as gradients are to be taken of it."""
        if self.policy == "mixed_float16":
            return next(iter(self.optimizers.values())).get_scaled_loss(loss)
        return loss

    def apply(self, tape: tf.GradientTape, loss: tf.Tensor, trained: Mapping[str, Sequence[tf.Variable]]) -> None:
        """One backward pass for all of the given variables, then each optimizer's update."""
        for name, gradients in zip(trained, tape.gradient(loss, list(trained.values()))):
            optimizer = self.optimizers[name]
            if self.policy == "mixed_float16":
                gradients = optimizer.get_unscaled_gradients(gradients)
            optimizer.apply_gradients(zip(gradients, trained[name]))

    def update_averages(self, step: tf.Tensor) -> None:
        """Moves the averages towards the networks as they are now."""
        for direction, average in self.averages.items():
            update_average(average, self._live[direction], decay=self.config.ema_decay, step=step)


def fan_out(tensor: Any, count: int) -> tuple:
    """The same tensor for several uses, so that no gradient sums three parts at once."""
    copies = []
    for _ in range(count - 1):
        mine, tensor = tf.identity(tensor), tf.identity(tensor)
        copies.append(mine)
    return (*copies, tensor)
