"""Bootstrap of a mediation: groups drawn with replacement, both models refitted."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd

from ..design.frame import to_pandas
from ..errors import RanefError, UnsupportedError
from ..parallel.progress import tracked
from .roles import Role

__all__ = ["resampled"]

#: Estimates of two refitted models.
Measure = Callable[[Any, Any], dict[str, float]]


def resampled(
    mediator: Role,
    outcome: Role,
    measure: Measure,
    seeds: list[np.random.SeedSequence],
    *,
    workers: int,
    progress: bool,
) -> list[dict[str, float] | None]:
    """Measure each resample; None where a fit failed."""
    draw = drawer(mediator, outcome)

    def one(seed: np.random.SeedSequence) -> dict[str, float] | None:
        first, second = draw(np.random.default_rng(seed))
        try:
            return measure(mediator.model.update(data=first), outcome.model.update(data=second))
        except (RanefError, np.linalg.LinAlgError, ValueError):
            return None

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(tracked(each(one, seeds, workers), len(seeds), "resamples", shown=progress))


def each(work: Callable[[Any], Any], items: list[Any], workers: int) -> Iterator[Any]:
    """Results in order."""
    if workers == 1:
        yield from map(work, items)
        return
    pool = ThreadPoolExecutor(workers)
    try:
        yield from pool.map(work, items)
    finally:
        pool.shutdown(cancel_futures=True)


def drawer(
    mediator: Role, outcome: Role
) -> Callable[[np.random.Generator], tuple[pd.DataFrame, pd.DataFrame]]:
    """Return the function that draws groups and returns both models' frames for them."""
    columns = group_columns(outcome) or group_columns(mediator)
    frames = [to_pandas(role.parts.training_data()) for role in (mediator, outcome)]
    if not columns:
        if len(frames[0]) != len(frames[1]):
            raise UnsupportedError(
                "models without groups are resampled by rows; fit both to the same frame"
            )
        return lambda rng: same_rows(frames, rng)
    top, others = columns[0], columns[1:]
    for frame in frames:
        if top not in frame:
            raise UnsupportedError(
                f"groups are drawn by {top!r}, which is not a column of the other model's data"
            )
    places = [frame.groupby(top, observed=True, sort=True).indices for frame in frames]
    labels = sorted(set(places[0]) | set(places[1]), key=str)
    nothing = np.empty(0, np.intp)

    def draw(rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
        chosen = rng.integers(len(labels), size=len(labels))
        out = []
        for frame, place in zip(frames, places, strict=True):
            parts = [place.get(labels[c], nothing) for c in chosen]
            copy = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
            new = frame.iloc[np.concatenate(parts)].reset_index(drop=True)
            for name in (top, *others):
                if name in new:
                    told = new[name].astype(str) + "#" + pd.Series(copy).astype(str)
                    new = new.assign(**{name: told})
            out.append(new)
        return out[0], out[1]

    return draw


def same_rows(
    frames: list[pd.DataFrame], rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw the same rows of both frames."""
    rows = rng.integers(len(frames[0]), size=len(frames[0]))
    first, second = (frame.iloc[rows].reset_index(drop=True) for frame in frames)
    return first, second


def group_columns(role: Role) -> tuple[str, ...]:
    """Columns of the grouping factors, the coarsest first.

    Raises
    ------
    UnsupportedError
        If a factor is crossed with the coarsest.
    """
    terms = sorted(role.parts.design.random, key=lambda term: term.n_levels)
    if not terms:
        return ()
    top = terms[0]
    for term in terms[1:]:
        pairs = np.unique(term.codes.astype(np.int64) * top.n_levels + top.codes)
        if len(pairs) > term.n_levels:
            raise UnsupportedError(
                f"a bootstrap draws independent groups, and {term.group} is crossed with "
                f"{top.group}; use method='montecarlo'"
            )
    names = [name for term in terms for name in term.group.split(":")]
    return tuple(dict.fromkeys(names))
