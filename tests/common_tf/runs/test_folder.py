import json
from dataclasses import dataclass, replace

import pytest

from common_tf.errors import UserError
from common_tf.runs.config import option, read_config_file, tree_from_content
from common_tf.runs.folder import RunFolder
from common_tf.splits.finding import Finding
from common_tf.splits.manifest import ManifestRow, read_manifest


@dataclass(frozen=True)
class Config:
    steps: int = option(5, "length", flag=True, minimum=1)
    rate: float = option(0.5, "rate")
    data: str = option("here", "where", place=True)


ROWS = [ManifestRow(f"trainA/{i}.png", "CT", f"{i}" * 64, "0" * 16, f"{i:05d}", "train", "train") for i in range(3)]
FINDINGS = [Finding("note", "copies", "some", 2, ("a.png", "b.png"))]


def _load(path):
    file = path / "config.yaml"
    return tree_from_content(Config, read_config_file(file), path=file)


def _open(path, config=Config(), resume="auto"):
    return RunFolder(path, config, resume=resume, load=_load)


def _begin(path, rows=ROWS, config=Config()):
    with _open(path, config) as folder:
        folder.begin(rows, FINDINGS, counts={"CT": {"train": len(rows)}}, more={"score": float("nan")})


@pytest.fixture
def run(tmp_path):
    _begin(tmp_path / "run")
    return tmp_path / "run"


def test_folder_is_new_continued_or_refused(tmp_path):
    with _open(tmp_path / "run") as folder:
        assert not folder.resumed
        folder.begin(ROWS, FINDINGS, counts={})
    for config in (Config(steps=9), Config(data="elsewhere")):
        with _open(tmp_path / "run", config) as folder:
            assert folder.resumed
    with pytest.raises(UserError, match=r"another config \(rate: 0.5 -> 0.6\)"):
        _open(tmp_path / "run", Config(rate=0.6))
    with pytest.raises(UserError, match="holds a run already"):
        _open(tmp_path / "run", resume="never")


def test_config_manifest_and_audit_are_written(run):
    assert _load(run) == Config() and read_manifest(run / "manifest.csv") == ROWS
    record = json.loads((run / "audit.json").read_text())
    assert record["counts"] == {"CT": {"train": 3}} and record["findings"][0]["files"] == ["a.png", "b.png"]
    assert record["score"] is None  # JSON has no nan


def test_a_longer_run_is_written_down(run):
    _begin(run, config=Config(steps=9))
    assert _load(run).steps == 9


def test_a_folder_that_never_began_leaves_nothing(tmp_path):
    with pytest.raises(UserError, match="bad data"), _open(tmp_path / "a" / "run"):
        raise UserError("bad data")
    assert not (tmp_path / "a").exists()
    (tmp_path / "mine").mkdir()
    with pytest.raises(UserError, match="bad data"), _open(tmp_path / "mine"):
        raise UserError("bad data")
    assert list((tmp_path / "mine").iterdir()) == []
    _begin(tmp_path / "mine")  # so the right command is not refused


@pytest.mark.parametrize("rows", [ROWS[:2], [*ROWS[:2], replace(ROWS[2], split="test")], ROWS[::-1]])
def test_a_run_does_not_go_on_with_other_data_or_splits(run, rows):
    before = (run / "config.yaml").read_text(), (run / "manifest.csv").read_text()
    with pytest.raises(UserError, match="manifest.csv: the data have changed since this run began"):
        _begin(run, rows, Config(steps=9))
    assert before == ((run / "config.yaml").read_text(), (run / "manifest.csv").read_text())


@pytest.mark.parametrize("content", [b"", b"path\xe9"])
def test_a_damaged_manifest_is_no_proof(run, content):
    (run / "manifest.csv").write_bytes(content)
    with pytest.raises(UserError, match="the data have changed"):
        _begin(run)


def test_a_lost_manifest_is_no_proof_either_once_something_is_trained(run):
    (run / "manifest.csv").unlink()
    (run / "fold1" / "checkpoints").mkdir(parents=True)
    (run / "fold1" / "checkpoints" / "ckpt-1.index").touch()
    with pytest.raises(UserError, match="manifest.csv: is lost"):
        _begin(run)
    (run / "fold1" / "checkpoints" / "ckpt-1.index").unlink()  # killed before the first save
    _begin(run)
    assert read_manifest(run / "manifest.csv") == ROWS


def test_foreign_folders_and_files_are_refused(tmp_path):
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(UserError, match="no run folder"):
        _open(tmp_path)
    with pytest.raises(UserError, match="is a file"):
        _open(tmp_path / "thesis.txt")
    assert [item.name for item in tmp_path.iterdir()] == ["thesis.txt"]


def test_what_a_killed_start_left_is_no_foreign_file(tmp_path):
    for name in (".lock", ".writing-123-config.yaml"):
        (tmp_path / name).touch()
    _begin(tmp_path)


def test_a_run_of_an_earlier_version_is_refused(tmp_path):
    (tmp_path / "config.yaml").write_text("steps: 5\n")
    with pytest.raises(UserError, match="of an earlier version"):
        _open(tmp_path)


def test_two_processes_cannot_train_in_one_folder(tmp_path):
    with _open(tmp_path / "run") as folder:
        folder.begin(ROWS, FINDINGS, counts={})
        with pytest.raises(UserError, match="another process"):
            _open(tmp_path / "run")
    _open(tmp_path / "run").__exit__()
