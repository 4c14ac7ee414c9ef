"""Cycle-MedGAN (Armanious et al. 2019): CycleGAN whose cycle is also judged by features and style."""

from cyclegan_tf.systems.cyclegan.system import System as CycleGAN


class System(CycleGAN):
    """CycleGAN + ``perceptual_weight`` * cycle-perceptual + ``style_weight`` * cycle-style loss.

    The source's extractor is a BiGAN discriminator that is not to be had; here it is EfficientNet-Lite0 or VGG (both
    of ImageNet), or a detector of this project (``--set extractor=RUN``), frozen. The weights of both terms were not
    readable in the source; ours keep the gradient of each below the L1 cycle's, which the history's ``gradient_``
    entries show.
    """
