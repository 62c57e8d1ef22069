"""Work done by a Dask cluster: one of our own processes, or one that is there already, with memory that stays flat.

Only a few jobs are handed over at a time and every result is forgotten as soon as it was told, so neither this process
nor the scheduler remembers how many there were.
"""

from __future__ import annotations

import itertools
import logging
import traceback
from asyncio import CancelledError
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from scenarios.errors import ScenarioError
from scenarios.workers import Message

if TYPE_CHECKING:
    from distributed import Client, Future

_LOCAL = {
    # Diaries of the scheduler and the workers: by default they keep the last 100 000 transitions.
    "distributed.admin.low-level-log-length": 1000,
    "distributed.admin.log-length": 100,
    "distributed.admin.system-monitor.interval": "5s",
    "distributed.admin.system-monitor.log-length": 100,
    "distributed.diagnostics.computations.max-history": 1,
    "distributed.worker.profile.enabled": False,
    # A worker inside a long compiled loop does not answer; it is no less alive.
    "distributed.scheduler.worker-ttl": None,
}
_JOBS_A_CORE = 4  # handed over at a time: enough that no worker waits for the next
_AT_LEAST = 8
_JOBS_A_LOOK = 50
_KIND = "run-"  # the scheduler remembers every kind of key for good; this makes all keys one kind
_PATIENCE_S = "10s"


@contextmanager
def open_cluster(scheduler: str | None, workers: int) -> Iterator[Client]:
    """Yield a client of an existing scheduler, or of a cluster of processes that ends with the block.

    Args:
        scheduler: address, e.g. ``tcp://10.0.0.1:8786``; None makes a cluster on this machine.
        workers: processes of a cluster of our own.

    Raises:
        ScenarioError: nobody answers at the address.
    """
    import dask
    from distributed import Client, LocalCluster

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    if scheduler is not None:
        try:
            client = Client(scheduler, timeout=_PATIENCE_S, set_as_default=False)
        except (OSError, TimeoutError, ValueError):
            raise ScenarioError("--scheduler", scheduler, "the address of a running Dask scheduler") from None
        with client:
            yield client
        return
    with (
        dask.config.set(_LOCAL),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            memory_limit=None,
            dashboard_address=":0",  # any port: another cluster on this machine may have the usual one
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


def work_through(client: Client, work: Callable[[Any], Any], jobs: Iterable[tuple[str, Any]]) -> Iterator[Message]:
    """Yield one message for every job, as they end.

    Args:
        client: of the cluster.
        work: importable function of one argument, with a small result.
        jobs: (unique key, argument) pairs, taken from the iterable as they are needed.

    Yields:
        "done" with the result, or "failed" with a traceback; ``job`` counts the jobs taken.
    """
    from distributed import as_completed

    waiting = enumerate(jobs)
    running: dict[str, int] = {}
    completed = as_completed(loop=client.loop)

    def hand_over(ahead: int) -> None:
        for number, (key, argument) in itertools.islice(waiting, max(0, ahead - len(running))):
            running[_KIND + key] = number
            completed.add(client.submit(work, argument, key=_KIND + key, pure=False))

    ahead = _ahead(client)
    hand_over(ahead)
    for told, future in enumerate(completed, start=1):
        number = running.pop(future.key)
        message = _message(number, future)
        future.release()
        if told % _JOBS_A_LOOK == 0:
            ahead = _ahead(client)
        hand_over(ahead)
        yield message


def _message(number: int, future: Future) -> Message:
    """Return what became of a job. If its worker died before it could tell, the job is done again and waited for.

    Raises:
        ScenarioError: the scheduler is gone.
    """
    try:
        return Message(number, "done", future.result())
    except CancelledError:
        raise ScenarioError("Dask scheduler", "lost", "one that lasts; the same command goes on") from None
    except Exception as error:
        return Message(number, "failed", "".join(traceback.format_exception_only(error)))


def _ahead(client: Client) -> int:
    """Return how many jobs to have handed over: a cluster that is there already may grow."""
    return max(_AT_LEAST, _JOBS_A_CORE * sum(client.nthreads().values()))
