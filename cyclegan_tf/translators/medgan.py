"""Cycle-MedGAN (Armanious et al. 2019): CycleGAN whose cycle is also judged by features and style."""

from common_tf.errors import UserError
from cyclegan_tf.config import TranslatorConfig
from cyclegan_tf.translators.cyclegan import CycleGAN


class CycleMedGAN(CycleGAN):
    """CycleGAN + ``perceptual_weight`` * cycle-perceptual + ``style_weight`` * cycle-style loss.

    The source's extractor is a BiGAN discriminator that is not to be had; here it is VGG (ImageNet) or a detector of
    this project (``--set extractor=RUN``), frozen. The weights of both terms were not readable in the source; ours
    keep the gradient of each below the L1 cycle's, which the history's ``gradient_`` entries show.
    """

    @classmethod
    def check(cls, config: TranslatorConfig) -> None:
        if not (config.perceptual_weight and config.style_weight):
            raise UserError(
                "--model medgan: wants --set perceptual_weight= and style_weight= above 0; without them it is cyclegan"
            )
        super().check(config)
