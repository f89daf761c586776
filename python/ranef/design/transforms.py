"""The functions and modules that a formula's expressions may use."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from formulaic.materializers.types import FactorValues
from formulaic.transforms import basis_spline as formulaic_bs
from formulaic.transforms import cyclic_cubic_spline, natural_cubic_spline
from formulaic.transforms import poly as formulaic_poly
from formulaic.transforms.contrasts import ContrastsRegistry
from formulaic.transforms.patsy_compat import PATSY_COMPAT_TRANSFORMS
from formulaic.utils.stateful_transforms import stateful_transform
from numpy.typing import ArrayLike, NDArray

from .._counted import counted
from .splines import natural_spline

__all__ = ["BUILTINS", "CONTEXT", "MODULES", "Marked", "is_stateful"]


F = TypeVar("F", bound=Callable[..., Any])
stateful: Callable[[F], F] = stateful_transform


@dataclass(frozen=True)
class Marked:
    """Values that ``C()`` marked as categorical."""

    values: Any
    contrasts: Any
    levels: Iterable[Any] | None
    spans_intercept: bool


def categorical(
    values: Any,
    contrasts: Any = None,
    *,
    levels: Iterable[Any] | None = None,
    spans_intercept: bool = True,
) -> Marked:
    """Mark values as categorical, with contrasts and an order of levels if wanted."""
    return Marked(values, contrasts, levels, spans_intercept)


def identity(values: Any) -> Any:
    """Shield an expression from the formula's operators."""
    return values


@stateful
def scale(
    x: ArrayLike,
    center: bool | float = True,
    scale: bool | float = True,
    ddof: int = 1,
    _state: dict[str, Any] | None = None,
) -> NDArray[np.float64]:
    """Centre and divide by the standard deviation, ignoring missing values."""
    state = {} if _state is None else _state
    values = np.asarray(x, dtype=np.float64)
    if "center" not in state:
        state["center"] = chosen(center, 0.0, float(np.nanmean(values)))
        shifted = values - state["center"]
        root = np.sqrt(np.nansum(shifted**2) / (np.sum(~np.isnan(values)) - ddof))
        state["scale"] = chosen(scale, 1.0, float(root))
    result: NDArray[np.float64] = (values - state["center"]) / state["scale"]
    return result


def chosen(asked: bool | float, off: float, on: float) -> float:
    """Read an option that is a switch or the number itself."""
    if isinstance(asked, bool):
        return float(on if asked else off)
    return float(asked)


@stateful
def center(x: ArrayLike, _state: dict[str, Any] | None = None) -> Any:
    """Subtract the mean."""
    return scale(x, scale=False, _state=_state)


@stateful
def standardize(
    x: ArrayLike,
    center: bool = True,
    rescale: bool = True,
    ddof: int = 0,
    _state: dict[str, Any] | None = None,
) -> Any:
    """Centre and scale with patsy's defaults."""
    return scale(x, center=center, scale=rescale, ddof=ddof, _state=_state)


@stateful
def poly(
    x: ArrayLike, degree: int = 1, raw: bool = False, _state: dict[str, Any] | None = None
) -> Any:
    """Return orthogonal polynomials as R's ``poly``, or powers, numbered from 1."""
    values = np.asarray(x, dtype=np.float64)
    distinct = len(np.unique(values[~np.isnan(values)])) if not _state else degree + 1
    if degree < 1 or (degree >= distinct and not raw):
        raise ValueError(f"degree {degree} needs more than {counted(distinct, 'distinct value')}")
    out = formulaic_poly(values, degree, raw=raw, _state=_state)
    names = tuple(range(1, degree + 1))
    return FactorValues(np.asarray(out), column_names=names)


@stateful
def bs(
    x: ArrayLike,
    df: int | None = None,
    knots: Any = None,
    degree: int = 3,
    include_intercept: bool = False,
    lower_bound: float | None = None,
    upper_bound: float | None = None,
    extrapolation: str = "raise",
    intercept: bool = False,
    _state: dict[str, Any] | None = None,
) -> Any:
    """Return the B-spline basis of R's ``bs``; missing values stay missing."""
    values = np.asarray(x, dtype=np.float64)
    basis = formulaic_bs(
        values,
        df=df,
        knots=knots,
        degree=degree,
        include_intercept=include_intercept or intercept,
        lower_bound=lower_bound,
        upper_bound=upper_bound,
        extrapolation=extrapolation,
        _state=_state,
    )
    gaps = np.isnan(values)
    columns = {label: np.where(gaps, np.nan, column) for label, column in basis.items()}
    return FactorValues(columns, metadata=basis.__formulaic_metadata__)


@stateful
def ns(
    x: ArrayLike,
    df: int | None = None,
    knots: Any = None,
    intercept: bool = False,
    boundary_knots: Any = None,
    _state: dict[str, Any] | None = None,
) -> Any:
    """Return the natural cubic spline basis of R's ``ns``."""
    state = {} if _state is None else _state
    basis = natural_spline(
        np.asarray(x, dtype=np.float64),
        state,
        df=df,
        knots=knots,
        intercept=intercept,
        boundary=boundary_knots,
    )
    columns = dict(enumerate(basis.T, 1))
    return FactorValues(columns, kind="numerical", spans_intercept=intercept, drop_field=1)


def cbind(*columns: ArrayLike) -> NDArray[np.float64]:
    """Lay columns side by side, such as counts of successes and of failures."""
    return np.column_stack([np.asarray(column, dtype=np.float64) for column in columns])


def is_stateful(name: str) -> bool:
    """Return whether a function remembers something of the data it first saw."""
    return getattr(CONTEXT.get(name), "__is_stateful_transform__", False)


#: Modules, whose name followed by a dot always means the module.
MODULES = {"np": np, "contr": ContrastsRegistry}

CONTEXT: dict[str, Any] = {
    **MODULES,
    **{
        n: getattr(np, n) for n in ["log", "log10", "log2", "log1p", "exp", "exp2", "expm1", "sqrt"]
    },
    **{n: getattr(np, n) for n in ["sin", "cos", "tan", "tanh", "arctan", "sign", "floor", "pi"]},
    **{n: PATSY_COMPAT_TRANSFORMS[n] for n in ("Treatment", "Poly", "Sum", "Helmert", "Diff")},
    "C": categorical,
    "factor": categorical,
    "I": identity,
    "bs": bs,
    "cbind": cbind,
    "cc": cyclic_cubic_spline,
    "cr": natural_cubic_spline,
    "cs": natural_cubic_spline,
    "ns": ns,
    "poly": poly,
    "center": center,
    "scale": scale,
    "standardize": standardize,
}

BUILTINS = {
    n: getattr(builtins, n)
    for n in [
        "abs",
        "bool",
        "float",
        "int",
        "len",
        "max",
        "min",
        "pow",
        "range",
        "round",
        "str",
        "sum",
    ]
}
