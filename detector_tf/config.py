"""The config of a detector's training: a tree for each task, which has only what says something for it.

python train_detector.py --data DIR --run RUN --folds 5                     class folders, five grouped folds
python train_detector.py --data DIR --run RUN --weights runs/other          start from another run of the same backbone
python train_detector.py --data DIR --run RUN --task segment                images beside their *_mask files
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common_tf.backbones import backbones
from common_tf.errors import UserError
from common_tf.runs.config import (
    build_tree,
    check_config,
    option,
    options_of,
    parse_texts,
    read_config_file,
    section,
    settle_budget,
    tree_from_content,
)
from common_tf.runs.folder import CONFIG_FILE
from detector_tf.sections import (
    AugmentationSection,
    ClassifyData,
    ClassifyNetwork,
    ClassifyOptimisation,
    DataSection,
    DetectorRunSection,
    NetworkSection,
    OptimisationSection,
    SegmentData,
    SegmentNetwork,
    SegmentOptimisation,
)

_IMAGENET = tuple(name for name, module in backbones().items() if module.IMAGENET)
_SEGMENTING = tuple(name for name, module in backbones().items() if module.SEGMENTS)

# The document's network, trained as its notebook trains it: no augmentation, whole squashed pictures, Adam at 1e-3.
_ORIGINAL: Mapping[str, Any] = dict(
    framing="whole", flip=False, rotation=0.0, shift=0.0, zoom=0.0, contrast=0.0, noise=0.0, label_smoothing=0.0,
    class_weights=False, weight_decay=0.0, dropout=0.0, epochs=20, patience=0, ema_decay=0.0,
)  # fmt: skip


@dataclass(frozen=True)
class DetectorConfig:
    """Everything that decides what a training run computes; of a task, `ClassifyConfig` or `SegmentConfig`."""

    task: str = option("classify", "what to learn", flag=True, choices=("classify", "segment"))
    data: DataSection = section(DataSection)
    network: NetworkSection = section(NetworkSection)
    optimisation: OptimisationSection = section(OptimisationSection)
    augmentation: AugmentationSection = section(AugmentationSection)
    run: DetectorRunSection = section(DetectorRunSection)


@dataclass(frozen=True)
class ClassifyConfig(DetectorConfig):
    """A training that learns classes."""

    data: ClassifyData = section(ClassifyData)
    network: ClassifyNetwork = section(ClassifyNetwork)
    optimisation: ClassifyOptimisation = section(ClassifyOptimisation)


@dataclass(frozen=True)
class SegmentConfig(DetectorConfig):
    """A training that learns where lesions are."""

    data: SegmentData = section(SegmentData)
    network: SegmentNetwork = section(SegmentNetwork)
    optimisation: SegmentOptimisation = section(SegmentOptimisation)


CONFIGS: Mapping[str, type[DetectorConfig]] = {"classify": ClassifyConfig, "segment": SegmentConfig}
"""The config tree of each task."""


def make_config(given: Mapping[str, Any]) -> DetectorConfig:
    """A config from what the user gave (values or text, by option name), over the defaults of its backbone and task.

    Raises:
        UserError: values that do not fit, alone or together.
    """
    task = str(given.get("task", "classify"))
    if task not in CONFIGS:
        raise UserError(f"--task {task}: must be one of {', '.join(CONFIGS)}")
    tree = CONFIGS[task]
    mine = parse_texts(tree, given, owners=CONFIGS, kind="task")
    for name in ("weights", "exclude"):
        if name in mine:  # DIR and DIR/ are one
            mine[name] = mine[name].rstrip("/") or mine[name]
    options = options_of(tree)
    backbone = mine.get("backbone", options["backbone"].default)
    usual: dict[str, Any] = {"epochs": options["epochs"].default}
    if backbone == "original":
        usual.update(_ORIGINAL)
    if backbone in _IMAGENET:
        usual["batch_size"] = 16
    if mine.get("weights", "none") != "none":
        usual.update(backbones()[backbone].STARTED if backbone in backbones() else {})
    values = {**{name: value for name, value in usual.items() if name in options}, **mine, "task": task}
    settle_budget(values, mine)
    config = build_tree(tree, values)
    check_config(config, given=mine)
    _check_together(config)
    return config


def load_detector_config(run: Path) -> DetectorConfig:
    """The config of a run's folder, of today's form or, for finished runs, of the earlier flat one.

    Raises:
        UserError: missing, damaged, or of an unfinished run of an earlier version.
    """
    file = Path(run) / CONFIG_FILE
    content = read_config_file(file)
    if "format" not in content:
        from detector_tf.conversion import converted_config

        return converted_config(Path(run), content)
    if content.get("task") not in CONFIGS:
        raise UserError(f"{file}: not the config of a detector; give the folder of a detector's run")
    return tree_from_content(CONFIGS[content["task"]], content, path=file)


def _check_together(config: DetectorConfig) -> None:
    data, network = config.data, config.network
    data.given_range  # noqa: B018  (refuses what is none)
    if data.folds == 1:
        raise UserError("--folds 1: wants 2 or more, or 0 for one hold-out split")
    if (config.task == "segment") != (network.backbone in _SEGMENTING):
        raise UserError(
            f"--task {config.task} --backbone {network.backbone}: {', '.join(_SEGMENTING)} segments, all other "
            "backbones classify"
        )
    if network.weights == "imagenet" and network.backbone not in _IMAGENET:
        raise UserError(f"--weights imagenet: only for {', '.join(_IMAGENET)}, not for {network.backbone}")
    if network.side < 32 or config.task == "segment" and network.side % 16:
        raise UserError(f"--image-size {network.side}: wants 32 or more, and to segment a multiple of 16")
