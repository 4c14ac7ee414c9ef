"""UNIT (Liu, Breuel, Kautz 2017), the NIPS version: two variational auto-encoders with a shared latent space."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from common_tf.randomness import Stream
from common_tf.replicas import replicas
from cyclegan_tf.adversarial import AdversarialTranslator, Terms, fan_out, weigh
from cyclegan_tf.config import TranslatorConfig
from cyclegan_tf.directions import A_TO_B, B_TO_A, DIRECTIONS, SIDES
from cyclegan_tf.losses import ADVERSARIAL, l1
from cyclegan_tf.networks.build import build_discriminator
from cyclegan_tf.systems.unit.networks import joined, unit_parts
from cyclegan_tf.translator import Batch

_LATENT_NOISE = Stream("unit.latent_noise")


class System(AdversarialTranslator):
    """Images of both domains are encoded into one latent space and decoded into either domain.

    Weighted sum of: adversarial (``adversarial_weight``, 10), reconstruction within a domain
    (``reconstruction_weight``, 100), cycle through the other (``cycle_weight``, 100), and the mean square of each
    latent map (``kl_weight``, .1), which is the KL divergence to N(0, I) of a posterior of fixed unit variance. Noise
    N(0, I) is added to the latent in training only. The two shared blocks are one object each, for both domains.

    One pass of each part carries both of its uses as one batch, and the cycle makes a second; so no weight gathers more
    than two gradients.
    """

    def __init__(self, config: TranslatorConfig, *, policy: str, total_steps: int):
        super().__init__(config, policy=policy, total_steps=total_steps)
        self.parts = unit_parts(**_options(config, policy), seed=self.weight_seed("parts"))
        self.critic_a = build_discriminator(config, seed=self.weight_seed("critic_a"), policy=policy, name="critic_a")
        self.critic_b = build_discriminator(config, seed=self.weight_seed("critic_b"), policy=policy, name="critic_b")
        live = {direction: joined(self.parts, *SIDES[direction], name=direction) for direction in DIRECTIONS}
        self.set_up(
            generators={"generators": [v for part in self.parts.values() for v in part.trainable_variables]},
            critics={network.name: network.trainable_variables for network in (self.critic_a, self.critic_b)},
            averaged=live,
        )
        self.add_pools("ab")

    @classmethod
    def build_inference(cls, config: TranslatorConfig, *, policy: str) -> Mapping[str, tf.keras.Model]:
        """Each direction with parts of its own, so that one file holds one direction whole."""
        return {
            direction: joined(unit_parts(**_options(config, policy), seed=0), *SIDES[direction], name=direction)
            for direction in DIRECTIONS
        }

    def step_losses(self, batch: Batch, step: tf.Tensor, losses: dict[str, tf.Tensor]) -> tuple[Sequence, tf.Tensor]:
        system = self.config.system
        hidden, divergence = self._encode(batch["a"], batch["b"], step, "there")
        # Of the two halves of each batch one is the domain's own reconstruction, the other a translation.
        same_a, fake_a = tf.split(self.parts["decoder_a"](hidden, training=True), 2)
        fake_b, same_b = tf.split(self.parts["decoder_b"](hidden, training=True), 2)
        (fake_a, back_a, out_a), (fake_b, back_b, out_b) = fan_out(fake_a, 3), fan_out(fake_b, 3)
        flip = self.cycle_flip(step)
        hidden, divergence_again = self._encode(flip(back_a), flip(back_b), step, "back")
        from_a, from_b = tf.split(hidden, 2)
        terms: Terms = {
            "reconstruction_a": (l1(same_a, batch["a"]), system.reconstruction_weight),
            "reconstruction_b": (l1(same_b, batch["b"]), system.reconstruction_weight),
            **self.cycle_terms("a", flip(batch["a"]), self.parts["decoder_a"](from_b, training=True), step),
            **self.cycle_terms("b", flip(batch["b"]), self.parts["decoder_b"](from_a, training=True), step),
            "kl": (divergence + divergence_again, system.kl_weight),
        }
        total = weigh(terms, losses)
        for direction, fake, out in ((A_TO_B, fake_b, out_b), (B_TO_A, fake_a, out_a)):
            total += self._judge(direction, batch, fake, out, step, losses)
        return [total], losses["critic_a"] + losses["critic_b"]

    def _encode(self, images_a: tf.Tensor, images_b: tf.Tensor, step: tf.Tensor, turn: str) -> tuple:
        """The decoders' input for both domains, first a then b, and the KL term of both."""
        own = [self.parts["encoder_a"](images_a, training=True), self.parts["encoder_b"](images_b, training=True)]
        latent = tf.cast(self.parts["shared_in"](tf.concat(own, axis=0), training=True), tf.float32)
        seed = _LATENT_NOISE.tensor(self.config.optimisation.seed, step, turn)
        noisy = latent + replicas().drawn(lambda shape: tf.random.stateless_normal(shape, seed), tf.shape(latent))
        # The sum of both domains' means is twice the mean over the joint batch.
        return self.parts["shared_out"](noisy, training=True), 2.0 * tf.reduce_mean(tf.square(latent))

    def _judge(
        self, direction: str, batch: Batch, fake: tf.Tensor, out: tf.Tensor, step: tf.Tensor, losses: dict
    ) -> tf.Tensor:
        """The adversarial part of one direction; adds the critic's loss to ``losses``."""
        system = self.config.system
        source, target = SIDES[direction]
        critic = {"a": self.critic_a, "b": self.critic_b}[target]
        shown = self.to_judge(fake, batch, source)
        judged = critic(shown, training=True)
        game = ADVERSARIAL[system.adversarial]
        terms: Terms = {f"adversarial_{direction}": (game.generator(judged), system.adversarial_weight)}
        terms.update(self.input_terms(direction, batch[source], batch[f"mask_{source}"], out, step))
        truth = self.to_judge(batch[target], batch, target)
        losses[critic.name] = self.critic_loss(target, critic, truth, shown, judged, step)
        return weigh(terms, losses)


def _options(config: TranslatorConfig, policy: str) -> dict:
    data = config.data
    return dict(
        size=data.image_size, channels=data.image_channels, filters=config.system.generator_filters, policy=policy
    )
