"""Drawn heads as folders of PNG files, to try every layout of data on.

    python -m common_tf.pictures.drawn_folders FOLDER [--heads 40] [--size 128]

FOLDER holds trainA (CT) and trainB (MRI of other heads), pairs/train and pairs/test (CT and MRI of the same heads), and
classes/yes and classes/no (MRI with a lesion and without one). No two of these folders share a head.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from common_tf.command_line import run_script
from common_tf.errors import UserError
from common_tf.files import staged_folder
from common_tf.pictures.intensity import quantise
from common_tf.pictures.phantom import draw_phantom


def main(argv: Sequence[str] | None = None) -> None:
    """Writes the folders."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="that is not there yet")
    parser.add_argument("--heads", type=int, default=40, help="of each folder (default: %(default)s)")
    parser.add_argument("--size", type=int, default=128, help="side in pixels (default: %(default)s)")
    arguments = parser.parse_args(argv)
    if arguments.folder.exists():
        raise UserError(f"{arguments.folder}: is there already; give a new folder")
    if arguments.heads < 1 or arguments.size < 32:
        raise UserError("--heads wants at least 1, --size at least 32")
    with staged_folder(arguments.folder) as made:
        for number in range(arguments.heads):
            for place, (seed, side, lesion) in _places(number).items():
                head = draw_phantom(seed, size=arguments.size, lesion_probability=lesion)
                file = made / place
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(quantise(getattr(head, side))).save(file)
    print(f"{arguments.heads} heads in each folder of {arguments.folder}")


def _places(number: int) -> dict[str, tuple[int, str, float]]:
    """By file: seed, side and chance of a lesion of the head that it shows."""
    places = {
        f"trainA/ct{number:04d}.png": (number, "ct", 0.5),
        f"trainB/mri{number:04d}.png": (10_000 + number, "mri", 0.5),
    }
    for first, split in ((20_000, "train"), (30_000, "test")):
        for folder, side in (("CT", "ct"), ("MRI", "mri")):
            places[f"pairs/{split}/{folder}/p{number:04d}.png"] = (first + number, side, 0.5)
    places[f"classes/yes/y{number:04d}.png"] = (40_000 + number, "mri", 1.0)
    places[f"classes/no/n{number:04d}.png"] = (50_000 + number, "mri", 0.0)
    return places


if __name__ == "__main__":
    sys.exit(run_script(main))
