"""What a structured model requires of its rows, and terms that would be redundant."""

from __future__ import annotations

import numpy as np

from ..._counted import counted
from ..._typing import Array
from ...design.design import INTERCEPT
from ...design.structured import StructuredDesign
from ...errors import DataError, ModelError, listed
from .layout import TIMED, Layout

__all__ = ["check_rows"]


#: How far a time may be from a whole number and still count as one.
WHOLE = 1e-8


def check_rows(
    rows: StructuredDesign, layout: Layout, corr: str, groups: str | None, time: str | None
) -> None:
    """Refuse rows on which the correlation is not defined or cannot be estimated.

    Raises
    ------
    DataError
        If a time occurs twice in a group, or is not a whole number for "ar1".
    ModelError
        If there are no pairs to estimate a correlation from, or a term is redundant.
    """
    if corr == "independence":
        return
    if layout.largest == 1:
        raise ModelError(
            f'every group of {groups!r} has one row, so corr="{corr}" has nothing to correlate; '
            "name a column whose levels have several rows, or leave corr out"
        )
    if corr in TIMED and time is not None:
        _check_times(rows, layout, time)
    if corr == "ar1" and time is not None:
        _check_whole(layout, time)
    if corr == "toeplitz":
        _check_steps(rows, layout, str(time))
    if corr == "unstructured":
        _check_pairs(rows, layout)
    _check_terms(rows, corr, str(groups))


def _check_times(rows: StructuredDesign, layout: Layout, name: str) -> None:
    """Refuse a time that occurs twice in a group."""
    again = (np.diff(layout.cluster) == 0) & (np.diff(layout.place) == 0.0)
    twice = np.flatnonzero(again)
    if len(twice):
        assert rows.time is not None
        group = rows.levels[layout.cluster[twice[0]]]
        value = rows.time[layout.order[twice[0]]]
        raise DataError(
            f"group {group!r} has {name!r} = {value:g} more than once ({len(twice)} repetitions in "
            "all); each row of a group needs its own time",
            name,
        )


def _check_whole(layout: Layout, name: str) -> None:
    """Refuse distances that are not whole numbers."""
    away = np.abs(layout.place - np.round(layout.place))
    bad = int(np.sum(away > WHOLE * np.maximum(1.0, layout.place)))
    if bad:
        raise DataError(
            f'corr="ar1" counts whole steps of time, and {name!r} has other distances in '
            f'{counted(bad, "row")}; use corr="car1", which takes any times, or number the '
            "occasions",
            name,
        )


def _check_steps(rows: StructuredDesign, layout: Layout, name: str) -> None:
    """Refuse times that are not evenly spaced, and numbers of steps that no group has."""
    if rows.time is not None:
        times = np.unique(rows.time)
        steps = (times - times[0]) / np.min(np.diff(times))
        if not np.allclose(steps, np.arange(len(times)), atol=1e-6):
            raise ModelError(
                f'corr="toeplitz" counts equal steps, and the times of {name!r} are not evenly '
                'spaced; use corr="car1" or "unstructured"'
            )
    seen = _seen(layout)
    together = seen.T @ seen
    for k in range(1, layout.n_places):
        if not np.diagonal(together, k).any():
            raise ModelError(
                f"no group has rows {counted(k, 'step')} of time apart, so their correlation "
                "cannot be "
                'estimated; use corr="ar1"'
            )


def _seen(layout: Layout) -> Array:
    """Whether each group has a row at each time, (groups, times)."""
    group = np.unique(layout.cluster, return_inverse=True)[1]
    seen = np.zeros((int(group.max()) + 1, layout.n_places))
    seen[group, layout.place.astype(int)] = 1.0
    return seen


def _check_pairs(rows: StructuredDesign, layout: Layout) -> None:
    """Refuse pairs of times that no group has, and more times than groups can tell."""
    T, seen = layout.n_places, _seen(layout)
    if len(seen) <= T:
        raise ModelError(
            f'corr="unstructured" has {T * (T - 1) // 2} correlations of {T} times, which need '
            f'more than {T} groups; there are {len(seen)}. Use corr="ar1", "toeplitz" or '
            '"exchangeable"'
        )
    apart = np.argwhere(np.triu((seen.T @ seen) == 0.0, 1))
    if len(apart):
        labels = range(T) if rows.time_levels is None else rows.time_levels.tolist()
        a, b = (labels[i] for i in apart[0])
        raise ModelError(
            f"no group has rows at both times {a} and {b}, so their correlation cannot be "
            'estimated; use corr="ar1", "car1" or "exchangeable"'
        )


def _check_terms(rows: StructuredDesign, corr: str, groups: str) -> None:
    """Refuse a random intercept of the groups beside a correlation that includes it."""
    equal = not rows.D.shape[1] and rows.design.weights is None
    for term in rows.design.random:
        plain = term.columns == (INTERCEPT,)
        holds = (plain and equal and corr in ("exchangeable", "toeplitz", "unstructured")) or (
            corr == "unstructured" and not equal
        )
        if holds and np.array_equal(term.codes, rows.cluster):
            raise ModelError(
                f'corr="{corr}" of {groups!r} contains the covariance of ({listed(term.names)} | '
                f"{term.group}) already, so the two cannot be told apart; leave one of them out"
            )
