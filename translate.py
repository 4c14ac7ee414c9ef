#!/usr/bin/env python3
"""Translate slices or volumes with a trained translator.

    python translate.py --run checkpoints/ct_mri_fast --direction CT2MRI --input FOLDER --output FOLDER

A picture gives a PNG of its own size; a NIfTI file or a DICOM series gives one on the same grid, with a picture of
three planes beside it. All are marked as synthetic. Research only, not for diagnosis.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from common_tf.command_line import run_script
from common_tf.errors import UserError


def main(argv: Sequence[str] | None = None) -> None:
    """Parses the flags and translates."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", required=True, metavar="DIR", help="run folder, or a folder of checkpoints/")
    parser.add_argument("--direction", required=True, metavar="CT2MRI", help="source and target domain of the run")
    parser.add_argument(
        "--input", required=True, metavar="FILE|DIR", help="a picture, NIfTI or DICOM file, or a folder"
    )
    parser.add_argument("--output", required=True, metavar="DIR", help="folder for the results")
    parser.add_argument("--batch-size", type=int, default=8, metavar="N", help="images at once (default: %(default)s)")
    parser.add_argument(
        "--window",
        default="",
        metavar="NAME=BLACK:WHITE",
        help="values that are black and white, such as CT=0:80 (HU of a volume; default: the files' own, or the run's)",
    )
    parser.add_argument("--format", default="", choices=("nifti",), help="NIfTI for DICOM series too")
    parser.add_argument(
        "--keep-identity",
        action="store_true",
        help="keep patient, study and frame of reference of a DICOM series, to lay the result over it",
    )
    parser.add_argument("--volume", type=int, metavar="N", help="which volume of a NIfTI file with several, from 0")
    arguments = parser.parse_args(argv)
    if arguments.batch_size < 1:
        raise UserError(f"--batch-size {arguments.batch_size}: must be 1 or more")
    from cyclegan_tf.inference import load_translator
    from cyclegan_tf.translation import translate_files

    translator = load_translator(Path(arguments.run), batch_size=arguments.batch_size)
    output = Path(arguments.output)
    done = translate_files(
        translator,
        direction=arguments.direction,
        source=Path(arguments.input),
        output=output,
        window=arguments.window,
        number=arguments.volume,
        as_nifti=bool(arguments.format),
        keep_identity=arguments.keep_identity,
    )
    for note in done.notes:
        print(note)
    print(f"{done.count} {done.what} translated to {output} (research only, not for diagnosis)")


def run() -> int:
    """The console script."""
    return run_script(main)


if __name__ == "__main__":
    sys.exit(run())
