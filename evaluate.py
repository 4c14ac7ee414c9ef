#!/usr/bin/env python3
"""Evaluate a translator, a detector, or both, and write one report.

    python evaluate.py --data DIR --output DIR                             with the checkpoints of this repository
    python evaluate.py --translator RUN --detector RUN --output DIR
    python evaluate.py --translator RUN --data DIR --pairs DIR --detector RUN --labelled DIR --output DIR
    python evaluate.py --compare RUN RUN ... --pairs DIR --output DIR      several translators on one table
    python evaluate.py --real DIR --fake DIR [--paired] --output DIR       finished pictures or volumes of any program

DIR gets report.html (one self-contained file), report.json, tables/ and figures/. Research only, not for diagnosis.
"""

import argparse
import functools
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from common_tf.command_line import add_rescan_flag, run_script
from common_tf.errors import UserError

_SHIPPED = {"translator": "ct_mri_fast", "detector": "tumour_yes_no"}
"""What is evaluated where no run is named, by flag: folders of checkpoints/."""


def main(argv: Sequence[str] | None = None) -> None:
    """Parses the flags and evaluates."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    folder: dict = dict(metavar="DIR", type=Path)
    parser.add_argument(
        "--translator", metavar="RUN", type=Path, help="run of train_cyclegan.py, or one of checkpoints/"
    )
    parser.add_argument("--detector", metavar="RUN", type=Path, help="run of train_detector.py")
    parser.add_argument(
        "--data", metavar="DIR|phantom", help="two-domain folder (default: that of the translator's run)"
    )
    parser.add_argument(
        "--compare", metavar="RUN", type=Path, nargs="+", help="translators to put on one table instead"
    )
    parser.add_argument("--pairs", help="aligned pairs: strips, or a folder for each domain", **folder)
    parser.add_argument(
        "--pair-order", metavar="NAMES", help="tiles of a strip, from the left (default: those of the run)"
    )
    parser.add_argument(
        "--register", choices=("rigid",), help="move the target of pairs of volumes onto the source first (SimpleITK)"
    )
    parser.add_argument("--labelled", help="class folders that the detector was tested on", **folder)
    parser.add_argument("--cases", help="pictures to show one by one", **folder)
    parser.add_argument("--real", help="real pictures, or volumes", **folder)
    parser.add_argument("--fake", help="pictures or volumes that any program made, scored without a run", **folder)
    parser.add_argument(
        "--paired", action="store_true", help="--real and --fake hold partners: one file name, one slice or patient"
    )
    parser.add_argument(
        "--window",
        metavar="real=LO:HI,fake=LO:HI",
        help="values of --real and --fake that are black and white (default: those of all 16-bit files together; "
        "of volumes -1000:2000 for CT, each one's own for others)",
    )
    parser.add_argument(
        "--inception-weights",
        metavar="imagenet|FILE",
        help="for FID and KID (default: ImageNet's from Keras' cache or download, and without if they cannot be had)",
    )
    parser.add_argument(
        "--extractor", metavar="RUN", type=Path, help="detector run whose features are compared (default: --detector)"
    )
    parser.add_argument(
        "--detector-domain", metavar="NAME", help="modality that the detector reads (default: domain B)"
    )
    parser.add_argument("--output", required=True, help="folder of the report", **folder)
    add_rescan_flag(parser)
    arguments = parser.parse_args(argv)
    # After the flags: TensorFlow takes seconds to import, and --help should not.
    from common_tf.cache_folder import cache_folder
    from common_tf.forward import on_every_gpu
    from common_tf.sources.scan_store import forget_scans
    from evaluation_tf.evaluation import Request, evaluate

    chosen = vars(arguments)
    rescan = chosen.pop("rescan")
    command = ["python", "evaluate.py", *(sys.argv[1:] if argv is None else argv)]
    finished = {name: chosen.pop(name) for name in ("real", "fake", "paired", "window")}
    runs = chosen.pop("compare")
    if any(finished.values()):
        work = _scoring({**chosen, "compare": runs}, finished, command)
    elif runs:
        work = _comparison(runs, chosen, command)
    else:
        request = Request(**_with_shipped(chosen), command=command)
        request.check()
        work = functools.partial(evaluate, request)
    if rescan:  # of a request that is not refused at sight
        forget_scans(cache_folder())
    with on_every_gpu():
        report = work()
    print(f"report: {report} (research only, not for diagnosis)")


def _with_shipped(chosen: dict) -> dict:
    """Where data but no run are named, the translator and the detector that come with the repository."""
    named = any(chosen[name] is not None for name in ("data", "pairs", "labelled", "cases"))
    if not named or any(chosen[name] is not None for name in _SHIPPED):
        return chosen
    folder = Path(__file__).resolve().parent / "checkpoints"
    runs = {flag: Path(os.path.relpath(folder / name)) for flag, name in _SHIPPED.items() if (folder / name).is_dir()}
    if runs:
        said = " ".join(f"--{flag} {run}" for flag, run in runs.items())
        print(f"no run is named, so those that come with the repository are taken: {said}", flush=True)
    return {**chosen, **runs}


def _comparison(runs: Sequence[Path], chosen: dict, command: Sequence[str]) -> Callable[[], Path]:
    from evaluation_tf.comparison import compare
    from evaluation_tf.requests import COMPARED, refuse_others

    refuse_others(chosen, COMPARED, "--compare")
    return functools.partial(compare, runs, command=command, **{name: chosen[name] for name in COMPARED})


def _scoring(chosen: dict, finished: dict, command: Sequence[str]) -> Callable[[], Path]:
    from common_tf.pictures.intensity import parse_windows
    from evaluation_tf.finished.scoring import FinishedRequest, score
    from evaluation_tf.requests import FINISHED, refuse_others

    for name in ("real", "fake"):
        if finished[name] is None:
            raise UserError(f"--{name}: is missing; --real DIR and --fake DIR are scored against each other")
    refuse_others(chosen, FINISHED, "--real and --fake, which need no run")
    mine = {name: chosen[name] for name in FINISHED}
    windows = parse_windows(finished.pop("window") or "", ("real", "fake"))
    return functools.partial(score, FinishedRequest(**mine, **finished, windows=windows, command=command))


def run() -> int:
    """The console script."""
    return run_script(main)


if __name__ == "__main__":
    sys.exit(run())
