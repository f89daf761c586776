"""What a simulation study draws from: a grid of settings, data sets and parameters."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._typing import Array
from ..design.aligned import matrix_by_name
from ..design.design import Design
from ..design.frame import did_you_mean, open_frame
from ..design.values import read_codes
from ..errors import DataError
from ..fitted.glmm.model import GeneralizedLinearMixedModel
from ..fitted.lmm.model import LinearMixedModel
from ..inference.study import Truth
from ..models.glmm.estimate import GlmmSpec

__all__ = ["Axes", "Pilot", "Setting", "extended", "read_scale", "read_truth", "used_columns"]

#: Models whose parameters a study may take.
Pilot = LinearMixedModel | GeneralizedLinearMixedModel


@dataclass(frozen=True)
class Setting:
    """One point of the grid, under the names of the tables' columns.

    Attributes
    ----------
    named : dict
        Values by column name.
    options : dict
        Arguments of the functions that make data and parameters.
    params : dict of str to float
        Fixed effects that this setting states.
    levels, within : dict of str to int
        Levels of grouping columns, and rows of each level.
    sigma, dispersion : float or None
        Residual standard deviation, or dispersion, that this setting states.
    """

    named: dict[str, Any]
    options: dict[str, Any]
    params: dict[str, float]
    levels: dict[str, int]
    within: dict[str, int]
    sigma: float | None
    dispersion: float | None = None


@dataclass(frozen=True)
class Axes:
    """What varies: every argument may hold lists, which are crossed.

    Attributes
    ----------
    settings : mapping of str to values
        Arguments of the functions.
    params, levels, within : mapping of str to values
        Fixed effects, levels of grouping columns, rows of each level.
    sigma, dispersion : float or sequence of float, optional
        Residual standard deviation, or dispersion of a generalised model.
    """

    settings: Mapping[str, Any]
    params: Mapping[str, Any]
    levels: Mapping[str, Any]
    within: Mapping[str, Any]
    sigma: Any
    dispersion: Any = None

    def grid(self) -> list[Setting]:
        """Cross all lists."""
        keys: list[tuple[str, str]] = []
        values: list[list[Any]] = []
        for kind in ("settings", "levels", "within", "params"):
            for name, given in getattr(self, kind).items():
                keys.append((kind, name))
                values.append(listed(given, f"{kind}[{name!r}]"))
        for name in ("sigma", "dispersion"):
            if getattr(self, name) is not None:
                keys.append((name, name))
                values.append(listed(getattr(self, name), name))
        return [self.setting(keys, values, point) for point in itertools.product(*values)]

    @staticmethod
    def setting(
        keys: Sequence[tuple[str, str]], values: Sequence[list[Any]], point: Sequence[Any]
    ) -> Setting:
        """Name one point; what does not vary is no column, unless it is an argument."""
        parts: dict[str, dict[str, Any]] = {
            kind: {} for kind in ("settings", "levels", "within", "params", "sigma", "dispersion")
        }
        labels = {"levels": "n_{}", "within": "rows_{}", "params": "beta_{}"}
        named = {}
        for (kind, name), axis, value in zip(keys, values, point, strict=True):
            parts[kind][name] = value
            if len(axis) > 1 or kind in ("settings", "levels", "within"):
                named[labels.get(kind, "{}").format(name)] = value
        return Setting(
            named,
            parts["settings"],
            parts["params"],
            parts["levels"],
            parts["within"],
            parts["sigma"].get("sigma"),
            parts["dispersion"].get("dispersion"),
        )


def listed(values: Any, name: str) -> list[Any]:
    """Take one value or several as a list."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        return [values]
    found = list(values)
    if not found:
        raise ValueError(f"{name} is empty; pass a value or several")
    return found


def called(argument: Any, options: Mapping[str, Any]) -> Any:
    """Call a function with the settings that it has parameters for; return anything else."""
    if not callable(argument):
        return argument
    parameters = inspect.signature(argument).parameters.values()
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters):
        return argument(**options)
    return argument(**{p.name: options[p.name] for p in parameters if p.name in options})


def used_columns(data: Any, rows: NDArray[np.intp] | None = None) -> dict[str, pd.Series[Any]]:
    """Return the columns of a frame, on some of its rows."""
    frame = open_frame(data)
    names = [name for name in frame.names if isinstance(name, str)]
    columns = {name: frame.series(name) for name in names}
    if rows is None:
        return columns
    return {name: column.iloc[rows] for name, column in columns.items()}


def extended(
    columns: Mapping[str, pd.Series[Any]],
    levels: Mapping[str, int],
    within: Mapping[str, int],
    groups: Iterable[str],
) -> dict[str, pd.Series[Any]]:
    """Give a design the requested number of levels of a grouping column, or rows of each level.

    Levels are taken in order and, once used up, from the first again as new levels;
    so are the rows of a level. A grouping column nested in it gets new levels too.
    """
    out = {name: column.reset_index(drop=True) for name, column in columns.items()}
    for name, count in levels.items():
        out = with_levels(out, name, whole(count, f"levels[{name!r}]", 2), groups)
    for name, count in within.items():
        out = with_rows(out, name, whole(count, f"within[{name!r}]", 1))
    return out


def whole(value: Any, name: str, least: int) -> int:
    """Check a count."""
    if isinstance(value, bool) or value != int(value) or value < least:
        raise ValueError(f"{name} must be a whole number, {least} or more, not {value!r}")
    return int(value)


def rows_by_level(
    columns: Mapping[str, pd.Series[Any]], name: str
) -> tuple[list[NDArray[np.intp]], pd.Index[Any]]:
    """Return the rows of each level of a column, and the levels, in order."""
    if name not in columns:
        raise DataError(
            f"the data have no column {name!r}{did_you_mean(name, columns)}", name, tuple(columns)
        )
    codes, labels = read_codes(columns[name], name)
    present = np.unique(codes[codes >= 0])
    order = np.argsort(codes, kind="stable")
    bounds = np.searchsorted(codes[order], [*present, len(labels)])
    rows = [order[a:b] for a, b in itertools.pairwise(bounds)]
    return rows, labels[present]


def with_levels(
    columns: Mapping[str, pd.Series[Any]], name: str, count: int, groups: Iterable[str]
) -> dict[str, pd.Series[Any]]:
    """Take ``count`` levels of a column, in turn."""
    rows, _ = rows_by_level(columns, name)
    copy, level = np.divmod(np.arange(count), len(rows))
    taken = np.concatenate([rows[i] for i in level])
    copies = np.repeat(copy, [len(rows[i]) for i in level])
    out = {key: column.iloc[taken].reset_index(drop=True) for key, column in columns.items()}
    nested = [g for g in groups if g != name and g in columns and is_nested(columns, g, name)]
    for key in [name, *nested]:
        if copies.any():
            text = out[key].astype(str)
            suffix = pd.Series(copies).map(lambda k: f"#{k + 1}" if k else "")
            out[key] = text + suffix
    return out


def is_nested(columns: Mapping[str, pd.Series[Any]], inner: str, outer: str) -> bool:
    """Return whether each level of a column lies within one level of another."""
    pairs = pd.DataFrame({"inner": columns[inner], "outer": columns[outer]}).drop_duplicates()
    return bool(pairs["inner"].is_unique)


def with_rows(
    columns: Mapping[str, pd.Series[Any]], name: str, count: int
) -> dict[str, pd.Series[Any]]:
    """Take ``count`` rows of each level of a column, in turn."""
    rows, _ = rows_by_level(columns, name)
    taken = np.concatenate([np.resize(found, count) for found in rows])
    return {key: column.iloc[taken].reset_index(drop=True) for key, column in columns.items()}


def read_truth(
    design: Design,
    pilot: Pilot | None,
    params: Mapping[str, float],
    varcorr: Mapping[str, Any] | None,
    sigma: float,
) -> Truth:
    """Join stated parameters with those of a fitted model, in the order of a design."""
    for name in params:
        if name not in design.fixed_names:
            hint = did_you_mean(name, design.fixed_names)
            known = ", ".join(design.fixed_names)
            raise ValueError(f"params has {name!r}{hint}; the coefficients are {known}")
    fitted = {} if pilot is None else pilot.params.fillna(0.0).to_dict()
    beta = [float(params.get(name, fitted.get(name, 0.0))) for name in design.fixed_names]
    fitted_cov: dict[str, Any] = {} if pilot is None else dict(pilot.varcorr)
    groups = [term.group for term in design.random]
    stated = {**fitted_cov, **(varcorr or {})}
    for group in stated:
        if group not in groups:
            raise ValueError(f"varcorr has {group!r}; the grouping factors are {', '.join(groups)}")
    cov = []
    for term in design.random:
        if term.group not in stated:
            raise ValueError(
                f"varcorr lacks {term.group!r}: give standard deviations or a covariance matrix of "
                f"{', '.join(term.names)}"
            )
        cov.append(covariance(stated[term.group], term.group, term.names))
    return Truth(np.array(beta), tuple(cov), sigma)


def read_scale(
    spec: GlmmSpec | None, pilot: Pilot | None, sigma: float | None, dispersion: float | None
) -> float:
    """Read the residual standard deviation, or the dispersion of a generalised model.

    Raises
    ------
    ValueError
        When it is not given, not above zero, or given to a family that has none.
    """
    if spec is not None and sigma is not None:
        raise ValueError(
            f"sigma is the residual standard deviation of a linear model; a {spec.family} model "
            + ("has dispersion= instead" if spec.has_dispersion else "has none")
        )
    if dispersion is not None and (spec is None or not spec.has_dispersion):
        raise ValueError(
            "dispersion is the size of a negative binomial family or the dispersion of a gamma; "
            + ("a linear model has sigma=" if spec is None else f"{spec.family} has none")
        )
    if spec is not None and not spec.has_dispersion:
        return 1.0
    name = "sigma, the residual standard deviation," if spec is None else "dispersion"
    value = sigma if spec is None else dispersion
    if value is None and pilot is None:
        raise ValueError(f"{name} is not given")
    if value is None:
        value = pilot.sigma if spec is None else pilot.parts.estimate.dispersion  # type: ignore[union-attr]
    if not float(value) > 0.0 or np.isinf(value):
        raise ValueError(f"{name.split(',')[0]} must be a number above zero, not {value}")
    return float(value)


def labelled(given: Any, group: str, names: Sequence[str]) -> Any:
    """Put labelled values in the order of the names."""
    role = f"varcorr[{group!r}]"
    if isinstance(given, pd.Series) and not given.index.equals(pd.RangeIndex(len(given))):
        if set(given.index) != set(names) or len(given) != len(names):
            raise ValueError(f"{role} must be labelled by {', '.join(names)}")
        return given[list(names)]
    return matrix_by_name(given, names, role)


def covariance(given: Any, group: str, names: Sequence[str]) -> Array:
    """Read standard deviations, or a covariance matrix, of one grouping factor."""
    values = np.asarray(labelled(given, group, names), dtype=np.float64)
    k = len(names)
    if values.ndim < 2:
        sds = np.atleast_1d(values)
        if len(sds) != k or not (sds >= 0.0).all():
            raise ValueError(
                f"varcorr[{group!r}] needs {k} standard deviations, not negative, for "
                f"{', '.join(names)}, or a {k} x {k} covariance matrix"
            )
        return np.diag(sds**2)
    symmetric = values.shape == (k, k) and np.allclose(values, values.T, rtol=1e-8, atol=1e-12)
    if not symmetric or np.linalg.eigvalsh(values)[0] < -1e-8 * max(np.abs(values).max(), 1e-300):
        raise ValueError(
            f"varcorr[{group!r}] must be a covariance matrix ({k} x {k}, symmetric, no negative "
            f"eigenvalue) of {', '.join(names)}"
        )
    return values
