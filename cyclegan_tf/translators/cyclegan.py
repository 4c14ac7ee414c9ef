"""CycleGAN (Zhu, Park, Isola, Efros 2017), with the options that its presets need."""

from typing import Mapping

import tensorflow as tf

from cyclegan_tf.config import TranslatorConfig
from cyclegan_tf.losses import ADVERSARIAL, l1
from cyclegan_tf.networks.build import build_discriminator, build_generator
from cyclegan_tf.networks.contrast import PatchContrast
from cyclegan_tf.translators.base import A_TO_B, B_TO_A, AdversarialTranslator, fan_out


class CycleGAN(AdversarialTranslator):
    """Two generators named by their direction and two critics named by the domain they judge.

    Generators minimise adversarial + ``cycle_weight`` * cycle + ``identity_weight`` * identity, and whatever else has a
    weight; both critics their half of the adversarial game. With ``cycle_ramp`` the cycle weight starts low: a strong
    cycle from the first step on holds the generators near the identity they start from, and a bright skull becomes a
    bright ring of the MRI. (The paper's code updates the generators before the critics, but on fakes made before that
    update, which is the same as taking all gradients from the weights before the step.)

    A network is passed through at most twice in a step: the image to translate and the image to leave unchanged go
    together, then the cycle. So each weight gets at most two gradient contributions; see `AdversarialTranslator`.
    """

    def __init__(self, config: TranslatorConfig, *, policy: str, total_steps: int):
        super().__init__(config, policy=policy, total_steps=total_steps)
        seed = config.seed * 10
        self.a_to_b = build_generator(config, seed=seed + 1, policy=policy, name=A_TO_B)
        self.b_to_a = build_generator(config, seed=seed + 2, policy=policy, name=B_TO_A)
        self.critic_a = build_discriminator(config, seed=seed + 3, policy=policy, name="critic_a")
        self.critic_b = build_discriminator(config, seed=seed + 4, policy=policy, name="critic_b")
        self.contrasts = {}
        if config.nce_weight:
            for network in (self.a_to_b, self.b_to_a):
                self.contrasts[network.name] = PatchContrast(network, seed=seed + 7)
        generators = (self.a_to_b, self.b_to_a)
        self.set_up(
            generators={one.name: one.trainable_variables + self._contrast_variables(one.name) for one in generators},
            critics={one.name: one.trainable_variables for one in (self.critic_a, self.critic_b)},
            averaged={one.name: one for one in generators},
        )
        self.add_pools("ab", config.channels + int(config.critic_sees_outline))

    def _contrast_variables(self, name: str) -> list:
        return list(self.contrasts[name].trainable_variables) if name in self.contrasts else []

    # Nothing here depends on the value of a tensor; without AutoGraph the first step comes sooner.
    @tf.function(autograph=False)
    def train_step(self, batch: Mapping[str, tf.Tensor], step: tf.Tensor) -> Mapping[str, tf.Tensor]:
        # Without a pool the critics judge the same fakes in both games: one forward pass serves both.
        with tf.GradientTape(persistent=True) as tape:
            losses, weighted, shown = self._generator_losses(batch, step)
            total = sum(weighted.values())
            for name in ("a", "b"):
                real, fake, judged = shown[name]
                critic = {"a": self.critic_a, "b": self.critic_b}[name]
                losses[f"critic_{name}"] = self.critic_loss(name, critic, real, fake, judged, step)
            critics = losses["critic_a"] + losses["critic_b"]
            total, critics = self.scaled(total), self.scaled(critics)
        self.update(tape, total, critics, step)
        return losses

    def _generator_losses(self, batch, step) -> tuple:
        """Raw losses, weighted terms, and by letter what the critics are shown: real, fake, logits of the fake."""
        config = self.config
        real_a, real_b = batch["a"], batch["b"]
        game = ADVERSARIAL[config.adversarial]
        fake_b, same_b = self._translate_and_keep(self.a_to_b, real_a, real_b)
        fake_a, same_a = self._translate_and_keep(self.b_to_a, real_b, real_a)
        (fake_a, back_a, out_a, near_a), (fake_b, back_b, out_b, near_b) = fan_out(fake_a, 4), fan_out(fake_b, 4)
        flip = self.cycle_flip(step)
        cycled_a = self.b_to_a(flip(back_b), training=True)
        cycled_b = self.a_to_b(flip(back_a), training=True)
        fake_a, fake_b = self.to_judge(fake_a, real_b), self.to_judge(fake_b, real_a)
        judged_a = self.critic_a(fake_a, training=True)
        judged_b = self.critic_b(fake_b, training=True)
        terms = {
            "adversarial_a_to_b": (game.generator(judged_b), config.adversarial_weight),
            "adversarial_b_to_a": (game.generator(judged_a), config.adversarial_weight),
            **self.cycle_terms("a", flip(real_a), cycled_a, step),
            **self.cycle_terms("b", flip(real_b), cycled_b, step),
        }
        for direction, real, out, near in ((A_TO_B, real_a, out_b, near_b), (B_TO_A, real_b, out_a, near_a)):
            terms.update(self.input_terms(direction, real, out, step))
            if config.nce_weight:
                terms[f"nce_{direction}"] = self.contrasts[direction].loss(real, near, step), config.nce_weight
        if config.identity_weight:
            terms["identity_a"] = l1(same_a, real_a), config.identity_weight
            terms["identity_b"] = l1(same_b, real_b), config.identity_weight
        losses = {name: value for name, (value, _) in terms.items()}
        weighted = {name: weight * value for name, (value, weight) in terms.items()}
        if config.log_style == "notebook":
            # Of unrelated images, so it measures nothing; the notebook prints it, and so does its preset.
            losses["unpaired_mse"] = tf.reduce_mean(tf.square(real_b - fake_b[..., : config.channels]))
        shown = {
            "a": (self.to_judge(real_a, real_a), fake_a, judged_a),
            "b": (self.to_judge(real_b, real_b), fake_b, judged_b),
        }
        return losses, weighted, shown

    def diagnostics(self, batch: Mapping[str, tf.Tensor], step: tf.Tensor) -> Mapping[str, tf.Tensor]:
        """Where terms beside the usual ones are on: what each weighs, and its gradient's norm on the generators."""
        if not (self._cycle_terms.weights or self.config.nce_weight or self.config.edge_weight):
            return {}
        return self._term_sizes(batch, step)

    @tf.function(autograph=False)
    def _term_sizes(self, batch, step):
        variables = self.a_to_b.trainable_variables + self.b_to_a.trainable_variables
        with tf.GradientTape(persistent=True) as tape:
            _, weighted, _ = self._generator_losses(batch, step)
        results = {}
        for name, value in weighted.items():
            gradients = tape.gradient(value, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
            results[f"weighted_{name}"] = value
            results[f"gradient_{name}"] = tf.linalg.global_norm(gradients)
        return results

    def _translate_and_keep(self, generator, source, target):
        """The source translated, and the target left unchanged (``None`` where the identity loss has no weight)."""
        if not self.config.identity_weight:
            return generator(source, training=True), None
        return tf.split(generator(tf.concat([source, target], axis=0), training=True), 2)
