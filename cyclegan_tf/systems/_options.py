"""Options that several systems have. A system's config inherits those that mean something to it, and no other."""

from dataclasses import dataclass

from common_tf.runs.config import option


@dataclass(frozen=True)
class SystemOptions:
    """What is a system's own; see each room's ``config.py``."""


@dataclass(frozen=True)
class Generators(SystemOptions):
    """Of systems whose generators can be chosen."""

    generator: str = option("light", "generator network", choices=("light", "resnet9", "resnet6", "unet"))
    generator_filters: int = option(32, "filters of the generator's first layer", minimum=2)
    tutorial_bottleneck: bool = option(False, "keep the dead 1x1 norm of the tutorial's U-Net", needs="generator=unet")


@dataclass(frozen=True)
class OwnGenerators(SystemOptions):
    """Of systems with generators of their own form."""

    generator_filters: int = option(32, "filters of the generator's first layer", minimum=2)


@dataclass(frozen=True)
class Game(SystemOptions):
    """Generators against critics."""

    adversarial: str = option("lsgan", "adversarial loss", choices=("lsgan", "bce", "hinge"))
    adversarial_weight: float = option(1.0, "weight of the generators' adversarial loss", minimum=0)


@dataclass(frozen=True)
class Critics(Game):
    """The PatchGAN and its game."""

    discriminator: str = option("paper", "form of the 70x70 PatchGAN", choices=("paper", "tutorial"))
    discriminator_filters: int = option(32, "filters of the discriminator's first layer", minimum=1)
    spectral_norm: bool = option(False, "spectral normalisation in the discriminator")


@dataclass(frozen=True)
class ChosenCritics(Critics):
    """Of systems whose critics see one image alone, so that they may look through a frozen network."""

    critic: str = option(
        "patch",
        "PatchGAN, or small heads on a frozen EfficientNet-Lite0",
        choices=("patch", "projected"),
        before="patch",
    )
    critic_filters: int = option(64, "of the projected critic", minimum=4, needs="critic=projected")
    critic_pixels: bool = option(
        False, "one more head of it, on the pixels themselves", needs="critic=projected", before=False, since=4
    )
    discriminator: str = option(
        "paper", "form of the 70x70 PatchGAN", choices=("paper", "tutorial"), needs="critic=patch"
    )
    discriminator_filters: int = option(
        32, "filters of the discriminator's first layer", minimum=1, needs="critic=patch"
    )
    spectral_norm: bool = option(False, "spectral normalisation in the discriminator", needs="critic=patch")


@dataclass(frozen=True)
class Pool(SystemOptions):
    """Past fakes."""

    pool_size: int = option(50, "past fakes shown to the discriminator; 0 for none", minimum=0)


@dataclass(frozen=True)
class CycleWeight(SystemOptions):
    """Of systems whose directions undo each other."""

    cycle_weight: float = option(5.0, "weight of the L1 cycle loss", minimum=0)
    cycle_weight_start: float = option(
        1.0, "weight of the cycle loss at the first step of its ramp", minimum=0, needs="cycle_ramp&cycle_weight"
    )
    cycle_ramp: float = option(
        0.5, "share of the training in which the cycle's weights rise to their values; 0 for constant ones", minimum=0,
        maximum=1,
    )  # fmt: skip
    cycle_flips: bool = option(True, "flip images at random on the way back, so that a cycle sees shifts")


@dataclass(frozen=True)
class Cycle(CycleWeight):
    """The same, for what a cycle of pictures can be judged by beside L1."""

    ssim_cycle_weight: float = option(0.0, "weight of 1 - SSIM of image and cycle", minimum=0)
    perceptual_weight: float = option(0.0, "weight of the cycle's distance in an extractor's features", minimum=0)
    style_weight: float = option(0.0, "weight of the cycle's distance in their Gram matrices", minimum=0)
    extractor: str = option(
        "efficientnetlite0",
        "of both: efficientnetlite0, vgg16, vgg19, a file of VGG's weights, or a detector's run",
        needs="perceptual_weight|style_weight",
    )


@dataclass(frozen=True)
class Outline(SystemOptions):
    """The outline of the head, which a translation keeps."""

    outline_weight: float = option(
        10.0, "weight of what a translation draws outside the head; wants framing=head", minimum=0
    )
    critic_sees_outline: bool = option(
        False, "show the critics the outline of the head beside the image; wants framing=head"
    )


@dataclass(frozen=True)
class InputTies(Outline):
    """What ties an output to its own input, for systems that see no truth."""

    edge_weight: float = option(0.0, "weight of the edge consistency of input and output", minimum=0)
    edge_start: float = option(
        0.25, "share of the training after which edges count; earlier they would hold a wrong polarity", minimum=0,
        needs="edge_weight",
    )  # fmt: skip


@dataclass(frozen=True)
class PairsBeside(SystemOptions):
    """Of systems that learn from unpaired slices and may be given a few aligned pairs too."""

    pairs: str = option(
        "", "folder of aligned pairs to learn from beside the unpaired slices", flag=True, place=True, before=""
    )
    pair_weight: float = option(10.0, "weight of the L1 distance to the truth of pairs", minimum=0, needs="pairs")
    pair_feature_weight: float = option(
        0.5, "weight of the distance to it in EfficientNet-Lite0's features", minimum=0, needs="pairs"
    )
    pair_shift: int = option(
        0, "pixels by which the sides of a pair may lie apart; the best shift counts, and what all share is learned",
        minimum=0, maximum=8,
        needs="pairs",
    )  # fmt: skip


@dataclass(frozen=True)
class Identity(SystemOptions):
    """The identity loss."""

    identity_weight: float = option(0.0, "weight of the L1 identity loss; 0 saves its passes", minimum=0)


@dataclass(frozen=True)
class Contrast(SystemOptions):
    """PatchNCE."""

    nce_weight: float = option(0.0, "weight of the patch contrast between input and output (PatchNCE)", minimum=0)


@dataclass(frozen=True)
class OneSided(SystemOptions):
    """Of systems that can train one direction alone."""

    direction: str = option("a_to_b", "directions to train", choices=("both", "a_to_b", "b_to_a"))
