"""Runs and checkpoints of earlier versions: their config in today's form, and which of their weights still mean what
they meant.

    python -m cyclegan_tf.conversion RUN      rewrites config.yaml and preparation.yaml of a finished run in place
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common_tf.command_line import run_script
from common_tf.errors import UserError
from common_tf.files import read_json
from common_tf.pictures.preparation import PREPARATION_FILE, load_preparations, save_preparations
from common_tf.runs.config import active_options, options_of, save_config, tree_from_content, values_of
from common_tf.runs.folder import CONFIG_FILE
from common_tf.runs.session import STATUS_FILE
from cyclegan_tf.config import TranslatorConfig, config_type

# Their generators enlarged by transposed convolutions that moved the picture by a pixel each; built as they are now,
# the same weights would draw another picture.
_MOVED_GENERATORS = ("resnet9", "resnet6")
_MOVED_MODELS = ("unit",)
_UNKNOWN_THEN: Mapping[str, Any] = {"window": "", "cache": ""}
_GONE = ("cache_limit_mb",)


def converted_config(run: Path, content: Mapping[str, Any]) -> TranslatorConfig:
    """The config of a run of the earlier flat form.

    Args:
        run: its folder.
        content: of its config.yaml.

    Raises:
        UserError: the run is not finished, its weights would mean something else now, or settings are missing.
    """
    file = run / CONFIG_FILE
    status = run / STATUS_FILE
    if status.exists() and read_json(status, way_out="restore it").get("state") != "complete":
        raise UserError(f"{run}: an unfinished run of an earlier version; train it to its end there, or anew here")
    model = str(content.get("model"))
    tree = config_type(model)
    if model in _MOVED_MODELS or ("generator" in options_of(tree) and content.get("generator") in _MOVED_GENERATORS):
        what = content.get("generator") if model not in _MOVED_MODELS else model
        raise UserError(
            f"{run}: weights of {what} of an earlier version, which moved the picture by some pixels; train it anew"
        )
    values = {name: value for name, value in content.items() if name in options_of(tree)}
    values.update({name: value for name, value in _UNKNOWN_THEN.items() if name not in content})
    foreign = sorted(set(content) - set(options_of(tree)) - set(_GONE) - _names_of_all_systems())
    if foreign:
        raise UserError(f"{file}: unknown settings ({', '.join(foreign)}); it was written by another version")
    # The flat form wrote every setting down, also those that did nothing.
    active = active_options(tree, {**values_of(tree()), **values})
    return tree_from_content(tree, {name: value for name, value in values.items() if name in active}, path=file)


def convert_run(run: Path) -> None:
    """Rewrites the config and the preparation of a finished run in today's form; weights stay as they are.

    Raises:
        UserError: see `converted_config`.
    """
    from cyclegan_tf.config import load_translator_config

    config = load_translator_config(run)
    preparations = load_preparations(run / PREPARATION_FILE)
    save_preparations(run / PREPARATION_FILE, preparations)
    save_config(run / CONFIG_FILE, config)
    print(f"{run}: converted")


def _names_of_all_systems() -> set[str]:
    from cyclegan_tf.config import config_types

    return {name for tree in config_types().values() for name in options_of(tree)}


def main(argv: Sequence[str] | None = None) -> None:
    """Converts the runs that the command line names."""
    for run in sys.argv[1:] if argv is None else argv:
        convert_run(Path(run))


if __name__ == "__main__":
    sys.exit(run_script(main))
