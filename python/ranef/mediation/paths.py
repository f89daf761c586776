"""How effects follow from the coefficients of two models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._typing import Array
from ..errors import UnsupportedError
from ..inference.mediation.averaged import AveragedPaths, Mediated, discrete, expected, normal
from ..inference.mediation.effects import LinearPaths, Paths
from .levels import contrast_of, filled, mediator_steps, moderator
from .roles import Role, variable

__all__ = ["NOTHING", "Question", "Rows", "paths_of", "rows_of"]

#: Largest probability that a count may exceed the largest value considered.
TAIL = 1e-8
#: Change of a row, relative to its size, that counts as none.
NOTHING = 1e-9


@dataclass(frozen=True)
class Question:
    """What is asked of two models."""

    treatment: str
    mediator_name: str
    contrast: tuple[Any, Any] | None = None
    at: Mapping[str, Any] | None = None
    part: str | None = None
    joint: bool = False


@dataclass(frozen=True)
class Rows:
    """Rows of both models under control and treatment.

    Attributes
    ----------
    mediator : ndarray of shape (2, n, p_mediator)
        Rows of the mediator's model.
    changes, rest : ndarray of shape (2, n, p_outcome)
        Change of the outcome's rows by a unit of the mediator, and rows at zero of it.
    contrast : tuple
        Control and treatment.
    frames : tuple of dict
        Columns under control and under treatment.
    """

    mediator: Array
    changes: Array
    rest: Array
    contrast: tuple[Any, Any]
    frames: tuple[dict[str, Any], dict[str, Any]]


def rows_of(mediator: Role, outcome: Role, question: Question) -> Rows:
    """Encode the outcome's data under control and treatment.

    Raises
    ------
    ValueError
        If a model does not use the treatment, or the outcome's not the mediator.
    UnsupportedError
        If the outcome's model is not linear in the mediator.
    """
    columns = dict(outcome.columns)
    for name, value in (question.at or {}).items():
        held = variable(outcome, columns, name, "at")
        columns[name] = filled(held, moderator(held, name, value))
        if name in (question.treatment, question.mediator_name):
            raise ValueError(f"at= is for moderators, and {name!r} is treatment or mediator")
    treated = variable(outcome, columns, question.treatment, "treatment")
    middle = variable(outcome, columns, question.mediator_name, "mediator_name")
    contrast = contrast_of(treated, question.treatment, question.contrast)
    steps, origin, length = mediator_steps(middle, question.mediator_name)
    frames, X, changes, rest = [], [], [], []
    for value in contrast:
        frame = {**columns, question.treatment: filled(treated, value)}
        rows = [outcome.rows({**frame, question.mediator_name: step}) for step in steps]
        change = rows[1] - rows[0]
        rounding = 8.0 * np.finfo(float).eps * np.abs(rows[-1]).max()
        if len(rows) > 2 and not near(rows[2] - rows[1], change, rounding):
            raise UnsupportedError(
                f"the outcome's model is not linear in {question.mediator_name!r}, so that the "
                "effect of the mediator is not a single slope; write it as a linear term, alone "
                "or in "
                "interactions"
            )
        change = change / length
        X.append(mediator.rows(frame))
        changes.append(change)
        rest.append(rows[0] - origin[:, None] * change)
        frames.append(frame)
    check_used(mediator, outcome, question, X, changes)
    return Rows(np.array(X), np.array(changes), np.array(rest), contrast, (frames[0], frames[1]))


def near(a: Array, b: Array, rounding: float = 0.0) -> bool:
    """Return whether two changes are equal up to rounding."""
    size = max(np.abs(b).max(), 1e-300)
    return bool(np.allclose(a, b, rtol=1e-7, atol=1e-9 * size + rounding))


def check_used(
    mediator: Role, outcome: Role, question: Question, X: Sequence[Array], changes: Sequence[Array]
) -> None:
    """Refuse models that do not have the paths."""
    if not np.any(np.abs(X[1] - X[0]) > NOTHING * np.abs(X[0]).max(axis=0)):
        raise ValueError(
            f"the mediator's model, for {mediator.parts.design.response!r}, does not use the "
            f"treatment {question.treatment!r}, so that nothing can go through the mediator"
        )
    if not np.any(changes):
        raise ValueError(
            f"the outcome's model, for {outcome.parts.design.response!r}, does not use the "
            f"mediator {question.mediator_name!r}"
        )


def paths_of(mediator: Role, outcome: Role, rows: Rows, question: Question) -> Paths:
    """Choose the arithmetic: cross products where both models are linear, averages elsewhere."""
    if mediator.is_linear and outcome.is_linear:
        return LinearPaths.of_rows(rows.mediator, rows.changes, rows.rest)
    variances = [
        (mediator.random_variance(frame), outcome.random_variance(frame)) for frame in rows.frames
    ]
    check_slopes(outcome, rows, question)
    keys = [(t, of) for t in (0, 1) for of in (0, 1)]
    places, weights, first = collapsed(rows, variances)
    spread = [(m[first], y[first]) for m, y in variances]
    means = {
        (t, of): mediated(mediator, outcome, question, spread[of][0], spread[t][1])
        for t, of in keys
    }
    return AveragedPaths(*places, weights, means)


def check_slopes(outcome: Role, rows: Rows, question: Question) -> None:
    """Refuse a nonlinear outcome whose random effects depend on the mediator."""
    if outcome.is_linear:
        return
    steps, _, _ = mediator_steps(outcome.columns[question.mediator_name], question.mediator_name)
    frame = rows.frames[0]
    here, there = (
        outcome.random_variance({**frame, question.mediator_name: step}) for step in steps[:2]
    )
    if not near(there, here):
        raise UnsupportedError(
            f"slopes of {question.mediator_name!r} vary between groups in a model with the link "
            f"{outcome.link!r}, and mean outcomes then have no simple form; leave these slopes out "
            "of the outcome's model"
        )


def collapsed(
    rows: Rows, variances: Sequence[tuple[Array, Array]]
) -> tuple[tuple[Array, Array, Array], Array, Any]:
    """Keep one of each set of identical rows, with their share."""
    n = rows.mediator.shape[1]
    blocks = [*rows.mediator, *rows.changes, *rows.rest]
    whole = np.column_stack([*blocks, *(v for pair in variances for v in pair)])
    _, first, counts = np.unique(whole, axis=0, return_index=True, return_counts=True)
    kept = tuple(block[:, first] for block in (rows.mediator, rows.changes, rows.rest))
    return (kept[0], kept[1], kept[2]), counts / n, first


def mediated(
    mediator: Role, outcome: Role, question: Question, of_mediator: Array, of_outcome: Array
) -> Mediated:
    """Mean outcomes for the distribution that the mediator's model gives the mediator."""
    if outcome.is_linear:
        return expected(outcome.inverse, mediator.inverse, of_mediator, of_outcome)
    if mediator.is_linear:
        spread = of_mediator + residual_variance(mediator)
        return normal(outcome.inverse, spread, of_outcome)
    family, design = mediator.family, mediator.parts.design
    if not family.support.discrete or (family.has_trials and design.weights is not None):
        raise UnsupportedError(
            f"a mediator that is {family.label} with a link, before an outcome with the link "
            f"{outcome.link!r}, is not available; mediators may be normal, binary, or counts"
        )
    if family.has_trials:
        values = np.array([0.0, 1.0])

        def chances(eta: Array) -> Array:
            p = mediator.inverse(eta)
            return np.column_stack([1.0 - p, p])
    else:
        values = np.arange(2.0 * float(design.y.max()) + 20.0)
        params = family.params(dispersion_of(mediator))

        def chances(eta: Array) -> Array:
            logs = family.need("logpdf")(values[None, :], mediator.inverse(eta)[:, None], params)
            p = np.exp(logs)
            return np.asarray(p / p.sum(axis=1, keepdims=True))

    return discrete(outcome.inverse, chances, values, of_mediator, of_outcome)


def dispersion_of(role: Role) -> float:
    """Dispersion of a generalised model; 1 where it has none."""
    found = getattr(role.parts.estimate, "dispersion", None)
    return 1.0 if found is None else float(found)


def residual_variance(role: Role) -> float:
    """Residual variance of a linear model."""
    return float(role.parts.estimate.sigma) ** 2
