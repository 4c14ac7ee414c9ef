"""The sections of a detector's config. Those that both tasks have stand as they are; what says something for
classification only is added in a section of its own.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

from common_tf.backbones import backbones
from common_tf.pictures.intensity import parse_windows
from common_tf.runs.options import option, options_of
from common_tf.runs.sections import RunSection, cache_option, precision_option, seed_option, window_option
from common_tf.sources.drawn import DRAWN, LARGEST_COUNT
from common_tf.sources.segmentation import LABEL

SLICE = LABEL
"""What a detector looks at, whatever its class: the name that ``--window`` takes."""

_WITH_FILTERS = "|".join(f"backbone={name}" for name, module in backbones().items() if module.USES_FILTERS)
_FILES = f"data!={DRAWN}"


def _default(kind: type, name: str, value: Any) -> Any:
    """An option of another section with a default of its own."""
    return dataclasses.field(default=value, metadata=options_of(kind)[name].metadata)


@dataclass(frozen=True)
class DataSection:
    """What is trained on, how it is split, and how it becomes images."""

    # What only classification can set.
    split = "grouped"
    positive = ""
    median = 0
    clahe = False

    data: str = option(
        DRAWN, "folder of class folders (may stand under Training/ and Testing/), or to segment, of slices beside "
        f"their masks, one folder a patient; or {DRAWN} for drawn heads", flag=True, place=True,
    )  # fmt: skip
    folds: int = option(0, "grouped, stratified folds; 0 for one hold-out split", flag=True, minimum=0)
    exclude: str = option(
        "", "manifest.csv of another run; whole groups that it trained on are left out", flag=True, needs=_FILES
    )
    bad_files: str = option(
        "stop", "what to do with files that cannot be used", flag=True, choices=("stop", "skip"), needs=_FILES
    )
    channels: int = option(
        1, "image channels of the input; 3 takes the channels of a colour file to segment, else it repeats the gray "
        "values", flag=True, choices=(1, 3),
    )  # fmt: skip
    window: str = window_option(f"{SLICE}=0:80")
    cache: str = cache_option()
    framing: str = option(
        "head", "crop to the head and blacken what is not, or keep the whole picture", choices=("head", "whole")
    )
    validation_share: float = option(
        0.15, "share of the training images that validation takes, in whole groups", minimum=0.01, maximum=0.5
    )
    test_share: float = option(
        0.2, "share of the images held out, in whole groups, where there is no test folder and no fold", minimum=0.01,
        maximum=0.9, needs="folds=0",
    )  # fmt: skip
    phantoms: int = option(400, "drawn heads", minimum=8, maximum=LARGEST_COUNT, needs=f"data={DRAWN}")
    modality: str = option("MRI", "side of the drawn heads", choices=("CT", "MRI"), needs=f"data={DRAWN}")

    @property
    def given_range(self) -> tuple[float, float] | None:
        """Black and white that the user gave."""
        return parse_windows(self.window, (SLICE,)).get(SLICE)


@dataclass(frozen=True)
class ClassifyData(DataSection):
    """`DataSection` of classification."""

    split: str = option(
        "grouped", "keep near-duplicates on one side, or the folders", flag=True, choices=("grouped", "as-given"),
        needs=f"{_FILES}&folds=0",
    )  # fmt: skip
    positive: str = option(
        "", "class whose probability is reported with two classes; empty to guess from its name", needs=_FILES
    )
    median: int = option(0, "side of a median filter in pixels, 3 or 5; 0 for none", choices=(0, 3, 5))
    clahe: bool = option(False, "adaptive contrast enhancement (CLAHE, clip limit 2, 8x8 tiles) inside the head")


@dataclass(frozen=True)
class SegmentData(DataSection):
    """`DataSection` of segmentation."""

    framing: str = _default(DataSection, "framing", "whole")


@dataclass(frozen=True)
class NetworkSection:
    """What network, and what it starts from."""

    # What only classification can set.
    dropout = 0.0

    backbone: str = option("small", "network", flag=True, choices=tuple(backbones()))
    weights: str = option(
        "none", "start from imagenet, none, a file of backbone weights, or the folder of another run", flag=True
    )
    image_size: int = option(0, "side of the images in pixels; 0 for the backbone's own", flag=True, minimum=0)
    filters: int = option(24, "filters of the first layer", minimum=1, needs=_WITH_FILTERS)

    @property
    def side(self) -> int:
        """The side of the input in pixels."""
        return self.image_size or backbones()[self.backbone].SIZE

    @property
    def is_started(self) -> bool:
        """Whether the weights were trained before."""
        return self.weights != "none"


@dataclass(frozen=True)
class ClassifyNetwork(NetworkSection):
    """`NetworkSection` of classification."""

    dropout: float = option(0.4, "before the last layer", minimum=0, below=1)


@dataclass(frozen=True)
class SegmentNetwork(NetworkSection):
    """`NetworkSection` of segmentation."""

    backbone: str = _default(NetworkSection, "backbone", "unet")
    filters: int = _default(NetworkSection, "filters", 16)


@dataclass(frozen=True)
class OptimisationSection:
    """How the weights move."""

    # What only classification can set.
    head_epochs = 0
    head_learning_rate = 0.0
    fine_tune_from = ""
    label_smoothing = 0.0
    class_weights = False

    epochs: int = option(60, "length of the training; 0 leaves it to --steps", flag=True, minimum=0)
    steps: int = option(0, "length of the training in steps; 0 leaves it to --epochs", flag=True, minimum=0)
    batch_size: int = option(32, "images in a step", flag=True, minimum=1)
    precision: str = precision_option(
        "arithmetic of the convolutions; auto takes bfloat16 where CPU and backbone gain by it"
    )
    seed: int = seed_option()
    learning_rate: float = option(1e-3, "of AdamW", minimum=0)
    weight_decay: float = option(1e-4, "decoupled weight decay of kernels", minimum=0)
    ema_decay: float = option(
        0.98, "of the averaged weights that validation and inference use; 0 for none", minimum=0, below=1
    )
    patience: int = option(20, "epochs without a better validation before stopping; 0 for never", minimum=0)


@dataclass(frozen=True)
class ClassifyOptimisation(OptimisationSection):
    """`OptimisationSection` of classification."""

    head_epochs: int = option(
        0, "epochs at first in which only the new head learns; for weights that were trained before", minimum=0,
        needs="weights!=none",
    )  # fmt: skip
    head_learning_rate: float = option(1e-3, "of AdamW while only the head learns", minimum=0, needs="head_epochs")
    fine_tune_from: str = option(
        "", "first layer that fine-tuning changes; empty for the backbone's usual one", needs="weights!=none"
    )
    label_smoothing: float = option(0.05, "of the cross-entropy", minimum=0, below=1)
    class_weights: bool = option(True, "weigh classes by the inverse of their frequency")


@dataclass(frozen=True)
class SegmentOptimisation(OptimisationSection):
    """`OptimisationSection` of segmentation."""

    batch_size: int = _default(OptimisationSection, "batch_size", 8)


@dataclass(frozen=True)
class AugmentationSection:
    """How training images are changed at random."""

    flip: bool = option(True, "random left-right flips")
    rotation: float = option(12.0, "random rotation up to so many degrees", minimum=0)
    shift: float = option(0.05, "random shift up to this share of the side", minimum=0)
    zoom: float = option(0.1, "random zoom up to this share", minimum=0)
    contrast: float = option(0.15, "random brightness and contrast up to this share", minimum=0)
    noise: float = option(0.02, "standard deviation of added noise, of the range [0, 1]", minimum=0)


@dataclass(frozen=True)
class DetectorRunSection(RunSection):
    """`RunSection` of trainings that take minutes."""

    save_every: int = _default(RunSection, "save_every", 5)
    save_every_steps: int = _default(RunSection, "save_every_steps", 0)
    keep_checkpoints: int = _default(RunSection, "keep_checkpoints", 2)
