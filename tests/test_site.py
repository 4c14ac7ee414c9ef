"""The documents as a site: it is built without a warning and asks no other host; the notebook can be run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.more


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("mkdocs_jupyter", reason="the site wants the extra `docs`: make site")
    place = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(place)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "JUPYTER_PLATFORM_DIRS": "1"}
    ended = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True)
    assert not ended.returncode, ended.stderr[-2000:] + ended.stdout[-2000:]
    return place


def test_every_document_has_its_page(site):
    documents = {file.relative_to(REPOSITORY / "docs").with_suffix(".html") for file in
                 (REPOSITORY / "docs").rglob("*.md")}  # fmt: skip
    cards = {Path("cards") / f"{card.parent.name}.html" for card in (REPOSITORY / "checkpoints").glob("*/README.md")}
    pages = {file.relative_to(site) for file in site.rglob("*.html")}
    assert documents | cards | {Path("index.html"), Path("start.html"), Path("reference/commands.html")} <= pages


def test_pages_load_nothing_from_elsewhere(site):
    loaded = re.compile(r"<(?:script|img|iframe|link)\b[^>]*?(?:src|href)=\"(https?:)?//[^\"]*\"")
    for page in site.rglob("*.html"):
        assert not loaded.search(page.read_text(encoding="utf-8")), page
        assert "cdnjs" not in page.read_text(encoding="utf-8"), page
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import)[\"' ]*(https?:)?//", sheet.read_text(encoding="utf-8")), sheet


def test_links_lead_to_pages(site):
    """Those of a notebook too, which MkDocs does not look at."""
    checked = 0
    for page in site.rglob("*.html"):
        for link in re.findall(r"(?:href|src)=\"([^\"]+)\"", page.read_text(encoding="utf-8")):
            target = link.partition("#")[0].partition("?")[0]
            if target and not re.match(r"[a-z]+:|/", target) and page.name != "404.html":
                assert (page.parent / target).exists(), f"{page.relative_to(site)}: {link}"
                checked += 1
    assert checked > 500


def test_flags_and_docstrings_are_in_the_reference(site):
    commands = (site / "reference" / "commands.html").read_text(encoding="utf-8")
    assert "--resume" in commands and "ctmri-evaluate" in commands
    assert "Gretton" in (site / "reference" / "metrics.html").read_text(encoding="utf-8")


def test_the_notebook_runs_and_holds_its_results(tmp_path):
    nbformat, nbclient = (pytest.importorskip(name, reason="extra `docs`") for name in ("nbformat", "nbclient"))
    notebook = nbformat.read(REPOSITORY / "docs" / "start.ipynb", as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs for cell in code[1:]) and str(REPOSITORY) not in str(code)
    for cell in code:
        less = cell.source.replace("--steps 800", "--steps 2").replace("phantoms=200", "phantoms=16")
        cell.source = less.replace("runs/start", str(tmp_path / "start"))
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(REPOSITORY / "docs")}}).execute()
    assert (tmp_path / "start_report" / "report.html").is_file()
