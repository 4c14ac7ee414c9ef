"""What the training loop asks of a translation system, and what adversarial systems share."""

from typing import Any, Callable, Mapping, Optional, Sequence

import tensorflow as tf

from common_tf.averaging import update_average
from cyclegan_tf.config import TranslatorConfig
from cyclegan_tf.cycle_terms import CycleTerms
from cyclegan_tf.image_pool import ImagePool
from cyclegan_tf.losses import ADVERSARIAL, edge_consistency, head_mask, l1, outside_head
from cyclegan_tf.networks.build import build_generator
from cyclegan_tf.optimization import LinearDecay, ramp

A_TO_B, B_TO_A = "a_to_b", "b_to_a"
DIRECTIONS = (A_TO_B, B_TO_A)
SIDES = {A_TO_B: ("a", "b"), B_TO_A: ("b", "a")}
"""Source and target letter of each direction."""


Terms = Mapping[str, tuple]
"""Raw loss and weight by name."""


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
        CycleTerms(config)

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
        self._cycle_terms = CycleTerms(config)

    def set_up(
        self,
        *,
        generators: Mapping[str, Sequence[tf.Variable]],
        critics: Mapping[str, Sequence[tf.Variable]],
        averaged: Mapping[str, tf.keras.Model],
    ) -> None:
        """Builds the optimizers, and the averages of the networks that inference uses.

        Args:
            generators, critics: variables by the name of their optimizer.
            averaged: by direction.
        """
        config = self.config
        self._generators, self._critics = dict(generators), dict(critics)
        for name, variables in {**generators, **critics}.items():
            rate = config.critic_learning_rate if name in critics and config.critic_learning_rate else None
            schedule = LinearDecay(
                rate=rate or config.learning_rate, total_steps=self.total_steps, decay_start=config.decay_start
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

    def cycle_flip(self, step: tf.Tensor) -> Callable[[tf.Tensor], tf.Tensor]:
        """A flip for the way back, drawn from (seed, step): left-right, upside down, both or none.

        Two generators that move the picture to and fro undo each other; mirrored in between, their shifts add up.
        """
        if not self.config.cycle_flips:
            return lambda images: images
        seed = tf.stack([tf.constant(self.config.seed, tf.int64), step])
        draws = tf.random.stateless_uniform([2], seed) < 0.5

        def flip(images: tf.Tensor) -> tf.Tensor:
            for axis in (1, 2):
                images = tf.where(draws[axis - 1], tf.reverse(images, [axis]), images)
            return images

        return flip

    def cycle_terms(self, letter: str, real: tf.Tensor, cycled: tf.Tensor, step: tf.Tensor) -> Terms:
        """What a cycle is judged by: L1, and the terms that have a weight, which rise from nothing over its ramp.

        What is judged by more than gray values holds on to its first polarity more firmly, so the rest of the game has
        to choose that first.

        Args:
            letter: of the domain.
            real: an image.
            cycled: what came back of it.
            step: of the training.
        """
        near, structure = fan_out(cycled, 2)
        terms = {f"cycle_{letter}": (l1(near, real), self.cycle_weight(step))}
        share = ramp(step, start=0.0, end=1.0, steps=self.config.cycle_ramp * self.total_steps)
        for name, value in self._cycle_terms(real, structure).items():
            terms[f"{name}_{letter}"] = value, self._cycle_terms.weights[name] * share
        return terms

    def input_terms(self, direction: str, source: tf.Tensor, output: tf.Tensor, step: tf.Tensor) -> Terms:
        """What ties an output to its own input: nothing outside the head, edges where the input has them.

        Edges count from ``edge_start`` of the training on.
        """
        config, terms = self.config, {}
        outside, edges = fan_out(output, 2)
        if config.outline_weight:
            terms[f"outside_{direction}"] = outside_head(source, outside), config.outline_weight
        if config.edge_weight:
            late = tf.cast(step, tf.float32) >= config.edge_start * self.total_steps
            weight = config.edge_weight * tf.cast(late, tf.float32)
            terms[f"edges_{direction}"] = edge_consistency(source, edges), weight
        return terms

    def scaled(self, loss: tf.Tensor) -> tf.Tensor:
        """The loss as gradients are to be taken of it."""
        if self.policy == "mixed_float16":
            return next(iter(self.optimizers.values())).get_scaled_loss(loss)
        return loss

    def update(self, tape: tf.GradientTape, loss: tf.Tensor, critics: tf.Tensor, step: tf.Tensor) -> None:
        """One backward pass for all generators, one for all critics, each optimizer's update, and the averages.

        The critics move in a random ``critic_share`` of the steps, which one follows from (seed, step).

        Args:
            tape: a persistent one, with both losses as `scaled` gives them.
            loss: of the generators.
            critics: sum of the critics' losses.
            step: of the training.
        """
        self._apply(tape, loss, self._generators)
        if self.config.critic_share < 1:
            seed = tf.stack([tf.constant(self.config.seed + 17, tf.int64), step])
            wanted = tf.random.stateless_uniform([], seed) < self.config.critic_share
            self._apply(tape, critics, self._critics, wanted)
        else:
            self._apply(tape, critics, self._critics)
        for direction, average in self.averages.items():
            update_average(average, self._live[direction], decay=self.config.ema_decay, step=step)

    def _apply(self, tape, loss, trained: Mapping[str, Sequence[tf.Variable]], wanted: Optional[tf.Tensor] = None):
        gradients = tape.gradient(loss, list(trained.values()))

        def move() -> tf.Tensor:
            for (name, variables), mine in zip(trained.items(), gradients):
                optimizer = self.optimizers[name]
                mine = optimizer.get_unscaled_gradients(mine) if self.policy == "mixed_float16" else mine
                optimizer.apply_gradients(zip(mine, variables))
            return tf.constant(True)

        if wanted is None:
            move()
        else:
            tf.cond(wanted, move, lambda: tf.constant(False))


def weigh(terms: Terms, losses: dict) -> tf.Tensor:
    """The weighted sum of the terms; their raw values go into ``losses``."""
    losses.update({name: value for name, (value, _) in terms.items()})
    return sum(weight * value for value, weight in terms.values())


def fan_out(tensor: Any, count: int) -> tuple:
    """The same tensor for several uses, so that no gradient sums three parts at once."""
    copies = []
    for _ in range(count - 1):
        mine, tensor = tf.identity(tensor), tf.identity(tensor)
        copies.append(mine)
    return (*copies, tensor)
