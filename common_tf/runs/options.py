"""Options as a tree: frozen dataclasses of them, sections included, with the rules that values must keep.

A tree has fields of its own (made by `option`) and sections (fields whose type is a dataclass of options). Every option
has one name in the whole tree, so on the command line a setting is just a name: a flag, or ``--set name=value``.

An option that has an effect only together with another says so (``needs``). Where it has none it can neither be given
nor does it stand in config.yaml, so what is written down is what was computed.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from common_tf.errors import UserError

Tree = TypeVar("Tree")


def option(
    default: Any,
    help: str,
    *,
    flag: bool = False,
    choices: Sequence = (),
    minimum: Any = None,
    maximum: Any = None,
    below: Any = None,
    needs: str = "",
    place: bool = False,
    before: Any = None,
    since: int = 3,
) -> Any:
    """An option of a config.

    Args:
        default: its value where neither preset nor user says otherwise; also fixes its type.
        help: one sentence; the flag's help text.
        flag: give it a flag of its own; without, it is set by ``--set name=value``.
        choices: allowed values.
        minimum, maximum: ends of the allowed numbers.
        below: allowed numbers are smaller than this.
        needs: what must hold for it to have an effect: ``name`` (not zero, not empty, not false), ``name=value`` or
            ``name!=value``, where the named option has an effect itself; several with ``|`` between them, of which one
            must hold, or with ``&``, of which all must.
        place: says where something lies and not what is computed; another value is no other config.
        before: of an option that a later format of config.yaml brought: the value that runs had which lack it.
        since: the format that brought it.
    """
    metadata = dict(
        help=help, flag=flag, choices=tuple(choices), minimum=minimum, maximum=maximum, below=below, needs=needs,
        place=place, before=before, since=since,
    )  # fmt: skip
    return dataclasses.field(default=default, metadata=metadata)


def section(kind: type) -> Any:
    """A field that holds a section, a frozen dataclass of options."""
    return dataclasses.field(default_factory=kind, metadata={"section": True})


def options_of(tree: type) -> dict[str, dataclasses.Field]:
    """Every option of a tree by its name, sections included.

    Raises:
        TypeError: two options have one name.
    """
    found: dict[str, dataclasses.Field] = {}
    for field in dataclasses.fields(tree):
        inner = options_of(field.default_factory) if is_section(field) else {field.name: field}  # type: ignore[arg-type]
        for name, one in inner.items():
            if name in found:
                raise TypeError(f"{tree.__name__} has two options named {name}")
            found[name] = one
    return found


def values_before(tree: type, format: int) -> dict[str, Any]:
    """What runs of a format of config.yaml had, of the options that later ones brought."""
    later = {name: field.metadata for name, field in options_of(tree).items() if field.metadata["since"] > format}
    return {name: metadata["before"] for name, metadata in later.items() if metadata["before"] is not None}


def values_of(config: Any) -> dict[str, Any]:
    """Every option's value by its name."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        values.update(values_of(value) if is_section(field) else {field.name: value})
    return values


def build_tree(tree: type[Tree], values: Mapping[str, Any]) -> Tree:
    """A config from option values by name; what is not named keeps its default. Unknown names are a `TypeError`."""
    unknown = set(values) - set(options_of(tree))
    if unknown:
        raise TypeError(f"{tree.__name__} has no {', '.join(sorted(unknown))}")
    given: dict[str, Any] = {}
    for field in dataclasses.fields(tree):  # type: ignore[arg-type]
        if is_section(field):
            kind: Any = field.default_factory
            given[field.name] = build_tree(kind, {n: v for n, v in values.items() if n in options_of(kind)})
        elif field.name in values:
            given[field.name] = values[field.name]
    return tree(**given)


def active_options(tree: type, values: Mapping[str, Any]) -> dict[str, dataclasses.Field]:
    """The options that have an effect with the given values of all options."""
    options = options_of(tree)
    return {name: field for name, field in options.items() if _is_active(field, options, values)}


def check_config(config: Any, given: Iterable[str] = ()) -> None:
    """Checks every value, and that what the user gave has an effect.

    Args:
        config: a tree.
        given: names that the user gave.

    Raises:
        UserError: a value outside its choices or limits, or a given option that does nothing.
    """
    values = values_of(config)
    active = active_options(type(config), values)
    for name, field in options_of(type(config)).items():
        if name in active:
            _check_value(field, values[name])
        elif name in given:
            wanted = field.metadata["needs"].replace("|", " or ").replace("&", " and ")
            raise UserError(f"{spelled(field, values[name])}: does nothing here; it needs {wanted}")


def spelled(field: dataclasses.Field, value: Any) -> str:
    """A setting as the user writes it: ``--steps 5`` or ``--set jitter=1.07``."""
    return f"--{field.name.replace('_', '-')} {value}" if field.metadata["flag"] else f"--set {field.name}={value}"


def is_section(field: dataclasses.Field) -> bool:
    """Whether a field holds a section."""
    return bool(field.metadata.get("section"))


def _is_active(field: dataclasses.Field, options: Mapping[str, dataclasses.Field], values: Mapping[str, Any]) -> bool:
    """Whether an option's conditions hold; one that names an option without effect, or of another tree, does not."""
    parts = field.metadata["needs"].split("&") if field.metadata["needs"] else ()
    return all(any(_holds(condition, options, values) for condition in part.split("|")) for part in parts)


def _holds(condition: str, options: Mapping[str, dataclasses.Field], values: Mapping[str, Any]) -> bool:
    name, differs, wanted = condition.partition("!=")
    if not differs:
        name, equals, wanted = condition.partition("=")
    if name not in options or not _is_active(options[name], options, values):
        return False
    return str(values[name]) != wanted if differs else str(values[name]) == wanted if equals else bool(values[name])


def _check_value(field: dataclasses.Field, value: Any) -> None:
    rules = field.metadata
    wrong = ""
    if isinstance(value, float) and not math.isfinite(value):
        wrong = "be a number"
    elif rules["choices"] and value not in rules["choices"]:
        wrong = f"be one of {', '.join(map(str, rules['choices']))}"
    elif rules["minimum"] is not None and not value >= rules["minimum"]:
        wrong = f"be {rules['minimum']} or more"
    elif rules["maximum"] is not None and not value <= rules["maximum"]:
        wrong = f"be {rules['maximum']} or less"
    elif rules["below"] is not None and not value < rules["below"]:
        wrong = f"be below {rules['below']}"
    if wrong:
        raise UserError(f"{spelled(field, value)}: must {wrong}")
