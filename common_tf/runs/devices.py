"""Training on several devices: one process a device, here or on several machines."""

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from common_tf.errors import UserError

LOST = 75
"""Exit code of a process whose fellow is gone (EX_TEMPFAIL)."""

_CLUSTER = "TF_CONFIG"
_LAUNCHED = "CTMRI_LAUNCHED"
"""Set for processes that `_run_processes` has started."""
_GRACE, _GRACE_AFTER_DEATH = 60.0, 10.0
"""Seconds in which the others end by themselves once one has ended, or was killed."""


def add_devices_flag(parser: argparse.ArgumentParser) -> None:
    """``--devices``, for `train_on_devices`."""
    parser.add_argument(
        "--devices",
        type=_devices,
        default="auto",
        metavar="auto|N|cpu",
        help="share each step among N devices (GPUs; without any, N processes on this CPU); auto takes as many GPUs as "
        "divide the batch, cpu leaves them alone (default: %(default)s)",
    )


def train_on_devices(
    train: Callable[[], bool], *, devices: str, batch_size: int, script: str, arguments: Sequence[str]
) -> None:
    """Trains in this process alone, in this one as one of several, or in several that it starts.

    Call it before TensorFlow's first operation.

    Args:
        train: says whether the training is complete; False where the user stopped it.
        devices: value of ``--devices``.
        batch_size: images of a step.
        script: the file to start again for each device.
        arguments: its command line.

    Raises:
        UserError: devices that are not there, a batch that they cannot divide, a cluster that makes no sense, a process
            that is gone; or what ``train`` raises.
        KeyboardInterrupt: stopped by the user.
        SystemExit: with the code of processes that were started and did not end well.
    """
    cluster = _cluster(os.environ)
    if cluster is not None:
        done = _train_as_one_of(train, *cluster, devices=devices, batch_size=batch_size)
    elif (count := _wanted(devices, batch_size)) > 1:
        print(
            f"devices: {count} processes, {batch_size // count} of the {batch_size} images of a step each", flush=True
        )
        if code := _run_processes(count, script, arguments):
            sys.exit(code)
        done = True
    else:
        done = train()
    if not done:
        raise KeyboardInterrupt


def _train_as_one_of(
    train: Callable[[], bool], addresses: Sequence[str], index: int, *, devices: str, batch_size: int
) -> bool:
    from common_tf.replicas import LostProcess, as_replica

    launched = _LAUNCHED in os.environ
    if launched:
        threading.Thread(target=_stop_with_launcher, daemon=True).start()
    elif devices not in ("auto", "cpu"):
        raise UserError(f"--devices {devices}: with {_CLUSTER} each process is one device; leave the flag out")
    with as_replica(_join(addresses, index, batch_size=batch_size, gpu=devices != "cpu")) as mine:
        try:
            with contextlib.ExitStack() as stack:
                if not mine.is_first:
                    # The first says it all.
                    silence = stack.enter_context(open(os.devnull, "w"))
                    stack.enter_context(contextlib.redirect_stdout(silence))
                done = train()
            # Nobody leaves before the first has written its last file.
            mine.barrier()
        except LostProcess:
            if launched:
                # The launcher says it, with the reason of whoever ended first.
                sys.stdout.flush()
                os._exit(LOST)
            raise
    return done


def _devices(text: str) -> str:
    if text not in ("auto", "cpu") and not (text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"{text}: wants auto, cpu, or a number of devices")
    return text


def _wanted(devices: str, batch_size: int) -> int:
    """How many processes to start; 1 for none beside this."""
    import tensorflow as tf

    from common_tf.replicas import refuse_undivided

    if devices == "1":
        return 1
    if devices == "cpu":
        tf.config.set_visible_devices([], "GPU")
        return 1
    gpus = len(tf.config.list_physical_devices("GPU"))
    if devices == "auto":
        count = max((n for n in range(1, gpus + 1) if batch_size % n == 0), default=1)
        if count < gpus:
            print(f"devices: {count} of {gpus} GPUs, for they share a step; a larger --batch-size takes more")
        return count
    count = int(devices)
    if gpus and count > gpus:
        raise UserError(f"--devices {count}: there are {gpus} GPUs; take as many at most, or --devices cpu")
    refuse_undivided(batch_size, count)
    return count


def _cluster(environment: Mapping[str, str]) -> tuple[list[str], int] | None:
    """The addresses of all processes and the number of this one; ``None`` where it is alone."""
    text = environment.get(_CLUSTER, "")
    if not text.strip():
        return None
    try:
        given = json.loads(text)
        cluster, task = given.get("cluster", {}), given.get("task", {})
        roles = {role: list(addresses) for role, addresses in cluster.items()}
        others = sorted(set(roles) - {"chief", "worker"})
        addresses = [*roles.get("chief", []), *roles.get("worker", [])]
        index = int(task.get("index", 0)) + (len(roles.get("chief", [])) if task.get("type") == "worker" else 0)
        wrong = f"has tasks of the kind {', '.join(others)}" if others else ""
        if not wrong and len(addresses) > 1 and (task.get("type") not in roles or not 0 <= index < len(addresses)):
            wrong = "does not say which of its tasks this is"
    except (ValueError, TypeError, AttributeError) as error:
        wrong = f"cannot be read ({error})"
    if wrong:
        raise UserError(f"{_CLUSTER}: {wrong}; it wants workers (a chief may be among them) and this one's task")
    return (addresses, index) if len(addresses) > 1 else None


def _join(addresses: Sequence[str], index: int, *, batch_size: int, gpu: bool) -> Any:
    import tensorflow as tf

    from common_tf.replicas import JoinedReplicas

    gpus = tf.config.list_physical_devices("GPU") if gpu else []
    if len(gpus) > 1:
        raise UserError(
            f"this process sees {len(gpus)} GPUs, and each computes on one; start one process a GPU, each with its own "
            "CUDA_VISIBLE_DEVICES"
        )
    if not gpu:
        tf.config.set_visible_devices([], "GPU")
    if _LAUNCHED not in os.environ:
        words = f"number {index + 1} of {len(addresses)}, {batch_size} images in a step of all"
        print(f"devices: waiting for {', '.join(addresses)}; this is {words}", flush=True)
    tf.get_logger().setLevel("ERROR")
    kinds = tf.distribute.experimental.CommunicationImplementation
    options = tf.distribute.experimental.CommunicationOptions(implementation=kinds.NCCL if gpus else kinds.RING)
    # It waits for the others where no Python runs; without this Ctrl-C would have to wait too.
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)
    finally:
        signal.signal(signal.SIGINT, before)
    return JoinedReplicas(strategy, index=index, batch_size=batch_size)


def _run_processes(count: int, script: str, arguments: Sequence[str]) -> int:
    """Starts a process for each device, waits, and returns the exit code of the first.

    Only the first one speaks. When one is gone the others cannot go on, and end.
    """
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    processes: list[subprocess.Popen] = []

    def pass_on(number: int, _: Any) -> None:
        for process in processes[:1]:
            process.send_signal(number)

    with contextlib.ExitStack() as stack:
        for wish in (signal.SIGINT, signal.SIGTERM):
            stack.callback(signal.signal, wish, signal.signal(wish, pass_on))
        words = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(count)]
        for index, cluster in enumerate(cluster_environments(count)):
            device = _device_of(index)
            process = subprocess.Popen(  # noqa: S603
                [sys.executable, script, *arguments],
                env={**os.environ, **cluster, **device, _LAUNCHED: "1"},
                # A process notices the end of its input when its launcher is gone, however that ended.
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL if index else None,
                stderr=words[index] if index else None,
                # Ctrl-C on a terminal would reach all of them, each at another step.
                start_new_session=True,
            )
            processes.append(process)
            if not device and len(cores) >= count:
                os.sched_setaffinity(process.pid, cores[index::count])
        number, code = _first_to_fail(processes)
        first = processes[0].returncode
        if first in (0, 1, 2, 128 + signal.SIGINT, -signal.SIGINT, -signal.SIGTERM):
            return first if first >= 0 else 128 - first
        words[number].seek(0)
        said = " ".join(words[number].read().decode(errors="replace").split())[-400:]
        how = f"signal {-code}" if code < 0 else f"code {code}"
        raise UserError(
            f"the process of device {number + 1} of {count} ended ({how}{': ' + said if said else ''}); the same "
            "command continues from the last save"
        )


def _first_to_fail(processes: Sequence[subprocess.Popen]) -> tuple[int, int]:
    """Waits for all; the number and exit code of the one whose end ended the rest, or of the first."""
    found, deadline = None, float("inf")
    while any(process.poll() is None for process in processes):
        ended = [(number, one.returncode) for number, one in enumerate(processes) if one.poll() is not None]
        # Of those that end at once the one to name did not leave for want of another.
        bad = [one for one in ended if one[1] not in (0, LOST)]
        if bad and found is None:
            found = bad[0]
        if ended and deadline == float("inf"):
            soon = any(code < 0 or code == LOST for _, code in ended)
            deadline = time.monotonic() + (_GRACE_AFTER_DEATH if soon else _GRACE)
        if time.monotonic() > deadline:
            for process in processes:
                process.kill()
        time.sleep(0.05)
    ended = [(number, one.returncode) for number, one in enumerate(processes)]
    return found or next((one for one in ended if one[1] not in (0, LOST)), ended[0])


def cluster_environments(count: int) -> list[dict[str, str]]:
    """What each of several processes on this machine must find in its environment to meet the others."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("localhost", 0))
        workers = [f"localhost:{one.getsockname()[1]}" for one in sockets]
    tasks = ({"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}} for index in range(count))
    return [{_CLUSTER: json.dumps(task)} for task in tasks]


def _device_of(index: int) -> dict[str, str]:
    """The environment in which a process sees one GPU."""
    import tensorflow as tf

    if not tf.config.list_physical_devices("GPU"):
        return {}
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return {"CUDA_VISIBLE_DEVICES": visible.split(",")[index] if visible else str(index)}


def _stop_with_launcher() -> None:
    os.read(sys.stdin.fileno(), 1)
    os.kill(os.getpid(), signal.SIGTERM)
