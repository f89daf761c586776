"""Engines that run pieces of work elsewhere: pools, Dask, Ray and Spark.

Nothing is scheduled here. An engine takes a function and pieces of work, and returns results in
the order of the pieces, so that sums over them are the same for any number of workers.
"""

from __future__ import annotations

import pickle
import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from itertools import islice
from typing import Any, Protocol, TypeVar

from ..errors import RanefWarning

__all__ = ["FRAMES", "GROUPED", "Run", "column_names", "frame_kind", "run_tasks"]

T = TypeVar("T")

#: Pieces submitted at a time, so that results do not pile up.
IN_FLIGHT = 32
#: How often a piece is tried again when its worker dies.
RETRIES = 3


class Run(Protocol):
    """Apply a function to the frames of each part of some data; results in the parts' order."""

    def __call__(self, function: Callable[[Iterator[Any]], T]) -> Iterator[T]:
        """Return the results."""


# ------------------------------------------------------------------ executors


class RayTasks(Executor):
    """Ray's tasks as an executor; Ray itself repeats tasks whose worker dies."""

    def __init__(self, ray: Any):
        self.ray = ray
        self.store: dict[int, tuple[Any, Any]] = {}

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Start a task."""
        task = self.ray.remote(call).options(max_retries=RETRIES)
        future: Future[T] = task.remote(self.shared(fn), args, kwargs).future()
        return future

    def shared(self, fn: Any) -> Any:
        """Put a function and its bound arguments into Ray's store, once."""
        if id(fn) not in self.store:
            self.store[id(fn)] = fn, self.ray.put(fn)
        return self.store[id(fn)][1]


def call(function: Callable[..., T], args: Any, kwargs: Any) -> T:
    """Call a function in a Ray worker."""
    return function(*args, **kwargs)


def is_ray(asked: Any) -> bool:
    """Return whether an executor is Ray itself."""
    return getattr(asked, "__name__", None) == "ray" and hasattr(asked, "remote")


def can_start(asked: Any) -> bool:
    """Return whether an object is a function or class that starts executors."""
    return callable(asked) and (isinstance(asked, type) or not hasattr(asked, "submit"))


@contextmanager
def started(asked: Any) -> Iterator[Executor]:
    """Return a plain executor; one started here is shut down here."""
    if is_ray(asked):
        yield RayTasks(asked)
    elif can_start(asked):
        with asked() as executor:
            yield executor
    elif hasattr(asked, "get_executor"):
        yield asked.get_executor(pure=False, retries=RETRIES)
    elif hasattr(asked, "submit"):
        yield asked
    else:
        raise TypeError(
            f"executor is a {type(asked).__name__}; pass a concurrent.futures.Executor, a function "
            "that starts one, a dask.distributed.Client, or the module ray"
        )


def run_tasks(asked: Any, function: Callable[[Any], T], tasks: Iterable[Any]) -> Iterator[T]:
    """Apply a function to each task on an executor; results in order.

    Parameters
    ----------
    asked : Executor, callable, Client or module
        A ``concurrent.futures.Executor``, a function that starts one, a
        ``dask.distributed.Client``, or the module ``ray``.
    function : callable
        Applied to each task; must pickle.
    tasks : iterable
        The pieces of work.

    Yields
    ------
    object
        Result of each task.

    Warns
    -----
    RanefWarning
        When a worker's death broke the executor. Dask and Ray replace workers themselves. A
        function that starts executors is asked for another one, up to three times. With an executor
        that cannot be replaced the rest is done in this process.
    """
    source = iter(tasks)
    waiting: deque[Any] = deque()
    for attempts_left in reversed(range(RETRIES + 1)):
        try:
            with started(asked) as executor:
                try:
                    yield from window(executor, function, waiting, source)
                except BrokenExecutor:
                    release(executor)
                    raise
            return
        except BrokenExecutor as error:
            again = attempts_left > 0 and can_start(asked)
            follows = "another pool goes on" if again else "the rest is done in this process"
            warnings.warn(RanefWarning(f"a worker died ({error}); {follows}"), stacklevel=2)
            if not again:
                break
    while waiting:
        yield function(waiting.popleft())
    yield from map(function, source)


def release(executor: Executor) -> None:
    """Let a pool of processes end, one of which was killed.

    Before Python 3.11.5 a pool that was sending a piece of work at that moment waits for a reader
    forever, and so does its shutdown, or the interpreter's (python/cpython#94777). Without a reader
    the sending fails, as later versions ensure.
    """
    queue = getattr(executor, "_call_queue", None)
    if queue is not None and sys.version_info < (3, 11, 5):
        queue._reader.close()  # noqa: SLF001 - there is no public way


def window(
    executor: Executor, function: Callable[[Any], T], waiting: deque[Any], source: Iterator[Any]
) -> Iterator[T]:
    """Keep some tasks in flight; ``waiting`` holds every task without a result yet."""
    running: deque[Future[T]] = deque()
    try:
        while True:
            while len(running) < IN_FLIGHT:
                if len(running) == len(waiting):
                    waiting.extend(islice(source, 1))
                if len(running) == len(waiting):
                    break
                running.append(executor.submit(function, waiting[len(running)]))
            if not running:
                return
            result = running[0].result()
            running.popleft()
            waiting.popleft()
            yield result
    finally:
        for future in running:
            future.cancel()


# ------------------------------------------------------------------ frames that live elsewhere


def dask_parts(frame: Any, names: list[str]) -> Run:
    """Run on the partitions of a Dask dataframe, by the scheduler that Dask would use."""

    def run(function: Callable[[Iterator[Any]], T]) -> Iterator[T]:
        dask: Any = import_module("dask")
        delayed = dask.delayed(partial(on_one, function), pure=False)
        parts = [delayed(part) for part in frame[names].to_delayed()]
        return iter(dask.compute(*parts))

    return run


def on_one(function: Callable[[Iterator[Any]], T], frame: Any) -> T:
    """Apply a function of frames to one frame."""
    return function(iter([frame]))


def spark_parts(frame: Any, names: list[str]) -> Run:
    """Run on the partitions of a Spark dataframe by ``mapInPandas``."""

    def run(function: Callable[[Iterator[Any]], T]) -> Iterator[T]:
        chosen = frame.select(*(f"`{name}`" for name in names))
        rows = chosen.mapInPandas(partial(pickled_frames, function), "result binary").collect()
        return (pickle.loads(row["result"]) for row in rows)

    return run


def pickled_frames(
    function: Callable[[Iterator[Any]], Any], frames: Iterator[Any]
) -> Iterator[Any]:
    """Apply a function to a partition's frames and return its result as a frame of bytes."""
    import pandas as pd

    yield pd.DataFrame({"result": [pickle.dumps(function(frames))]})


def ray_parts(data: Any, names: list[str]) -> Run:
    """Run on the blocks of a Ray dataset by ``map_batches``."""

    def run(function: Callable[[Iterator[Any]], T]) -> Iterator[T]:
        blocks = data.select_columns(names).map_batches(
            partial(pickled_block, function), batch_size=None, batch_format="pandas"
        )
        return (pickle.loads(row["result"]) for row in blocks.iter_rows())

    return run


def pickled_block(function: Callable[[Iterator[Any]], Any], block: Any) -> Any:
    """Apply a function to a block and return its result as a frame of bytes."""
    return next(pickled_frames(function, iter([block])))


#: Package and class of frames whose parts live elsewhere: their columns, and how to run on them.
FRAMES: dict[str, Callable[[Any, list[str]], Run]] = {
    "dask.DataFrame": dask_parts,
    "pyspark.DataFrame": spark_parts,
    "ray.Dataset": ray_parts,
}


#: The same where the rows of a group, by columns, are brought together first.
GROUPED: dict[str, Callable[[Any, list[str], list[str]], Run]] = {
    "dask.DataFrame": lambda data, names, by: dask_parts(data[names].shuffle(on=by), names),
    "pyspark.DataFrame": lambda data, names, by: spark_parts(data.repartition(*by), names),
    "ray.Dataset": lambda data, names, by: ray_parts(
        data.select_columns(names).repartition(max(data.num_blocks(), 1), keys=by), names
    ),
}


def frame_kind(data: Any) -> str | None:
    """Name the kind of a frame whose parts live elsewhere; None for any other object."""
    for base in type(data).__mro__:
        package = base.__module__.split(".")[0].replace("dask_expr", "dask")
        if f"{package}.{base.__name__}" in FRAMES:
            return f"{package}.{base.__name__}"
    return None


def column_names(data: Any) -> list[str]:
    """Return the names of the columns of such a frame."""
    names = data.columns
    return list(names() if callable(names) else names)
