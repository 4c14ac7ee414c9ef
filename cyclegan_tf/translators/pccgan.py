"""pCCGAN (Rai, Bhatt, Patra 2023) in this project's own reading: the paper's code and details were not to be had.

Fixed by the source: two cyclically connected conditional GANs whose generators are conditioned on alternate unpaired
patches of the target modality; adaptive dictionaries inside the generators; 32 layers in a generator and 15 in a
discriminator; logarithmic adversarial loss, identity, forward and backward cycle.

Declared by us: the condition is a random target slice of which alternate cells of a 4x4 grid are shown (0 elsewhere),
concatenated to the source as a channel; 32 counts convolutions; the dictionary (128 atoms, soft assignment) stands
after the encoder, with the loss |h - rec|^2 (an L1 penalty on a soft assignment is a constant, so it is left out); the
discriminator is the 70x70 PatchGAN, whose 5 convolutions with norm and activation count as 15. Spectral norm bounds the
last convolution of the generator and the discriminators, tanh the output. No gradient passes through the condition. At
inference there is no slice to be conditioned on: a running mean of the training slices stands in for it, and in a
quarter of the training steps too.
"""

from typing import Mapping

import tensorflow as tf

from cyclegan_tf.config import TranslatorConfig
from cyclegan_tf.losses import ADVERSARIAL, l1
from cyclegan_tf.networks.build import build_discriminator
from cyclegan_tf.networks.pccgan import ATOMS, conditional_generator, with_reference
from cyclegan_tf.translators.base import A_TO_B, B_TO_A, DIRECTIONS, SIDES, AdversarialTranslator, fan_out, weigh

_GRID = 4
_REFERENCE_SHARE, _REFERENCE_RATE = 0.25, 0.02


class PCCGAN(AdversarialTranslator):
    """See the module. ``dictionary_usage_*`` is the entropy of the mean assignment over log K: 1 uses all atoms
    alike.
    """

    def __init__(self, config: TranslatorConfig, *, policy: str, total_steps: int):
        super().__init__(config, policy=policy, total_steps=total_steps)
        seed = config.seed * 10
        self.generators = {
            direction: conditional_generator(**_options(config, policy), seed=seed + 1 + number, name=direction)
            for number, direction in enumerate(DIRECTIONS)
        }
        self.critics = {
            letter: build_discriminator(config, seed=seed + 3 + number, policy=policy, name=f"critic_{letter}")
            for number, letter in enumerate("ab")
        }
        live = {name: with_reference(network, name=name) for name, network in self.generators.items()}
        self.set_up(
            generators={name: network.trainable_variables for name, network in self.generators.items()},
            critics={network.name: network.trainable_variables for network in self.critics.values()},
            averaged=live,
        )
        self.add_pools("ab", config.channels + int(config.critic_sees_outline))
        cells = tf.range(config.image_size) * _GRID // config.image_size
        shown = (cells[:, None] + cells[None]) % 2 == 0
        self._shown = tf.cast(shown, tf.float32)[None, :, :, None]

    @classmethod
    def build_inference(cls, config: TranslatorConfig, *, policy: str) -> Mapping[str, tf.keras.Model]:
        return {
            direction: with_reference(
                conditional_generator(**_options(config, policy), seed=0, name=direction), name=direction
            )
            for direction in DIRECTIONS
        }

    @tf.function(autograph=False)
    def train_step(self, batch: Mapping[str, tf.Tensor], step: tf.Tensor) -> Mapping[str, tf.Tensor]:
        conditions = {direction: self._condition(direction, batch, step) for direction in DIRECTIONS}
        losses = {}
        with tf.GradientTape(persistent=True) as tape:
            total, back = 0.0, {}
            for direction in DIRECTIONS:
                mine, back[direction] = self._translate(direction, batch, conditions[direction], step, losses)
                total += mine
            flip = self.cycle_flip(step)
            for direction in DIRECTIONS:
                letter, forth = SIDES[direction][1], B_TO_A if direction == A_TO_B else A_TO_B
                cycled, *_ = self.generators[direction]([flip(back[forth]), conditions[direction]], training=True)
                total += weigh(self.cycle_terms(letter, flip(batch[letter]), cycled, step), losses)
            critics = losses["critic_a"] + losses["critic_b"]
            total, critics = self.scaled(total), self.scaled(critics)
        self.update(tape, total, critics, step)
        self._update_references(batch)
        return losses

    def _translate(self, direction: str, batch, condition, step, losses: dict) -> tuple:
        """Adversarial, identity, dictionary and outline of one direction; returns their sum and the fake for the
        cycle.
        """
        config = self.config
        game = ADVERSARIAL[config.adversarial]
        first, second = SIDES[direction]
        source, target = batch[first], batch[second]
        # The image to translate and the one to leave unchanged go together: two passes of a network in all.
        given = [tf.concat([source, target], axis=0), tf.concat([condition, condition], axis=0)]
        made, assignment, error = self.generators[direction](given, training=True)
        fake, same = tf.split(made, 2)
        fake, back, out = fan_out(fake, 3)
        shown = self.to_judge(fake, source)
        critic = self.critics[second]
        judged = critic(shown, training=True)
        terms = {
            f"adversarial_{direction}": (game.generator(judged), config.adversarial_weight),
            f"identity_{second}": (l1(same, target), config.identity_weight),
            f"dictionary_{direction}": (tf.reduce_mean(error), config.dictionary_weight),
            **self.input_terms(direction, source, out, step),
        }
        used = tf.reduce_mean(tf.stop_gradient(assignment), axis=(0, 1, 2))
        losses[f"dictionary_usage_{direction}"] = -tf.reduce_sum(used * tf.math.log(used + 1e-12)) / tf.math.log(
            float(ATOMS)
        )
        truth = self.to_judge(target, target)
        losses[f"critic_{second}"] = self.critic_loss(second, critic, truth, shown, judged, step)
        return weigh(terms, losses), back

    def _condition(self, direction: str, batch, step: tf.Tensor) -> tf.Tensor:
        """Alternate cells of the batch's target slices, mirrored so that no place of them fits, or of the reference."""
        target = tf.reverse(batch[SIDES[direction][1]], [2])
        seed = tf.stack([tf.constant(self.config.seed + DIRECTIONS.index(direction), tf.int64), step])
        reference = tf.zeros_like(target) + self._reference(self._live[direction])
        condition = tf.where(tf.random.stateless_uniform([], seed) < _REFERENCE_SHARE, reference, target * self._shown)
        return tf.stop_gradient(condition)

    def _update_references(self, batch) -> None:
        for direction in DIRECTIONS:
            picture = self._reference(self._live[direction])
            mean = tf.reduce_mean(batch[SIDES[direction][1]], axis=0, keepdims=True) * self._shown
            picture.assign_add(_REFERENCE_RATE * (mean - picture))
            if direction in self.averages:
                self._reference(self.averages[direction]).assign(picture)

    @staticmethod
    def _reference(network: tf.keras.Model) -> tf.Variable:
        return network.get_layer("reference").picture


def _options(config: TranslatorConfig, policy: str) -> dict:
    return dict(size=config.image_size, channels=config.channels, filters=config.generator_filters, policy=policy)
