"""The config of a translator's training: a tree whose last section is the system's own.

python train_cyclegan.py --data DIR --run RUN --preset fast        a CPU; see README.md for time and figures
python train_cyclegan.py --data DIR --run RUN --preset paper       Zhu et al. 2017
python train_cyclegan.py --data DIR --run RUN --preset notebook    the Kaggle notebook this project reproduces
python train_cyclegan.py --data PAIRS --run RUN --model pix2pix    another system; each has presets of its own
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from common_tf.errors import UserError
from common_tf.pictures.intensity import parse_windows
from common_tf.runs.config import (
    build_tree,
    check_config,
    option,
    parse_texts,
    read_config_file,
    section,
    settle_budget,
    tree_from_content,
)
from common_tf.runs.folder import CONFIG_FILE
from common_tf.runs.sections import RunSection, cache_option, precision_option, seed_option, window_option
from common_tf.sources.drawn import DRAWN, LARGEST_COUNT
from common_tf.sources.pairs import DEFAULT_ORDER
from common_tf.volumes.planes import PLANES
from common_tf.volumes.slices import Slab, Slicing
from cyclegan_tf.directions import DIRECTIONS
from cyclegan_tf.systems import system_names, system_settings
from cyclegan_tf.systems._options import SystemOptions

_ALL_PLANES = "all"
BY_PAIRS = "pairs"
"""What chooses the best checkpoint where the aligned pairs beside the unpaired slices do."""
DEFAULT_MODEL, DEFAULT_PRESET = "cyclegan", "fast"


@dataclass(frozen=True)
class DataSection:
    """What is trained on, and how it becomes images."""

    data: str = option(
        DRAWN, "folder with trainA/ trainB/ [testA/ testB/], or with aligned pairs, or phantom for drawn heads",
        flag=True, place=True,
    )  # fmt: skip
    domains: str = option("CT,MRI", "names of domain A and domain B", flag=True)
    image_size: int = option(256, "side of the images in pixels", flag=True, minimum=32, maximum=2048)
    channels: int = option(1, "image channels; 3 repeats the gray values", flag=True, choices=(1, 3))
    split: str = option(
        "grouped", "keep near-duplicates on one side, or the folders", flag=True, choices=("grouped", "as-given"),
        needs=f"data!={DRAWN}",
    )  # fmt: skip
    bad_files: str = option(
        "stop", "what to do with files that cannot be used", flag=True, choices=("stop", "skip"), needs=f"data!={DRAWN}"
    )
    window: str = window_option()
    shows: str = option(
        "", "HU that black and white of 8-bit pictures stand for, such as CT=0:80; what a volume then goes through",
        needs=f"data!={DRAWN}", before="", since=4,
    )  # fmt: skip
    plane: str = option(
        "axial", "in which volumes are sliced; all for the three of them", choices=(*PLANES, _ALL_PLANES),
        needs=f"data!={DRAWN}", before="axial", since=4,
    )  # fmt: skip
    neighbours: int = option(
        0, "slices of a volume on either side of each that the networks see and make with it (2.5D); 0 for none",
        minimum=0, maximum=4, needs=f"data!={DRAWN}", before=0, since=5,
    )  # fmt: skip
    neighbour_mm: float = option(
        0.0, "distance of neighbours in mm, where slices are nearer than that; 0 for the next slice",
        minimum=0, maximum=50, needs="neighbours", before=0.0, since=5,
    )  # fmt: skip
    slice_mm: float = option(
        0.0, "distance in mm of the slices of a volume that are trained on, where it has nearer ones; 0 for all",
        minimum=0, maximum=50, needs=f"data!={DRAWN}", before=0.0, since=5,
    )  # fmt: skip
    cache: str = cache_option()
    pair_order: str = option(DEFAULT_ORDER, "tiles of a strip of aligned pairs, from the left", needs=f"data!={DRAWN}")
    framing: str = option(
        "head", "crop to the head and blacken what is not, or keep the whole picture", choices=("head", "whole")
    )
    jitter: float = option(
        1.07, "images are enlarged by this factor and cropped at random; 1 for none", minimum=1, maximum=2
    )
    flip: bool = option(True, "random left-right flips")
    epoch_length: str = option(
        "longest", "an epoch passes once through the longest or the shortest domain", choices=("longest", "shortest")
    )
    phantoms: int = option(300, "drawn heads in each domain", minimum=1, maximum=LARGEST_COUNT, needs=f"data={DRAWN}")
    phantom_pair: str = option(
        "ct-mri", "what is drawn as domain A and B", choices=("ct-mri", "field-strength"), needs=f"data={DRAWN}"
    )

    @property
    def is_drawn(self) -> bool:
        """Whether the heads are drawn."""
        return self.data == DRAWN

    @property
    def domain_names(self) -> tuple[str, str]:
        """The names of domain A and B."""
        first, _, second = self.domains.partition(",")
        return first.strip(), second.strip()

    @property
    def planes(self) -> tuple[str, ...]:
        """The planes in which volumes are sliced."""
        return tuple(PLANES) if self.plane == _ALL_PLANES else (self.plane,)

    @property
    def slab(self) -> Slab:
        """The slices of a volume that are looked at together."""
        return Slab(self.neighbours, self.neighbour_mm)

    @property
    def slicing(self) -> Slicing:
        """The slices of a volume that are trained on."""
        return Slicing(self.planes, self.slab, self.slice_mm)

    @property
    def image_channels(self) -> int:
        """Of what the networks see: a slice and its neighbours, or a slice alone in ``channels``."""
        return len(self.slab) if self.neighbours else self.channels

    @property
    def windows(self) -> dict[str, tuple[float, float]]:
        """Black and white of the domains that the user gave one."""
        return parse_windows(self.window, self.domain_names)

    @property
    def volume_windows(self) -> dict[str, tuple[float, float]]:
        """Black and white of volumes: as given, else what the pictures' black and white show."""
        return {**self.shown, **self.windows}

    @property
    def shown(self) -> dict[str, tuple[float, float]]:
        """The physical values that black and white of the domains' pictures stand for, where the user said so."""
        return parse_windows(self.shows, self.domain_names, flag="--set shows=")


@dataclass(frozen=True)
class OptimisationSection:
    """How the weights move."""

    epochs: int = option(0, "length of the training in epochs; 0 leaves it to --steps", flag=True, minimum=0)
    steps: int = option(8000, "length of the training in steps; 0 leaves it to --epochs", flag=True, minimum=0)
    batch_size: int = option(1, "images of each domain in a step", flag=True, minimum=1)
    weights: str = option(
        "", "run, or folder of checkpoints/, whose generators the training starts from; empty for random ones",
        flag=True, before="",
    )  # fmt: skip
    precision: str = precision_option(
        "arithmetic of the convolutions; auto takes bfloat16 where the CPU has it in hardware"
    )
    seed: int = seed_option()
    learning_rate: float = option(6e-4, "of the Adam optimizers", minimum=0)
    critic_learning_rate: float = option(0.0, "of the critics, where it is another; 0 for the same", minimum=0)
    critic_share: float = option(1.0, "share of the steps in which the critics are updated", minimum=1e-9, maximum=1)
    beta_1: float = option(0.5, "of Adam", minimum=0, below=1)
    decay_start: float = option(
        0.5, "share of the training after which the rate falls linearly to 0; 1 for never", minimum=0, maximum=1
    )
    ema_decay: float = option(
        0.998, "of the averaged generators that validation and inference use; 0 for none", minimum=0, below=1
    )


@dataclass(frozen=True)
class ValidationSection:
    """What chooses the best checkpoint, and when."""

    validate_every_steps: int = option(
        1000, "steps between two validations, each with a sample grid; 0 for epochs", minimum=0
    )
    validation_images: int = option(200, "images of each domain that a validation uses; 0 for all", minimum=0)
    choose_by: str = option(
        "likeness",
        "what chooses the best checkpoint: likeness to real slices, in features of EfficientNet-Lite0 or in texture "
        "alone, or the error on held-out --pairs",
        choices=("likeness", "texture", BY_PAIRS),
        before="texture",
    )
    sample_images: int = option(4, "rows of each direction in a sample grid", minimum=1)


@dataclass(frozen=True)
class TranslatorConfig:
    """Everything that decides what a training run computes. `config_type` gives the tree of one system."""

    model: str = option(DEFAULT_MODEL, "translation system", flag=True, choices=system_names())
    preset: str = option(DEFAULT_PRESET, "settings to start from; each system has its own", flag=True)
    data: DataSection = section(DataSection)
    optimisation: OptimisationSection = section(OptimisationSection)
    validation: ValidationSection = section(ValidationSection)
    run: RunSection = section(RunSection)
    system: Any = section(SystemOptions)

    @property
    def critic_channels(self) -> int:
        """Of what a critic is shown: the image, and with ``critic_sees_outline`` the head's mask, one a slice."""
        outline = getattr(self.system, "critic_sees_outline", False)
        return self.data.image_channels + (len(self.data.slab) if outline else 0)

    @property
    def directions(self) -> tuple[str, ...]:
        """The directions that are trained: both, unless a system that can train one alone does."""
        chosen = getattr(self.system, "direction", "both")
        return DIRECTIONS if chosen == "both" else (chosen,)


@cache
def config_type(model: str) -> type[TranslatorConfig]:
    """The config tree of a system.

    Raises:
        UserError: no such system.
    """
    kind = system_settings(model).Config
    return dataclasses.make_dataclass(
        f"{kind.__module__.split('.')[-2]}_config",
        [("system", kind, section(kind))],
        bases=(TranslatorConfig,),
        frozen=True,
    )


def config_types() -> dict[str, type[TranslatorConfig]]:
    """The config trees of all systems, by name."""
    return {name: config_type(name) for name in system_names()}


def make_config(given: Mapping[str, Any]) -> TranslatorConfig:
    """A config from what the user gave (values or text, by option name): the preset's values, the given ones over them.

    Raises:
        UserError: values that do not fit, alone or together.
    """
    model = str(given.get("model", DEFAULT_MODEL))
    settings, tree = system_settings(model), config_type(model)
    preset = str(given.get("preset", DEFAULT_PRESET))
    if preset not in settings.PRESETS:
        having = [name for name in system_names() if preset in system_settings(name).PRESETS]
        whose = f"that preset is one of {', '.join(having)}; " if having else ""
        raise UserError(f"--preset {preset}: {whose}{model} has {', '.join(settings.PRESETS)}")
    mine = parse_texts(tree, given, owners=config_types(), kind="model")
    if "weights" in mine:  # DIR and DIR/ are one
        mine["weights"] = mine["weights"].rstrip("/") or mine["weights"]
    values = {**settings.PRESETS[preset], **mine, "model": model, "preset": preset}
    settle_budget(values := {"steps": OptimisationSection().steps, **values}, mine)
    config = build_tree(tree, values)
    check_config(config, given=mine)
    _check_together(config)
    if hasattr(settings, "check"):
        settings.check(config)
    return config


def load_translator_config(run: Path) -> TranslatorConfig:
    """The config of a run's folder, of today's form or, for finished runs, of the earlier flat one.

    Raises:
        UserError: missing, damaged, or of an unfinished run of an earlier version.
    """
    file = Path(run) / CONFIG_FILE
    content = read_config_file(file)
    if "format" not in content:
        from cyclegan_tf.conversion import converted_config

        return converted_config(Path(run), content)
    return tree_from_content(config_type(str(content.get("model"))), content, path=file)


def _check_together(config: TranslatorConfig) -> None:
    data, system = config.data, config.system
    names = data.domain_names
    if data.is_drawn and (data.phantom_pair == "field-strength") != (config.preset == "field-strength"):
        raise UserError(
            f"--set phantom_pair={data.phantom_pair} --preset {config.preset}: field-strength goes with itself"
        )
    if not all(name.isidentifier() for name in names) or names[0] == names[1] or any("2" in name for name in names):
        raise UserError(f"--domains {data.domains}: wants two different words without the digit 2, such as CT,MRI")
    data.windows, data.shown  # noqa: B018  (refuses what is none)
    if data.neighbours and data.channels != 1:
        raise UserError(
            f"--channels {data.channels}: with --set neighbours= the channels are the slices; add --channels 1"
        )
    if config.validation.choose_by == BY_PAIRS and not getattr(system, "pairs", ""):
        way_out = "add --pairs PAIRS" if hasattr(system, "pairs") else f"leave it out: --model {config.model} has none"
        raise UserError(f"--set choose_by={BY_PAIRS}: there are none beside the unpaired slices; {way_out}")
    if getattr(system, "pairs", "") and data.neighbours:
        raise UserError(f"--pairs {system.pairs}: holds pictures without neighbours; leave out --set neighbours=")
    size = data.image_size
    if size % 8:
        raise UserError(f"--image-size {size}: wants a multiple of 8")
    if getattr(system, "generator", "") == "unet" and size & (size - 1) and size % 256:
        raise UserError(f"--image-size {size}: the U-Net wants a power of two or a multiple of 256")
    if getattr(system, "critic", "") == "projected":
        if size % 32:
            raise UserError(f"--image-size {size}: a projected critic wants a multiple of 32; or --set critic=patch")
        if system.critic_sees_outline:
            raise UserError(
                "--set critic_sees_outline=true: the network behind a projected critic knows pictures, not outlines; "
                "add --set critic=patch"
            )
    outlined = getattr(system, "outline_weight", 0.0) or getattr(system, "critic_sees_outline", False)
    if data.framing == "whole" and outlined:
        raise UserError(
            "--set framing=whole: the head's outline is not known then; "
            "add --set outline_weight=0 --set critic_sees_outline=false"
        )
