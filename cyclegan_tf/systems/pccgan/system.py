"""pCCGAN (Rai, Bhatt, Patra 2023) in this project's own reading: the paper's code and details were not to be had.

Fixed by the source: two cyclically connected conditional GANs whose generators are conditioned on alternate unpaired
patches of the target modality; adaptive dictionaries inside the generators; 32 layers in a generator and 15 in a
discriminator; logarithmic adversarial loss, identity, forward and backward cycle.

Declared by us: the condition is a target slice of an earlier step of which alternate cells of a 4x4 grid are shown (0
elsewhere), concatenated to the source as a channel; 32 counts convolutions; the dictionary (128 atoms, soft assignment)
stands after the encoder, with the loss |h - rec|^2 (an L1 penalty on a soft assignment is a constant, so it is left
out); the discriminator is the 70x70 PatchGAN, whose 5 convolutions with norm and activation count as 15. Spectral norm
bounds the last convolution of the generator and the discriminators, tanh the output. No gradient passes through the
condition. At inference there is no slice to be conditioned on: a running mean of the training slices stands in for it,
and in a quarter of the training steps too.

The condition is not drawn from the step's own slices, which its cycle must return: the answer would stand in the
question. (Where one pass over the data ends and the next begins, two steps may draw the same slice.)
"""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from common_tf.randomness import Stream
from common_tf.replicas import replicas
from cyclegan_tf.adversarial import AdversarialTranslator, Terms, fan_out, weigh
from cyclegan_tf.config import TranslatorConfig
from cyclegan_tf.directions import DIRECTIONS, SIDES, back
from cyclegan_tf.losses import ADVERSARIAL, l1
from cyclegan_tf.networks.build import build_discriminator
from cyclegan_tf.systems.pccgan.networks import ATOMS, conditional_generator, with_reference
from cyclegan_tf.translator import Batch

_GRID = 4
_REFERENCE_SHARE, _REFERENCE_RATE = 0.25, 0.02
_BY_REFERENCE = Stream("pccgan.by_reference")


class System(AdversarialTranslator):
    """See the module. ``dictionary_usage_*`` is the entropy of the mean assignment over log K: 1 uses all atoms
    alike.
    """

    def __init__(self, config: TranslatorConfig, *, policy: str, total_steps: int):
        super().__init__(config, policy=policy, total_steps=total_steps)
        self.generators = {
            name: conditional_generator(**_options(config, policy), seed=self.weight_seed(name), name=name)
            for name in DIRECTIONS
        }
        self.critics = {
            letter: build_discriminator(
                config, seed=self.weight_seed(f"critic_{letter}"), policy=policy, name=f"critic_{letter}"
            )
            for letter in "ab"
        }
        live = {name: with_reference(network, name=name) for name, network in self.generators.items()}
        self.set_up(
            generators={name: network.trainable_variables for name, network in self.generators.items()},
            critics={network.name: network.trainable_variables for network in self.critics.values()},
            averaged=live,
        )
        self.add_pools("ab")
        data = config.data
        cells = tf.range(data.image_size) * _GRID // data.image_size
        shown = (cells[:, None] + cells[None]) % 2 == 0
        self._shown = tf.cast(shown, tf.float32)[None, :, :, None]
        shape = (config.optimisation.batch_size, data.image_size, data.image_size, data.image_channels)
        # The slices of the step before, by domain; part of the state that a checkpoint holds.
        self.earlier = {
            letter: tf.Variable(tf.zeros(shape), trainable=False, name=f"earlier_{letter}") for letter in "ab"
        }

    @classmethod
    def build_inference(cls, config: TranslatorConfig, *, policy: str) -> Mapping[str, tf.keras.Model]:
        return {
            name: with_reference(conditional_generator(**_options(config, policy), seed=0, name=name), name=name)
            for name in DIRECTIONS
        }

    def step_losses(self, batch: Batch, step: tf.Tensor, losses: dict[str, tf.Tensor]) -> tuple[Sequence, tf.Tensor]:
        conditions = {direction: replicas().part(self.condition(direction, step)) for direction in DIRECTIONS}
        total, forth = 0.0, {}
        for direction in DIRECTIONS:
            mine, forth[direction] = self._translate(direction, batch, conditions[direction], step, losses)
            total += mine
        flip = self.cycle_flip(step)
        for direction in DIRECTIONS:
            letter = SIDES[direction][1]
            cycled, *_ = self.generators[direction](
                [flip(forth[back(direction)]), conditions[direction]], training=True
            )
            total += weigh(self.cycle_terms(letter, flip(batch[letter]), cycled, step), losses)
        return [total], losses["critic_a"] + losses["critic_b"]

    def condition(self, direction: str, step: tf.Tensor) -> tf.Tensor:
        """Alternate cells of target slices of the step before, or of the reference.

        Args:
            direction: of the translation.
            step: of the training; the first one has no slices before it and sees the reference.
        """
        target = self.earlier[SIDES[direction][1]]
        seed = _BY_REFERENCE.tensor(self.config.optimisation.seed, step, direction)
        by_reference = (tf.random.stateless_uniform([], seed) < _REFERENCE_SHARE) | (step == 0)
        reference = tf.zeros_like(target) + self._reference(self._live[direction])
        return tf.stop_gradient(tf.where(by_reference, reference, target * self._shown))

    def _translate(
        self, direction: str, batch: Batch, condition: tf.Tensor, step: tf.Tensor, losses: dict
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Adversarial, identity, dictionary and outline of one direction; returns their sum and the fake for the
        cycle.
        """
        system = self.config.system
        game = ADVERSARIAL[system.adversarial]
        first, second = SIDES[direction]
        source, target = batch[first], batch[second]
        # The image to translate and the one to leave unchanged go together: two passes of a network in all.
        given = [tf.concat([source, target], axis=0), tf.concat([condition, condition], axis=0)]
        made, assignment, error = self.generators[direction](given, training=True)
        fake, same = tf.split(made, 2)
        fake, forth, out = fan_out(fake, 3)
        shown = self.to_judge(fake, batch, first)
        critic = self.critics[second]
        judged = critic(shown, training=True)
        terms: Terms = {
            f"adversarial_{direction}": (game.generator(judged), system.adversarial_weight),
            f"identity_{second}": (l1(same, target), system.identity_weight),
            f"dictionary_{direction}": (tf.reduce_mean(error), system.dictionary_weight),
            **self.input_terms(direction, source, batch[f"mask_{first}"], out, step),
        }
        used = replicas().step_mean(tf.reduce_mean(tf.stop_gradient(assignment), axis=(0, 1, 2)))
        entropy = -tf.reduce_sum(used * tf.math.log(used + 1e-12))
        losses[f"dictionary_usage_{direction}"] = entropy / tf.math.log(float(ATOMS))
        truth = self.to_judge(target, batch, second)
        losses[critic.name] = self.critic_loss(second, critic, truth, shown, judged, step)
        return weigh(terms, losses), forth

    def remember(self, batch: Batch) -> None:
        """Keeps this step's slices for the next one's conditions, and moves the references towards them."""
        for direction in DIRECTIONS:
            letter = SIDES[direction][1]
            picture = self._reference(self._live[direction])
            mean = tf.reduce_mean(batch[letter], axis=0, keepdims=True) * self._shown
            picture.assign_add(_REFERENCE_RATE * (mean - picture))
            if direction in self.averages:
                self._reference(self.averages[direction]).assign(picture)
            self.earlier[letter].assign(batch[letter])

    @staticmethod
    def _reference(network: tf.keras.Model) -> tf.Variable:
        return network.get_layer("reference").picture


def _options(config: TranslatorConfig, policy: str) -> dict:
    data = config.data
    return dict(
        size=data.image_size, channels=data.image_channels, filters=config.system.generator_filters, policy=policy
    )
