#!/usr/bin/env python3
"""Train an unpaired CT <-> MRI translator, or continue training one.

    python train_cyclegan.py                                        drawn heads, preset fast, runs/phantom
    python train_cyclegan.py --data DIR --run runs/mine             your own slices: DIR/trainA (CT), DIR/trainB (MRI)

The same command again continues where it stopped. Research only, not for diagnosis.
"""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from common_tf.command_line import add_profile_flag, add_rescan_flag, run_script
from common_tf.runs.config import add_flags, given_texts
from common_tf.runs.devices import add_devices_flag, train_on_devices
from cyclegan_tf.config import config_types, make_config


def main(argv: Sequence[str] | None = None) -> None:
    """Parses the flags and trains."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default="runs/phantom", metavar="DIR", help="run folder (default: %(default)s)")
    parser.add_argument(
        "--resume",
        default="auto",
        choices=("auto", "never"),
        help="continue the run in the folder, or refuse a folder in use (default: %(default)s)",
    )
    add_rescan_flag(parser)
    add_profile_flag(parser)
    add_devices_flag(parser)
    add_flags(parser, config_types())
    arguments = parser.parse_args(argv)
    config = make_config(given_texts(config_types().values(), arguments))
    # After the flags: TensorFlow takes seconds to import, and --help should not.
    from common_tf.cache_folder import cache_folder
    from common_tf.sources.scan_store import forget_scans
    from common_tf.threads import use_threads_for_two_halves
    from cyclegan_tf.training import train_translator

    use_threads_for_two_halves()
    if arguments.rescan:
        forget_scans(cache_folder(config.data.cache))
    train_on_devices(
        partial(train_translator, config, run=Path(arguments.run), resume=arguments.resume, profile=arguments.profile),
        devices=arguments.devices,
        batch_size=config.optimisation.batch_size,
        script=__file__,
        arguments=sys.argv[1:] if argv is None else argv,
    )


def run() -> int:
    """The console script."""
    return run_script(main)


if __name__ == "__main__":
    sys.exit(run())
