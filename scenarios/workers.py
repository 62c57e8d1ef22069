"""Worker processes that do independent jobs and report progress; one that dies takes no other down."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from scenarios.errors import ScenarioError

Report = Callable[[Any], None]
Work = Callable[[Any, Report], Any]

_ASK_AGAIN_S = 2.0


def cores() -> int:
    """Return how many cores this process may use, which can be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class Message:
    """Something a job said.

    Attributes:
        job: index of the job.
        kind: "progress", "done", "refused" (bad input) or "failed" (anything else).
        content: progress or result as the job gave it; for "refused" the ScenarioError, for "failed" a traceback.
    """

    job: int
    kind: str
    content: Any


def run_jobs(work: Work, jobs: Sequence[Any], workers: int, preload: Sequence[str] = ()) -> Iterator[Message]:
    """Yield messages of all jobs as they come; returning or raising out of the loop stops what still runs.

    Args:
        work: importable function ``(job, report) -> result``.
        jobs: picklable job descriptions.
        workers: number of processes.
        preload: modules every worker will need.
    """
    method = "forkserver" if sys.platform.startswith("linux") else "spawn"
    context = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload(list(preload))
    running: dict[Connection, tuple[BaseProcess, int]] = {}
    waiting = list(range(len(jobs)))
    idle: list[tuple[BaseProcess, Connection]] = []
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                process, pipe = idle.pop() if idle else _start(context, work)
                job = waiting.pop(0)
                pipe.send((job, jobs[job]))
                running[pipe] = (process, job)
            for ready in wait(list(running)):
                assert isinstance(ready, Connection)
                process, job = running[ready]
                message = _receive(ready, job, process)
                if message.kind != "progress":
                    del running[ready]
                    if process.is_alive():
                        idle.append((process, ready))
                yield message
    finally:
        for process, pipe in idle:
            pipe.close()  # told that nothing follows, it leaves by itself
            process.join()
        for process, _ in running.values():
            _end(process)


def _start(context: Any, work: Work) -> tuple[BaseProcess, Connection]:
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(work, theirs), daemon=True)
    process.start()
    theirs.close()
    return process, ours


def _end(process: BaseProcess) -> None:
    """Ask a worker to leave until it does: what is raised where Python ignores errors (``__del__``) asks in vain."""
    while process.is_alive():
        process.terminate()
        process.join(_ASK_AGAIN_S)


def _receive(pipe: Connection, job: int, process: BaseProcess) -> Message:
    try:
        received: Message = pipe.recv()
        return received
    except (EOFError, ConnectionError):
        process.join()
        return Message(job, "failed", f"the worker process died (exit code {process.exitcode})")


def _serve(work: Work, pipe: Connection) -> None:
    """Do jobs until the other end closes. The keyboard's interrupt is for the parent, which then ends us.

    Ended, we leave through the exit, so that a half-written folder is removed on the way.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.unraisablehook = _say_unless_leaving
    while True:
        try:
            job, description = pipe.recv()
        except (EOFError, ConnectionError):
            return

        def report(content: Any, job: int = job) -> None:
            pipe.send(Message(job, "progress", content))

        pipe.send(_answer(work, job, description, report))


def _say_unless_leaving(ignored: Any) -> None:
    """Say what error Python ignored, unless it is our exit, which will be asked for again."""
    if not issubclass(ignored.exc_type, SystemExit):
        sys.__unraisablehook__(ignored)


def _answer(work: Work, job: int, description: Any, report: Report) -> Message:
    try:
        return Message(job, "done", work(description, report))
    except ScenarioError as error:
        return Message(job, "refused", error)
    except Exception:
        return Message(job, "failed", traceback.format_exc())
