#!/usr/bin/env python3
"""How good is a translator after so many minutes? KID of validation slices against training time.

    python benchmarks/time_to_quality.py --data ct_mri_unpaired --runs runs/quality --output quality --steps 8000

Trains `fast` with either critic, and `fastcut` both ways, one after the other, each in a run of its own below --runs;
the same command again goes on where it was stopped. --output gets quality.csv and quality.png: after each validation
the minutes of training (as the run's own clock counts them), KID x 1000 in EfficientNet-Lite0's features both ways, and
the agreement of edges, which KID must not be bought with. Nothing else should run beside it.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import train_cyclegan  # noqa: E402
from common_tf.command_line import run_script  # noqa: E402
from common_tf.errors import UserError  # noqa: E402
from common_tf.files import replace_file, replace_text  # noqa: E402
from common_tf.runs.history import HISTORY_FILE  # noqa: E402

CURVES = {
    "PatchGAN": ("--model", "cyclegan"),
    "projected": ("--model", "cyclegan", "--preset", "projected"),
    "fastcut": ("--model", "fastcut", "--set", "direction=both"),
}
COLUMNS = ("kid_a_to_b", "kid_b_to_a", "edges_a_to_b", "edges_b_to_a")


def main(argv: Sequence[str] | None = None) -> int:
    """Parses the flags, trains, draws."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="phantom", help="two-domain folder, or phantom (default: %(default)s)")
    parser.add_argument("--runs", type=Path, required=True, metavar="DIR", help="folder of the runs")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder of the curves")
    parser.add_argument("--steps", default="8000", help="of each training (default: %(default)s)")
    parser.add_argument("--image-size", default="256")
    parser.add_argument("--every", default="500", help="steps between two points (default: %(default)s)")
    parser.add_argument("--curves", nargs="+", choices=list(CURVES), default=list(CURVES), metavar="CURVE")
    return run_script(lambda _: _measure(parser.parse_args(argv)))


def _measure(arguments: argparse.Namespace) -> None:
    common = ["--data", arguments.data, "--steps", arguments.steps, "--image-size", arguments.image_size]
    common += ["--set", f"validate_every_steps={arguments.every}"]
    points = []
    for name in arguments.curves:
        run = arguments.runs / name
        print(f"=== {name}", flush=True)
        train_cyclegan.main([*CURVES[name], *common, "--run", str(run)])
        points += _points(name, run)
        _write(points, arguments.output)


def _points(name: str, run: Path) -> list[dict]:
    """What each validation of a run found, and when."""
    found = []
    for line in (run / HISTORY_FILE).read_text().splitlines():
        record = json.loads(line)
        if f"validation_{COLUMNS[0]}" in record:
            figures = {column: record[f"validation_{column}"] for column in COLUMNS}
            found.append({"curve": name, "step": record["step"], "minutes": record["seconds"] / 60, **figures})
    if not found:
        raise UserError(f"{run}: no validation with a KID; it wants ten validation slices of each domain")
    return found


def _write(points: Sequence[dict], output: Path) -> None:
    output.mkdir(parents=True, exist_ok=True)
    rows = [",".join(points[0]), *(",".join(f"{value}" for value in point.values()) for point in points)]
    replace_text(output / "quality.csv", "\n".join(rows) + "\n")
    replace_file(output / "quality.png", lambda path: _draw(points, path))


def _draw(points: Sequence[dict], path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.subplots(2, 2, sharex=True)
    for column, axis in zip(COLUMNS, axes.ravel()):
        for name in dict.fromkeys(point["curve"] for point in points):
            mine = [point for point in points if point["curve"] == name]
            axis.plot([point["minutes"] for point in mine], [point[column] for point in mine], ".-", label=name)
        axis.set_title(column.replace("kid", "KID x 1000,").replace("edges", "edge agreement,").replace("_", " "))
        axis.set_ylim(bottom=0)
    for axis in axes[1]:
        axis.set_xlabel("minutes of training")
    axes[0, 0].legend()
    FigureCanvasAgg(figure).print_png(str(path))


if __name__ == "__main__":
    sys.exit(main())
