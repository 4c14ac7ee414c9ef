"""What adversarial systems share: optimizers, averages, pools, the critics' game, and terms that several have."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from common_tf.arithmetic import LossScale
from common_tf.averaging import update_average
from common_tf.features import load_feature_maps
from common_tf.lanes import OPTIMIZER_OPTIONS
from common_tf.lite0 import NAME, lite0_weights
from common_tf.randomness import Stream
from common_tf.replicas import replicas
from common_tf.sources.pipeline import MASK
from cyclegan_tf.config import TranslatorConfig
from cyclegan_tf.directions import SIDES
from cyclegan_tf.image_pool import ImagePool
from cyclegan_tf.losses import ADVERSARIAL, best_shift, edge_consistency, feature_distance, l1, masked_l1, outside_head
from cyclegan_tf.optimization import LinearDecay, ramp
from cyclegan_tf.pairs_beside import PAIR
from cyclegan_tf.terms import CycleTerms
from cyclegan_tf.translator import Batch, Translator

Terms = dict[str, tuple[tf.Tensor, Any]]
"""Raw loss and weight by name."""

_CYCLE_FLIP, _CRITICS_MOVE = Stream("cycle_flip"), Stream("critics_move")
WEIGHTS = Stream("translator.weights")
"""Of the initial weights of every network of a translator, by its name."""


class AdversarialTranslator(Translator):
    """Optimizers, averages and pools of generators and critics.

    A system says what its networks lose by a step (`step_losses`); all else of it happens here. Every gradient of a
    step comes from the weights before it, and one backward pass serves each side. So that training is reproducible to
    the bit, no variable and no tensor may gather more than two gradients at once: TensorFlow sums three in an order
    that it chooses at run time. `fan_out` hands a tensor to several uses accordingly.
    """

    def __init__(self, config: TranslatorConfig, *, policy: str, total_steps: int):
        super().__init__(config, policy=policy, total_steps=total_steps)
        self.optimizers: dict[str, tf.keras.optimizers.Optimizer] = {}
        self.averages: dict[str, tf.keras.Model] = {}
        self.pools: dict[str, ImagePool] = {}
        self.loss_scale = LossScale(policy)
        self._cycle_terms = CycleTerms(config.system, slices=len(config.data.slab))
        wanted = getattr(config.system, "pairs", "") and config.system.pair_feature_weight
        self._pair_features = load_feature_maps(NAME) if wanted else None

    @classmethod
    def check(cls, config: TranslatorConfig) -> None:
        CycleTerms(config.system)
        if getattr(config.system, "critic", "") == "projected":
            lite0_weights()

    def weight_seed(self, name: str) -> int:
        """The seed of a network's initial weights."""
        return WEIGHTS.integer(self.config.optimisation.seed, name)

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
        config = self.config.optimisation
        # Closed over and not assigned: a tf.Module would save every variable of a list a second time.
        sides = {"generators": dict(generators), "critics": dict(critics)}
        rates: dict[str, LinearDecay] = {}
        self._side: Callable[[str], Mapping[str, Sequence[tf.Variable]]] = lambda name: sides[name]
        self._rate: Callable[[str, tf.Tensor], tf.Tensor] = lambda name, step: rates[name](step)
        for name, variables in {**generators, **critics}.items():
            rate = config.critic_learning_rate if name in critics and config.critic_learning_rate else 0.0
            rates[name] = LinearDecay(
                rate=rate or config.learning_rate, total_steps=self.total_steps, decay_start=config.decay_start
            )
            # The rate is set anew in each step: an optimizer's own clock counts its updates, which may be fewer.
            optimizer = tf.keras.optimizers.Adam(config.learning_rate, beta_1=config.beta_1, **OPTIMIZER_OPTIONS)
            # Built now, so that a checkpoint finds every slot to restore into.
            optimizer.build(list(variables))
            self.optimizers[name] = optimizer
        self._live = dict(averaged)
        if config.ema_decay:
            self.averages = dict(self.build_inference(self.config, policy=self.policy))
            for direction, network in averaged.items():
                self.averages[direction].set_weights(network.get_weights())

    def start_from(self, weights: Mapping[str, Sequence[np.ndarray]]) -> None:
        super().start_from(weights)
        for direction, values in weights.items():
            self._live[direction].set_weights(values)

    def add_pools(self, letters: str) -> None:
        """Pools of past fakes, with what critics see beside them, for the domains of the given letters."""
        capacity = getattr(self.config.system, "pool_size", 0)
        if capacity:
            sides = [self.config.data.image_size] * (3 if self.is_volumetric else 2)
            for letter in letters:
                self.pools[letter] = ImagePool(
                    capacity=capacity,
                    shape=(*sides, self.config.critic_channels),
                    seed=self.config.optimisation.seed,
                    name=letter,
                )

    def trained(self) -> Sequence[tf.Variable]:
        return [
            variable for side in ("generators", "critics") for part in self._side(side).values() for variable in part
        ]

    def inference_networks(self) -> Mapping[str, tf.keras.Model]:
        return dict(self.averages) or dict(self._live)

    def critic_loss(
        self, name: str, critic: Callable, real: tf.Tensor, fake: tf.Tensor, judged: tf.Tensor, step: tf.Tensor
    ):
        """The critic's side of the game; without a pool the pass over the fakes serves both games.

        Args:
            name: letter of the domain that is judged.
            critic: its network.
            real, fake: what it is shown.
            judged: its logits of ``fake``.
            step: of the training.
        """
        game = ADVERSARIAL[self.config.system.adversarial]
        if name not in self.pools:
            return game.discriminator(critic(real, training=True), judged)
        shown = tf.concat([real, self.pools[name].exchange(fake, step)], axis=0)
        return game.discriminator(*tf.split(critic(shown, training=True), 2))

    def to_judge(self, images: tf.Tensor, batch: Batch, letter: str) -> tf.Tensor:
        """What a critic is shown: the images, and with ``critic_sees_outline`` the outline of the head they are of.

        The outline does not depend on the generator. Without it a generator may darken the scalp to nothing and call
        the bright skull the scalp of a smaller head: a critic of patches cannot tell.

        Args:
            images: real or translated.
            batch: of the step.
            letter: of the domain whose real image has the head.
        """
        if not self.config.system.critic_sees_outline:
            return images
        return tf.concat([images, 2.0 * batch[MASK + letter] - 1.0], axis=-1)

    def cycle_weight(self, step: tf.Tensor) -> tf.Tensor:
        """The weight of the cycle loss at a step; it rises over ``cycle_ramp`` of the training."""
        system = self.config.system
        if not system.cycle_weight:
            return tf.constant(0.0)
        steps = system.cycle_ramp * self.total_steps
        return ramp(step, start=system.cycle_weight_start, end=system.cycle_weight, steps=steps)

    def cycle_flip(self, step: tf.Tensor) -> Callable[[tf.Tensor], tf.Tensor]:
        """A flip for the way back along a random choice of the axes, perhaps none, drawn from (seed, step).

        Two generators that move the picture to and fro undo each other; mirrored in between, their shifts add up.
        """
        if not self.config.system.cycle_flips:
            return lambda images: images
        seed = _CYCLE_FLIP.tensor(self.config.optimisation.seed, step)

        def flip(images: tf.Tensor) -> tf.Tensor:
            axes = range(1, len(images.shape) - 1)
            draws = tf.random.stateless_uniform([len(axes)], seed) < 0.5
            for axis in axes:
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
        terms: Terms = {f"cycle_{letter}": (l1(near, real), self.cycle_weight(step))}
        share = ramp(step, start=0.0, end=1.0, steps=self.config.system.cycle_ramp * self.total_steps)
        for name, value in self._cycle_terms(real, structure).items():
            terms[f"{name}_{letter}"] = value, self._cycle_terms.weights[name] * share
        return terms

    def input_terms(
        self, direction: str, source: tf.Tensor, head: tf.Tensor, output: tf.Tensor, step: tf.Tensor
    ) -> Terms:
        """What ties an output to its own input: nothing outside the head, edges where the input has them.

        Edges count from ``edge_start`` of the training on.

        Args:
            direction: of the translation.
            source, output: its two ends.
            head: mask of the source.
            step: of the training.
        """
        system, terms = self.config.system, {}
        outside, edges = fan_out(output, 2)
        if system.outline_weight:
            terms[f"outside_{direction}"] = outside_head(head, outside), system.outline_weight
        if getattr(system, "edge_weight", 0.0):
            late = tf.cast(step, tf.float32) >= system.edge_start * self.total_steps
            weight = system.edge_weight * tf.cast(late, tf.float32)
            terms[f"edges_{direction}"] = edge_consistency(source, edges), weight
        return terms

    def step_losses(self, batch: Batch, step: tf.Tensor, losses: dict[str, tf.Tensor]) -> tuple[Sequence, tf.Tensor]:
        """What the networks lose by a step; called inside its tape.

        Each loss is a mean over images, or says by `Replicas.step_mean` what of it belongs to the whole step.

        Args:
            batch: this process's part of the step's.
            step: of the training.
            losses: raw values are added, by name.

        Returns:
            Losses of the generators, usually one (where a weight would gather more than two gradients, its loss comes
            in parts, whose gradients are added in their order), and the sum of the critics' losses.
        """
        raise NotImplementedError

    def remember(self, batch: Batch) -> None:
        """Keeps what a later step needs of this one; called after its update.

        Args:
            batch: the whole step's.
        """

    # Nothing here depends on the value of a tensor; without AutoGraph the first step comes sooner.
    @tf.function(autograph=False)
    def train_step(self, batch: Batch, step: tf.Tensor) -> Mapping[str, tf.Tensor]:
        losses, gradients = self.step_gradients(batch, step)
        self._update(gradients, step)
        self.remember(batch)
        return losses

    def step_gradients(self, batch: Batch, step: tf.Tensor) -> tuple[dict[str, tf.Tensor], dict[str, list[tf.Tensor]]]:
        """Losses by name and gradients by optimizer, of the whole step, whichever processes share it."""
        mine = {name: replicas().part(images) for name, images in batch.items()}
        losses: dict[str, tf.Tensor] = {}
        with tf.GradientTape(persistent=True) as tape:
            parts, critics = self.step_losses(mine, step, losses)
            parts = [self.loss_scale.up(one) for one in (*parts, *self.pair_losses(mine, losses))]
            critics = self.loss_scale.up(critics)
        found = {**self._gradients(tape, parts, "generators"), **self._gradients(tape, [critics], "critics")}
        every = iter(replicas().mean([*losses.values(), *(one for part in found.values() for one in part)]))
        losses = {name: next(every) for name in losses}
        return losses, {name: [next(every) for _ in part] for name, part in found.items()}

    def pair_losses(self, batch: Batch, losses: dict[str, tf.Tensor]) -> list[tf.Tensor]:
        """How far translations of aligned pairs are from their truth; to be called inside the tape of a step.

        A pass of its own, so its sum is a loss of its own: no weight gathers more than two gradients.

        Args:
            batch: of the step, perhaps with pairs beside.
            losses: of the step; raw values are added.

        Returns:
            The weighted sum, not yet scaled; nothing without pairs.
        """
        if f"{PAIR}a" not in batch:
            return []
        system, mask, terms = self.config.system, batch[f"{PAIR}mask"], {}
        for direction, generator in self._live.items():
            source, target = (batch[f"{PAIR}{letter}"] for letter in SIDES[direction])
            near, seen = fan_out(generator(source, training=True), 2)
            truth = best_shift(near, target, mask, most=system.pair_shift)
            terms[f"pair_{direction}"] = masked_l1(near, truth, mask), system.pair_weight
            if self._pair_features is not None:
                distance = feature_distance(self._pair_features(truth), self._pair_features(seen))
                terms[f"pair_features_{direction}"] = distance, system.pair_feature_weight
        return [weigh(terms, losses)]

    def _update(self, gradients: Mapping[str, Sequence[tf.Tensor]], step: tf.Tensor) -> None:
        """Each optimizer's update, and the averages.

        The critics move in a random ``critic_share`` of the steps, which one follows from (seed, step).
        """
        optimisation = self.config.optimisation

        def move() -> None:
            self._apply("generators", gradients, step)
            if optimisation.critic_share < 1:
                seed = _CRITICS_MOVE.tensor(optimisation.seed, step)
                wanted = tf.random.stateless_uniform([], seed) < optimisation.critic_share
                tf.cond(wanted, lambda: self._apply("critics", gradients, step), lambda: tf.constant(False))
            else:
                self._apply("critics", gradients, step)

        self.loss_scale.when_finite([one for part in gradients.values() for one in part], move)
        for direction, average in self.averages.items():
            update_average(average, self._live[direction], decay=optimisation.ema_decay, step=step)

    def _gradients(self, tape: tf.GradientTape, losses: Sequence[tf.Tensor], side: str) -> dict[str, list[tf.Tensor]]:
        trained = self._side(side)
        first, *more = (tape.gradient(loss, [list(part) for part in trained.values()]) for loss in losses)
        for other in more:
            first = [[_added(a, b) for a, b in zip(mine, theirs)] for mine, theirs in zip(first, other)]
        return {name: self.loss_scale.down(mine) for name, mine in zip(trained, first)}

    def _apply(self, side: str, gradients: Mapping[str, Sequence[tf.Tensor]], step: tf.Tensor) -> tf.Tensor:
        for name, variables in self._side(side).items():
            optimizer = self.optimizers[name]
            optimizer.learning_rate.assign(self._rate(name, step))
            optimizer.apply_gradients(zip(gradients[name], variables))
        return tf.constant(True)


def weigh(terms: Terms, losses: dict[str, tf.Tensor]) -> tf.Tensor:
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


def _added(first: tf.Tensor | None, second: tf.Tensor | None) -> tf.Tensor | None:
    if first is None or second is None:
        return second if first is None else first
    return first + second
