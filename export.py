#!/usr/bin/env python3
"""Take a trained network away: files that run without this package.

    python export.py --run checkpoints/ct_mri_fast --format onnx --output FOLDER
    python export.py --run runs/detector --format tflite --quantise int8 --calibrate PICTURES --output FOLDER

Beside each network stand a json (framing, range, classes, threshold) and an example of 30 lines that uses it with its
runtime alone. Research only, not for diagnosis.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from common_tf.command_line import run_script
from export_tf import FORMATS, QUANTISATIONS


def main(argv: Sequence[str] | None = None) -> None:
    """Parses the flags and exports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", required=True, metavar="DIR", help="run folder, or a folder of checkpoints/")
    parser.add_argument("--format", required=True, choices=FORMATS)
    parser.add_argument("--output", required=True, metavar="DIR", help="new folder for the files")
    parser.add_argument(
        "--quantise",
        default="none",
        choices=QUANTISATIONS,
        help="TFLite with weights of 8 bits, or with everything in 8 bits (default: %(default)s)",
    )
    parser.add_argument("--calibrate", metavar="DIR", help="pictures that find the scales of --quantise int8")
    arguments = parser.parse_args(argv)
    # After the flags: TensorFlow takes seconds to import, and --help should not.
    from export_tf.exporting import export_run

    calibrate = None if arguments.calibrate is None else Path(arguments.calibrate)
    export_run(
        Path(arguments.run),
        Path(arguments.output),
        kind=arguments.format,
        quantise=arguments.quantise,
        calibrate=calibrate,
    )


def run() -> int:
    """The console script."""
    return run_script(main)


if __name__ == "__main__":
    sys.exit(run())
