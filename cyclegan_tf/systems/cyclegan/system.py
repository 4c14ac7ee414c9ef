"""CycleGAN (Zhu, Park, Isola, Efros 2017), with the options that its presets need."""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from cyclegan_tf.adversarial import AdversarialTranslator, Terms, fan_out, weigh
from cyclegan_tf.config import TranslatorConfig
from cyclegan_tf.directions import A_TO_B, B_TO_A
from cyclegan_tf.losses import ADVERSARIAL, l1
from cyclegan_tf.networks.build import build_discriminator
from cyclegan_tf.networks.contrast import PatchContrast
from cyclegan_tf.translator import Batch


class System(AdversarialTranslator):
    """Two generators named by their direction and two critics named by the domain they judge.

    Generators minimise adversarial + ``cycle_weight`` * cycle + ``identity_weight`` * identity, and whatever else has a
    weight; both critics their half of the adversarial game. With ``cycle_ramp`` the cycle weight starts low: a strong
    cycle from the first step on holds the generators near the identity they start from, and a bright skull becomes a
    bright ring of the MRI. (The paper's code updates the generators before the critics, but on fakes made before that
    update, which is the same as taking all gradients from the weights before the step.)

    A network is passed through at most twice in a step: the image to translate and the image to leave unchanged go
    together, then the cycle. So each weight gets at most two gradient contributions; the contrast of patches, which
    passes a third time, has a backward pass of its own.
    """

    def __init__(self, config: TranslatorConfig, *, policy: str, total_steps: int):
        super().__init__(config, policy=policy, total_steps=total_steps)
        self.a_to_b, self.b_to_a = (
            self.build_generator(config, seed=self.weight_seed(name), policy=policy, name=name)
            for name in (A_TO_B, B_TO_A)
        )
        self.critic_a, self.critic_b = (
            self.build_critic(config, seed=self.weight_seed(name), policy=policy, name=name)
            for name in ("critic_a", "critic_b")
        )
        generators = (self.a_to_b, self.b_to_a)
        self.contrasts: dict[str, PatchContrast] = {}
        if getattr(config.system, "nce_weight", 0.0):
            seed = config.optimisation.seed
            self.contrasts = {one.name: PatchContrast(one, seed=seed, name=one.name) for one in generators}
        self.set_up(
            generators={one.name: [*one.trainable_variables, *self._heads(one.name)] for one in generators},
            critics={one.name: one.trainable_variables for one in (self.critic_a, self.critic_b)},
            averaged={one.name: one for one in generators},
        )
        self.add_pools("ab")

    @classmethod
    def build_critic(cls, config: TranslatorConfig, *, seed: int, policy: str, name: str) -> tf.keras.Model:
        """A critic as the config has it."""
        return build_discriminator(config, seed=seed, policy=policy, name=name)

    def _heads(self, name: str) -> tuple[tf.Variable, ...]:
        return self.contrasts[name].trainable_variables if name in self.contrasts else ()

    def step_losses(self, batch: Batch, step: tf.Tensor, losses: dict[str, tf.Tensor]) -> tuple[Sequence, tf.Tensor]:
        # Without a pool the critics judge the same fakes in both games: one forward pass serves both.
        terms, contrast, figures, shown = self._generator_terms(batch, step)
        losses.update(figures)
        totals = [weigh(part, losses) for part in (terms, contrast) if part]
        for name, critic in (("a", self.critic_a), ("b", self.critic_b)):
            real, fake, judged = shown[name]
            losses[f"critic_{name}"] = self.critic_loss(name, critic, real, fake, judged, step)
        return totals, losses["critic_a"] + losses["critic_b"]

    def _generator_terms(
        self, batch: Batch, step: tf.Tensor, *, training: bool = True
    ) -> tuple[Terms, Terms, dict, dict]:
        """Terms, those of the contrast apart, further figures, and by letter what the critics are shown: real, fake,
        logits of the fake.
        """
        system = self.config.system
        real_a, real_b = batch["a"], batch["b"]
        game = ADVERSARIAL[system.adversarial]
        fake_b, same_b = self._translate_and_keep(self.a_to_b, real_a, real_b, training)
        fake_a, same_a = self._translate_and_keep(self.b_to_a, real_b, real_a, training)
        (fake_a, back_a, out_a, near_a), (fake_b, back_b, out_b, near_b) = fan_out(fake_a, 4), fan_out(fake_b, 4)
        flip = self.cycle_flip(step)
        cycled_a = self.b_to_a(flip(back_b), training=training)
        cycled_b = self.a_to_b(flip(back_a), training=training)
        shown_a, shown_b = self.to_judge(fake_a, batch, "b"), self.to_judge(fake_b, batch, "a")
        judged_a = self.critic_a(shown_a, training=training)
        judged_b = self.critic_b(shown_b, training=training)
        terms: Terms = {
            "adversarial_a_to_b": (game.generator(judged_b), system.adversarial_weight),
            "adversarial_b_to_a": (game.generator(judged_a), system.adversarial_weight),
            **self.cycle_terms("a", flip(real_a), cycled_a, step),
            **self.cycle_terms("b", flip(real_b), cycled_b, step),
            **self.input_terms(A_TO_B, real_a, batch["mask_a"], out_b, step),
            **self.input_terms(B_TO_A, real_b, batch["mask_b"], out_a, step),
        }
        if system.identity_weight:
            terms["identity_a"] = l1(same_a, real_a), system.identity_weight
            terms["identity_b"] = l1(same_b, real_b), system.identity_weight
        contrast: Terms = {}
        for direction, real, near in ((A_TO_B, real_a, near_b), (B_TO_A, real_b, near_a)):
            if direction in self.contrasts:
                (value,) = self.contrasts[direction].losses(real, near, step)
                contrast[f"nce_{direction}"] = value, system.nce_weight
        figures = {}
        if getattr(system, "log_style", "") == "notebook":
            # Of unrelated images, so it measures nothing; the notebook prints it, and so does its preset.
            figures["unpaired_mse"] = tf.reduce_mean(tf.square(real_b - fake_b))
        shown = {
            "a": (self.to_judge(real_a, batch, "a"), shown_a, judged_a),
            "b": (self.to_judge(real_b, batch, "b"), shown_b, judged_b),
        }
        return terms, contrast, figures, shown

    def diagnostics(self, batch: Batch, step: tf.Tensor) -> Mapping[str, tf.Tensor]:
        """Where terms beside the usual ones are on: what each weighs, and its gradient's norm on the generators."""
        edges = getattr(self.config.system, "edge_weight", 0.0)
        if not (self._cycle_terms.weights or self.contrasts or edges):
            return {}
        return self._term_sizes(batch, step)

    @tf.function(autograph=False)
    def _term_sizes(self, batch: Batch, step: tf.Tensor) -> Mapping[str, tf.Tensor]:
        variables = self.a_to_b.trainable_variables + self.b_to_a.trainable_variables
        with tf.GradientTape(persistent=True) as tape:
            # To look must change nothing: no dropout counter, no vector of a spectral norm.
            terms, contrast, _, _ = self._generator_terms(batch, step, training=False)
            weighted = {name: weight * value for name, (value, weight) in {**terms, **contrast}.items()}
        results = {}
        for name, value in weighted.items():
            gradients = tape.gradient(value, variables)  # None where a term does not reach; the norm passes it over
            results[f"weighted_{name}"] = value
            results[f"gradient_{name}"] = tf.linalg.global_norm(gradients)
        return results

    def _translate_and_keep(
        self, generator: tf.keras.Model, source: tf.Tensor, target: tf.Tensor, training: bool
    ) -> tuple:
        """The source translated, and the target left unchanged (``None`` where the identity loss has no weight)."""
        if not self.config.system.identity_weight:
            return generator(source, training=training), None
        return tuple(tf.split(generator(tf.concat([source, target], axis=0), training=training), 2))
