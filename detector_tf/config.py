"""The config of a detector's training.

python train_detector.py --data DIR --run RUN --folds 5                     class folders, five grouped folds
python train_detector.py --data DIR --run RUN --weights runs/other          start from another run of the same backbone
python train_detector.py --data DIR --run RUN --task segment                images beside their *_mask files
"""

from dataclasses import dataclass
from typing import Mapping

from common_tf.errors import UserError
from common_tf.runs.config import check_values, option, settle_budget

IMAGENET_BACKBONES = ("vgg16", "resnet50", "efficientnetb3")

DEFAULT_SIZE = {
    "small": 128,
    "original": 50,
    "multiscale": 128,
    "vgg16": 224,
    "resnet50": 224,
    "efficientnetb3": 300,
    "unet": 256,
}
"""Side of the input in pixels where the config says 0."""

# The document's network, trained as its notebook trains it: no augmentation, whole squashed pictures, Adam at 1e-3.
_ORIGINAL = dict(
    framing="whole", flip=False, rotation=0.0, shift=0.0, zoom=0.0, contrast=0.0, noise=0.0, label_smoothing=0.0,
    class_weights=False, weight_decay=0.0, dropout=0.0, epochs=20, patience=0, ema_decay=0.0,
)  # fmt: skip
_SEGMENT = dict(backbone="unet", epochs=60, batch_size=8, filters=16, framing="whole", patience=20)


@dataclass(frozen=True)
class DetectorConfig:
    """Everything that decides what a training run computes."""

    data: str = option(
        "phantom", "folder of class folders (may stand under Training/ and Testing/), or phantom", flag=True
    )
    task: str = option("classify", "what to learn", flag=True, choices=("classify", "segment"))
    backbone: str = option("small", "network", flag=True, choices=tuple(DEFAULT_SIZE))
    weights: str = option(
        "none", "start from imagenet, none, a file of backbone weights, or the folder of another run", flag=True
    )
    folds: int = option(0, "grouped, stratified folds; 0 for one hold-out split", flag=True, minimum=0)
    exclude: str = option("", "manifest.csv of another run; whole groups that it trained on are left out", flag=True)
    epochs: int = option(60, "length of the training; 0 leaves it to --steps", flag=True, minimum=0)
    steps: int = option(0, "length of the training in steps; 0 leaves it to --epochs", flag=True, minimum=0)
    image_size: int = option(0, "side of the images in pixels; 0 for the backbone's own", flag=True, minimum=0)
    batch_size: int = option(32, "images in a step", flag=True, minimum=1)
    channels: int = option(1, "image channels of the input; 3 keeps the colours of a file", flag=True, choices=(1, 3))
    precision: str = option(
        "auto",
        "arithmetic of the convolutions; auto takes bfloat16 where CPU and backbone gain by it",
        flag=True,
        choices=("auto", "float32", "bfloat16", "float16"),
    )
    seed: int = option(
        0, "of the weights, the splits, the order of the data and every random draw", flag=True, minimum=0
    )
    save_every: int = option(5, "save a checkpoint every so many epochs; 0 for never", flag=True, minimum=0)
    save_every_steps: int = option(0, "save a checkpoint every so many steps; 0 for never", flag=True, minimum=0)
    log_every: int = option(
        10, "steps between two lines of history.jsonl, each the mean since the last", flag=True, minimum=1
    )
    split: str = option(
        "grouped", "keep near-duplicates on one side, or the folders", flag=True, choices=("grouped", "as-given")
    )
    bad_files: str = option("stop", "what to do with files that cannot be used", flag=True, choices=("stop", "skip"))

    head_epochs: int = option(
        0, "epochs at first in which only the new head learns; for weights that were trained before", minimum=0
    )
    fine_tune_from: str = option("", "first layer that fine-tuning changes; empty for the backbone's usual one")
    learning_rate: float = option(1e-3, "of AdamW", minimum=0)
    head_learning_rate: float = option(1e-3, "of AdamW while only the head learns", minimum=0)
    weight_decay: float = option(1e-4, "decoupled weight decay of kernels", minimum=0)
    dropout: float = option(0.4, "before the last layer", minimum=0)
    label_smoothing: float = option(0.05, "of the cross-entropy", minimum=0)
    class_weights: bool = option(True, "weigh classes by the inverse of their frequency")
    ema_decay: float = option(0.98, "of the averaged weights that validation and inference use; 0 for none", minimum=0)
    patience: int = option(20, "epochs without a better validation before stopping; 0 for never", minimum=0)
    positive: str = option("", "class whose probability is reported with two classes; empty to guess from its name")
    framing: str = option(
        "head", "crop to the head and blacken what is not, or keep the whole picture", choices=("head", "whole")
    )
    median: int = option(0, "side of a median filter in pixels, 3 or 5; 0 for none", choices=(0, 3, 5))
    clahe: bool = option(False, "adaptive contrast enhancement (CLAHE, clip limit 2, 8x8 tiles) inside the head")
    flip: bool = option(True, "random left-right flips")
    rotation: float = option(12.0, "random rotation up to so many degrees", minimum=0)
    shift: float = option(0.05, "random shift up to this share of the side", minimum=0)
    zoom: float = option(0.1, "random zoom up to this share", minimum=0)
    contrast: float = option(0.15, "random brightness and contrast up to this share", minimum=0)
    noise: float = option(0.02, "standard deviation of added noise, of the range [0, 1]", minimum=0)
    validation_share: float = option(0.15, "share of the training groups that validation takes", minimum=0.01)
    test_share: float = option(
        0.2, "share of the groups held out where there is no test folder and no fold", minimum=0.01
    )
    keep_checkpoints: int = option(2, "checkpoints to keep", minimum=1)
    phantoms: int = option(400, "drawn heads for --data phantom", minimum=8)
    modality: str = option("MRI", "side of the drawn heads", choices=("CT", "MRI"))
    filters: int = option(24, "filters of the first layer of small, multiscale and unet", minimum=1)

    @property
    def side(self) -> int:
        """The side of the input in pixels."""
        return self.image_size or DEFAULT_SIZE[self.backbone]


def make_config(given: Mapping) -> DetectorConfig:
    """A config from what the user gave, over the defaults of its backbone and task.

    Raises:
        UserError: values that do not fit, alone or together.
    """
    values = dict(given)
    if values.get("task") == "segment":
        values = {**_SEGMENT, **values}
    backbone, trained_before = values.get("backbone", "small"), values.get("weights", "none") != "none"
    if backbone == "original":
        values = {**_ORIGINAL, **values}
    if backbone in IMAGENET_BACKBONES:
        values = {"batch_size": 16, **values}
    if trained_before:
        values = {"head_epochs": 5, "learning_rate": 1e-5 if backbone in IMAGENET_BACKBONES else 3e-4, **values}
    settle_budget(values, given)
    config = DetectorConfig(**values)
    check_values(config)
    _check_together(config)
    return config


def _check_together(config: DetectorConfig) -> None:
    if not (config.epochs or config.steps):
        raise UserError("--epochs 0 --steps 0: give one of them a length")
    if config.folds == 1:
        raise UserError("--folds 1: wants 2 or more, or 0 for one hold-out split")
    if (config.task == "segment") != (config.backbone == "unet"):
        raise UserError(
            f"--task {config.task} --backbone {config.backbone}: unet segments, all other backbones classify"
        )
    if config.weights == "imagenet" and config.backbone not in IMAGENET_BACKBONES:
        raise UserError(f"--weights imagenet: only for {', '.join(IMAGENET_BACKBONES)}, not for {config.backbone}")
    if config.side < 32 or config.backbone == "unet" and config.side % 16:
        raise UserError(f"--image-size {config.side}: wants 32 or more, and for unet a multiple of 16")
    if config.dropout >= 1 or config.ema_decay >= 1 or config.label_smoothing >= 1 or config.validation_share > 0.5:
        raise UserError("--set dropout=, ema_decay=, label_smoothing= must be below 1, validation_share= at most .5")
