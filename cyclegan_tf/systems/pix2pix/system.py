"""pix2pix (Isola, Zhu, Zhou, Efros 2017): supervised translation from aligned pairs."""

from collections.abc import Sequence

import tensorflow as tf

from cyclegan_tf.adversarial import AdversarialTranslator, fan_out
from cyclegan_tf.config import TranslatorConfig
from cyclegan_tf.directions import SIDES
from cyclegan_tf.losses import ADVERSARIAL, l1
from cyclegan_tf.networks.build import build_discriminator, build_generator
from cyclegan_tf.translator import Batch


class System(AdversarialTranslator):
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
        for direction in config.directions:
            critic = f"critic_{SIDES[direction][1]}"
            self.generators[direction] = build_generator(
                config, seed=self.weight_seed(direction), policy=policy, name=direction
            )
            self.critics[direction] = build_discriminator(
                config,
                seed=self.weight_seed(critic),
                policy=policy,
                name=critic,
                extra_channels=config.data.image_channels,
            )
        self.set_up(
            generators={name: network.trainable_variables for name, network in self.generators.items()},
            critics={network.name: network.trainable_variables for network in self.critics.values()},
            averaged=self.generators,
        )

    @classmethod
    def keeps_dropout(cls, config: TranslatorConfig) -> bool:
        return config.system.test_dropout

    def step_losses(self, batch: Batch, step: tf.Tensor, losses: dict[str, tf.Tensor]) -> tuple[Sequence, tf.Tensor]:
        system = self.config.system
        game = ADVERSARIAL[system.adversarial]
        total = critics = 0.0
        for direction, generator in self.generators.items():
            source, truth = (batch[letter] for letter in SIDES[direction])
            critic = self.critics[direction]
            fake, near = fan_out(generator(source, training=True), 2)
            fake = tf.concat([source, fake], axis=-1)
            judged = critic(fake, training=True)
            losses[f"adversarial_{direction}"] = game.generator(judged)
            losses[f"l1_{direction}"] = l1(near, truth)
            real = tf.concat([source, truth], axis=-1)
            losses[critic.name] = self.critic_loss(SIDES[direction][1], critic, real, fake, judged, step)
            total += system.adversarial_weight * losses[f"adversarial_{direction}"]
            total += system.l1_weight * losses[f"l1_{direction}"]
            critics += losses[critic.name]
        return [total], critics
