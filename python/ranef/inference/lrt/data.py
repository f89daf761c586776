"""Whether models rest on the same rows, response and weights, and if not, how they differ."""

from __future__ import annotations

import numpy as np

from ..._counted import counted
from ...design.design import Design

__all__ = ["counted_difference", "data_difference"]


def data_difference(first: Design, other: Design) -> str | None:
    """Describe how the data of two models differ.

    Parameters
    ----------
    first, other : Design
        The designs of the two models.

    Returns
    -------
    str or None
        A clause about ``other`` compared with ``first``, and what to do; None when they agree.
    """
    if first.n_obs != other.n_obs:
        return _row_counts(first, other)
    if not np.array_equal(first.y, other.y):
        return _responses(first, other)
    if _other_rows(first, other):
        return (
            f"uses other rows of the data ({_losses(other)}) than the first ({_losses(first)}). "
            "Fit all models on the rows that are complete for every one of them"
        )
    if not np.array_equal(_weights(first), _weights(other)):
        return (
            "has other weights than the first, so that its likelihood is that of another error "
            "distribution. Fit all models with the same weights"
        )
    return None


def counted_difference(first: Design, other: Design, n_first: int, n_other: int) -> str | None:
    """Describe how the data of two models differ, where one or both keep distinct rows.

    Which rows are distinct depends on the columns of each model, so responses are compared by the
    sums of their powers.

    Parameters
    ----------
    first, other : Design
        The designs of the two models; the weights are counts.
    n_first, n_other : int
        Rows that each model rests on.
    """
    if n_first != n_other:
        return (
            f"rests on {counted(n_other, 'row')}, the first on {n_first}. Fit all models on the "
            "same data, without the rows that have missing values for any of them"
        )
    if first.response != other.response or not np.allclose(
        _powers(first), _powers(other), rtol=1e-10, atol=0.0
    ):
        return _responses(first, other)
    return None


def _powers(design: Design) -> list[float]:
    """Total of the weights, and sums of the response and its square under them."""
    weights = _weights(design)
    return [float(weights @ design.y**power) for power in range(3)]


def _row_counts(first: Design, other: Design) -> str:
    """Different numbers of rows, with what each lost."""
    columns = sorted({**first.dropped, **other.dropped})
    advice = (
        f"data.dropna(subset={columns!r}) before fitting gives all models the same rows"
        if columns
        else "Fit all models on the same data"
    )
    return (
        f"rests on {counted(other.n_obs, 'row')} ({_losses(other)}), the first on {first.n_obs} "
        f"({_losses(first)}). {advice}"
    )


def _responses(first: Design, other: Design) -> str:
    """Different responses: another expression, or other values."""
    if first.response != other.response:
        return (
            f"has the response {other.response}, the first {first.response}: likelihoods of "
            "different responses are densities on different scales. Use one response in all models"
        )
    if np.array_equal(np.sort(first.y), np.sort(other.y)):
        return "has the same rows in another order than the first. Fit all models on one data frame"
    return (
        f"has other values of {other.response} than the first: the rows or the response differ "
        f"({_losses(other)}; the first {_losses(first)}). Fit all models on the same rows"
    )


def _other_rows(first: Design, other: Design) -> bool:
    """Whether two designs take different rows of frames of equal length."""
    if first.n_data != other.n_data or (first.rows is None and other.rows is None):
        return False
    every = np.arange(first.n_data)
    mine = every if first.rows is None else first.rows
    theirs = every if other.rows is None else other.rows
    return not np.array_equal(mine, theirs)


def _losses(design: Design) -> str:
    """State what a design lost to missing values."""
    if not design.dropped:
        return "none lost to missing values"
    lost = design.n_data - design.n_obs
    where = ", ".join(f"{column} ({count})" for column, count in design.dropped.items())
    return f"{lost} lost to missing values in {where}"


def _weights(design: Design) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Precision weights, ones when there are none."""
    return np.ones(design.n_obs) if design.weights is None else design.weights
