"""CUT and FastCUT (Park, Efros, Zhang, Zhu 2020): one-sided translation by contrast of patches."""

from collections.abc import Sequence

import tensorflow as tf

from common_tf.randomness import Stream
from cyclegan_tf.adversarial import AdversarialTranslator, Terms, fan_out, weigh
from cyclegan_tf.config import TranslatorConfig
from cyclegan_tf.directions import SIDES
from cyclegan_tf.losses import ADVERSARIAL
from cyclegan_tf.networks.build import build_discriminator, build_generator
from cyclegan_tf.networks.contrast import PatchContrast
from cyclegan_tf.translator import Batch

_FLIP = Stream("cut.flip")


class System(AdversarialTranslator):
    """A generator and a critic for each direction; no cycle.

    The generator minimises adversarial + ``nce_weight`` * PatchNCE between input and output, and with
    ``nce_identity_weight`` PatchNCE between a target image and what the generator makes of it (CUT); then each of the
    two counts half, as in the authors' code. FastCUT leaves that out, and its code flips half of the inputs: the
    features of what comes out are flipped back and compared with those of the input as it was.

    Input and output go through one encoder, so a dark place is most easily found again if it stays dark. Between images
    of one modality that is what one wants; between CT and MRI, where fluid and bone change sides, a short training ends
    with the wrong polarity (docs/experiments.md has what was tried).
    """

    has_cycle = False

    def __init__(self, config: TranslatorConfig, *, policy: str, total_steps: int):
        super().__init__(config, policy=policy, total_steps=total_steps)
        self.generators, self.critics, self.contrasts = {}, {}, {}
        for direction in config.directions:
            critic = f"critic_{SIDES[direction][1]}"
            generator = build_generator(config, seed=self.weight_seed(direction), policy=policy, name=direction)
            self.generators[direction] = generator
            self.critics[direction] = build_discriminator(
                config, seed=self.weight_seed(critic), policy=policy, name=critic
            )
            self.contrasts[direction] = PatchContrast(generator, seed=config.optimisation.seed, name=direction)
        self.set_up(
            generators={
                name: [*network.trainable_variables, *self.contrasts[name].trainable_variables]
                for name, network in self.generators.items()
            },
            critics={network.name: network.trainable_variables for network in self.critics.values()},
            averaged=self.generators,
        )
        self.add_pools("".join(SIDES[direction][1] for direction in self.generators))

    def step_losses(self, batch: Batch, step: tf.Tensor, losses: dict[str, tf.Tensor]) -> tuple[Sequence, tf.Tensor]:
        parts = [self._losses(direction, batch, step, losses) for direction in self.generators]
        total, critics = (sum(side) for side in zip(*parts))
        return [total], critics

    def _losses(self, direction: str, batch: Batch, step: tf.Tensor, losses: dict[str, tf.Tensor]) -> tuple:
        """The sum of the generator's terms of one direction, and its critic's loss."""
        system = self.config.system
        game = ADVERSARIAL[system.adversarial]
        first, second = SIDES[direction]
        source, target = batch[first], batch[second]
        turned = self._turned(direction, step) if system.flip_equivariance else None
        # The output of the target is wanted for the identity part only.
        images = tf.concat([source, target], axis=0) if system.nce_identity_weight else source
        made = self.generators[direction](_mirrored(images, turned), training=True)
        made, near = fan_out(made, 2)
        fake, *_ = tf.split(made, 2) if system.nce_identity_weight else (made,)
        fake, out = fan_out(fake, 2)
        shown = self.to_judge(fake, self._as_shown(batch, first, turned), first)
        critic = self.critics[direction]
        judged = critic(shown, training=True)
        terms: Terms = {f"adversarial_{direction}": (game.generator(judged), system.adversarial_weight)}
        # Both pairs in one pass of the encoder, for the sake of one gradient a weight.
        parts = 2 if system.nce_identity_weight else 1
        values = self.contrasts[direction].losses(images, near, step, parts=parts, turned=turned)
        terms[f"nce_{direction}"] = values[0], system.nce_weight / parts
        if parts == 2:
            terms[f"nce_identity_{direction}"] = values[1], system.nce_identity_weight / parts
        head = self._as_shown(batch, first, turned)[f"mask_{first}"]
        terms.update(self.input_terms(direction, _mirrored(source, turned), head, out, step))
        total = weigh(terms, losses)
        real = self.to_judge(target, batch, second)
        losses[critic.name] = self.critic_loss(second, critic, real, shown, judged, step)
        return total, losses[critic.name]

    def _turned(self, direction: str, step: tf.Tensor) -> tf.Tensor:
        """Whether the inputs of this step are mirrored."""
        seed = _FLIP.tensor(self.config.optimisation.seed, step, direction)
        return tf.random.stateless_uniform([], seed) < 0.5

    def _as_shown(self, batch: Batch, letter: str, turned: tf.Tensor | None) -> Batch:
        """The batch with the head of a domain mirrored as its images are."""
        return {**batch, f"mask_{letter}": _mirrored(batch[f"mask_{letter}"], turned)}


def _mirrored(images: tf.Tensor, turned: tf.Tensor | None) -> tf.Tensor:
    return images if turned is None else tf.where(turned, tf.reverse(images, [2]), images)
