"""CUT and FastCUT (Park, Efros, Zhang, Zhu 2020): one-sided translation by contrast of patches."""

from typing import Mapping

import tensorflow as tf

from cyclegan_tf.config import TranslatorConfig
from cyclegan_tf.losses import ADVERSARIAL
from cyclegan_tf.networks.build import build_discriminator, build_generator
from cyclegan_tf.networks.contrast import PatchContrast
from cyclegan_tf.translators.base import SIDES, AdversarialTranslator, fan_out, trained_directions, weigh


class CUT(AdversarialTranslator):
    """A generator and a critic for each direction; no cycle.

    The generator minimises adversarial + ``nce_weight`` * PatchNCE between input and output, and with
    ``nce_identity_weight`` PatchNCE between a target image and what the generator makes of it (CUT). FastCUT leaves
    that out, weighs the first ten times as much (here in the preset ``paper`` only), and flips half of its inputs (the
    equivariance of its code).

    Input and output go through one encoder, so a dark place is most easily found again if it stays dark. Between images
    of one modality that is what one wants; between CT and MRI, where fluid and bone change sides, a short training ends
    with the wrong polarity (docs/systems.md has what was tried).
    """

    has_cycle = False

    def __init__(self, config: TranslatorConfig, *, policy: str, total_steps: int):
        super().__init__(config, policy=policy, total_steps=total_steps)
        self.generators, self.critics, self.contrasts = {}, {}, {}
        for number, direction in enumerate(trained_directions(config)):
            seed = config.seed * 10 + 3 * number
            generator = build_generator(config, seed=seed + 1, policy=policy, name=direction)
            critic = build_discriminator(config, seed=seed + 2, policy=policy, name=f"critic_{direction}")
            self.generators[direction], self.critics[direction] = generator, critic
            self.contrasts[direction] = PatchContrast(generator, seed=seed + 3)
        self.set_up(
            generators={
                name: network.trainable_variables + list(self.contrasts[name].trainable_variables)
                for name, network in self.generators.items()
            },
            critics={network.name: network.trainable_variables for network in self.critics.values()},
            averaged=self.generators,
        )
        letters = "".join(SIDES[direction][1] for direction in self.generators)
        self.add_pools(letters, config.channels + int(config.critic_sees_outline))

    @tf.function(autograph=False)
    def train_step(self, batch: Mapping[str, tf.Tensor], step: tf.Tensor) -> Mapping[str, tf.Tensor]:
        losses = {}
        with tf.GradientTape(persistent=True) as tape:
            total = critics = 0.0
            for direction in self.generators:
                mine, critic = self._losses(direction, batch, step, losses)
                total, critics = total + mine, critics + critic
            total, critics = self.scaled(total), self.scaled(critics)
        self.update(tape, total, critics, step)
        return losses

    def _losses(self, direction: str, batch, step, losses: dict) -> tuple:
        config = self.config
        game = ADVERSARIAL[config.adversarial]
        first, second = SIDES[direction]
        source, target = batch[first], batch[second]
        contrast = self.contrasts[direction]
        if config.flip_equivariance:
            source = tf.where(self._draw(step) < 0.5, tf.reverse(source, [2]), source)
        # The output of the target is wanted for the identity part only.
        given = tf.concat([source, target], axis=0) if config.nce_identity_weight else source
        made = self.generators[direction](given, training=True)
        fake, *same = tf.split(made, 2) if config.nce_identity_weight else (made,)
        fake, near, out = fan_out(fake, 3)
        fake = self.to_judge(fake, source)
        judged = self.critics[direction](fake, training=True)
        terms = {f"adversarial_{direction}": (game.generator(judged), config.adversarial_weight)}
        pairs = (source, near), *((target, one) for one in same)
        # Both pairs in one pass of the encoder, for the sake of one gradient a weight.
        sources, outputs = (tf.concat(side, axis=0) for side in zip(*pairs))
        values = contrast.losses(sources, outputs, step, parts=len(pairs))
        terms[f"nce_{direction}"] = values[0], config.nce_weight
        if same:
            terms[f"nce_identity_{direction}"] = values[1], config.nce_identity_weight
        terms.update(self.input_terms(direction, source, out, step))
        total = weigh(terms, losses)
        real = self.to_judge(target, target)
        critic = self.critic_loss(second, self.critics[direction], real, fake, judged, step)
        losses[f"critic_{direction}"] = critic
        return total, critic

    def _draw(self, step: tf.Tensor) -> tf.Tensor:
        seed = tf.stack([tf.constant(self.config.seed + 29, tf.int64), step])
        return tf.random.stateless_uniform([], seed)
