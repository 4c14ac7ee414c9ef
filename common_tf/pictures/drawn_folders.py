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
from common_tf.files import refuse_used, staged_folder
from common_tf.pictures.intensity import quantise
from common_tf.pictures.phantom import draw_phantom

_FOLDERS = (
    (0.5, {"trainA": "ct"}),
    (0.5, {"trainB": "mri"}),
    (0.5, {"pairs/train/CT": "ct", "pairs/train/MRI": "mri"}),
    (0.5, {"pairs/test/CT": "ct", "pairs/test/MRI": "mri"}),
    (1.0, {"classes/yes": "mri"}),
    (0.0, {"classes/no": "mri"}),
)
"""Chance of a lesion, and folders of either side; each has heads of its own."""


def main(argv: Sequence[str] | None = None) -> None:
    """Writes the folders."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="that is not there yet")
    parser.add_argument("--heads", type=int, default=40, help="of each folder (default: %(default)s)")
    parser.add_argument("--size", type=int, default=128, help="side in pixels (default: %(default)s)")
    arguments = parser.parse_args(argv)
    refuse_used(arguments.folder, flag="FOLDER")
    if arguments.heads < 1 or arguments.size < 32:
        raise UserError("--heads wants at least 1, --size at least 32")
    with staged_folder(arguments.folder) as made:
        for block, (chance, places) in enumerate(_FOLDERS):
            for number in range(arguments.heads):
                head = draw_phantom(block * arguments.heads + number, size=arguments.size, lesion_probability=chance)
                for place, side in places.items():
                    (made / place).mkdir(parents=True, exist_ok=True)
                    Image.fromarray(quantise(getattr(head, side))).save(made / place / f"{number:04d}.png")
    print(f"{arguments.heads} heads in each folder of {arguments.folder}")


if __name__ == "__main__":
    sys.exit(run_script(main))
