"""pix2pix (Isola, Zhu, Zhou, Efros 2017): supervised translation from aligned pairs."""

from typing import Mapping

import tensorflow as tf

from cyclegan_tf.config import TranslatorConfig
from cyclegan_tf.losses import ADVERSARIAL, l1
from cyclegan_tf.networks.build import build_discriminator, build_generator
from cyclegan_tf.translators.base import SIDES, AdversarialTranslator, fan_out, trained_directions


class Pix2Pix(AdversarialTranslator):
    """For each direction a generator and a critic that sees the input beside the output.

    The generator minimises adversarial + ``l1_weight`` * L1 to the truth (L1 alone, as in the paper), the critic half
    of its game. The paper keeps the generator's dropout at test time as its only noise; ``test_dropout`` does that in
    `translate.py`, otherwise inference is deterministic.
    """

    wants_pairs = True
    has_cycle = False

    def __init__(self, config: TranslatorConfig, *, policy: str, total_steps: int):
        super().__init__(config, policy=policy, total_steps=total_steps)
        self.generators, self.critics = {}, {}
        for number, direction in enumerate(trained_directions(config)):
            seed = config.seed * 10 + 2 * number
            self.generators[direction] = build_generator(config, seed=seed + 1, policy=policy, name=direction)
            self.critics[direction] = build_discriminator(
                config, seed=seed + 2, policy=policy, name=f"critic_{direction}", extra_channels=config.channels
            )
        self.set_up(
            generators={name: network.trainable_variables for name, network in self.generators.items()},
            critics={network.name: network.trainable_variables for network in self.critics.values()},
            averaged=self.generators,
        )

    @tf.function(autograph=False)
    def train_step(self, batch: Mapping[str, tf.Tensor], step: tf.Tensor) -> Mapping[str, tf.Tensor]:
        game = ADVERSARIAL[self.config.adversarial]
        losses = {}
        with tf.GradientTape(persistent=True) as tape:
            total = critics = 0.0
            for direction, generator in self.generators.items():
                source, truth = (batch[letter] for letter in SIDES[direction])
                fake, near = fan_out(generator(source, training=True), 2)
                fake = tf.concat([source, fake], axis=-1)
                judged = self.critics[direction](fake, training=True)
                losses[f"adversarial_{direction}"] = game.generator(judged)
                losses[f"l1_{direction}"] = l1(near, truth)
                real = tf.concat([source, truth], axis=-1)
                critic = self.critic_loss(direction, self.critics[direction], real, fake, judged, step)
                losses[f"critic_{direction}"] = critic
                total += losses[f"adversarial_{direction}"] + self.config.l1_weight * losses[f"l1_{direction}"]
                critics += critic
            total, critics = self.scaled(total), self.scaled(critics)
        self.update(tape, total, critics, step)
        return losses
