"""One design, many responses: options, design, tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from formulaic.utils.constraints import LinearConstraints
from numpy.typing import NDArray

from .. import design as designs
from .._counted import counted
from .._options import check_option
from ..design.aligned import by_name, check_rows, side_by_side
from ..design.design import Design
from ..design.frame import Frame, open_frame
from ..errors import DataError, FormulaError, UnsupportedError
from ..formula import like, parse
from ..models.batch.estimate import Contrast
from ..models.batch.kinship import check_kinship, is_kinship

__all__ = [
    "STAND_IN",
    "check_covariance",
    "check_ddf",
    "check_left",
    "read_matrix_weights",
    "read_tests",
    "shared_design",
]


#: The response of the shared design; no column of a frame has that name by accident.
STAND_IN = "the batch's response"


def check_ddf(ddf: str) -> None:
    """Refuse unknown kinds of degrees of freedom."""
    check_option("ddf", ddf, ("residual", "inf", "satterthwaite"))


def check_covariance(spec: Any, W: Any, ddf: str) -> None:
    """Refuse what cannot be combined with a known covariance.

    Raises
    ------
    UnsupportedError
        With what to do instead.
    """
    if spec is not None:
        raise UnsupportedError(
            "fit_many(covariance=) is for normal responses; fit counts one at a time by "
            "ranef.glmer(covariance=)"
        )
    if W is not None:
        raise UnsupportedError(
            "fit_many(covariance=) decomposes one covariance for all responses, which weights of "
            "their own would change; pass one column of weights"
        )
    if ddf == "satterthwaite":
        raise UnsupportedError(
            "Satterthwaite's degrees of freedom are not available with covariance= in a batch; "
            "use ddf='residual', or batch.fit(name).coef_table()"
        )


def read_matrix_weights(
    weights: Any, frame: Frame, names: pd.Index[Any] | None
) -> NDArray[np.floating[Any]] | None:
    """Return weights that differ between responses, None for one column of weights."""
    weights = side_by_side(weights, "weights")
    check_rows(weights, "weights", frame.index, frame.n_rows)
    if weights is None or isinstance(weights, str) or np.ndim(weights) != 2:
        return None
    if names is None:
        raise UnsupportedError(
            "a matrix of weights needs responses that are all known beforehand, not an iterator"
        )
    W = np.asarray(columns_by_name(weights, names), dtype=np.float64)
    shape = (frame.n_rows, len(names))
    if W.shape != shape:
        raise DataError(f"weights have the shape {W.shape} and responses {shape}", "weights")
    bad = np.flatnonzero((W <= 0.0).any(axis=0) | np.isinf(W).any(axis=0))
    if len(bad):
        raise DataError(
            f"weights must be finite and above zero; they are not in column {bad[0]}"
            + (f" and {len(bad) - 1} more" if len(bad) > 1 else ""),
            "weights",
        )
    return W


def check_left(formula: str, names: pd.Index[Any] | None) -> None:
    """Refuse a response in the formula that is not among the responses of the batch.

    Raises
    ------
    FormulaError
        With what to write instead.
    """
    left = str(formula).rpartition("~")[0].strip().strip("`")
    if left and "(" not in left and "~" not in left and (names is None or left not in names):
        raise FormulaError(
            f"{left!r} would not be fitted: a batch takes its responses from the argument "
            "responses. Leave the left side of the formula empty, as in ~ x + (1 | g), and name "
            f"{left!r} among the responses if it is one",
            str(formula),
        )


def columns_by_name(weights: Any, names: pd.Index[Any]) -> Any:
    """Put the columns of weights in the order of the responses, if they share names."""
    if not isinstance(weights, pd.DataFrame) or weights.columns.equals(names):
        return weights
    if len(weights.columns) != len(names):
        return weights  # its shape is refused
    if weights.columns.is_unique and names.isin(weights.columns).all():
        return weights[list(names)]
    if names.equals(pd.RangeIndex(len(names))):
        return weights  # responses that have no names
    raise DataError(
        f"the columns of weights are called {weights.columns[0]!r}, ..., and the responses "
        f"{names[0]!r}, ...; call them alike, or give weights.to_numpy() to go by position",
        "weights",
    )


def shared_design(
    formula: str,
    data: Any,
    n: int,
    weights: Any,
    offset: Any,
    contrasts: Any,
    covariance: Any = None,
) -> Design:
    """Build the design that all responses share; its own response is zero."""
    text = str(formula)
    left, tilde, right = text.rpartition("~")
    if not tilde:
        raise FormulaError("a formula needs a ~; write ~ x + (1 | g)", text)
    left = left.strip().strip("`")
    if "(" in left or "~" in left:
        raise FormulaError(
            "responses are fitted as they are given; transform them first and leave the left side "
            "of the formula empty",
            text,
        )
    formula_ = parse(like(f"`{STAND_IN}` ~ {right}", formula))
    frame = open_frame(data)
    check_rows(weights, "weights", frame.index, frame.n_rows)
    check_rows(offset, "offset", frame.index, frame.n_rows)
    named = {argument for argument in (weights, offset) if isinstance(argument, str)}
    columns: dict[str, Any] = {
        name: frame.series(name)
        for name in dict.fromkeys(frame.names)
        if isinstance(name, str) and (name in right or name in named)
    }
    columns[STAND_IN] = np.zeros(n)
    design = designs.build(
        formula_,
        columns,
        weights=weights,
        offset=offset,
        contrasts=contrasts,
        missing="drop",
        covariance=covariance,
        smooths=True,
    )
    if is_kinship(design):
        check_kinship(design)
    return design


def read_tests(tests: Sequence[Any], names: Sequence[str], ddf: str) -> tuple[Contrast, ...]:
    """Read linear hypotheses over the coefficients."""
    if isinstance(tests, str):
        tests = [tests]
    out: list[Contrast] = []
    for test in tests:
        label, spec = test if isinstance(test, tuple) else (None, test)
        if not isinstance(spec, str):
            spec = np.atleast_2d(np.asarray(by_name(spec, names, "a test"), dtype=np.float64))
            if spec.shape[1] != len(names):
                raise ValueError(
                    f"a test has {counted(spec.shape[1], 'column')} for "
                    f"{counted(len(names), 'coefficient')}: {', '.join(names)}"
                )
            label = label or f"test {len(out) + 1}"
        try:
            parsed = LinearConstraints.from_spec(spec, variable_names=list(names))
        except Exception as error:
            raise ValueError(
                f"the test {spec!r} cannot be read ({error}); the coefficients are "
                f"{', '.join(names)}, those with other characters than letters in backquotes"
            ) from None
        rows = np.asarray(parsed.constraint_matrix, dtype=np.float64)
        if len(rows) > 1 and ddf == "satterthwaite":
            raise UnsupportedError(
                f"Satterthwaite's degrees of freedom of a test of {len(rows)} rows are not "
                "available in a batch; use ddf='residual', or test its rows one by one"
            )
        values = np.broadcast_to(np.asarray(parsed.constraint_values, float), (len(rows),))
        out.append(Contrast(str(label or spec), rows, values))
    return tuple(out)
