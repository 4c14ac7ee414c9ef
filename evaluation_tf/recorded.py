"""The files of a folder that a run's manifest recorded: known by their hashes, and not by their names alone."""

from collections.abc import Mapping, Sequence

from common_tf.errors import UserError
from common_tf.sources.scanning import Scan
from common_tf.sources.scans import open_store, scan_cases
from common_tf.sources.source import Case, Source, listed
from common_tf.splits.manifest import ManifestRow

_LOOKED_AT = 20


class RecordedFiles:
    """The files of a source that a manifest names.

    Args:
        source: of the folder.
        rows: of the manifest.
    """

    def __init__(self, source: Source, rows: Sequence[ManifestRow]):
        self._rows = [row for row in rows if row.sha256]
        self._cases = {(label, name): case for case in source.cases for label, name in case.files.items()}
        self._scans: dict[str, Mapping[str, Scan]] = {}

    def rows(self, label: str, *splits: str) -> list[ManifestRow]:
        """Rows of a label and of some splits whose files are there."""
        found = [
            row for row in self._rows if row.label == label and row.split in splits and (label, row.path) in self._cases
        ]
        return sorted(found, key=lambda row: self.case(row).name)

    def has_all_test_slices(self, labels: Sequence[str]) -> bool:
        """Whether there are test slices of every label, and all files are there."""
        wanted = [row for row in self._rows if row.split == "test"]
        return {row.label for row in wanted} == set(labels) and all(
            (row.label, row.path) in self._cases for row in wanted
        )

    def is_the_runs_own(self) -> bool:
        """Whether any file is the one that the manifest recorded; another set may have files of the same names.

        Raises:
            UserError: some are, and others are not.
        """
        present = [row for row in self._rows if (row.label, row.path) in self._cases]
        test = [row for row in present if row.split == "test"]
        others = [row for row in present if row.split != "test"][:_LOOKED_AT]
        changed = self._changed(test)
        if len(changed) == len(test) and len(self._changed(others)) == len(others):
            return False
        self.verify(test)
        return True

    def verify(self, rows: Sequence[ManifestRow]) -> None:
        """Raises `UserError` where files are not the recorded ones."""
        changed = self._changed(rows)
        if changed:
            raise UserError(
                f"--data: {len(changed)} files are not the ones that the run's manifest names "
                f"({listed(changed, most=5)}); put them back, or give other data in a folder of their own"
            )

    def case(self, row: ManifestRow) -> Case:
        """The case of a row."""
        return self._cases[row.label, row.path]

    def scan(self, row: ManifestRow) -> Scan:
        """The scan of a row's picture."""
        return self._scans[self.case(row).name][row.label]

    def leaked(self, label: str) -> int:
        """How many test slices of a label share a group with those of the training, as given folders may have it."""
        trained = {row.group for row in self._rows if row.split in ("train", "validation")}
        return sum(row.group in trained for row in self.rows(label, "test"))

    def extra(self, label: str) -> int:
        """How many test files of a label the manifest does not know."""
        named = {row.path for row in self._rows if row.label == label}
        return sum(
            case.given_split == "test" and name not in named
            for (mine, name), case in self._cases.items()
            if mine == label
        )

    def _changed(self, rows: Sequence[ManifestRow]) -> list[str]:
        new = {case.name: case for case in map(self.case, rows) if case.name not in self._scans}
        for name, scans in zip(new, scan_cases(list(new.values()), open_store())):
            self._scans[name] = {scan.label: scan for scan in scans}
        return list(dict.fromkeys(row.path for row in rows if self.scan(row).sha256 != row.sha256))
