"""The page's addresses. What is behind them is done by the worker; nothing here imports TensorFlow."""

import tempfile
import zipfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Query, Request
from fastapi.responses import FileResponse, Response, StreamingResponse
from fastapi.staticfiles import StaticFiles
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

import common_tf
from common_tf.command_line import storage_reason
from common_tf.errors import UserError
from serving_tf.guard import Guard
from serving_tf.jobs import MADE, QUEUED, RUNNING, VIEW, Job, JobFolder
from serving_tf.supervisor import Supervisor
from serving_tf.trainings import find_trainings, training
from serving_tf.uploads import Dropped, clear
from serving_tf.views import slice_png

PAGE = Path(__file__).resolve().parent / "page"
BANNER = "Research only. Synthetic images and verdicts of neural networks, not for diagnosis."
_MOST_WAITING = 200
_GIVEN = (MADE, VIEW, "verdicts-0", "verdicts-1")
_CHUNK = 1 << 20


def make_app(
    folder: Path,
    runs: Mapping[str, Path],
    *,
    token: str,
    hosts: list[str],
    largest_mb: int = 1024,
    keep_hours: float = 24.0,
    watched: Sequence[Path] = (),
) -> FastAPI:
    """The page with its queue.

    Args:
        folder: of the jobs.
        runs: translators and detectors by name.
        token: that every request shows.
        hosts: what a request's Host may be, with the port.
        largest_mb: megabytes of one drop, also unpacked.
        keep_hours: after which a job is deleted.
        watched: run folders, or folders of them, whose trainings are shown.

    Raises:
        UserError: another page uses the folder.
    """
    jobs, limit = JobFolder(folder.resolve()), largest_mb << 20
    supervisor = Supervisor(jobs, runs, keep_seconds=keep_hours * 3600)

    @asynccontextmanager
    async def living(_: FastAPI) -> AsyncIterator[None]:
        yield
        supervisor.stop()

    supervisor.start()

    # FastAPI's own pages of the API load scripts of another host.
    app = FastAPI(
        title="CT <-> MRI translation",
        version=common_tf.__version__,
        description=BANNER,
        docs_url=None,
        redoc_url=None,
        lifespan=living,
    )
    app.add_middleware(Guard, token=token, hosts=hosts, largest=limit + _CHUNK)

    def found(name: str, *, whole: bool = True) -> Job:
        try:
            return jobs.read(name, whole=whole)
        except KeyError:
            raise HTTPException(404, "no such job; it may have been deleted, or its time was over") from None

    def shown(job: Job, waiting: list[str]) -> dict[str, Any]:
        return {**asdict(job), "place": waiting.index(job.id) + 1 if job.id in waiting else 0}

    def waiting() -> list[str]:
        return [job.id for job in jobs.all() if job.state in (QUEUED, RUNNING)]

    @app.get("/api/runs", summary="Translators and detectors")
    def list_runs() -> dict[str, Any]:
        """Names with directions or classes; `ready` once the worker has looked at them."""
        known = supervisor.runs
        return {
            "runs": known, "ready": bool(known), "problem": supervisor.problem, "banner": BANNER,
            "largest_mb": largest_mb, "keep_hours": keep_hours, "version": common_tf.__version__,
        }  # fmt: skip

    @app.get("/api/jobs", summary="All jobs, the newest first")
    def list_jobs() -> list[dict[str, Any]]:
        """Each with its state and without its result; `place` is where it stands in the queue, 1 for the one that is
        being done.
        """
        every = jobs.all()
        order = [job.id for job in every if job.state in (QUEUED, RUNNING)]
        return [shown(job, order) for job in reversed(every)]

    @app.post(
        "/api/jobs",
        status_code=201,
        summary="Drop files: PNG, JPEG, TIFF, BMP, NIfTI, DICOM, or a zip of them",
        openapi_extra=_FORM,
    )
    async def drop(request: Request) -> dict[str, Any]:
        r"""Multipart form: `files` (one or more), `translator` and `direction`, or `detector`, or both; `window` as
        `BLACK:WHITE`.

        curl -H "Authorization: Bearer TOKEN" -F files=@slice.png -F translator=ct_mri_fast -F direction=CT2MRI \
            http://127.0.0.1:8765/api/jobs
        """
        if len(await run_in_threadpool(waiting)) >= _MOST_WAITING:
            raise HTTPException(429, f"{_MOST_WAITING} jobs wait already; come back later")
        try:
            async with request.form(max_files=20_000) as form:
                asked = {name: str(form.get(name) or "") for name in ("translator", "direction", "detector", "window")}
                files = [one for one in form.getlist("files") if isinstance(one, UploadFile)]
                return await run_in_threadpool(taken, asked, files)
        except OSError as error:
            raise HTTPException(507, _storage_words(error, jobs.path)) from error

    def taken(asked: dict[str, str], files: list[UploadFile]) -> dict[str, Any]:
        _check(asked, supervisor.runs, supervisor.problem)
        place = jobs.new()
        try:
            dropped = Dropped(place / "input", limit=limit)
            for one in files:
                dropped.add(one.filename or "", one.file, is_alone=len(files) == 1)
            if not dropped.names:
                raise UserError("no files; drop pictures, NIfTI files, a DICOM folder, or a zip of them")
            job = jobs.add(place, **asked, names=sorted(dropped.names)[:100])
        except UserError as error:
            clear(place)
            raise HTTPException(400, str(error).replace(str(place), "")) from error
        except BaseException:
            clear(place)
            raise
        return shown(job, waiting())

    @app.get("/api/jobs/{name}", summary="One job")
    def one_job(name: str) -> dict[str, Any]:
        """Its state, and once it is done its items and verdicts."""
        return shown(found(name), waiting())

    @app.delete("/api/jobs/{name}", status_code=204, summary="Delete a job with its files, or give it up")
    def delete_job(name: str) -> Response:
        """Also while it is being done."""
        found(name, whole=False)
        try:
            supervisor.delete(name)
        except KeyError:
            raise HTTPException(404, "no such job; it has been deleted") from None
        return Response(status_code=204)

    @app.get("/api/jobs/{name}/files/{path:path}", summary="A file of a result")
    def one_file(name: str, path: str) -> FileResponse:
        """Pictures, NIfTI files, DICOM files and tables, as the scripts write them."""
        root = jobs.place(found(name, whole=False).id)
        try:
            file = (root / path).resolve()
            is_there = file.is_relative_to(root) and file.is_file()
        except (OSError, ValueError):
            is_there = False
        # Nothing that was dropped is given back: it could be a page with a script.
        if not is_there or file.relative_to(root).parts[0] not in _GIVEN:
            raise HTTPException(404, "no such file in this job")
        head = {"Content-Security-Policy": "sandbox; default-src 'none'"}
        return FileResponse(file, filename=file.name, content_disposition_type="inline", headers=head)

    @app.get("/api/jobs/{name}/slice", summary="A slice of a volume as PNG")
    def one_slice(
        name: str, item: int = 0, side: str = "input", plane: str = "axial", number: int = 0,
        low: float = Query(0.0), high: float = Query(80.0),
    ) -> Response:  # fmt: skip
        """For browsers without WebGL2."""
        job = found(name)
        known = job.items[item] if 0 <= item < len(job.items) else {}
        if known.get("kind") != "volume" or side not in ("input", "output") or side not in known:
            raise HTTPException(404, "no such volume in this job")
        try:
            png = slice_png(jobs.place(name) / known[side], plane=plane, number=number, window=(low, high))
        except (ValueError, OSError) as error:
            raise HTTPException(400, "plane is axial, coronal or sagittal, and low is below high") from error
        return Response(png, media_type="image/png")

    @app.get("/api/jobs/{name}/result.zip", summary="All results of a job")
    def whole(name: str) -> StreamingResponse:
        """What translate.py writes, and tables and figures of verdicts."""
        root = jobs.place(found(name, whole=False).id)
        files = [file for part in (MADE, "verdicts-*") for top in root.glob(part) for file in sorted(top.rglob("*"))]
        head = {"Content-Disposition": f'attachment; filename="synthetic-{name}.zip"'}
        return StreamingResponse(_zipped(root, files), media_type="application/zip", headers=head)

    def runs_watched() -> dict[str, Path]:
        return find_trainings([place for place in watched if place.is_dir()])

    @app.get("/api/trainings", summary="Trainings that are watched")
    def trainings() -> list[dict[str, Any]]:
        """Where each stands, with its curves."""
        found = []
        for name, run in runs_watched().items():
            try:
                found.append({"name": name, **training(run)})
            except OSError:
                continue  # just moved or deleted
        return found

    @app.get("/api/trainings/{name:path}/grid", summary="The newest samples of a training")
    def grid(name: str) -> FileResponse:
        """A picture of inputs and outputs."""
        run = runs_watched().get(name)
        newest = "" if run is None else training(run)["grid"]
        if run is None or not newest:
            raise HTTPException(404, "no such training, or no samples yet")
        return FileResponse(run / "samples" / newest)

    app.mount("/", StaticFiles(directory=PAGE, html=True))
    return app


_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {
                        "files": {"type": "array", "items": {"type": "string", "format": "binary"}},
                        "translator": {"type": "string"},
                        "direction": {"type": "string", "examples": ["CT2MRI"]},
                        "detector": {"type": "string"},
                        "window": {"type": "string", "examples": ["0:80"]},
                    },
                }
            }
        },
    }
}


def _storage_words(error: OSError, folder: Path) -> str:
    reason = storage_reason(error) or f"cannot write ({error.strerror})"
    return reason.replace(f"{folder}/", "").replace(str(folder), "")


def _check(asked: Mapping[str, str], known: list[dict[str, Any]], problem: str) -> None:
    """Refuses what no worker could do, before anything is stored."""
    if problem or not known:
        raise HTTPException(503, problem or "the worker is starting; try again in some seconds")
    by_name = {(one["kind"], one["name"]): one for one in known}
    translator, detector = asked["translator"], asked["detector"]
    if not translator and not detector:
        raise HTTPException(400, "nothing to do: name a translator, a detector, or both")
    for kind in ("translator", "detector"):
        if asked[kind] and (kind, asked[kind]) not in by_name:
            raise HTTPException(400, f"{kind} {asked[kind][:80]}: not one of this page")
    if translator and asked["direction"] not in by_name["translator", translator]["directions"]:
        names = " or ".join(by_name["translator", translator]["directions"])
        raise HTTPException(400, f"direction {asked['direction'][:80]}: this translator has {names}")
    if asked["window"]:
        low, _, high = asked["window"].partition(":")
        try:
            is_one = float("-inf") < float(low) < float(high) < float("inf")
        except ValueError:
            is_one = False
        if not is_one:
            raise HTTPException(400, f"window {asked['window'][:80]}: wants BLACK:WHITE, such as 0:80")


def _zipped(root: Path, files: list[Path]) -> Iterator[bytes]:
    """An archive of a result, made on the disk and passed on in parts, so that a large one does not fill the memory."""
    with tempfile.TemporaryFile() as stream:
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
            for file in files:
                if file.is_file():
                    archive.write(file, file.relative_to(root).as_posix().removeprefix(f"{MADE}/"))
        stream.seek(0)
        while part := stream.read(_CHUNK):
            yield part
