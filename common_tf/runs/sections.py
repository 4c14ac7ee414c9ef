"""Sections that the configs of every training share."""

from dataclasses import dataclass

from common_tf.runs.config import option

LARGEST_SEED = 2**31 - 1


@dataclass(frozen=True)
class RunSection:
    """What a run keeps and when."""

    save_every: int = option(1, "save a checkpoint every so many epochs; 0 for never", flag=True, minimum=0)
    save_every_steps: int = option(250, "save a checkpoint every so many steps; 0 for never", flag=True, minimum=0)
    log_every: int = option(
        10, "steps between two lines of history.jsonl, each the mean since the last", flag=True, minimum=1
    )
    keep_checkpoints: int = option(3, "checkpoints to keep", minimum=1)
    deterministic: bool = option(
        False,
        "take only operations that give the same bits on a GPU too; a CPU gives them without it, and the cost on a GPU "
        "is not measured",
        before=False,
    )


def seed_option() -> int:
    """The option ``--seed``."""
    return option(
        0,
        "of the weights, the splits, the order of the data and every random draw",
        flag=True,
        minimum=0,
        maximum=LARGEST_SEED,
    )


def precision_option(help: str) -> str:
    """The option ``--precision``."""
    return option("auto", help, flag=True, choices=("auto", "float32", "bfloat16", "float16"))


def cache_option() -> str:
    """The option ``--cache``."""
    return option(
        "",
        "folder of prepared slices and scans that runs share; empty for the user's cache folder",
        flag=True,
        place=True,
    )


def window_option(example: str = "CT=0:80 or CT=0:80,MRI=0:4095") -> str:
    """The option ``--window``, with what it may say."""
    return option(
        "",
        f"stored values that become black and white, such as {example}; empty for the range of the files",
        flag=True,
    )
