"""Generalised estimating equations from a formula and a frame."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..design import Design
from ..design.grouped import build_grouped, group_term, times_of
from ..errors import ConvergenceWarning, DataError, ModelError, RanefWarning, RankWarning
from ..fitted.gee.model import GEECall, GEEModel, check_vcov
from ..formula import parse
from ..models import gee as models
from ..models.gee import FAMILIES, LINKS, GeeEstimate, GeeSpec, Sorted
from .feols import check_formula, dropped_rows

__all__ = ["gee"]

Array = NDArray[np.float64]

#: Residuals of this size relative to the response are rounding.
PERFECT = 1e-12

#: Working correlations that need no number.
SIMPLE = ("independence", "exchangeable", "ar1", "unstructured")


def gee(
    formula: str,
    data: Any,
    *,
    groups: str,
    time: str | None = None,
    family: str = "gaussian",
    link: str | None = None,
    corr: Any = "exchangeable",
    vcov: str = "robust",
    weights: Any = None,
    offset: Any = None,
    contrasts: Any = None,
    missing: str = "drop",
) -> GEEModel:
    """Fit a marginal model by generalised estimating equations.

    Parameters
    ----------
    formula : str
        A formula without random-effects terms.
    data : DataFrame
        pandas, polars or Arrow table, or a mapping of columns; rows may come in any order.
    groups : str
        The column whose levels are independent of each other, or ``a:b``.
    time : str, optional
        The column that orders the rows of a group and tells their distances; by default rows count
        1, 2, ... in the order of the data, so that gaps cannot be seen.
    family : {"gaussian", "binomial", "poisson", "gamma"}
        How the variance depends on the mean. A binomial response is 0/1, a proportion with
        ``weights`` its trials, or has two levels, the first a failure.
    link : {"identity", "logit", "probit", "cloglog", "log", "inverse"}, optional
        The link; by default identity, logit, log, inverse, in the order of the families.
    corr : str or array_like of shape (T, T)
        Working correlation: "independence", "exchangeable", "ar1" (correlation to the power of the
        distance in time), "1-dependent", "2-dependent", ... (one parameter for each of so many
        steps, zero beyond), "unstructured", or a correlation matrix with a row for each of the T
        times.
    vcov : {"robust", "naive", "jackknife", "mancl-derouen", "kauermann-carroll"}
        Covariance of the coefficients, see `GEEModel.robust`.
    weights : str or array_like, optional
        Prior weights above zero, Var(y_i) = phi V(mu_i) / w_i.
    offset : str or array_like, optional
        Known part of the linear predictor, added to any ``offset()`` of the formula.
    contrasts : mapping, optional
        Coding of categorical columns, by name.
    missing : {"drop", "raise"}
        What to do with rows that have missing values in a column that is used.

    Returns
    -------
    GEEModel

    Raises
    ------
    DataError
        If a time occurs twice in a group, or the response is outside the family's range.
    FitError
        If the working correlation is no correlation matrix at its estimate, or no means are in
        range.

    Warns
    -----
    DroppedRowsWarning, RankWarning, ConvergenceWarning
        Each is also kept in ``GEEModel.warnings``.

    References
    ----------
    .. [1] Liang and Zeger (1986), Biometrika 73, 13-22.

    Examples
    --------
    >>> import ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> model = ranef.gee("Reaction ~ Days", sleep, groups="Subject")
    >>> model.params.round(3).to_dict()
    {'Intercept': 251.405, 'Days': 10.467}
    """
    check_vcov(vcov)
    parsed = check_formula(parse(formula), "gee")
    design = build_grouped(
        parsed,
        data,
        [groups] if time is None else [groups, time],
        weights=weights,
        offset=offset,
        contrasts=contrasts,
        missing=missing,
        response="binary" if family == "binomial" else "numeric",
    )
    term = group_term(design, groups)
    rows = models.sort_rows(
        term.codes, None if time is None else times_of(group_term(design, time))
    )
    spec = specification(family, link, corr, len(rows.time))
    check_response(design, spec.family)
    check_times(rows, term.levels, str(time))
    if spec.corr in ("unstructured", "m-dependent"):
        check_pairs(rows, spec)
    estimate = models.fit_gee(
        design.y, design.X, rows, spec, weights=design.weights, offset=design.offset
    )
    if estimate.phi <= (PERFECT * float(np.abs(design.y).max())) ** 2 and not estimate.ran_away:
        raise ModelError("the columns reproduce the response exactly, so no variance is left")
    call = GEECall(str(formula), groups, time, spec, vcov, weights, offset, contrasts, missing)
    found = tuple(dropped_rows(design)) + tuple(findings(design, estimate, spec))
    for warning in found:
        warnings.warn(warning, stacklevel=2)
    return GEEModel(design, estimate, call, data, found)


def specification(family: str, link: str | None, corr: Any, n: int) -> GeeSpec:
    """Check the options of the model; ``n`` is the number of distinct times."""
    family = str(family).lower()
    corr = corr.lower() if isinstance(corr, str) else corr
    if family not in FAMILIES:
        raise ValueError(f"family is one of {', '.join(FAMILIES)}, not {family!r}")
    link = FAMILIES[family] if link is None else link
    if link not in LINKS:
        raise ValueError(f"link is one of {', '.join(LINKS)}, not {link!r}")
    if not isinstance(corr, str):
        return GeeSpec(family, link, "fixed", fixed=check_matrix(corr, n))
    steps = corr.removesuffix("-dependent")
    if steps != corr and steps.isdigit():
        return GeeSpec(family, link, "m-dependent", check_lags(int(steps), n))
    if corr not in SIMPLE:
        raise ValueError(
            f'corr is one of {", ".join(SIMPLE)}, "2-dependent" or a matrix, not {corr!r}'
        )
    return GeeSpec(family, link, corr)


def check_lags(lags: int, n: int) -> int:
    """Check the number of steps over which rows are correlated."""
    if not 1 <= lags < n:
        raise ValueError(f"with {n} times rows are at most {n - 1}-dependent, not {lags}-dependent")
    return lags


def check_matrix(corr: Any, n: int) -> Array:
    """Check a correlation matrix that was given."""
    R = np.asarray(corr, float)
    if R.shape != (n, n):
        raise ValueError(f"corr has shape {R.shape}; there are {n} times, so it must be ({n}, {n})")
    if not np.allclose(R, R.T) or not np.allclose(np.diag(R), 1.0):
        raise ValueError("corr must be symmetric with ones on its diagonal")
    if np.linalg.eigvalsh(R)[0] <= 0.0:
        raise ValueError("corr is not positive definite, so it is no correlation matrix")
    return R


RANGES: dict[str, tuple[Callable[[Array], NDArray[np.bool_]], str]] = {
    "binomial": (lambda y: (y >= 0.0) & (y <= 1.0), "between 0 and 1"),
    "poisson": (lambda y: y >= 0.0, "0 or above"),
    "gamma": (lambda y: y > 0.0, "above 0"),
    "gaussian": (np.isfinite, "finite"),
}


#: Responses that no mean within the range reaches.
EDGES = {"binomial": (0.0, 1.0), "poisson": (0.0,)}


def check_response(design: Design, family: str) -> None:
    """Refuse responses that do not vary, or are outside the range of the family."""
    inside, words = RANGES[family]
    bad = int(np.sum(~inside(design.y)))
    if bad:
        trials = (
            "; give counts of successes as a proportion, with the trials as weights"
            if family == "binomial"
            else ""
        )
        raise DataError(
            f"a {family} response is {words}; {design.response!r} is not in {bad} rows{trials}",
            design.response,
        )
    first = float(design.y[0])
    at_edge = first in EDGES.get(family, ())
    if np.all(design.y == first) and (at_edge or design.offset is None):
        raise DataError(
            f"{design.response!r} is {first:g} in every row that is used, so nothing of it can be "
            "explained",
            design.response,
        )


def check_times(rows: Sorted, levels: pd.Index[Any], name: str) -> None:
    """Refuse a time that occurs twice in a group."""
    again = (rows.codes[1:] == rows.codes[:-1]) & (rows.wave[1:] == rows.wave[:-1])
    twice = np.flatnonzero(again)
    if len(twice):
        group, time = levels[rows.codes[twice[0]]], rows.time[rows.wave[twice[0]]]
        raise DataError(
            f"group {group!r} has {name!r} = {time:g} more than once ({len(twice)} repetitions in "
            "all); each row of a group needs its own time",
            name,
        )


def check_pairs(rows: Sorted, spec: GeeSpec) -> None:
    """Refuse correlations that no group has data on."""
    T = len(rows.time)
    if spec.corr == "m-dependent":
        steps = (rows.time - rows.time[0]) / np.min(np.diff(rows.time))
        if not np.allclose(steps, np.round(steps), atol=1e-6):
            raise ModelError(
                f"{spec.lags}-dependence counts equal steps, and the times are not evenly "
                'spaced; use corr="ar1", which takes distances as they are'
            )
        return
    if T > 200:
        raise ModelError(
            f"an unstructured correlation of {T} times has {T * (T - 1) // 2} parameters; use "
            'corr="exchangeable" or "ar1"'
        )
    seen = np.zeros((len(rows.start) - 1, T))
    seen[rows.codes, rows.wave] = 1.0
    apart = np.argwhere(np.triu((seen.T @ seen) == 0.0, 1))
    if len(apart):
        a, b = rows.time[apart[0]]
        raise ModelError(
            f"no group has rows at both times {a:g} and {b:g}, so their correlation cannot be "
            'estimated; use corr="ar1" or "exchangeable"'
        )


#: A coefficient that moves the linear predictor by more, over a standard deviation of its column,
#: has run away.
FAR = 4.0


def reason(design: Design, estimate: GeeEstimate, spec: GeeSpec) -> str:
    """Say why the equations may have no solution, and what to do."""
    if not estimate.ran_away:
        return 'a solution may not exist. Try corr="independence", fewer terms, or the usual link.'
    moved = np.abs(np.nan_to_num(estimate.beta)) * design.X.std(axis=0)
    far = [repr(design.fixed_names[j]) for j in np.flatnonzero(moved > FAR)]
    who = f"{' and '.join(far) or 'a column'} separate{'' if len(far) > 1 else 's'}"
    edge = "probabilities run to 0 or 1" if spec.family == "binomial" else "counts run to 0"
    return (
        f"fitted {edge}, so that no finite coefficients exist and their errors are left out: "
        f"{who} the responses, or the {spec.link} link cannot keep the "
        "means in range. Leave the column out, or merge its levels"
    )


def findings(design: Design, estimate: GeeEstimate, spec: GeeSpec) -> list[RanefWarning]:
    """Collect what the fit must warn of."""
    out: list[RanefWarning] = []
    aliased = [design.fixed_names[j] for j in np.flatnonzero(~estimate.kept)]
    if aliased:
        out.append(
            RankWarning(
                f"no coefficient can be estimated for {', '.join(aliased)}: combinations of the "
                "columns before them"
            )
        )
    if not estimate.converged:
        out.append(
            ConvergenceWarning(
                f"the estimating equations are not solved after {estimate.iterations} steps; "
                + reason(design, estimate, spec)
            )
        )
    if estimate.alpha_at_bound and not estimate.ran_away:
        out.append(
            ConvergenceWarning(
                f"the {spec.corr} correlation was estimated outside its range and put at "
                f"{estimate.alpha[0]:.4g}, inside it; the working correlation does not fit"
            )
        )
    return out
