"""Damaged files of every kind that is read: each must be read, or refused in one line; never a traceback or a hang.

    python -m tests.campaigns.mutations [--count 1000] [--seed 0] [--kinds png dicom ...] [--keep FOLDER]

Of each kind whole files are made here, and each attempt changes one: bits, cuts, bytes put in or left out, runs of
zeros, the start of another kind, another ending. It then goes through the function behind the doors that reads it, in
this one process, with ten seconds and four gigabytes of addresses more. The page at the end counts what was read all
the same, what was refused, and what was lost; a lost one is written to --keep, and the exit code is 1.
"""

import functools
import random
import resource
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from common_tf.errors import UserError
from tests.campaigns.page import Found, campaign_parser, finish

_SECONDS = 10
_MORE_MEMORY = 4 * 2**30
_SIDE = 64
TINY_TRANSLATOR = ("--image-size", "64", "--set", "generator_filters=4", "--set", "discriminator_filters=4")
TINY_DETECTOR = ("--image-size", "32", "--set", "filters=4", "--batch-size", "8")
_STARTS = [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"II*\0", b"MM\0*", b"BM", b"\x1f\x8b", b"PK\3\4"]
_NUMBERS = [b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\0"]


@dataclass(frozen=True)
class Kind:
    """Files of one kind.

    Attributes:
        make: writes whole files into a folder and returns those that are changed.
        read: what reads the folder, or the changed file in it.
    """

    make: Callable[[Path], list[Path]]
    read: Callable[[Path, Path], object]


class TooSlow(BaseException):
    """An attempt took longer than it may."""


def mutate(content: bytes, dice: random.Random) -> bytes:
    """One change of a file's content."""
    data = bytearray(content)
    at = dice.randrange(max(1, len(data)))
    kind = dice.randrange(8)
    if kind == 0:  # a few bits anywhere
        for _ in range(dice.randint(1, 8)):
            place = dice.randrange(max(1, len(data)))
            if data:
                data[place] ^= 1 << dice.randrange(8)
    elif kind == 1:  # bits of the header
        for _ in range(dice.randint(1, 4)):
            place = dice.randrange(max(1, min(len(data), 512)))
            if data:
                data[place] = dice.randrange(256)
    elif kind == 2:  # cut
        del data[at:]
    elif kind == 3:  # something is missing
        del data[at : at + dice.randint(1, 64)]
    elif kind == 4:  # something is put in
        data[at:at] = dice.randbytes(dice.randint(1, 64))
    elif kind == 5:  # a hole, as a disk leaves it
        length = dice.randint(1, max(1, len(data) // 4))
        data[at : at + length] = bytes(min(length, len(data) - at))
    elif kind == 6:  # the start of something else
        start = dice.choice(_STARTS)
        data[: len(start)] = start
    else:  # large numbers, where sizes and offsets stand
        if len(data) >= 4:
            place = dice.randrange(min(len(data) - 3, 400))
            data[place : place + 4] = dice.choice(_NUMBERS)
    return bytes(data)


def _picture(ending: str, **options) -> Kind:
    def make(folder: Path) -> list[Path]:
        from common_tf.pictures.phantom import draw_phantom

        head = draw_phantom(3, size=_SIDE)
        files = []
        for number, (name, image) in enumerate((("ct", head.ct), ("mri", head.mri))):
            file = folder / f"{name}{ending}"
            values = np.round(image * 255).astype(np.uint8)
            deep = number and ending in (".png", ".tif")
            picture = Image.fromarray(np.round(image * 4095).astype(np.uint16)) if deep else Image.fromarray(values)
            picture.save(file, **options)
            files.append(file)
        return files

    def read(folder: Path, file: Path) -> object:
        from common_tf.sources.folders import single_case
        from common_tf.sources.scanning import scan_case

        (scan,) = scan_case(single_case(file, folder, label="x", given_split=""))
        if scan.problem:
            raise UserError(scan.problem)
        return scan

    return Kind(make, read)


def _volume(as_dicom: bool) -> Kind:
    def make(folder: Path) -> list[Path]:
        from common_tf.volumes.phantom import draw_head, write_drawn

        place = write_drawn(folder, draw_head(1, spacing=(12.0, 12.0, 24.0)).ct, name="v", as_dicom=as_dicom)
        return sorted(place.iterdir()) if as_dicom else [place]

    def read(folder: Path, file: Path) -> object:
        from common_tf.volumes.files import list_volumes
        from common_tf.volumes.planes import slices_of

        return [slices_of(one.read().volume) for one in list_volumes(folder).volumes]

    return Kind(make, read)


def finished_run(train: Callable[[Path], None], pattern: str, read: Callable[[Path], object]) -> Kind:
    """Files of a finished run, which is trained once."""

    @functools.cache
    def trained() -> tempfile.TemporaryDirectory:
        place = tempfile.TemporaryDirectory(prefix="campaign-run-")
        with redirect_stdout(StringIO()):
            train(Path(place.name) / "run")
        return place

    def make(folder: Path) -> list[Path]:
        shutil.copytree(Path(trained().name) / "run", folder / "run")
        return sorted(file for file in (folder / "run").glob(pattern) if file.is_file())

    return Kind(make, lambda folder, file: read(folder / "run"))


_NETWORKS: dict[str, Any] = {}
"""Built once: Keras keeps something of each network that is built, and a thousand would fill the memory."""


def train_tiny_translator(run: Path) -> None:
    import train_cyclegan

    train_cyclegan.main(["--run", str(run), *TINY_TRANSLATOR, "--steps", "2", "--set", "phantoms=16"])


def train_tiny_detector(run: Path) -> None:
    import train_detector

    train_detector.main(["--run", str(run), *TINY_DETECTOR, "--steps", "2", "--set", "phantoms=40"])


def _load_translator(run: Path) -> object:
    from cyclegan_tf.inference import load_translator

    return load_translator(run)


def _load_translator_weights(run: Path) -> object:
    from common_tf.runs.weights import load_weights
    from cyclegan_tf.config import load_translator_config
    from cyclegan_tf.systems import system_class

    if not _NETWORKS:
        config = load_translator_config(run)
        _NETWORKS.update(system_class(config.model).build_inference(config, policy="float32"))
    return load_weights(run, _NETWORKS)


def _load_detector(run: Path) -> object:
    from detector_tf.inference import load_detector

    return load_detector(run)


def _read_records(run: Path) -> object:
    from common_tf.runs.history import read_history
    from common_tf.runs.session import read_status
    from common_tf.splits.manifest import read_manifest
    from detector_tf.predictions import read_predictions

    return read_history(run), read_status(run), read_manifest(run / "manifest.csv"), read_predictions(run)


def _restore(run: Path) -> object:
    import tensorflow as tf

    from common_tf.runs.checkpoints import Checkpoints

    state = tf.Module()
    state.weights = [tf.Variable(tf.zeros([64])), tf.Variable(tf.zeros([8, 8]))]
    with redirect_stdout(StringIO()):
        return Checkpoints(run, keep=2, state=state, trained=lambda: state.weights).restore()


def _save_checkpoints(run: Path) -> None:
    import tensorflow as tf

    from common_tf.runs.checkpoints import Checkpoints

    state = tf.Module()
    state.weights = [tf.Variable(tf.random.normal([64])), tf.Variable(tf.random.normal([8, 8]))]
    checkpoints = Checkpoints(run, keep=2, state=state, trained=lambda: state.weights)
    checkpoints.restore()
    for step in (1, 2):
        checkpoints.step.assign(step)
        checkpoints.save()


KINDS: dict[str, Kind] = {
    "png": _picture(".png"),
    "jpeg": _picture(".jpg", quality=90),
    "tiff": _picture(".tif"),
    "bmp": _picture(".bmp"),
    "nifti": _volume(False),
    "dicom": _volume(True),
    "checkpoint": finished_run(_save_checkpoints, "checkpoints/*", _restore),
    "translator records": finished_run(train_tiny_translator, "*.yaml", _load_translator),
    "translator weights": finished_run(train_tiny_translator, "weights/*", _load_translator_weights),
    "detector": finished_run(train_tiny_detector, "weights/*", _load_detector),
    "detector records": finished_run(train_tiny_detector, "*.[jy][sa][om]*", _load_detector),
    "records": finished_run(train_tiny_detector, "*.[jc]s*", _read_records),
}


def damaged(make: Callable[[Path], list[Path]], count: int, dice: random.Random) -> Iterator[tuple[Path, Path]]:
    """A folder of whole files but for one, so many times; it is there until the next is asked for.

    Args:
        make: writes whole files into a folder and returns those that are changed.
        count: how many times.
        dice: what is changed, and how.

    Yields:
        The folder, and the file in it that was changed.
    """
    with tempfile.TemporaryDirectory() as place:
        original = Path(place) / "original"
        original.mkdir()
        names = [file.relative_to(original) for file in make(original)]
        for _ in range(count):
            folder = Path(place) / "attempt"
            shutil.copytree(original, folder)
            file = folder / dice.choice(names)
            content = mutate(file.read_bytes(), dice)
            if file.parent == folder and dice.random() < 0.1:  # another ending
                file.unlink()
                file = file.with_suffix(dice.choice([".png", ".jpg", ".tif", ".dcm", ".nii", ".gz", ""]))
            file.write_bytes(content)
            yield folder, file
            shutil.rmtree(folder)


def attack(name: str, kind: Kind, count: int, seed: int, keep: Path | None) -> Found:
    """Changes files of a kind and reads them."""
    counts: Counter = Counter()
    losses = []
    for number, (folder, file) in enumerate(damaged(kind.make, count, random.Random(f"{seed} {name}"))):
        outcome = _attempt(kind, folder, file)
        counts[outcome] += 1
        if outcome not in ("read", "refused"):
            losses.append(f"{number}: {outcome}")
            print(f"{name} {losses[-1]}", flush=True)
            if keep is not None:
                shutil.copytree(folder, keep / f"{name.replace(' ', '-')}-{number}", dirs_exist_ok=True)
    words = f"{counts['read']} read, {counts['refused']} refused"
    return Found("mutations", name, count, tuple(losses), words)


def _attempt(kind: Kind, folder: Path, file: Path) -> str:
    def slow(*_: object) -> None:
        raise TooSlow

    signal.signal(signal.SIGALRM, slow)
    signal.alarm(_SECONDS)
    try:
        kind.read(folder, file)
        return "read"
    except UserError as error:
        return "refused" if len(str(error).splitlines()) == 1 else f"a message of several lines: {error!r}"
    except TooSlow:
        return f"longer than {_SECONDS} s"
    except MemoryError:
        return "more memory than it may have"
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)
        ours = next((one for one in reversed(where) if "site-packages" not in one.filename), where[-1])
        return (
            f"{type(error).__name__} at {Path(ours.filename).name}:{ours.lineno}: {' '.join(str(error).split())[:120]}"
        )
    finally:
        signal.alarm(0)


def limit_memory(names: Sequence[str]) -> None:
    """Lets this process have `_MORE_MEMORY` beyond what whole files of some kinds take, from now on."""
    import tensorflow as tf  # before the limit: its own memory does not count

    tf.zeros([1])
    for name in names:  # nor does what it takes to make whole files and to read one of them
        with tempfile.TemporaryDirectory() as place:
            KINDS[name].read(Path(place), KINDS[name].make(Path(place))[0])
    used = (
        int(
            next(
                line.split()[1]
                for line in Path("/proc/self/status").read_text().splitlines()
                if line.startswith("VmSize")
            )
        )
        * 1024
    )
    resource.setrlimit(resource.RLIMIT_AS, (used + _MORE_MEMORY, resource.RLIM_INFINITY))


def main() -> int:
    """Parses the flags and prints the page."""
    count = ("--count", 1000, "attempts of each kind")
    asked = campaign_parser(__doc__, things=("--kinds", list(KINDS)), count=count).parse_args()
    limit_memory(asked.names)
    found = [attack(name, KINDS[name], asked.count, asked.seed, asked.keep) for name in asked.names]
    return finish(found, asked.record)


if __name__ == "__main__":
    sys.exit(main())
