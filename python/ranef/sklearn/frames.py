"""Columns for formulas from scikit-learn's input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_array, validate_data

from ..errors import DataError
from ..formula import parse

__all__ = ["frame_of", "model_text", "quoted"]

#: Name of the response in a formula that has a right side only.
RESPONSE = "y"


def frame_of(estimator: Any, X: Any, *, reset: bool, formula: str | None) -> pd.DataFrame:
    """Return the columns of X by name: those of a frame, or x0, x1, ... of an array.

    Without a formula every column is numeric, without gaps. With one, columns may be text, such as
    the labels of groups, and values may be missing; a fitted formula takes its columns by name, so
    the order of a frame and its other columns do not matter.
    """
    if formula is not None and not reset and by_name(estimator, X):
        renamed: pd.DataFrame = X.rename(columns=str)
        return renamed
    if not hasattr(X, "columns"):
        check_array(X, dtype=None, ensure_all_finite=False)  # one of two dimensions
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    named = hasattr(X, "columns") and hasattr(estimator, "feature_names_in_")
    names = [str(name) for name in X.columns] if named else None
    if formula is None:
        values = numbers_of(X, 2 if reset else 1)
    elif isinstance(X, pd.DataFrame):
        return X.rename(columns=str)
    else:
        values = check_array(X, dtype=None, ensure_all_finite=False)
    columns = names or [f"x{j}" for j in range(values.shape[1])]
    return pd.DataFrame({name: _typed(values[:, j]) for j, name in enumerate(columns)})


def numbers_of(X: Any, rows: int) -> Any:
    """Return X as numbers; name a column of text, which needs a formula."""
    try:
        return check_array(X, dtype="numeric", ensure_min_samples=rows)
    except ValueError as error:
        text = [str(name) for name in getattr(X, "columns", []) if is_text(X[name])]
        if not text:
            raise
        raise DataError(
            f"column {text[0]!r} of X is text; without a formula every column is a number. Write "
            f'a formula, in which {text[0]} may be a factor or a group: "x + (1 | {text[0]})"',
            text[0],
        ) from error


def is_text(column: Any) -> bool:
    """Whether a column holds text, such as labels."""
    return bool(pd.api.types.infer_dtype(column, skipna=True) in ("string", "categorical"))


def by_name(estimator: Any, X: Any) -> bool:
    """Whether X is a frame and the fit saw one too."""
    return isinstance(X, pd.DataFrame) and hasattr(estimator, "feature_names_in_")


def _typed(values: Any) -> Any:
    """Return numbers as double precision, anything else as it is."""
    if values.dtype.kind in "biuf":
        return values.astype(np.float64)
    return pd.Series(values).infer_objects()


def quoted(name: str) -> str:
    """Write the name of a column for a formula."""
    return name if name.isidentifier() else f"`{name}`"


def model_text(formula: str | None, columns: list[str]) -> tuple[str, str]:
    """Return the formula with a response, and the column that the response has.

    Without a formula, all columns are added up.
    """
    response = RESPONSE
    while response in columns:
        response += "_"
    if formula is None:
        return f"{response} ~ {' + '.join(map(quoted, columns))}", response
    left, tilde, right = formula.partition("~")
    if tilde and left.strip():
        text = left.strip()
        own = text.strip("`")
        parse(formula)  # errors of a formula show its place
        return formula, own if own.isidentifier() or text.startswith("`") else response
    return f"{response} ~ {(right if tilde else formula).strip()}", response
