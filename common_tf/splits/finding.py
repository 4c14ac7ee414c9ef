"""What an audit says."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

_EXAMPLES = 8
_ORDER = {"leak": 0, "warning": 1, "note": 2}


@dataclass(frozen=True)
class Finding:
    """One line of the audit.

    Attributes:
        severity: ``leak`` (a number measured on the test set would be wrong), ``warning`` or ``note``.
        topic: a short stable name.
        text: the sentence for a person.
        count: how many files it concerns.
        files: their names, all of them.
    """

    severity: str
    topic: str
    text: str
    count: int
    files: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # A name can be of any bytes; what is said of it must be fit to print and to write.
        object.__setattr__(self, "text", shown(self.text))
        object.__setattr__(self, "files", tuple(map(shown, self.files)))


def shown(name: str) -> str:
    """A file's name as it can be printed and written, whatever bytes it is made of."""
    return name.encode("utf-8", "replace").decode("utf-8")


def sorted_findings(findings: Sequence[Finding]) -> list[Finding]:
    """The worst first."""
    return sorted(findings, key=lambda finding: _ORDER[finding.severity])


def audit_lines(findings: Sequence[Finding]) -> list[str]:
    """The findings as lines for a terminal."""
    lines = []
    for finding in findings:
        names = ", ".join(finding.files[:_EXAMPLES]) + (", ..." if len(finding.files) > _EXAMPLES else "")
        lines.append(f"  {finding.severity:8}{finding.text}" + (f": {names}" if names else ""))
    return lines or ["  nothing found"]


def audit_record(findings: Sequence[Finding]) -> list[dict]:
    """The findings as plain dictionaries for JSON."""
    return [asdict(finding) for finding in findings]
