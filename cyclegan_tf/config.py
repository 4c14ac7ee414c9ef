"""The config of a translator's training, and its presets.

python train_cyclegan.py --data DIR --run RUN --preset fast        a CPU; see README.md for time and figures
python train_cyclegan.py --data DIR --run RUN --preset paper       Zhu et al. 2017
python train_cyclegan.py --data DIR --run RUN --preset notebook    the Kaggle notebook this project reproduces
python train_cyclegan.py --data PAIRS --run RUN --model pix2pix    another system; each has defaults of its own
"""

from dataclasses import dataclass
from typing import Mapping

from common_tf.errors import UserError
from common_tf.images.pairs import DEFAULT_ORDER
from common_tf.runs.config import check_values, option, settle_budget

# What the notebook has of the paper it follows.
_CLASSIC = dict(
    steps=0,
    generator_filters=64,
    discriminator_filters=64,
    identity_weight=5.0,
    cycle_weight=10.0,
    cycle_ramp=0.0,
    cycle_flips=False,
    outline_weight=0.0,
    learning_rate=2e-4,
    ema_decay=0.0,
    framing="whole",
    jitter=286 / 256,
    save_every=5,
    save_every_steps=0,
    keep_checkpoints=5,
)

PRESETS: Mapping[str, Mapping] = {
    "fast": {},
    # Zhu et al. 2017: ResNet-9, 70x70 PatchGAN, LSGAN, pool 50, 100 epochs at 2e-4 and 100 of linear decay.
    "paper": dict(_CLASSIC, epochs=200, generator="resnet9"),
    # The Kaggle notebook: see docs/notebook.md for what is kept of it and which two faults are not.
    "notebook": dict(
        _CLASSIC,
        epochs=50,
        channels=3,
        generator="unet",
        discriminator="tutorial",
        tutorial_bottleneck=True,
        adversarial="bce",
        pool_size=0,
        decay_start=1.0,
        epoch_length="shortest",
        log_style="notebook",
    ),
    # Duval, Fillioux, Saubert: SSIM and VGG features in place of the L1 cycle. Their generator's encoder and their
    # critic (one logit an image) are ResNet-18 of ImageNet; here both are this project's, the rest is theirs.
    "dlmi": dict(
        generator="unet",
        generator_filters=32,
        adversarial="bce",
        cycle_weight=0.0,
        cycle_weight_start=0.0,
        cycle_ramp=0.0,
        cycle_flips=False,
        outline_weight=0.0,
        perceptual_weight=1.5,  # theirs: three layers of .5 each; ours: mean over layers, each normalised
        ssim_cycle_weight=0.5,
        learning_rate=1e-4,
        critic_learning_rate=1e-3,
        critic_share=0.25,
        beta_1=0.9,
        decay_start=1.0,
        batch_size=2,
        pool_size=0,
        ema_decay=0.0,
        jitter=1.0,
    ),
    # Czobit and Samavi 2024: two folders of one modality. The identity is nearly right: the cycle is strong at once.
    "field-strength": dict(
        domains="MRI15T,MRI3T", phantom_pair="field-strength", cycle_weight_start=5.0, cycle_ramp=0.0
    ),
}

_NO_CYCLE = dict(cycle_weight=0.0, cycle_weight_start=0.0, cycle_ramp=0.0, cycle_flips=False, pool_size=0)

MODELS: Mapping[str, Mapping] = {
    "cyclegan": {},
    "pix2pix": dict(_NO_CYCLE, direction="a_to_b", adversarial="bce", outline_weight=0.0),
    "unit": dict(
        adversarial_weight=10.0,
        cycle_weight=100.0,
        cycle_weight_start=10.0,
        outline_weight=100.0,
        pool_size=0,
        generator_filters=16,
    ),
    "pccgan": dict(adversarial="bce", identity_weight=0.5, spectral_norm=True, generator_filters=16),
    "medgan": dict(perceptual_weight=0.3, style_weight=0.1),
    "cut": dict(_NO_CYCLE, direction="a_to_b", nce_weight=1.0, nce_identity_weight=1.0),
    "fastcut": dict(_NO_CYCLE, direction="a_to_b", nce_weight=1.0, flip_equivariance=True),
}
"""What each system changes of the presets ``fast`` and ``paper``."""

# In their own papers' size, over the values above.
_PAPER_MODELS: Mapping[str, Mapping] = {
    "pix2pix": dict(generator="unet", identity_weight=0.0),
    "unit": dict(
        adversarial="bce",
        generator_filters=64,
        learning_rate=1e-4,
        identity_weight=0.0,
        outline_weight=0.0,
        cycle_ramp=0.0,
    ),
    "pccgan": dict(
        generator_filters=64, cycle_weight=10.0, cycle_weight_start=10.0, identity_weight=5.0, outline_weight=0.0
    ),
    "medgan": dict(perceptual_weight=1.0),
    "cut": dict(identity_weight=0.0, outline_weight=0.0),
    "fastcut": dict(identity_weight=0.0, outline_weight=0.0, nce_weight=10.0),
}
_ONE_SIDED = ("pix2pix", "cut", "fastcut")

_CYCLES = tuple(model for model in MODELS if model not in _ONE_SIDED)
_UNPAIRED = tuple(model for model in MODELS if model != "pix2pix")
# Terms that only some systems have; whoever gives one to another system is told.
_TERMS: Mapping[str, tuple] = {
    "cycle_weight": _CYCLES,
    "cycle_flips": _CYCLES,
    "ssim_cycle_weight": _CYCLES,
    "perceptual_weight": _CYCLES,
    "style_weight": _CYCLES,
    "identity_weight": ("cyclegan", "medgan", "pccgan"),
    "nce_weight": ("cyclegan", "medgan", "cut", "fastcut"),
    "nce_identity_weight": ("cut", "fastcut"),
    "edge_weight": _UNPAIRED,
    "outline_weight": _UNPAIRED,
    "critic_sees_outline": _UNPAIRED,
    "l1_weight": ("pix2pix",),
    "reconstruction_weight": ("unit",),
    "kl_weight": ("unit",),
    "dictionary_weight": ("pccgan",),
}


@dataclass(frozen=True)
class TranslatorConfig:
    """Everything that decides what a training run computes."""

    data: str = option(
        "phantom",
        "folder with trainA/ trainB/ [testA/ testB/], or with aligned pairs, or phantom for drawn heads",
        flag=True,
    )
    model: str = option("cyclegan", "translation system", flag=True, choices=tuple(MODELS))
    preset: str = option("fast", "settings to start from", flag=True, choices=tuple(PRESETS))
    domains: str = option("CT,MRI", "names of domain A and domain B", flag=True)
    epochs: int = option(0, "length of the training in epochs; 0 leaves it to --steps", flag=True, minimum=0)
    steps: int = option(8000, "length of the training in steps; 0 leaves it to --epochs", flag=True, minimum=0)
    image_size: int = option(256, "side of the images in pixels", flag=True, minimum=16)
    batch_size: int = option(1, "images of each domain in a step", flag=True, minimum=1)
    channels: int = option(1, "image channels; 3 repeats the gray values", flag=True, choices=(1, 3))
    precision: str = option(
        "auto",
        "arithmetic of the convolutions; auto takes bfloat16 where the CPU has it in hardware",
        flag=True,
        choices=("auto", "float32", "bfloat16", "float16"),
    )
    seed: int = option(0, "of the weights, the order of the data and every random draw", flag=True, minimum=0)
    save_every: int = option(1, "save a checkpoint every so many epochs; 0 for never", flag=True, minimum=0)
    save_every_steps: int = option(250, "save a checkpoint every so many steps; 0 for never", flag=True, minimum=0)
    log_every: int = option(
        10, "steps between two lines of history.jsonl, each the mean since the last", flag=True, minimum=1
    )
    split: str = option(
        "grouped", "keep near-duplicates on one side, or the folders", flag=True, choices=("grouped", "as-given")
    )
    bad_files: str = option("stop", "what to do with files that cannot be used", flag=True, choices=("stop", "skip"))

    direction: str = option(
        "both", "directions to train; only systems without a cycle can train one", choices=("both", "a_to_b", "b_to_a")
    )
    pair_order: str = option(DEFAULT_ORDER, "tiles of a strip of aligned pairs, from the left")
    generator: str = option("light", "generator network", choices=("light", "resnet9", "resnet6", "unet"))
    generator_filters: int = option(32, "filters of the generator's first layer", minimum=1)
    discriminator: str = option("paper", "form of the 70x70 PatchGAN", choices=("paper", "tutorial"))
    discriminator_filters: int = option(32, "filters of the discriminator's first layer", minimum=1)
    spectral_norm: bool = option(False, "spectral normalisation in the discriminator")
    tutorial_bottleneck: bool = option(False, "keep the dead 1x1 norm of the tutorial's U-Net")
    adversarial: str = option("lsgan", "adversarial loss", choices=("lsgan", "bce", "hinge"))
    adversarial_weight: float = option(1.0, "weight of the generators' adversarial loss", minimum=0)
    cycle_weight: float = option(5.0, "weight of the L1 cycle loss", minimum=0)
    cycle_weight_start: float = option(1.0, "weight of the cycle loss at the first step of its ramp", minimum=0)
    cycle_ramp: float = option(
        0.5, "share of the training in which the cycle's weights rise to their values; 0 for constant ones", minimum=0
    )
    cycle_flips: bool = option(True, "flip images at random on the way back, so that a cycle sees shifts")
    outline_weight: float = option(
        10.0, "weight of what a translation draws outside the head; wants framing=head", minimum=0
    )
    critic_sees_outline: bool = option(
        False, "show the critics the outline of the head beside the image; wants framing=head"
    )
    edge_weight: float = option(0.0, "weight of the edge consistency of input and output", minimum=0)
    edge_start: float = option(
        0.25, "share of the training after which edges count; earlier they would hold a wrong polarity", minimum=0
    )
    identity_weight: float = option(0.0, "weight of the L1 identity loss; 0 saves its passes", minimum=0)
    l1_weight: float = option(100.0, "weight of the L1 distance to the truth, for pix2pix", minimum=0)
    test_dropout: bool = option(False, "keep the U-Net's dropout when translating, for pix2pix as in its paper")
    ssim_cycle_weight: float = option(0.0, "weight of 1 - SSIM of image and cycle", minimum=0)
    perceptual_weight: float = option(0.0, "weight of the cycle's distance in an extractor's features", minimum=0)
    style_weight: float = option(0.0, "weight of the cycle's distance in their Gram matrices", minimum=0)
    extractor: str = option("vgg19", "of both: vgg16, vgg19, a file of their weights, or a detector's run")
    nce_weight: float = option(0.0, "weight of the patch contrast between input and output (PatchNCE)", minimum=0)
    nce_identity_weight: float = option(0.0, "the same between a target image and its own output, for cut", minimum=0)
    flip_equivariance: bool = option(False, "flip half of the inputs of cut and fastcut")
    reconstruction_weight: float = option(100.0, "weight of the reconstruction within a domain, for unit", minimum=0)
    kl_weight: float = option(0.1, "weight of the mean square of the latent maps, for unit", minimum=0)
    dictionary_weight: float = option(1.0, "weight of the dictionary's error, for pccgan", minimum=0)
    pool_size: int = option(50, "past fakes shown to the discriminator; 0 for none", minimum=0)
    learning_rate: float = option(6e-4, "of the four Adam optimizers", minimum=0)
    critic_learning_rate: float = option(0.0, "of the critics, where it is another; 0 for the same", minimum=0)
    critic_share: float = option(1.0, "share of the steps in which the critics are updated", minimum=0)
    beta_1: float = option(0.5, "of Adam", minimum=0)
    decay_start: float = option(
        0.5, "share of the training after which the rate falls linearly to 0; 1 for never", minimum=0
    )
    ema_decay: float = option(
        0.998, "of the averaged generators that validation and inference use; 0 for none", minimum=0
    )
    framing: str = option(
        "head", "crop to the head and blacken what is not, or keep the whole picture", choices=("head", "whole")
    )
    jitter: float = option(1.07, "images are enlarged by this factor and cropped at random; 1 for none", minimum=1)
    flip: bool = option(True, "random left-right flips")
    epoch_length: str = option(
        "longest", "an epoch passes once through the longest or the shortest domain", choices=("longest", "shortest")
    )
    validate_every_steps: int = option(
        1000, "steps between two validations, each with a sample grid; 0 for epochs", minimum=0
    )
    validation_images: int = option(48, "images of each domain that a validation uses", minimum=1)
    sample_images: int = option(4, "rows of each direction in a sample grid", minimum=1)
    keep_checkpoints: int = option(3, "checkpoints to keep", minimum=1)
    log_style: str = option("bar", "progress bar, or the notebook's log lines", choices=("bar", "notebook"))
    phantoms: int = option(300, "drawn heads in each domain for --data phantom", minimum=1)
    phantom_pair: str = option(
        "ct-mri", "what --data phantom draws as domain A and B", choices=("ct-mri", "field-strength")
    )
    cache_limit_mb: int = option(
        1024, "decoded images beyond this size are kept in a file of the run folder", minimum=0
    )

    @property
    def domain_names(self) -> tuple:
        """The names of domain A and B."""
        return tuple(name.strip() for name in self.domains.split(","))


def make_config(given: Mapping) -> TranslatorConfig:
    """A config from what the user gave: the preset's values first, the given ones over them.

    Raises:
        UserError: values that do not fit, alone or together.
    """
    preset = given.get("preset", "fast")
    if preset not in PRESETS:
        raise UserError(f"--preset {preset}: must be one of {', '.join(PRESETS)}")
    model = given.get("model", "cyclegan")
    if model not in MODELS:
        raise UserError(f"--model {model}: must be one of {', '.join(MODELS)}")
    if model != "cyclegan" and preset in ("notebook", "dlmi"):
        raise UserError(
            f"--preset {preset} --model {model}: that preset is a CycleGAN's; take fast or paper for {model}"
        )
    own = {**MODELS[model], **(_PAPER_MODELS.get(model, {}) if preset == "paper" else {})}
    for name, models in _TERMS.items():
        if given.get(name) and model not in models:
            raise UserError(f"--set {name}={given[name]}: {model} has no such term; {', '.join(models)} have it")
    values = {**PRESETS[preset], **own, **given}
    settle_budget(values, given)
    config = TranslatorConfig(**values)
    check_values(config)
    _check_together(config)
    return config


def _check_together(config: TranslatorConfig) -> None:
    names = config.domain_names
    if (config.phantom_pair == "field-strength") != (config.preset == "field-strength") and config.data == "phantom":
        raise UserError(
            f"--set phantom_pair={config.phantom_pair} --preset {config.preset}: field-strength goes with itself"
        )
    if (
        len(names) != 2
        or not all(name.isidentifier() for name in names)
        or names[0] == names[1]
        or any("2" in n for n in names)
    ):
        raise UserError(f"--domains {config.domains}: wants two different words without the digit 2, such as CT,MRI")
    if not (config.epochs or config.steps):
        raise UserError("--epochs 0 --steps 0: give one of them a length")
    size = config.image_size
    if config.generator == "unet" and size & (size - 1) and size % 256:
        raise UserError(f"--image-size {size}: the U-Net wants a power of two or a multiple of 256")
    if size % 8:
        raise UserError(f"--image-size {size}: wants a multiple of 8")
    if size < 32:
        raise UserError(f"--image-size {size}: the 70x70 discriminator wants 32 or more")
    if config.framing == "whole" and (config.outline_weight or config.critic_sees_outline):
        raise UserError(
            "--set framing=whole: the head's outline is not known then; "
            "add --set outline_weight=0 --set critic_sees_outline=false"
        )
    if config.direction != "both" and config.model not in _ONE_SIDED:
        raise UserError(f"--set direction={config.direction}: {config.model} needs both directions for its cycle")
    if config.critic_share > 1 or not config.critic_share:
        raise UserError(f"--set critic_share={config.critic_share:g}: must be above 0 and at most 1")
    if config.beta_1 >= 1 or config.ema_decay >= 1 or max(config.decay_start, config.cycle_ramp) > 1:
        raise UserError("--set beta_1=, ema_decay= must be below 1, decay_start= and cycle_ramp= at most 1")
