"""The folder of a report: a new one, or one that this project made; nothing of anybody else's is touched in it."""

import contextlib
import os
import shutil
from pathlib import Path
from types import TracebackType

from common_tf.errors import UserError
from common_tf.files import WRITING, read_json, remove_unfinished, replace_json, replace_text
from evaluation_tf.cache import ArrayCache

MARKER_FILE = ".ctmri-report"
REPORT_FILE, JSON_FILE = "report.html", "report.json"
TABLES, FIGURES, CACHE = "tables", "figures", "cache"
_MARK = "This folder was made by evaluate.py, which replaces its report here. cache/ may be deleted.\n"


class ReportFolder:
    """An output folder; use it as a context manager.

    What a report is made of is collected beside the old one and put in its place by `publish`, so that there is a whole
    report at any time, or none.

    Attributes:
        path: of the folder.
        cache: what is kept for the next report.
        figures: where the new report's figures are collected.
    """

    def __init__(self, path: Path):
        """Opens a folder, or makes it.

        Raises:
            UserError: it is a file, or holds something else than a report.
        """
        self.path = Path(path)
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"--output {path}: is a file; give a folder")
        marker = self.path / MARKER_FILE
        if self.path.is_dir() and any(self.path.iterdir()) and not marker.is_file():
            raise UserError(f"--output {path}: holds other files and no report of this version; give a new folder")
        self._old = self._files_of_the_old_report()
        self._made = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        self._is_new = not marker.exists()
        self.path.mkdir(parents=True, exist_ok=True)
        replace_text(marker, _MARK)
        remove_unfinished(self.path)
        self._staging = self.path / f"{WRITING}{os.getpid()}"
        self.figures = self._staging / FIGURES
        self.figures.mkdir(parents=True, exist_ok=True)
        self.cache = ArrayCache(self.path / CACHE)

    def __enter__(self) -> "ReportFolder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        shutil.rmtree(self._staging, ignore_errors=True)
        if isinstance(error, UserError) and self._is_new:
            # Nothing has come of it, so nothing stays.
            shutil.rmtree(self.path / CACHE, ignore_errors=True)
            (self.path / MARKER_FILE).unlink(missing_ok=True)
            for folder in self._made:
                with contextlib.suppress(OSError):  # somebody has put something there
                    folder.rmdir()

    def publish(self, *, page: str, record: dict, tables: dict[str, str]) -> Path:
        """Puts a report in the place of the old one.

        Args:
            page: report.html.
            record: report.json.
            tables: CSV text by key.

        Returns:
            The path of report.html.
        """
        for file in self._old:
            (self.path / file).unlink(missing_ok=True)
        for key, text in tables.items():
            place = self.path / TABLES / f"{key}.csv"
            place.parent.mkdir(exist_ok=True)
            replace_text(place, text)
        for file in sorted(self.figures.rglob("*")):
            if file.is_file():
                place = self.path / FIGURES / file.relative_to(self.figures)
                place.parent.mkdir(parents=True, exist_ok=True)
                os.replace(file, place)
        replace_json(self.path / JSON_FILE, record)
        replace_text(self.path / REPORT_FILE, page)
        return self.path / REPORT_FILE

    def _files_of_the_old_report(self) -> list[Path]:
        """Tables and figures that the old report names; whatever else lies there is somebody's."""
        file = self.path / JSON_FILE
        if not file.exists():
            return []
        way_out = "remove it, or give a new --output folder"
        sections = read_json(file, way_out=way_out).get("sections", {})
        try:
            found = [Path(TABLES) / f"{key}.csv" for one in sections.values() for key in one["tables"]]
            found += [Path(FIGURES) / figure["file"] for one in sections.values() for figure in one["figures"]]
        except (AttributeError, KeyError, TypeError) as error:
            raise UserError(f"{file}: is no report; {way_out}") from error
        return [path for path in found if ".." not in path.parts and not path.is_absolute()]
