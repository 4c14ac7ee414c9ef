"""The pages of tasks: what they mark is run, in their order and in one folder, with less to train."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = sorted((REPOSITORY / "docs" / "howto").glob("*.md"))
_MARK = "<!-- run -->"
_MARKED = re.compile(_MARK + r"\n\n((?:(?:    .*)?\n)+)")
_LESS = ["--image-size", "64", "--set", "generator_filters=8", "--set", "discriminator_filters=8"]


def _commands(page: Path) -> list[list[str]]:
    """Words of each command that is marked; of a training with less to do."""
    found = []
    for block in _MARKED.findall(page.read_text(encoding="utf-8")):
        for line in block.splitlines():
            words = shlex.split(line, comments=True)
            if "train_cyclegan.py" in words:
                words += _LESS
                if "--steps" not in words or int(words[words.index("--steps") + 1]) > 4:
                    words += ["--steps", "2"]
                words += ["--set", "phantoms=16"] if "phantom" in words else []
            found += [words] if words else []
    return found


def test_every_page_but_the_index_and_that_of_a_card_is_run():
    assert {page.stem for page in PAGES if not _commands(page)} == {"index", "one-gpu"}
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert text.count(_MARK) == len(_MARKED.findall(text)), page  # a mark that no block follows
    assert all(words[0] == "python" for page in PAGES for words in _commands(page))


@pytest.mark.more
@pytest.mark.parametrize("page", [page for page in PAGES if _commands(page)], ids=lambda page: page.stem)
def test_what_a_page_marks_can_be_typed(page, tmp_path):
    (tmp_path / "checkpoints").symlink_to(REPOSITORY / "checkpoints")
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "CT_MRI_CACHE": str(tmp_path / "cache")}
    for _, first, *words in _commands(page):
        command = [sys.executable, first if first == "-m" else str(REPOSITORY / first), *words]
        ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600)
        assert not ended.returncode, f"{' '.join(command[1:])}: {ended.stderr[-500:]}"
