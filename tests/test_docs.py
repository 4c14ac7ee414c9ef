"""What the documents say can be typed: every command is parsed by the script it names, every link leads somewhere."""

import argparse
import importlib
import importlib.util
import re
import shlex
from pathlib import Path

import pytest

import train_cyclegan
import train_detector
from common_tf.errors import UserError

REPOSITORY = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted(
    [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md"), *(REPOSITORY / "checkpoints").glob("*/*.md")]
)
_CONSOLE = dict(re.findall(r"(ctmri-\w+) = (\w+):run", (REPOSITORY / "setup.cfg").read_text()))
_INLINE, _LINK = re.compile(r"`([^`\n]+)`"), re.compile(r"\]\(([^)#\s]+)(#[^)\s]*)?\)")
_STARTS = ("python ", "ctmri-", "make ")


def _commands(document: Path) -> list[str]:
    """Lines of blocks, with what continues them, and commands within sentences."""
    found, lines = [], document.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        if line.startswith("    "):
            text = line.strip().removeprefix("$ ")
            while text.endswith("\\") and number + 1 < len(lines):
                number += 1
                text = text[:-1] + lines[number].strip()
            found.append(text)
        else:
            found += [text for text in _INLINE.findall(line) if text.count(" ") or text.startswith("make ")]
    return [re.sub(r"\s{2,}.*| #.*|^\w+=\S+ ", "", text) for text in found if text.startswith(_STARTS)]


_ALL = [(document, command) for document in DOCUMENTS for command in _commands(document)]


class _Parsed(BaseException):
    """The script has understood its flags; no error that it would catch."""


def _words(command: str) -> list[str]:
    """Without the brackets of what may be left out, and with numbers for their placeholders."""
    text = re.sub(r"\.\.\.|[\[\]…]", " ", command)
    text = re.sub(r"\b(N|STEPS|WEIGHT)\b", "3", re.sub(r"\bNAME\b", "cyclegan", text))
    if text.count("'") == 1:  # the end of a script that was quoted
        text = text.replace("'", "")
    return [word for word in shlex.split(text, comments=True) if word not in ("&", "|")]


def _parse(script: str, words: list[str], monkeypatch) -> None:
    """Runs a script up to the point where its flags are understood; a training's config too."""
    module = importlib.import_module(script)
    real = argparse.ArgumentParser.parse_args

    def parsed(*_, **__):
        raise _Parsed

    def stop(self, args=None, namespace=None):
        real(self, args, namespace)
        raise _Parsed

    trains = module in (train_cyclegan, train_detector) and not {"--predict", "--explain", "--ensemble"} & set(words)
    if trains:
        monkeypatch.setattr(module, "train_on_devices", parsed)
    else:
        monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)
    with pytest.raises(_Parsed):
        module.main(words)


@pytest.mark.parametrize(("document", "command"), _ALL, ids=[f"{one.stem}: {text}"[:90] for one, text in _ALL])
def test_a_command_is_one(document, command, monkeypatch, capsys):
    if command.startswith("make "):
        targets = re.findall(r"^([\w-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
        named = [word for word in command.split()[1:] if "=" not in word]
        assert set(named) <= set(targets), named
        return
    program, *words = _words(command)
    if program == "python" and words[0] == "-m":
        if words[1] not in ("pip", "pytest", "venv"):
            assert importlib.util.find_spec(words[1]) is not None, words[1]
        return
    if program == "python" and words[0].startswith("-"):
        return  # of Python itself
    file = words.pop(0) if program == "python" else f"{_CONSOLE[program]}.py"
    assert (REPOSITORY / file).is_file(), file
    if "/" in file:
        return  # a benchmark; it has a --help of its own
    try:
        _parse(file.removesuffix(".py"), words, monkeypatch)
    except SystemExit as stopped:
        if not stopped.code:
            return  # --help
        raise AssertionError(f"{document.name}: {command}: {capsys.readouterr().err.splitlines()[-1]}") from None
    except UserError as error:
        raise AssertionError(f"{document.name}: {command}: {error}") from None


def test_commands_are_found():
    """The test above must have something to look at."""
    scripts = {command.split()[1] for _, command in _ALL if command.startswith("python ")}
    assert {f"{name}.py" for name in _CONSOLE.values()} <= scripts
    assert len(_ALL) > 80


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: f"{document.parent.name}/{document.name}")
def test_links_lead_somewhere(document):
    text = document.read_text(encoding="utf-8")
    for target, anchor in _LINK.findall(text):
        if target.startswith(("http://", "https://")):
            continue
        file = (document.parent / target).resolve()
        assert file.exists(), f"{document.name}: {target}"
        if anchor and file.suffix == ".md":
            heads = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            known = {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
            assert anchor[1:] in known, f"{document.name}: {target}{anchor}"
