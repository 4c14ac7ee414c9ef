"""Trainings as they stand, read from their folders: curves, validation figures with their floors, the newest grid."""

import json
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from common_tf.errors import UserError

_HISTORY, _STATUS, _BEST = "history.jsonl", "status.json", "weights/best.json"
_POINTS = 300
_SILENT_SECONDS = 120.0
_NO_CURVES = ("step", "epoch", "seconds")
_VALIDATION = "validation_"
_FLOORS = ("real", "untranslated")


def find_trainings(places: Sequence[Path]) -> dict[str, Path]:
    """Run folders by name: the places themselves, or those directly below them.

    Args:
        places: as they were named.

    Raises:
        UserError: a place without any run.
    """
    found: dict[str, Path] = {}
    for place in places:
        if not place.is_dir():
            raise UserError(f"--watch {place}: no such folder")
        runs = [place] if (place / _HISTORY).is_file() else sorted(item.parent for item in place.glob(f"*/{_HISTORY}"))
        for run in runs:
            name = run.resolve().name
            found[name if name not in found else f"{run.resolve().parent.name}/{name}"] = run
    return found


def training(folder: Path) -> dict[str, Any]:
    """Where a run stands.

    Returns:
        ``state`` (``training``, ``silent`` or ``complete``), ``step``, ``total``, ``epoch``, ``seconds``, ``left`` in
        seconds or ``None``, ``best_step``, ``grid`` (the newest picture's name or ``""``), ``losses`` and ``figures``
        (points ``[step, value]`` by name), and ``floors`` of figures by name.
    """
    history = folder / _HISTORY
    facts = history.stat()
    lines = _lines(history, facts.st_mtime_ns, facts.st_size)
    status = _json(folder / _STATUS)
    last: Mapping[str, Any] = lines[-1] if lines else {}
    step = int(last.get("step", 0))
    total = max(step, int(status.get("total_steps") or 0))
    seconds = float(last.get("seconds", 0.0))
    state = "complete" if status.get("state") == "complete" and step >= int(status.get("step") or 0) else "training"
    if state == "training" and time.time() - facts.st_mtime > _SILENT_SECONDS:
        state = "silent"  # stopped, or at something long
    grids = sorted((folder / "samples").glob("*.png"))
    curves = _curves(lines)
    figures = {
        name.removeprefix(_VALIDATION): points for name, points in curves.items() if name.startswith(_VALIDATION)
    }
    return {
        "state": state,
        "step": step,
        "total": total,
        "epoch": last.get("epoch", 0),
        "seconds": seconds,
        "left": (total - step) * seconds / step if step and state == "training" else None,
        "best_step": int(status.get("best_step") or 0),
        "grid": grids[-1].name if grids else "",
        "losses": {name: points for name, points in curves.items() if not name.startswith(_VALIDATION)},
        "figures": figures,
        "floors": _floors(_json(folder / _BEST).get("references") or {}, figures),
    }


@lru_cache(maxsize=64)
def _lines(history: Path, changed: int, size: int) -> list[dict[str, Any]]:
    """The lines of a history; it is asked for every few seconds and read when it has changed."""
    found = []
    for line in history.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            one = json.loads(line)
        except ValueError:
            continue  # being written
        if isinstance(one, dict) and isinstance(one.get("step"), int):
            found.append(one)
    return found


def _json(file: Path) -> dict[str, Any]:
    """A record of a run that may just be written for the first time."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _curves(lines: Sequence[Mapping[str, Any]]) -> dict[str, list[list[float]]]:
    """Points by name; of many neighbours the mean."""
    points: dict[str, list[tuple[int, float]]] = {}
    for line in lines:
        for name, value in line.items():
            if name not in _NO_CURVES and isinstance(value, int | float):
                points.setdefault(name, []).append((line["step"], float(value)))
    return {name: _thinned(some) for name, some in points.items()}


def _thinned(points: Sequence[tuple[int, float]]) -> list[list[float]]:
    width = max(1, -(-len(points) // _POINTS))
    parts = [points[start : start + width] for start in range(0, len(points), width)]
    return [[part[-1][0], sum(value for _, value in part) / len(part)] for part in parts]


def _floors(references: Mapping[str, Any], figures: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for name in figures:
        for kind in _FLOORS:
            value = references.get(f"{kind}_{name}")
            if isinstance(value, int | float):
                found.setdefault(name, {})[kind] = float(value)
    return found
