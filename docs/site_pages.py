"""Hooks of MkDocs: pages that are made of what stands elsewhere in the repository, and links that lead to them.

README, changelog and model cards are read where they are; the flags of the scripts are what their ``--help`` says.
"""

import os
import posixpath
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
_ELSEWHERE = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    **{f"checkpoints/{card.parent.name}/README.md": f"cards/{card.parent.name}.md" for card in
       sorted((ROOT / "checkpoints").glob("*/README.md"))},
}  # fmt: skip
_SCRIPTS = {
    "train_cyclegan.py": "Train a translator",
    "train_detector.py": "Train a detector, or apply one",
    "translate.py": "Translate images and volumes",
    "evaluate.py": "One report",
    "export.py": "Take a network away",
    "serve.py": "The page",
}
_SCHEME = re.compile(r"[a-z][a-z+.-]*:")
_DIAGRAMS = re.compile(r"<script type=\"module\">(?:(?!</script>).)*?mermaid.*?</script>", re.DOTALL)
_LINK = re.compile(r"(!?)\[([^\]\[]*(?:\[[^\]]*\][^\]\[]*)*)\]\(([^)\s#]*)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages and pictures that stand elsewhere."""
    for place, page in _ELSEWHERE.items():
        files.append(File.generated(config, page, content=(ROOT / place).read_text(encoding="utf-8")))
    for picture in sorted((ROOT / "checkpoints").glob("*/*.png")):
        place = picture.relative_to(ROOT).as_posix()
        files.append(File.generated(config, place, abs_src_path=str(picture)))
    files.append(File.generated(config, "reference/commands.md", content=_commands()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Leads links to where their targets stand on the site; what has no page there is named and not linked."""
    here = page.file.src_uri
    origin = next((place for place, there in _ELSEWHERE.items() if there == here), f"docs/{here}")

    def moved(match: re.Match) -> str:
        picture, words, target, anchor = match.groups()
        if not target or _SCHEME.match(target):
            return match.group()
        place = posixpath.normpath(posixpath.join(posixpath.dirname(origin), target))
        there = _ELSEWHERE.get(place, place.removeprefix("docs/"))
        if files.get_file_from_path(there) is None and (ROOT / place).exists():
            return words if words.startswith("`") else f"{words} (`{place}`)"
        link = posixpath.relpath(there, posixpath.dirname(here) or ".")
        return f"{picture}[{words}]({link}{anchor or ''})"

    return _LINK.sub(moved, markdown)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Drops what a notebook's page would load diagrams with, from another host; it has none."""
    return _DIAGRAMS.sub("", output) if page.file.src_uri.endswith(".ipynb") else output


def _commands() -> str:
    with ThreadPoolExecutor() as pool:
        texts = pool.map(_help, _SCRIPTS)
    names = {script: name for name, script in re.findall(r"(ctmri-\w+) = (\w+):run", (ROOT / "setup.cfg").read_text())}
    parts = ["# Commands and flags", "", "What `--help` says; after `pip install .` each is a command of its own too."]
    for (script, title), text in zip(_SCRIPTS.items(), texts):
        name = names[script.removesuffix(".py")]
        parts += ["", f"## {title}", "", f"`python {script}`, or `{name}`", "", "```text", text, "```"]
    return "\n".join(parts)


def _help(script: str) -> str:
    command, environment = [sys.executable, script, "--help"], {**os.environ, "COLUMNS": "100"}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if ended.returncode:
        raise RuntimeError(f"{script} --help: {ended.stderr}")
    return ended.stdout.strip()
