"""The scans of all cases: those kept from an earlier start, and the others in processes."""

import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from joblib import Parallel, cpu_count, delayed
from joblib.externals.loky import get_reusable_executor

from common_tf.cache_folder import cache_folder
from common_tf.progress import progress
from common_tf.sources.scan_store import ScanStore
from common_tf.sources.scanning import Scan, scan_case
from common_tf.sources.source import Case
from common_tf.sources.volumes import release_volumes

_THREADS = 4
_WORTH_PROCESSES = 2000
_BATCH = 32
_KEEP_EVERY = 2.0


def open_store(cache: str = "") -> ScanStore | None:
    """What is kept in a cache folder; ``None``, and a line that says why, where it cannot be written.

    Args:
        cache: the folder; ``""`` for the usual one.
    """
    folder = cache_folder(cache)
    try:
        return ScanStore(folder)
    except OSError as error:
        reason = error.strerror or error
        print(f"cache {folder}: cannot be written ({reason}); what is seen of the files is not kept", flush=True)
        return None


def scan_cases(cases: Sequence[Case], store: ScanStore | None) -> list[list[Scan]]:
    """For each case a scan of every picture, in its order.

    Stopped half-way, the next call goes on: what has been looked at is kept every few seconds.

    Args:
        cases: of a source.
        store: of earlier scans.
    """
    # A volume in memory may be older than its files are now, whose state is kept with what is seen.
    release_volumes()
    found: list[list[Scan] | None] = store.known(cases) if store else [None] * len(cases)
    missing = [number for number, scans in enumerate(found) if scans is None]
    began = kept_at = time.time()
    fresh: list[tuple[Case, list[Scan]]] = []
    results = _scanned([cases[number] for number in missing])
    try:
        for number, scans in zip(missing, progress(results, total=len(missing), words="looking at the files")):
            found[number] = scans
            fresh.append((cases[number], scans))
            if store and time.time() - kept_at > _KEEP_EVERY:
                store, fresh, kept_at = _kept(store, fresh, began), [], time.time()
    finally:
        if store:
            _kept(store, fresh, began)
        release_volumes()
    return [scans for scans in found if scans is not None]


def _scanned(cases: Sequence[Case]) -> Iterator[list[Scan]]:
    """In the order of the cases. Slices of volumes stay in this process: they share the volume in memory."""
    if len(cases) < _WORTH_PROCESSES or not all(case.paths for case in cases):
        with ThreadPoolExecutor(_THREADS) as pool:  # decoding releases Python's lock
            yield from pool.map(scan_case, cases)
        return
    batches = (cases[start : start + _BATCH] for start in range(0, len(cases), _BATCH))
    workers = Parallel(n_jobs=cpu_count(), return_as="generator", batch_size=1, pre_dispatch="4*n_jobs")
    try:
        for scans in workers(delayed(_batch)(batch) for batch in batches):
            yield from scans
    finally:
        # They would wait for more work for minutes, each with the memory of its libraries.
        get_reusable_executor().shutdown(wait=False, kill_workers=True)


def _batch(cases: Iterable[Case]) -> list[list[Scan]]:
    return [scan_case(case) for case in cases]


def _kept(store: ScanStore, fresh: Sequence[tuple[Case, list[Scan]]], began: float) -> ScanStore | None:
    try:
        store.add(fresh, began=began)
        return store
    except OSError as error:
        print(f"what is seen of the files cannot be kept ({error.strerror or error})", flush=True)
        return None
