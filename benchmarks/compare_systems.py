#!/usr/bin/env python3
"""Train every system at one budget from one config, and put them on one table.

    python benchmarks/compare_systems.py --runs runs/compare --output report --steps 1600
    python benchmarks/compare_systems.py --runs runs/pairs --output report --data PAIRS --models cyclegan pix2pix
    python benchmarks/compare_systems.py --runs runs/fields --output report --preset field-strength --models cut

Each system is one run of train_cyclegan.py below --runs with its own ``fast`` defaults; the same command again goes on
where it was stopped. medgan wants an extractor: a detector's run, with --extractor (else it is left out, and said so).
"""

import argparse
import sys
from pathlib import Path
from typing import Optional, Sequence

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import evaluate  # noqa: E402
import train_cyclegan  # noqa: E402
from common_tf.command_line import run_script  # noqa: E402
from cyclegan_tf.config import MODELS  # noqa: E402

# Systems that see the images unpaired also see the heads' outlines; pix2pix sees the input itself.
_OUTLINE = ("--set", "critic_sees_outline=true")


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Parses the flags, trains, compares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, required=True, metavar="DIR", help="folder of the runs")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder of the report")
    parser.add_argument("--data", default="phantom", help="aligned pairs with train/ and test/, or phantom")
    parser.add_argument("--preset", default="fast", help="of every system (default: %(default)s)")
    parser.add_argument("--models", nargs="+", default=list(MODELS), metavar="MODEL")
    parser.add_argument("--steps", default="1600", help="budget of every system (default: %(default)s)")
    parser.add_argument("--image-size", default="128")
    parser.add_argument("--extractor", metavar="RUN", help="detector's run for medgan")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="for every system")
    arguments = parser.parse_args(argv)
    done = []
    for model in arguments.models:
        if model == "medgan" and not arguments.extractor:
            print("medgan: left out, it wants --extractor RUN")
            continue
        words = ["--model", model, "--preset", arguments.preset, "--data", arguments.data]
        words += ["--run", str(arguments.runs / model)]
        words += ["--steps", arguments.steps, "--image-size", arguments.image_size]
        words += () if model == "pix2pix" else _OUTLINE
        words += ["--set", f"extractor={arguments.extractor}"] if model == "medgan" else []
        for setting in arguments.set:
            words += ["--set", setting]
        print(f"=== {model}", flush=True)
        code = run_script(train_cyclegan.main, words)
        if code:
            return code
        done.append(str(arguments.runs / model))
    pairs = [] if arguments.data == "phantom" else ["--pairs", arguments.data]
    return run_script(evaluate.main, ["--compare", *done, *pairs, "--output", str(arguments.output)])


if __name__ == "__main__":
    sys.exit(main())
