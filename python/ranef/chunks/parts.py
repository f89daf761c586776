"""Cross products of data in parts, each summed where it is or where there is capacity."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeVar

from ..parallel.engines import FRAMES, Run, column_names, frame_kind, run_tasks
from .files import dataset_chunks
from .sums import Sums

__all__ = ["add_parts", "run_on_frame", "run_on_pieces"]

T = TypeVar("T")


def run_on_frame(data: Any, asks_for: Callable[[str], bool]) -> Run:
    """Run on the parts of a Dask or Spark dataframe or a Ray dataset, where they are."""
    kind = frame_kind(data)
    assert kind is not None
    return FRAMES[kind](data, [name for name in column_names(data) if asks_for(name)])


def run_on_pieces(executor: Any, pieces: Callable[[], Iterator[Any]]) -> Run:
    """Run on pieces, frames or datasets that are read where they are added up."""

    def run(function: Callable[[Iterator[Any]], T]) -> Iterator[T]:
        return run_tasks(executor, partial(on_piece, function), pieces())

    return run


def on_piece(function: Callable[[Iterator[Any]], T], piece: Any) -> T:
    """Apply a function of frames to a frame, or to the chunks of a dataset."""
    if hasattr(piece, "to_batches") and hasattr(piece, "get_fragments"):
        return function(dataset_chunks(piece, lambda name: True)())
    return function(iter([piece]))


def add_parts(sums: Sums, run: Run, again: bool, progress: Callable[[int], object]) -> None:
    """Add up each part on its own, and the parts in their order.

    Parameters
    ----------
    sums : Sums
        What is added to; empty.
    run : callable
        Applies a function to the frames of each part.
    again : bool
        Whether there can be a second run, so that a first one shows the predictors' levels.
    progress : callable
        Called with the rows of each part.
    """
    if again:
        samples = [rows for part in run(partial(sampled, sums)) for rows in part]
        sums.learn(lambda: iter(samples))
    for part in run(partial(summed, copy.deepcopy(sums))):
        sums += part
        progress(part.n_read)


def sampled(empty: Sums, frames: Iterator[Any]) -> list[Any]:
    """Take the rows of a part that show its levels, and those that smooths learn from."""
    return empty.sample(frames).parts()


def summed(empty: Sums, frames: Iterator[Any]) -> Sums:
    """Add up the rows of a part."""
    return copy.deepcopy(empty).add_all(frames, lambda rows: None)
