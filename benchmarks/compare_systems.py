#!/usr/bin/env python3
"""Train every system at one budget from one config, and put them on one table.

    python benchmarks/compare_systems.py --runs runs/compare --output report --steps 1600
    python benchmarks/compare_systems.py --runs runs/pairs --output report --data PAIRS --models cyclegan pix2pix
    python benchmarks/compare_systems.py --runs runs/fields --output report --preset field-strength --models cut

Each system is one run of train_cyclegan.py below --runs with its own ``fast`` defaults; the same command again goes on
where it was stopped. A setting that a system has not is not given to it.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import evaluate  # noqa: E402
import train_cyclegan  # noqa: E402
from common_tf.command_line import run_script  # noqa: E402
from common_tf.errors import UserError  # noqa: E402
from common_tf.runs.config import options_of  # noqa: E402
from cyclegan_tf.config import config_type  # noqa: E402
from cyclegan_tf.systems import system_class, system_names  # noqa: E402

# Systems that see the images unpaired also see the heads' outlines; one that sees the truth has no such option.
_OUTLINE = "critic_sees_outline=true"


def main(argv: Sequence[str] | None = None) -> int:
    """Parses the flags, trains, compares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, required=True, metavar="DIR", help="folder of the runs")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder of the report")
    parser.add_argument("--data", default="phantom", help="aligned pairs with train/ and test/, or phantom")
    parser.add_argument("--preset", default="fast", help="of every system (default: %(default)s)")
    parser.add_argument("--models", nargs="+", metavar="MODEL", help="default: all that translate slices")
    parser.add_argument("--steps", default="1600", help="budget of every system (default: %(default)s)")
    parser.add_argument("--image-size", default="128")
    parser.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", help="for every system that has the setting"
    )
    return run_script(lambda _: _compare(parser.parse_args(argv)))


def _compare(arguments: argparse.Namespace) -> None:
    models = arguments.models or systems_of_slices()
    commands = {model: _words(model, arguments) for model in models}
    if len(commands) < 2:
        raise UserError(f"--models {' '.join(models)}: wants two or more systems")
    for model, words in commands.items():
        print(f"=== {model}", flush=True)
        train_cyclegan.main(words)
    runs = [str(arguments.runs / model) for model in commands]
    pairs = [] if arguments.data == "phantom" else ["--pairs", arguments.data]
    evaluate.main(["--compare", *runs, *pairs, "--output", str(arguments.output)])


def systems_of_slices() -> list[str]:
    """Those that one table holds: what translates volumes as a whole has no slices to compare."""
    return [name for name in system_names() if not system_class(name).is_volumetric]


def _words(model: str, arguments: argparse.Namespace) -> list[str]:
    """The command line of a system's training."""
    settings = [setting for setting in (_OUTLINE, *arguments.set) if _has(model, setting)]
    words = ["--model", model, "--preset", arguments.preset, "--data", arguments.data]
    words += ["--run", str(arguments.runs / model)]
    words += ["--steps", arguments.steps, "--image-size", arguments.image_size]
    for setting in settings:
        words += ["--set", setting]
    return words


def _has(model: str, setting: str) -> bool:
    name = setting.partition("=")[0]
    if not any(name in options_of(config_type(one)) for one in system_names()):
        raise UserError(f"--set {setting}: no system has it")
    return name in options_of(config_type(model))


if __name__ == "__main__":
    sys.exit(main())
