"""A fitted model in other units of a predictor: exact algebra, no search."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from .. import _core
from .._typing import Array
from ..design.design import Design, RandomTerm
from ..design.frame import Frame
from ..errors import DataError, ModelError, listed
from ..models import lmm
from ..models.lmm import LmmEstimate
from .optimum.em import lower_factor

__all__ = ["Recoding", "read_recoding", "recoded_data", "reexpress", "renamed"]


#: Relative error that a column may keep after it is written in the others, to count as spanned.
SPANNED = 1e-7
ALLOWED = (ast.Expression, ast.BinOp, ast.UnaryOp, ast.Name, ast.Load, ast.Constant)
OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.USub, ast.UAdd)


@dataclass(frozen=True)
class Recoding:
    """A new predictor, new = a + b old.

    Attributes
    ----------
    new, old : str
        Names of the columns.
    text : str
        The expression, b not zero.
    """

    new: str
    old: str
    text: str

    def __call__(self, values: Any) -> Any:
        """Compute the new predictor, rounded just as the caller's own arithmetic would be."""
        return eval(self.text, {"__builtins__": {}}, {self.old: values})


def read_recoding(new: str, text: str) -> Recoding:
    """Read an affine expression of one column, such as ``"2008 + occasion / 2"``.

    Raises
    ------
    ValueError
        If it is not arithmetic, names no column or several, or is not affine in its column.
    """
    try:
        tree = ast.parse(text, mode="eval")
    except SyntaxError:
        raise ValueError(f"{text!r} is not an arithmetic expression") from None
    nodes = list(ast.walk(tree))
    if any(not isinstance(node, ALLOWED + OPERATORS) for node in nodes):
        raise ValueError(f"{text!r} must be made of numbers, one column, and + - * /")
    names = sorted({node.id for node in nodes if isinstance(node, ast.Name)})
    if len(names) != 1:
        raise ValueError(f"{text!r} must name one column; it names {names or 'none'}")
    recoding = Recoding(new, names[0], text.strip())
    try:
        at = [float(recoding(x)) for x in (0.0, 1.0, -7.0)]
    except ZeroDivisionError:
        at = [0.0] * 3
    a, b = at[0], at[1] - at[0]
    if abs(at[2] - (a - 7.0 * b)) > 1e-12 * (abs(a) + abs(b)) or b == 0.0:
        raise ValueError(f"{text!r} is not a constant plus a multiple of {names[0]!r}")
    return recoding


def renamed(formula: str, old: str, new: str) -> str:
    """Replace the old column by the new one in a formula."""
    text = re.sub(rf"(?<![\w.`]){re.escape(old)}(?![\w.`(])", new, formula)
    return text.replace(f"`{old}`", f"`{new}`")


def recoded_data(frame: Frame, recoding: Recoding) -> pd.DataFrame:
    """Return the caller's columns with the new predictor among them."""
    column = frame.series(recoding.old)
    if not pd.api.types.is_numeric_dtype(column.dtype):
        raise DataError(f"{recoding.old!r} is not numeric, so it has no units", recoding.old)
    columns: dict[str, Any] = {name: frame.series(name) for name in frame.names}
    columns[recoding.new] = recoding(column)
    return pd.DataFrame(columns, index=frame.index)


def reexpress(old: Design, estimate: LmmEstimate, new: Design) -> tuple[_core.Lmm, LmmEstimate]:
    """Carry an estimate over to a design whose columns are combinations of the old ones.

    Parameters
    ----------
    old, estimate
        The fit.
    new : Design
        The same rows and groups in other units.

    Returns
    -------
    core : Lmm
        Kernel of the new design.
    estimate : LmmEstimate
        At Sigma_new = T Sigma T' for z_old b = z_new T b; nothing is searched, since the model is
        the same.

    Raises
    ------
    ModelError
        If the new columns do not span the old ones, or a term without correlations would need some.
    """
    core = lmm.kernel(new)
    _check_same(old, new)
    factors = tuple(
        _carried(old, new, (before, after), block)
        for before, after, block in zip(old.random, new.random, estimate.lambda_, strict=True)
    )
    at = lmm.evaluate(new, core, factors, reml=estimate.reml)
    return core, _with_verdict(at, estimate)


def _check_same(old: Design, new: Design) -> None:
    """Refuse other responses, weights, offsets and fixed parts that span another space."""
    changed = ""
    if not np.array_equal(old.y, new.y):
        changed = f"response {old.response!r}"
    elif old.weights is not None and not np.array_equal(old.weights, _given(new.weights)):
        changed = "weights"
    elif old.offset is not None and not np.array_equal(old.offset, _given(new.offset)):
        # What the fixed part spans, its coefficients take up.
        moved = (_given(new.offset) - old.offset)[:, None]
        changed = "offset" if _solved(new.X, moved) is None else ""
    if changed:
        raise ModelError(f"the {changed} would change, so this is another model")
    if old.X.shape != new.X.shape or _solved(old.X, new.X) is None:
        raise ModelError(
            "the fixed part spans another space in the new units, so this is another model; it has "
            "to be fitted again. A formula with an intercept for every slope keeps its space."
        )


def _given(values: Array | None) -> Array:
    """Return weights or an offset that the same formula had before."""
    assert values is not None
    return values


def _carried(
    old: Design, new: Design, terms: tuple[RandomTerm, RandomTerm], lambda_: Array
) -> Array:
    """Return the relative covariance factor of one term in the new units."""
    before, after = terms
    T = _coordinates(old.z(before), new.z(after))
    label = f"({listed(before.names)} | {before.group})"
    if T is None:
        raise ModelError(
            f"{label} spans another space in the new units, so this is another model; give its "
            "slopes an intercept, or fit it again"
        )
    carried = T @ lambda_
    sigma = carried @ carried.T
    # What each element adds to the variance of the responses, whatever the units.
    norms = np.linalg.norm(new.z(after), axis=0)
    added = np.abs(sigma) * np.outer(norms, norms)
    apart = np.ones_like(sigma, dtype=bool)
    out = np.zeros_like(carried, order="F")
    for block in after.blocks:
        index = np.ix_(block, block)
        apart[index] = False
        out[index] = lower_factor(carried[list(block)])
    if (added > 1e-8 * np.diag(added).max())[apart].any():
        raise ModelError(
            f"{label} has no correlations, and in the new units it would need some: leaving them "
            "out means something else there. Fit it with a single bar, or again in the new units."
        )
    return out


def _coordinates(old: Array, new: Array) -> Array | None:
    """Return T with old = new T, or None where there is none.

    Solved in the direction whose matrix is better conditioned: columns far from zero are written
    in columns near it, not the other way round.
    """
    if old.shape != new.shape:
        return None
    if _condition(old) <= _condition(new):
        back = _solved(old, new)
        if back is None:
            return None
        # Inverted between columns of length one, lest the largest unit's rounding swamp the others.
        size, became = np.linalg.norm(old, axis=0), np.linalg.norm(new, axis=0)
        scaled = size[:, None] * back / became
        return np.asarray(np.linalg.pinv(scaled, rcond=1e-14) * size / became[:, None])
    return _solved(new, old)


def _condition(A: Array) -> float:
    return float(np.linalg.cond(A / np.linalg.norm(A, axis=0)))


def _solved(A: Array, B: Array) -> Array | None:
    """Least squares A C = B, or None where it leaves more than rounding."""
    scale = np.linalg.norm(A, axis=0)
    C = np.linalg.lstsq(A / scale, B, rcond=None)[0] / scale[:, None]
    left = np.linalg.norm(A @ C - B, axis=0)
    return C if bool((left < SPANNED * np.linalg.norm(B, axis=0)).all()) else None


def _with_verdict(at: LmmEstimate, fitted: LmmEstimate) -> LmmEstimate:
    """Keep the verdict of the original fit's search."""
    return replace(
        at,
        converged=fitted.converged,
        status=fitted.status,
        decrement=fitted.decrement,
        cone=fitted.cone,
        n_objective=fitted.n_objective,
        n_gradient=fitted.n_gradient,
        path=fitted.path,
    )
