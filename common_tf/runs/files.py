"""Files that are either whole or not there."""

import json
import os
from pathlib import Path
from typing import Any, Callable


def replace_file(path: Path, write: Callable[[Path], None]) -> None:
    """Writes a file under a temporary name in the same folder and renames it.

    Args:
        path: the final name; keeps its suffix in the temporary name, because some writers look at it.
        write: called with the temporary path.

    Raises:
        Whatever ``write`` raises; the temporary file is removed and an older file at ``path`` is untouched.
    """
    path = Path(path)
    temporary = path.with_name(f".writing-{os.getpid()}-{path.name}")
    try:
        write(temporary)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def replace_text(path: Path, text: str) -> None:
    """`replace_file` for UTF-8 text."""
    replace_file(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def replace_json(path: Path, value: Any) -> None:
    """`replace_file` for JSON, two spaces of indent."""
    replace_text(path, json.dumps(value, indent=2) + "\n")
