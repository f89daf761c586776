"""Latent growth curves in the model syntax of lavaan, written and read."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from ...errors import FormulaError, UnsupportedError
from .call import FACTORS, SHAPES, GrowthCall
from .wide import common_start

__all__ = ["Syntax", "is_syntax", "read_syntax", "write_syntax"]

#: An element of a sum: a value or label, and a name.
PART = re.compile(r"^(?:(?P<by>[^*]+)\*)?(?P<name>[A-Za-z_.][\w.]*)$")


def write_syntax(call: GrowthCall, times: list[float]) -> str:
    """Write a growth curve for lavaan's function growth(), on wide data.

    Waves are named after the outcome and time, ``gpa_0``, as are covariates that vary.
    """
    outcome = re.sub(r"\W+", "_", call.outcome).strip("_")
    wave = {t: f"{outcome}_{t:g}".replace("-", "m") for t in times}
    lines = []
    for f, factor in enumerate(call.factors):
        lines.append(
            f"{factor} =~ " + " + ".join(loading(call, f, t, times) + wave[t] for t in times)
        )
    r = SHAPES[call.random]
    for f, factor in enumerate(call.factors[r:], start=r):
        lines += [f"{factor} ~~ 0*{other}" for other in call.factors[: f + 1]]
    label = "rv*" if call.residuals == "equal" else ""
    lines += [f"{wave[t]} ~~ {label}{wave[t]}" for t in times]
    lines += [
        f"{factor} ~ {' + '.join(names)}"
        for factor, names in zip(call.factors, call.regressors, strict=True)
        if names
    ]
    for w in call.time_varying:
        label = f"b_{w}*" if call.paths == "equal" else ""
        lines += [f"{wave[t]} ~ {label}{w}_{t:g}".replace("_-", "_m") for t in times]
    if call.missing == "fiml":
        lines += [f"{x} ~~ {x}" for x in call.covariates]
    return "\n".join(lines)


def loading(call: GrowthCall, f: int, t: float, times: list[float]) -> str:
    """Write the loading of a wave: a number and a star, or nothing where it is estimated."""
    if call.shape == "basis" and f == 1:
        return {times[0]: "0*", times[-1]: "1*"}.get(t, "")
    return f"{t**f:g}*"


@dataclass
class Syntax:
    """What a model syntax says, as arguments of growth on wide data.

    Attributes
    ----------
    columns : list of str
        Waves of the outcome.
    times : list of float
        Their times.
    arguments : dict
        shape, random, residuals, covariates, time_varying, paths.
    """

    columns: list[str]
    times: list[float]
    arguments: dict[str, Any]


@dataclass
class Lines:
    """Lines by kind: loadings, regressions, variances."""

    loadings: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    regressions: list[tuple[str, str, str]] = field(default_factory=list)
    variances: list[tuple[str, str, str]] = field(default_factory=list)


def read_syntax(text: str) -> Syntax:
    """Read a growth curve that is written for lavaan's function growth().

    Raises
    ------
    FormulaError
        If a line is not of the syntax.
    UnsupportedError
        If it describes something other than a growth curve of ranef.
    """
    lines = parsed(text)
    factors = list(lines.loadings)
    if not 1 <= len(factors) <= 3:
        raise UnsupportedError(f"a growth curve has one to three factors, not {len(factors)}")
    columns = [name for _, name in lines.loadings[factors[0]]]
    times, shape = loadings_of(lines, factors, columns)
    named = dict(zip(factors, FACTORS, strict=False))
    covariates: dict[str, tuple[str, ...]] = {}
    paths: dict[str, tuple[str, str]] = {}
    for left, by, right in lines.regressions:
        if is_number(by):
            raise UnsupportedError(
                f"{left} ~ {by}*{right}: coefficients are estimated here and cannot be fixed"
            )
        if right in named:
            raise UnsupportedError(
                f"{left} ~ {right}: factors covary here, and none predicts another variable"
            )
        if left in named:
            covariates[named[left]] = (*covariates.get(named[left], ()), right)
        elif left in columns and left not in paths:
            paths[left] = (by, right)
        else:
            raise UnsupportedError(
                f"{left} ~ {right}: one covariate a wave, or covariates of factors"
            )
    random, residuals = variances_of(lines, factors, columns)
    arguments: dict[str, Any] = {"shape": shape, "random": random, "residuals": residuals}
    if covariates:
        same = {frozenset(covariates.get(named[f], ())) for f in factors}
        arguments["covariates"] = covariates[named[factors[0]]] if len(same) == 1 else covariates
    if paths:
        if set(paths) != set(columns):
            raise UnsupportedError(
                "a covariate that varies in time belongs to every wave or to none"
            )
        labels = {by for by, _ in paths.values()}
        own = [paths[name][1] for name in columns]
        arguments["time_varying"] = {common_start(own) or "varying": own}
        arguments["paths"] = "equal" if len(labels) == 1 and "" not in labels else "free"
    return Syntax(columns, times, arguments)


def parsed(text: str) -> Lines:
    """Sort the lines of a syntax by their operator."""
    out = Lines()
    for raw in re.split(r"[\n;]", text):
        line = raw.split("#")[0].split("!")[0].replace(" ", "").strip()
        if not line:
            continue
        found = re.match(r"^([A-Za-z_.][\w.]*)(=~|~~|~)(.+)$", line)
        if found is None:
            raise FormulaError(
                f"{raw.strip()!r} is not a line of lavaan's model syntax", raw, 0, len(raw)
            )
        left, operator, right = found.groups()
        if operator == "~" and right == "1":
            continue  # means of factors are estimated anyway
        for text_part in right.split("+"):
            part = PART.match(text_part)
            if part is None:
                raise FormulaError(
                    f"{text_part!r} is not a term of lavaan's model syntax", raw, 0, len(raw)
                )
            by, name = part["by"] or "", part["name"]
            if operator == "=~":
                out.loadings.setdefault(left, []).append((by, name))
            elif operator == "~":
                out.regressions.append((left, by, name))
            else:
                out.variances.append((left, by, name))
    return out


def loadings_of(lines: Lines, factors: list[str], columns: list[str]) -> tuple[list[float], str]:
    """Read the times, and the shape that the loadings are of."""
    by = {f: {name: value for value, name in lines.loadings[f]} for f in factors}
    for f in factors:
        if list(by[f]) != columns:
            raise UnsupportedError(
                f"{f} is not measured by the waves of {factors[0]}, in their order"
            )
    if any(value not in ("1", "1.0") for value in by[factors[0]].values()):
        raise UnsupportedError(
            f"{factors[0]}, the first factor, is not an intercept: its loadings are 1"
        )
    if len(factors) == 1:
        return [float(i) for i in range(len(columns))], "intercept"
    slope = list(by[factors[1]].values())
    if "" in slope or "NA" in slope:
        if len(factors) > 2 or number(slope[0]) != 0.0 or number(slope[-1]) != 1.0:
            raise UnsupportedError(
                "a latent basis has loadings from 0*, the first, to 1*, the last"
            )
        return [float(i) for i in range(len(columns))], "basis"
    times = [number(value) for value in slope]
    if len(factors) == 3:
        third = [number(value) for value in by[factors[2]].values()]
        if any(abs(a * a - b) > 1e-9 for a, b in zip(times, third, strict=True)):
            raise UnsupportedError(f"the loadings of {factors[2]} are not the squares of the times")
    return times, {2: "linear", 3: "quadratic"}[len(factors)]


def number(text: str) -> float:
    """Read a loading that is given."""
    try:
        return float(text)
    except ValueError:
        raise UnsupportedError(f"{text!r} is not a number; loadings must be numbers here") from None


def is_number(text: str) -> bool:
    """Return whether the text before a star is a value, not a label."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def variances_of(lines: Lines, factors: list[str], columns: list[str]) -> tuple[str, str]:
    """Read which factors vary, and whether residual variances are equal."""
    zero: set[str] = set()
    labels: dict[str, str] = {}
    for left, by, right in lines.variances:
        is_zero = is_number(by) and float(by) == 0.0
        if is_number(by) and not is_zero:
            raise UnsupportedError(
                f"{left} ~~ {by}*{right}: variances and covariances are estimated here and "
                "cannot be fixed, except factors' at zero"
            )
        if left in columns and left == right and not is_zero:
            labels[left] = by
        elif left in factors and right in factors:
            if left == right and is_zero:
                zero.add(left)
            elif is_zero and not zero & {left, right}:
                lines_of = [
                    v
                    for v in lines.variances
                    if v[0] == v[2] and is_number(v[1]) and float(v[1]) == 0.0
                ]
                if not {v[0] for v in lines_of} & {left, right}:
                    raise UnsupportedError(f"{left} ~~ 0*{right}: factors that vary covary here")
        elif not (left == right and by == ""):
            raise UnsupportedError(f"{left} ~~ {right}: residuals of waves do not covary here")
    varying = [f for f in factors if f not in zero]
    if varying != factors[: len(varying)] or not varying:
        raise UnsupportedError("factors vary from the intercept on: the last ones may be fixed")
    random = {1: "intercept", 2: "linear", 3: "quadratic"}[len(varying)]
    shared = len(set(labels.values())) == 1 and "" not in labels.values()
    return random, "equal" if shared and set(labels) == set(columns) else "free"


def is_syntax(text: Any) -> bool:
    """Return whether an outcome is a model syntax."""
    return isinstance(text, str) and "=~" in text
