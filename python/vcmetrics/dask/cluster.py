"""The cluster: the caller's, the one that is active, or one on this machine; and tasks run on it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count
from typing import Any
from uuid import uuid4

from distributed import Client, LocalCluster, as_completed, get_client, get_worker, wait

import dask
from dask import delayed
from vcmetrics.backend.memory import spending
from vcmetrics.backend.threads import resolve_threads

Progress = Callable[[int, int], None]
_numbers = count()
_run = uuid4().hex[:8]  # tasks of two processes on one cluster must not share names


@contextlib.contextmanager
def active_client(client: Client | None) -> Iterator[Client]:
    """The client given, else the active one, else that of a cluster on this machine, one worker a core."""
    if client is None:
        try:
            client = get_client()
        except ValueError:
            with (
                LocalCluster(n_workers=resolve_threads(None), threads_per_worker=1, dashboard_address=":0") as local,
                Client(local) as own,
            ):
                yield own
            return
    yield client


def n_threads(client: Client) -> int:
    """Threads of all workers; 1 before the first has come."""
    return max(1, sum(int(n) for n in client.nthreads().values()))


def task(function: Callable[..., Any], *args: Any) -> Any:
    """A task to be computed; its name shows on the dashboard."""
    whole = partial(bounded, function)
    key = f"vcmetrics-{function.__name__.strip('_')}-{_run}-{next(_numbers)}"
    return delayed(whole, pure=False, traverse=False)(*args, dask_key_name=key)


def bounded(function: Callable[..., Any], *args: Any) -> Any:
    """Run a task within half of what its worker has for each of its threads."""
    try:
        worker = get_worker()
    except ValueError:  # run without a cluster
        return function(*args)
    limit = worker.memory_manager.memory_limit
    with spending(limit // (2 * worker.state.nthreads) if limit else None):
        return function(*args)


def broadcast(client: Client, one: Any) -> Any:
    """The result of a task on every worker: tasks that take it may run anywhere, and it outlives all workers but one.

    It is made again where the last copy is lost.
    """
    future = client.compute(one)
    wait(future)
    if future.status == "finished":  # of an error whoever takes the result hears
        client.replicate([future])
    return future


def constant(value: Any) -> Any:
    """A value that many tasks take: sent once, and again to whoever takes over from a worker that is lost."""
    return delayed(value, name=f"vcmetrics-constant-{_run}-{next(_numbers)}", traverse=False)


def compute(
    client: Client,
    tasks: Sequence[Any],
    take: Callable[[int, Any], None],
    *,
    weights: Sequence[int] | None = None,
    progress: Progress | None = None,
) -> None:
    """Compute all tasks; ``take(k, result)`` as each is done, in any order.

    What lost workers had done is done again by others. ``progress(done, total)`` counts ``weights``. At an error the
    rest is cancelled.
    """
    weights = [1] * len(tasks) if weights is None else weights
    total, done = sum(weights), 0
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TiB"}):
        futures = client.compute(list(tasks))
    numbers = {future.key: k for k, future in enumerate(futures)}
    try:
        for future, result in as_completed(futures, with_results=True):
            k = numbers[future.key]
            take(k, result)
            future.release()
            done += weights[k]
            if progress is not None:
                progress(done, total)
    except BaseException:
        client.cancel(futures)
        raise


def results(client: Client, tasks: Sequence[Any], **how: Any) -> list[Any]:
    """Results of all tasks, in order."""
    out: list[Any] = [None] * len(tasks)
    compute(client, tasks, out.__setitem__, **how)
    return out
