#!/usr/bin/env python3
"""Train a brain-tumour detector, or continue training one.

    python train_detector.py                                        drawn heads with and without a lesion
    python train_detector.py --data DIR --run RUN --folds 5           DIR/yes, DIR/no (or any class folders)
    python train_detector.py --data DIR --run RUN --task segment      images beside their *_mask files
    python train_detector.py --run NEW --ensemble RUN RUN             mean of finished runs, beside its members
    python train_detector.py --run RUN --explain FILE FILE            Grad-CAM overlays of a finished run
    python train_detector.py --run RUN --predict SCANS --output DIR   verdicts or masks of new slices or volumes

The same command again continues where it stopped. Research only, not for diagnosis.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from common_tf.command_line import add_profile_flag, add_rescan_flag, run_script
from common_tf.errors import UserError
from common_tf.runs.config import add_flags, given_texts
from common_tf.runs.devices import add_devices_flag, train_on_devices
from detector_tf.config import CONFIGS, make_config


def main(argv: Sequence[str] | None = None) -> None:
    """Parses the flags and trains."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default="runs/detector", metavar="DIR", help="run folder (default: %(default)s)")
    parser.add_argument(
        "--resume",
        default="auto",
        choices=("auto", "never"),
        help="continue the run in the folder, or refuse a folder in use (default: %(default)s)",
    )
    other = parser.add_mutually_exclusive_group()
    other.add_argument("--ensemble", nargs="+", metavar="RUN", help="average finished runs instead of training")
    other.add_argument("--explain", nargs="+", metavar="FILE", help="explain pictures with a finished run instead")
    other.add_argument(
        "--predict", metavar="FILE|DIR", help="judge, or mark lesions in, new pictures or volumes with a finished run"
    )
    parser.add_argument("--output", metavar="DIR", help="new folder for what --predict finds")
    parser.add_argument("--volume", type=int, metavar="N", help="which volume of a NIfTI file with several, from 0")
    add_rescan_flag(parser)
    add_profile_flag(parser)
    add_devices_flag(parser)
    add_flags(parser, CONFIGS)
    arguments = parser.parse_args(argv)
    texts = given_texts(CONFIGS.values(), arguments)
    window = texts.get("window", "")
    _refuse_unused(arguments, texts)
    if arguments.predict is not None:
        from detector_tf.new_scans.predict import predict_scans

        predict_scans(
            Path(arguments.run), Path(arguments.predict), Path(arguments.output), window=window, number=arguments.volume
        )
        return
    if arguments.ensemble is not None:
        from detector_tf.ensemble import ensemble_runs

        ensemble_runs([Path(run) for run in arguments.ensemble], output=Path(arguments.run))
        return
    if arguments.explain is not None:
        from detector_tf.explanation import explain_files

        explain_files(Path(arguments.run), [Path(file) for file in arguments.explain], window=window)
        return
    config = make_config(texts)
    # After the flags: TensorFlow takes seconds to import, and --help should not.
    from common_tf.cache_folder import cache_folder
    from common_tf.sources.scan_store import forget_scans
    from detector_tf.training import train_detector

    if arguments.rescan:
        forget_scans(cache_folder(config.data.cache))
    train_on_devices(
        partial(train_detector, config, run=Path(arguments.run), resume=arguments.resume, profile=arguments.profile),
        devices=arguments.devices,
        batch_size=config.optimisation.batch_size,
        script=__file__,
        arguments=sys.argv[1:] if argv is None else argv,
    )


def _refuse_unused(arguments: argparse.Namespace, texts: Mapping[str, str]) -> None:
    """Refuses flags that say nothing for what is asked, rather than dropping them."""
    flag = next((name for name in ("predict", "explain", "ensemble") if getattr(arguments, name) is not None), "")
    if (arguments.output is not None) != (flag == "predict") or "" in (arguments.output, arguments.predict):
        raise UserError("--predict and --output: want each other; the one names scans, the other a new folder")
    unused = [name for name in texts if flag and (name != "window" or flag == "ensemble")]
    unused += [name for name in ("rescan", "profile") if flag and getattr(arguments, name)]
    unused += [name for name in ("resume", "devices") if flag and getattr(arguments, name) != "auto"]
    if arguments.volume is not None and flag != "predict":
        raise UserError("--volume: is for --predict")
    if unused:
        words = ", ".join(f"--{name.replace('_', '-')}" for name in unused)
        raise UserError(f"--{flag}: takes finished runs as they are, so {words} says nothing; leave it out")


if __name__ == "__main__":
    sys.exit(run_script(main))
