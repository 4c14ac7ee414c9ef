#!/usr/bin/env python3
"""Train an unpaired CT <-> MRI translator, or continue training one.

    python train_cyclegan.py                                        drawn heads, preset fast, runs/phantom
    python train_cyclegan.py --data DIR --run runs/mine             your own slices: DIR/trainA (CT), DIR/trainB (MRI)

The same command again continues where it stopped. Research only, not for diagnosis.
"""

import argparse
import sys
from pathlib import Path
from typing import Optional, Sequence

from common_tf.command_line import run_script
from common_tf.runs.config import add_flags, given_values
from cyclegan_tf.config import TranslatorConfig, make_config


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Parses the flags and trains."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default="runs/phantom", metavar="DIR", help="run folder (default: %(default)s)")
    parser.add_argument(
        "--resume",
        default="auto",
        choices=("auto", "never"),
        help="continue the run in the folder, or refuse a folder in use (default: %(default)s)",
    )
    add_flags(parser, TranslatorConfig)
    arguments = parser.parse_args(argv)
    config = make_config(given_values(TranslatorConfig, arguments))
    # After the flags: TensorFlow takes seconds to import, and --help should not.
    from common_tf.threads import use_threads_for_two_halves
    from cyclegan_tf.training import train_translator

    use_threads_for_two_halves()
    if not train_translator(config, run=Path(arguments.run), resume=arguments.resume):
        raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(run_script(main))
