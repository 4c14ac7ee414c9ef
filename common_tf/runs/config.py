"""One frozen dataclass is a trainer's config, its flags and its config.yaml."""

import argparse
import dataclasses
from pathlib import Path
from typing import Any, Mapping, Sequence, Type, TypeVar

import yaml

from common_tf.errors import UserError
from common_tf.runs.files import replace_text

ConfigType = TypeVar("ConfigType")

BUDGET = ("epochs", "steps")
"""Fields of a config that may change when a run is continued."""


def option(default: Any, help: str, *, flag: bool = False, choices: Sequence = (), minimum: Any = None) -> Any:
    """A config field.

    Args:
        default: its value where neither preset nor user says otherwise; also fixes its type.
        help: one sentence; the flag's help text.
        flag: give it a flag of its own; without, it is set by ``--set field=value``.
        choices: allowed values.
        minimum: smallest allowed number.
    """
    metadata = {"help": help, "flag": flag, "choices": tuple(choices), "minimum": minimum}
    return dataclasses.field(default=default, metadata=metadata)


def add_flags(parser: argparse.ArgumentParser, config_type: Type) -> None:
    """Adds a flag for each field that wants one, and ``--set`` for the rest.

    A flag that is not given leaves no trace in the parsed namespace, so that presets can tell it from a given one.
    """
    others = []
    for field in dataclasses.fields(config_type):
        if not field.metadata["flag"]:
            others.append(f"{field.name} ({_describe(field)})")
            continue
        parser.add_argument(
            "--" + field.name.replace("_", "-"),
            dest=field.name,
            default=argparse.SUPPRESS,
            metavar="|".join(map(str, field.metadata["choices"])) or type(field.default).__name__.upper(),
            help=f"{field.metadata['help']} (default: {field.default})".replace("%", "%%"),
        )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help=("any other setting, repeatable: " + "; ".join(others)).replace("%", "%%"),
    )


def given_values(config_type: Type, namespace: argparse.Namespace) -> dict:
    """The field values that the command line gave, as values of the fields' types.

    Raises:
        UserError: an unknown field after ``--set``, or a value that does not fit its field.
    """
    fields = {field.name: field for field in dataclasses.fields(config_type)}
    texts = {name: value for name, value in vars(namespace).items() if name in fields}
    for assignment in namespace.set:
        name, equals, value = assignment.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or name not in fields:
            raise UserError(f"--set {assignment}: wants FIELD=VALUE with a field among {', '.join(fields)}")
        texts[name] = value
    return {name: _parse(fields[name], text) for name, text in texts.items()}


def settle_budget(values: dict, given: Mapping) -> None:
    """Lets the length that the user gave replace the other one in ``values``.

    Raises:
        UserError: both were given.
    """
    if given.get("epochs") and given.get("steps"):
        raise UserError("--epochs and --steps: give one of them")
    for name, other in (BUDGET, BUDGET[::-1]):
        if given.get(name):
            values[other] = 0


def check_values(config: Any) -> None:
    """Raises `UserError` for a field outside its choices or below its minimum."""
    for field in dataclasses.fields(config):
        value, choices, minimum = getattr(config, field.name), field.metadata["choices"], field.metadata["minimum"]
        flag = _flag(field)
        if choices and value not in choices:
            raise UserError(f"{flag} {value}: must be one of {', '.join(map(str, choices))}")
        if minimum is not None and value < minimum:
            raise UserError(f"{flag} {value}: must be {minimum} or more")


def save_config(path: Path, config: Any) -> None:
    """Writes a config as YAML, one line a field, in the dataclass' order."""
    replace_text(path, yaml.safe_dump(dataclasses.asdict(config), sort_keys=False, allow_unicode=True))


def load_config(path: Path, config_type: Type[ConfigType]) -> ConfigType:
    """Reads a config.yaml.

    Raises:
        UserError: the file is missing, is no YAML mapping, or has fields that this version does not know.
    """
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: not found; is {Path(path).parent} the folder of a run?") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as YAML; restore the file or use another run folder") from error
    names = {field.name for field in dataclasses.fields(config_type)}
    if not isinstance(values, Mapping) or not set(values) <= names:
        unknown = sorted(set(values) - names) if isinstance(values, Mapping) else ["no mapping"]
        raise UserError(f"{path}: unknown settings ({', '.join(unknown)}); it was written by another version")
    return config_type(**values)


def config_difference(old: Any, new: Any, *, ignored: Sequence[str]) -> list:
    """Lines ``field: old -> new`` for each field that differs, the ignored ones apart."""
    lines = []
    for field in dataclasses.fields(new):
        before, after = getattr(old, field.name), getattr(new, field.name)
        if before != after and field.name not in ignored:
            lines.append(f"{field.name}: {before} -> {after}")
    return lines


def _flag(field: dataclasses.Field) -> str:
    return "--" + field.name.replace("_", "-") if field.metadata["flag"] else f"--set {field.name}="


def _describe(field: dataclasses.Field) -> str:
    choices = "|".join(map(str, field.metadata["choices"]))
    return f"{field.metadata['help']}{'; ' + choices if choices else ''}; default {field.default}"


def _parse(field: dataclasses.Field, text: Any) -> Any:
    wanted = type(field.default)
    if wanted is bool:
        words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if str(text).lower() not in words:
            raise UserError(f"{_flag(field)} {text}: must be true or false")
        return words[str(text).lower()]
    try:
        return wanted(text)
    except ValueError as error:
        kind = {int: "a whole number", float: "a number"}[wanted]
        raise UserError(f"{_flag(field)} {text}: must be {kind}") from error
