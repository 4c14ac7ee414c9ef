"""A run's config: a tree of options, its flags, and its config.yaml."""

import argparse
import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from common_tf.errors import UserError
from common_tf.files import replace_text
from common_tf.runs.options import (
    Tree,
    active_options,
    build_tree,
    check_config,
    is_section,
    option,
    options_of,
    section,
    spelled,
    values_before,
    values_of,
)

__all__ = [
    "BUDGET", "FORMAT", "active_options", "add_flags", "build_tree", "check_config", "config_difference", "config_text",
    "given_texts", "option", "options_of", "parse_texts", "read_config_file", "save_config", "section", "settle_budget",
    "spelled", "tree_from_content", "values_before", "values_of",
]  # fmt: skip

FORMAT = 5
"""Of config.yaml. 1, which was not written down, was one flat mapping; 2 to 4 lack what is ``since`` a later one."""

BUDGET = ("epochs", "steps")
"""Options that may change when a run is continued: its length."""


def add_flags(parser: argparse.ArgumentParser, trees: Mapping[str, type]) -> None:
    """Adds a flag for each option that wants one, and ``--set`` for the rest.

    A flag that is not given leaves no trace in the parsed namespace, so that presets can tell it from a given one.

    Args:
        parser: of a script.
        trees: config types by the words that say whose they are; an option that all have is described once.
    """
    every = {name: options_of(tree) for name, tree in trees.items()}
    for name, owners in _owners(every, flags=True).items():
        field = every[owners[0]][name]
        words = f"{_whose(owners, every)}{field.metadata['help']} ({_defaults(name, owners, every)})"
        parser.add_argument(
            "--" + name.replace("_", "-"),
            dest=name,
            default=argparse.SUPPRESS,
            metavar="|".join(map(str, field.metadata["choices"])) or type(field.default).__name__.upper(),
            help=words.replace("%", "%%"),
        )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=("any other setting, repeatable. " + _others(every)).replace("%", "%%"),
    )


def given_texts(trees: Iterable[type], namespace: argparse.Namespace) -> dict[str, str]:
    """What the command line gave, as text by option name; of any of the trees.

    Raises:
        UserError: ``--set`` without a name that one of the trees has.
    """
    names = {name for tree in trees for name in options_of(tree)}
    texts = {name: value for name, value in vars(namespace).items() if name in names}
    for assignment in namespace.set:
        name, equals, value = assignment.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or name not in names:
            raise UserError(f"--set {assignment}: wants NAME=VALUE with one of {', '.join(sorted(names))}")
        texts[name] = value
    return texts


def parse_texts(tree: type, texts: Mapping[str, Any], *, owners: Mapping[str, type], kind: str) -> dict[str, Any]:
    """Values of a tree's options from text.

    Args:
        tree: the config's type.
        texts: by name; values that have their type already are kept.
        owners: all trees by name, to say who has an option that this one has not.
        kind: what an owner is, for the message: ``model``, ``task``.

    Raises:
        UserError: an option that this tree has not, or text that is no value of its option.
    """
    options, values = options_of(tree), {}
    for name, text in texts.items():
        if name not in options:
            having = {owner: options_of(other)[name] for owner, other in owners.items() if name in options_of(other)}
            who = f"{kind}{'s' if len(having) > 1 else ''} {', '.join(having)}" if having else "nobody"
            given = spelled(next(iter(having.values())), text) if having else f"--set {name}={text}"
            raise UserError(f"{given}: not a setting of this {kind}; {who} {'have' if len(having) > 1 else 'has'} it")
        values[name] = _parse(options[name], text)
    return values


def settle_budget(values: dict[str, Any], given: Mapping[str, Any]) -> None:
    """Lets the length that the user gave replace the other one in ``values``.

    Raises:
        UserError: both were given, or neither has a length.
    """
    if given.get("epochs") and given.get("steps"):
        raise UserError("--epochs and --steps: give one of them")
    for name, other in (BUDGET, BUDGET[::-1]):
        if given.get(name):
            values[other] = 0
    if not (values.get("epochs") or values.get("steps")):
        raise UserError("--epochs 0 --steps 0: give one of them a length")


def config_text(config: Any) -> str:
    """config.yaml as text: the format's number, then section by section what has an effect."""
    active = active_options(type(config), values_of(config))

    def nested(part: Any) -> dict:
        found: dict[str, Any] = {}
        for field in dataclasses.fields(part):
            value = getattr(part, field.name)
            if is_section(field):
                found[field.name] = nested(value)
            elif field.name in active:
                found[field.name] = value
        return found

    return yaml.safe_dump({"format": FORMAT, **nested(config)}, sort_keys=False, allow_unicode=True)


def save_config(path: Path, config: Any) -> None:
    """Writes config.yaml in one piece."""
    replace_text(path, config_text(config))


def read_config_file(path: Path) -> dict[str, Any]:
    """The mapping of a config.yaml, of any format.

    Raises:
        UserError: the file is missing or no YAML mapping, or of a later format.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: not found; is {Path(path).parent} the folder of a run?") from error
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise UserError(f"{path}: cannot be read as YAML; restore the file or use another run folder") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: holds no settings; restore the file or use another run folder")
    if content.get("format", 1) not in range(1, FORMAT + 1):
        raise UserError(
            f"{path}: of format {content['format']}, this version reads 1 to {FORMAT}; use the one that wrote it"
        )
    return content


def tree_from_content(tree: type[Tree], content: Mapping[str, Any], *, path: Path) -> Tree:
    """A config from what stands in config.yaml, which must hold every option that has an effect, and no other.

    Raises:
        UserError: a missing or unknown option, or a value that is none of its option.
    """
    texts: dict[str, Any] = {}
    for name, value in content.items():
        if name == "format":
            continue
        if isinstance(value, dict):
            texts.update(value)
        else:
            texts[name] = value
    options = options_of(tree)
    stated = set(texts)
    texts = {**values_before(tree, content.get("format", 1)), **texts}
    unknown = sorted(map(str, set(texts) - set(options)))
    if unknown:
        raise UserError(f"{path}: unknown settings ({', '.join(unknown)}); it was written by another version")
    for name, value in texts.items():
        if type(value) is not type(options[name].default) and not _whole_for_float(options[name], value):
            raise UserError(f"{path}: {name}: {value} is no value of it; restore the file")
        if isinstance(options[name].default, float):
            texts[name] = float(value)
    config = build_tree(tree, texts)
    missing = sorted(set(active_options(tree, values_of(config))) - set(texts))
    if missing:
        raise UserError(
            f"{path}: lacks {', '.join(missing)}; restore the file, or train again in a new folder: a setting is never "
            "guessed"
        )
    try:
        check_config(config, given=stated)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    return config


def comparable_settings(config: Any) -> dict[str, Any]:
    """The settings that have an effect, by name, without places: what two machines must have alike."""
    values, options = values_of(config), options_of(type(config))
    active = active_options(type(config), values)
    return {name: values[name] for name in options if name in active and not options[name].metadata["place"]}


def config_difference(old: Any, new: Any, *, ignored: Sequence[str] = BUDGET) -> list[str]:
    """Lines ``name: old -> new`` for each option that has an effect and differs; places and the ignored ones apart."""
    before, after = values_of(old), values_of(new)
    options = {**options_of(type(old)), **options_of(type(new))}
    active = {**active_options(type(old), before), **active_options(type(new), after)}
    lines = []
    for name in options:
        if name in active and name not in ignored and not options[name].metadata["place"]:
            if before.get(name) != after.get(name):
                lines.append(f"{name}: {before.get(name)} -> {after.get(name)}")
    return lines


def _whole_for_float(field: dataclasses.Field, value: Any) -> bool:
    return isinstance(field.default, float) and type(value) is int


def _others(every: Mapping[str, Mapping[str, dataclasses.Field]]) -> str:
    """What ``--set`` takes."""
    parts = []
    for name, owners in _owners(every, flags=False).items():
        rules = every[owners[0]][name].metadata
        choices = "; " + "|".join(map(str, rules["choices"])) if rules["choices"] else ""
        parts.append(f"{name} ({_whose(owners, every)}{rules['help']}{choices}; {_defaults(name, owners, every)})")
    return "; ".join(parts)


def _owners(every: Mapping[str, Mapping[str, dataclasses.Field]], *, flags: bool) -> dict[str, list[str]]:
    """The trees that have an option, by its name: first options that all have, then those that only some have."""
    found: dict[str, list[str]] = {}
    for owner, options in every.items():
        for name, field in options.items():
            if field.metadata["flag"] == flags:
                found.setdefault(name, []).append(owner)
    return dict(sorted(found.items(), key=lambda item: len(item[1]) < len(every)))


def _whose(owners: Sequence[str], every: Mapping[str, Any]) -> str:
    return "" if len(owners) == len(every) else f"{', '.join(owners)}: "


def _defaults(name: str, owners: Sequence[str], every: Mapping[str, Mapping[str, dataclasses.Field]]) -> str:
    """``default 1``, or ``default 1; of segment 8`` where the trees differ."""
    values = {owner: every[owner][name].default for owner in owners}
    usual = values[owners[0]]
    words = [f"default {'empty' if usual == '' else usual}"]
    words += [f"of {owner} {'empty' if value == '' else value}" for owner, value in values.items() if value != usual]
    return "; ".join(words)


def _parse(field: dataclasses.Field, text: Any) -> Any:
    wanted: Any = type(field.default)
    if wanted is bool:
        words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if str(text).lower() not in words:
            raise UserError(f"{spelled(field, text)}: must be true or false")
        return words[str(text).lower()]
    if wanted is str:
        # One folder has one spelling: DIR and DIR/ are the same place.
        return str(text).rstrip(os.sep) or str(text) if field.metadata["place"] else str(text)
    try:
        return wanted(text)
    except (ValueError, OverflowError) as error:
        kind = {int: "a whole number", float: "a number"}[wanted]
        raise UserError(f"{spelled(field, text)}: must be {kind}") from error
