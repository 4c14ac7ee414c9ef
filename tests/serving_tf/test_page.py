"""The page does what the scripts do, for who may ask, and outlives what goes wrong."""

import contextlib
import gzip
import http.client
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import nibabel
import numpy as np
import pytest
from PIL import Image

import ctmri
import serve
from common_tf.command_line import run_script
from common_tf.errors import UserError
from serving_tf.app import make_app
from serving_tf.jobs import RUNNING

from .conftest import REPOSITORY, RUNS, TOKEN, begun


@pytest.fixture(scope="module")
def translator():
    """The shipped run, as a script would load it."""
    return ctmri.load_translator(RUNS["ct_mri_fast"])


def _nifti(voxels, spacing=4.0) -> bytes:
    image = nibabel.Nifti1Image(voxels, np.diag([spacing, spacing, 5.0, 1.0]))
    return gzip.compress(image.to_bytes(), mtime=0)


def test_a_picture_comes_back_as_translate_py_writes_it(page, translator, head, tmp_path):
    job = page.result([("head.png", head.read_bytes())], translator="ct_mri_fast", direction="MRI2CT")
    assert job["state"] == "done", job["message"]
    (item,) = job["items"]
    ctmri.translate_path(translator, head, direction="MRI2CT", output=tmp_path / "out")
    assert page.content(job, item["output"]) == (tmp_path / "out" / "head.png").read_bytes()
    shown = np.asarray(Image.open(io.BytesIO(page.content(job, item["input"]))))
    np.testing.assert_array_equal(shown, np.asarray(Image.open(head)))


def test_a_window_is_shown_as_it_was_read(page, head):
    job = page.result([("head.png", head.read_bytes())], translator="ct_mri_fast", direction="MRI2CT", window="100:200")
    assert job["state"] == "done", job["message"]
    shown = np.asarray(Image.open(io.BytesIO(page.content(job, job["items"][0]["input"]))), float)
    stored = np.asarray(Image.open(head), float)
    np.testing.assert_allclose(shown, np.clip((stored - 100) / 100, 0, 1) * 255, atol=0.51)


def test_a_second_page_on_the_folder_is_refused(page):
    with pytest.raises(UserError, match="another serve.py"):
        make_app(page.folder, RUNS, token=TOKEN, hosts=["x"])


def test_one_broken_run_leaves_the_others(head, tmp_path):
    """And its place is not told."""
    shutil.copytree(RUNS["tumour_yes_no"], tmp_path / "broken")
    (tmp_path / "broken" / "detector.json").write_text("{}")
    (tmp_path / "page").mkdir()
    runs = {"broken": tmp_path / "broken", "ct_mri_fast": RUNS["ct_mri_fast"]}
    with begun(tmp_path / "page", runs=runs) as page:
        known = page.client.get("/api/runs").json()
        assert [one["name"] for one in known["runs"]] == ["ct_mri_fast"] and str(tmp_path) not in str(known)


def test_cookies_of_other_programs_do_not_hide_ours(page):
    port = page.client.base_url.port
    cookies = f'prefs={{"theme":"dark"}}; ctmri-{port}={TOKEN}'
    with httpx.Client(base_url=page.client.base_url, trust_env=False) as other:
        assert other.get("/api/runs", headers={"Cookie": cookies}).status_code == 200


def test_a_detector_speaks_before_and_after(page, head):
    job = page.result(
        [("a/one.png", head.read_bytes()), ("b/one.png", head.read_bytes())],
        translator="ct_mri_fast", direction="MRI2CT", detector="tumour_yes_no",
    )  # fmt: skip
    assert job["state"] == "done", job["message"]
    assert [one["what"] for one in job["verdicts"]] == ["MRI, as it was dropped", "MRI, translated to CT and back"]
    before, after = (one["rows"] for one in job["verdicts"])
    assert [row["input"] for row in before] == ["a/one.png", "b/one.png"]
    same = sum(one["predicted"] == two["predicted"] for one, two in zip(before, after))
    assert f"{same} of 2 verdicts are the same before and after" in job["notes"]
    assert job["verdicts"][0]["threshold"] == 0.5
    assert page.content(job, job["verdicts"][0]["figure"])[:4] == b"\x89PNG"
    alone = page.result([("one.png", head.read_bytes())], detector="tumour_yes_no")
    assert alone["verdicts"][0]["rows"][0]["p_yes"] == before[0]["p_yes"]
    assert [one["name"] for one in alone["items"]] == ["one.png"] and "output" not in alone["items"][0]
    there = page.result(
        [("one.png", head.read_bytes())], translator="ct_mri_fast", direction="CT2MRI", detector="tumour_yes_no"
    )
    assert [one["what"] for one in there["verdicts"]] == ["MRI, translated"]
    assert "the detector reads MRI, so there is no verdict on the CT itself" in there["notes"]


def test_a_volume_comes_back_on_its_grid_with_what_a_viewer_needs(page, translator, hounsfield, tmp_path):
    content = _nifti(hounsfield)
    job = page.result([("ct.nii.gz", content)], translator="ct_mri_fast", direction="CT2MRI", detector="tumour_yes_no")
    assert job["state"] == "done", job["message"]
    (item,) = job["items"]
    (tmp_path / "ct.nii.gz").write_bytes(content)
    ctmri.translate_path(translator, tmp_path / "ct.nii.gz", direction="CT2MRI", output=tmp_path / "out")
    made = page.client.get(f"/api/jobs/{job['id']}/result.zip")
    with zipfile.ZipFile(io.BytesIO(made.content)) as archive:
        assert archive.read("ct.nii.gz") == (tmp_path / "out" / "ct.nii.gz").read_bytes()
        assert "verdicts-0/verdicts.csv" in archive.namelist()
    assert item["shape"] == [48, 48, 6] and item["input_window"] == [0, 80] and item["input_unit"] == "HU"
    view = nibabel.Nifti1Image.from_bytes(page.content(job, item["input"]))
    np.testing.assert_allclose(view.get_fdata(), hounsfield, atol=0.01)
    words = {"item": 0, "side": "output", "plane": "axial", "number": 3, "low": 0, "high": 4095}
    answer = page.client.get(f"/api/jobs/{job['id']}/slice", params=words)
    assert Image.open(io.BytesIO(answer.content)).size == (48, 48)
    assert page.client.get(f"/api/jobs/{job['id']}/slice", params={**words, "plane": "x"}).status_code == 400
    assert page.client.get(f"/api/jobs/{job['id']}/slice", params={**words, "item": 1}).status_code == 404


def test_a_volume_of_an_mri_has_verdicts_before_and_after(page, hounsfield):
    """The CT between holds a brain window only, and is taken back all the same."""
    job = page.result(
        [("t1.nii.gz", _nifti(hounsfield + 1000))],
        translator="ct_mri_fast",
        direction="MRI2CT",
        detector="tumour_yes_no",
    )
    assert job["state"] == "done", job["message"]
    assert len(job["verdicts"]) == 2 and any("verdicts are the same" in note for note in job["notes"]), job["notes"]


def test_a_zip_of_a_dicom_folder_comes_back_as_dicom(page, tmp_path):
    words = "--patients 1 --spacing 8,8,12 --format dicom".split()
    command = [sys.executable, "-m", "common_tf.volumes.phantom", tmp_path / "d", *words]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    series = sorted(path for path in (tmp_path / "d" / "trainB").rglob("*") if path.is_file())
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for path in series:
            archive.write(path, f"study/{path.name}")
    job = page.result(
        [("study.zip", stream.getvalue())], translator="ct_mri_fast", direction="MRI2CT", detector="tumour_yes_no"
    )
    assert job["state"] == "done", job["message"]
    assert job["items"][0]["dicom"] and len(job["verdicts"]) == 2
    assert any("verdicts are the same before and after" in note for note in job["notes"])
    with zipfile.ZipFile(io.BytesIO(page.client.get(f"/api/jobs/{job['id']}/result.zip").content)) as archive:
        slices = [name for name in archive.namelist() if name.endswith(".dcm")]
    assert len(slices) == len(series)


def test_what_the_scripts_refuse_is_said_without_a_place_of_the_machine(page, head):
    for files, words in (
        ([("notes.txt", b"hello")], "no image"),
        ([("broken.png", head.read_bytes()[:200])], "broken.png"),
        ([("a.nii.gz", gzip.compress(b"x" * 400))], "no image"),
    ):
        job = page.result(files, translator="ct_mri_fast", direction="MRI2CT")
        assert job["state"] == "failed" and words in job["message"], job
        assert str(page.folder) not in job["message"] and "--input" not in job["message"]
    everything = page.client.get("/api/jobs").text + page.client.get("/api/runs").text
    assert str(page.folder) not in everything and str(REPOSITORY) not in everything


@pytest.mark.parametrize(("asked", "words"), [
    ({}, "nothing to do"),
    ({"translator": "other", "direction": "CT2MRI"}, "not one of this page"),
    ({"translator": "../../x", "direction": "CT2MRI"}, "not one of this page"),
    ({"translator": "tumour_yes_no", "direction": "CT2MRI"}, "not one of this page"),
    ({"translator": "ct_mri_fast", "direction": "MRI2PET"}, "CT2MRI or MRI2CT"),
    ({"translator": "ct_mri_fast", "direction": "CT2MRI", "window": "80:0"}, "BLACK:WHITE"),
    ({"translator": "ct_mri_fast", "direction": "CT2MRI", "window": "nan:80"}, "BLACK:WHITE"),
])  # fmt: skip
def test_what_nobody_could_do_is_refused_at_once(page, head, asked, words):
    before = len(list(page.folder.iterdir()))
    answer = page.drop([("head.png", head.read_bytes())], **asked)
    assert answer.status_code == 400 and words in answer.json()["detail"]
    assert len(list(page.folder.iterdir())) == before


def test_names_that_lead_out_leave_nothing(page, head):
    before = len(list(page.folder.iterdir()))
    answer = page.drop([("../../evil.png", head.read_bytes())], translator="ct_mri_fast", direction="MRI2CT")
    # A client's parser may cut the folders off; what is left of the name is inside then.
    assert answer.status_code in (201, 400)
    if answer.status_code == 400:
        assert len(list(page.folder.iterdir())) == before
    assert not (page.folder / "evil.png").exists() and not (page.folder.parent / "evil.png").exists()
    empty = page.client.post("/api/jobs", data={"translator": "ct_mri_fast", "direction": "CT2MRI"})
    assert empty.status_code == 400 and "no files" in empty.json()["detail"]


def test_files_of_others_cannot_be_had(page, head):
    job = page.result([("head.png", head.read_bytes())], translator="ct_mri_fast", direction="MRI2CT")
    outside = (
        "../runs.json",
        "%2e%2e/runs.json",
        "..%2f..%2f..%2fetc%2fpasswd",
        "job.json",
        "result.json",
        "input/head.png",
    )
    for path in (*outside, "made", "no.png", "a%00b", "a" * 300):
        assert page.client.get(f"/api/jobs/{job['id']}/files/{path}").status_code == 404, path
    answer = page.client.get(f"/api/jobs/{job['id']}/files/{job['items'][0]['output']}")
    assert answer.headers["content-security-policy"].startswith("sandbox")
    assert page.client.get(f"/api/jobs/{job['id']}/slice").status_code == 404  # of a picture
    assert page.client.get("/api/jobs/../runs.json").status_code in (404, 405)
    assert page.client.get("/api/jobs/nobody").status_code == 404


def test_only_who_has_the_token_may_ask(page):
    host = page.client.base_url.netloc.decode()
    with httpx.Client(base_url=page.client.base_url, trust_env=False) as stranger:
        for path in ("/", "/page.js", "/api/jobs", "/api/runs", "/openapi.json"):
            assert stranger.get(path).status_code == 401, path
        assert stranger.post("/api/jobs", data={}).status_code == 401
        assert stranger.get("/?token=wrong").status_code == 401
        answer = stranger.get(f"/?token={TOKEN}", follow_redirects=False)
        assert answer.status_code == 303 and answer.headers["location"] == "/"
        assert "HttpOnly" in answer.headers["set-cookie"] and "samesite=lax" in answer.headers["set-cookie"].lower()
        assert "<title>" in stranger.get("/").text  # with the cookie
        assert stranger.get("/api/jobs", headers={"Host": "evil.example:8765"}).status_code == 421
        for origin in ("http://evil.example", "null", f"http://{host}.evil.example"):
            assert stranger.post("/api/jobs", data={"x": "y"}, headers={"Origin": origin}).status_code == 403, origin
        assert stranger.post("/api/jobs", data={"x": "y"}, headers={"Origin": f"http://{host}"}).status_code == 400
        assert stranger.post("/api/jobs", content=iter([b"x"])).status_code == 411
    with contextlib.closing(http.client.HTTPConnection(host, timeout=30)) as raw:
        raw.putrequest("POST", "/api/jobs")
        raw.putheader("Authorization", f"Bearer {TOKEN}")
        raw.putheader("Content-Length", str(1 << 40))
        raw.endheaders()
        with raw.getresponse() as answer:
            assert answer.status == 413  # nothing of it was waited for


def test_nothing_is_asked_of_another_host(page):
    """Neither by the page's own files nor by the policy that a browser is told."""
    policy = page.client.get("/").headers["content-security-policy"]
    assert "default-src 'self'" in policy and "http" not in policy and "unsafe" not in policy
    for name in ("index.html", "page.js", "page.css", "icon.svg"):
        text = (REPOSITORY / "serving_tf" / "page" / name).read_text()
        assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", text), name
    assert page.client.get("/docs").status_code == 404
    described = page.client.get("/openapi.json").json()["paths"]
    assert "multipart/form-data" in described["/api/jobs"]["post"]["requestBody"]["content"]
    assert "curl" in described["/api/jobs"]["post"]["description"]


def test_the_page_itself_does_without_tensorflow():
    code = "import sys, serving_tf.app, serving_tf.listening; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY).returncode == 0


def test_twenty_at_once_all_get_a_place(page, head):
    content = head.read_bytes()
    with ThreadPoolExecutor(20) as pool:
        asked = {"translator": "ct_mri_fast", "direction": "MRI2CT"}
        answers = list(pool.map(lambda number: page.drop([(f"{number}.png", content)], **asked), range(20)))
    assert {answer.status_code for answer in answers} == {201}
    assert page.client.get("/api/jobs").elapsed.total_seconds() < 2  # answers while the worker works
    jobs = [page.done(answer.json()["id"]) for answer in answers]
    assert {job["state"] for job in jobs} == {"done"}
    assert len({page.content(job, job["items"][0]["output"]) for job in jobs}) == 1
    for job in jobs:
        assert page.client.delete(f"/api/jobs/{job['id']}").status_code == 204
        assert not (page.folder / job["id"]).exists()
    assert page.client.delete(f"/api/jobs/{jobs[0]['id']}").status_code == 404


def _worker(folder) -> int:
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = place.read_bytes().split(b"\0")
            if b"serving_tf.worker" in words and str(folder).encode() in words:
                return int(place.parent.name)
    raise AssertionError("no worker")


@pytest.mark.more
def test_a_killed_worker_and_an_ended_page_lose_nothing(head, hounsfield, tmp_path):
    """The job that a killed worker was at fails with a line; what waits is done by the next, also by the next page."""
    folder = tmp_path / "jobs"
    many = [(f"{number}.nii.gz", _nifti(np.tile(hounsfield, (1, 1, 8)))) for number in range(8)]
    asked = {"translator": "ct_mri_fast", "direction": "CT2MRI"}
    with begun(folder) as page:
        client = page.client
        first = page.drop(many, **asked).json()["id"]
        second = page.drop([("a.png", head.read_bytes())], **asked).json()["id"]
        while client.get(f"/api/jobs/{first}").json()["state"] != RUNNING:
            time.sleep(0.02)
        assert client.get(f"/api/jobs/{second}").json()["place"] == 2
        os.kill(_worker(folder), signal.SIGKILL)
        assert page.done(second)["state"] == "done"
        failed = client.get(f"/api/jobs/{first}").json()
        assert failed["state"] == "failed" and "worker process ended" in failed["message"]
        # Given up while it is being done: the next one is taken up at once.
        third = page.drop(many, **asked).json()["id"]
        while client.get(f"/api/jobs/{third}").json()["state"] != RUNNING:
            time.sleep(0.02)
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: client.delete(f"/api/jobs/{third}").status_code, range(4)))
        assert sorted(answers) == [204, 404, 404, 404] and not (folder / third).exists()
        fourth = page.drop(many[:1], **asked).json()["id"]
    with begun(folder) as page:
        assert page.done(fourth)["state"] == "done" and page.done(second)["state"] == "done"


def test_a_full_disk_is_said_and_leaves_nothing(page, head, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device", str(page.folder / "x"))

    monkeypatch.setattr("serving_tf.uploads.Dropped._store", full)
    before = len(list(page.folder.iterdir()))
    answer = page.drop([("head.png", head.read_bytes())], translator="ct_mri_fast", direction="MRI2CT")
    assert answer.status_code == 507 and "no space left" in answer.json()["detail"]
    assert len(list(page.folder.iterdir())) == before


def test_the_script_refuses_in_a_line(tmp_path, capsys):
    (tmp_path / "run").mkdir()
    for words, said in (
        (["--run", tmp_path / "none"], "no finished run"),
        (["--run", tmp_path / "run"], "no finished run"),
        (["--port", "70000"], "want numbers"),
        (["--keep-hours", "inf"], "want numbers"),
        (["--host", "0.0.0.0"], "--name"),  # noqa: S104 (refused)
        (["--watch", tmp_path / "none"], "no such folder"),
        (["--run", RUNS["ct_mri_fast"], "--run", f"{RUNS['ct_mri_fast']}/"], "two runs are named ct_mri_fast"),
        (["--host", "256.1.1.1", "--jobs", tmp_path / "jobs"], "choose another port"),
    ):
        assert run_script(serve.main, [str(word) for word in words]) == 2
        complaint = capsys.readouterr().err
        assert said in complaint and complaint.count("\n") == 1, complaint
