"""From a call to ordered categories, designs on the same rows, and the estimate."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ... import design as designs
from ..._counted import counted
from ..._options import check_option
from ..._typing import Array
from ...design.design import INTERCEPT, Design
from ...design.frame import open_frame
from ...errors import (
    ConvergenceWarning,
    DataError,
    ModelError,
    RanefWarning,
    RankWarning,
    SingularFitWarning,
)
from ...formula import parse
from ...inference.identified import ENDLESS
from ...models.glmm.several import fit_parts
from ...models.glmm.thresholds import STRUCTURES, ordinal_plan
from ...models.lmm import SINGULAR, is_correlated
from ...report.verdict import alias_notes
from ..glmm.fit import MOST_COLUMNS
from ..several.findings import not_there
from ..several.fit import one_sided, same_rows
from ..warned import dropped_rows
from .call import OrdinalCall
from .parts import OrdinalParts, cross_in, crossed

__all__ = ["LINKS", "REMEDY", "fit_call", "fit_found", "ordinal_call"]

#: What may help a search that stopped early.
REMEDY = "Merged categories, fewer random effects or merged levels of a predictor may help."


LINKS = ("logit", "probit", "cloglog", "loglog", "cauchit")
#: Categories that a response made of numbers may have.
MOST_CATEGORIES = 100


def ordinal_call(
    formula: str, link: str, thresholds: str, scale: Any, nominal: Any, nagq: int, **more: Any
) -> OrdinalCall:
    """Check the options of a model."""
    link = check_option("link", link, LINKS)
    thresholds = check_option("thresholds", thresholds, STRUCTURES)
    if not isinstance(nagq, int | np.integer) or isinstance(nagq, bool) or not 1 <= nagq <= 100:
        raise ValueError(f"nagq is a number of points from 1 to 100, not {nagq!r}")
    return OrdinalCall(
        str(formula),
        link,
        thresholds,
        one_sided(scale, "scale"),
        one_sided(nominal, "nominal"),
        int(nagq),
        **more,
    )


def ordered_codes(series: pd.Series[Any], name: str) -> tuple[np.ndarray, list[Any]]:
    """Category of each row from 0, NaN where missing, and the labels in order."""
    if isinstance(series.dtype, pd.CategoricalDtype):
        if not series.cat.ordered and len(series.cat.categories) > 2:
            raise DataError(
                f"{name!r} is a categorical without an order; make it one by "
                f"pd.Categorical(..., categories=[lowest, ..., highest], ordered=True)",
                name,
            )
        codes = series.cat.codes.to_numpy().astype(float)
        codes[codes < 0] = np.nan
        return codes, list(series.cat.categories)
    if not pd.api.types.is_numeric_dtype(series):
        raise DataError(
            f"{name!r} contains text, whose order is not known; make it an ordered categorical by "
            "pd.Categorical(..., categories=[lowest, ..., highest], ordered=True)",
            name,
        )
    values = series.to_numpy(dtype=float, na_value=np.nan)
    labels = np.unique(values[np.isfinite(values)])
    if len(labels) > MOST_CATEGORIES or (labels != np.round(labels)).any():
        raise DataError(
            f"{name!r} has {counted(len(labels), 'different value')}; an ordered response has a "
            "few categories. Cut it into categories, or fit it by ranef.lmer",
            name,
        )
    codes = np.searchsorted(labels, values).astype(float)
    codes[~np.isfinite(values)] = np.nan
    whole = pd.api.types.is_integer_dtype(series.dtype) or (labels == np.round(labels)).all()
    return codes, [int(v) if whole else v for v in labels]


def read(
    call: OrdinalCall, data: Any
) -> tuple[Design, Design | None, Design | None, tuple[Any, ...], list[Any]]:
    """Build the designs of a call on the same rows; categories that occur, and all of them."""
    formula = parse(call.formula)
    table, response = open_frame(data), formula.response.strip("`")
    codes, labels = ordered_codes(table.series(response), response)
    frame = data if isinstance(data, pd.DataFrame) else None
    if frame is None:
        frame = pd.DataFrame({name: table.series(name) for name in table.names})
    frame = frame.assign(**{response: codes})
    options = {"contrasts": call.contrasts, "missing": call.missing}
    found = [("location", designs.build(formula, frame, offset=call.offset, **options))]
    for name, text in (("nominal", call.nominal), ("scale", call.scale)):
        if text is not None:
            part = parse(f"{formula.response} {text}")
            if part.random:
                raise ModelError(f"{name} takes fixed effects alone; take the bars out of {text!r}")
            found.append((name, designs.build(part, frame, **options)))
    rows = dict(same_rows(found))
    design = rows["location"]
    occurring, y = np.unique(design.y, return_inverse=True)
    design = replace(design, y=y.astype(np.float64))
    check(call, design, rows.get("nominal"), rows.get("scale"))
    categories = tuple(labels[int(j)] for j in occurring)
    return design, rows.get("nominal"), rows.get("scale"), categories, labels


def check(call: OrdinalCall, design: Design, nominal: Design | None, scale: Design | None) -> None:
    """Refuse what cannot be estimated from these rows, in words."""
    name = design.response
    for part in (design, nominal, scale):
        if part is not None and (not part.fixed or part.fixed[0] != INTERCEPT):
            raise ModelError(
                "the thresholds of an ordinal model replace its intercept; remove '0 +' or '- 1' "
                "from the formula"
            )
    if len(np.unique(design.y)) < 2:
        raise DataError(
            f"{name!r} has one category in the rows that are used, so there is nothing to explain",
            name,
        )
    if nominal is not None and (both := set(nominal.fixed_names[1:]) & set(design.fixed_names[1:])):
        raise ModelError(
            f"{sorted(both)[0]!r} is in the formula and nominal: its effect on the thresholds "
            "includes the other. Remove it from the formula."
        )
    n = design.n_obs
    for term in design.random:
        if term.n_levels * term.n_cols >= n and not is_correlated(term):
            raise ModelError(
                f"({' + '.join(term.names)} | {term.group}) has "
                f"{counted(term.n_levels * term.n_cols, 'random effect')} for "
                f"{counted(n, 'row')}. Group by something that several rows share."
            )
    if call.nagq > 1 and (len(design.random) != 1 or design.random[0].n_cols > MOST_COLUMNS):
        raise ValueError(
            f"nagq={call.nagq} needs one random-effects term of at most {MOST_COLUMNS} columns; "
            "use nagq=1"
        )


def fit_found(
    call: OrdinalCall,
    found: Sequence[Any],
    data: Any = None,
    near: tuple[Array, Array] | None = None,
) -> OrdinalParts:
    """Fit the designs of a call, searching near parameters if these are given."""
    design, nominal, scale, categories = found
    plan = ordinal_plan(design, nominal, scale, call.link, call.thresholds)
    estimate = fit_parts(plan.plan, nagq=call.nagq, control=call.control, near=near)
    parts = OrdinalParts(
        design,
        estimate,
        call,
        data,
        nominal=nominal,
        scale=scale,
        categories=categories,
        ordinal=plan,
    )
    return replace(parts, warnings=tuple(findings(parts)))


def fit_call(call: OrdinalCall, data: Any) -> OrdinalParts:
    """Carry out a call: parse, build, check, fit."""
    *found, labels = read(call, data)
    parts = fit_found(call, found, data)
    return replace(parts, absent=tuple(one for one in labels if one not in parts.categories))


def findings(parts: OrdinalParts) -> Iterable[RanefWarning]:
    """List everything worth a warning, in the order of the analysis."""
    e, design = parts.estimate, parts.design
    yield from dropped_rows(design)
    block = e.block("location")
    if block.aliased:
        shifted = replace(design, fixed_names=design.fixed_names[1:], fixed=design.fixed[1:])
        notes = " ".join(alias_notes(shifted, block.aliased, block.alias[1:], block.kept))
        yield RankWarning(f"the columns of the location have less than full rank: {notes}")
    yield from (RankWarning(one.text(design)) for one in parts.spanned)
    told = {one.term for one in parts.spanned}
    groups = [
        term.group
        for t, (term, own) in enumerate(zip(design.random, e.lambda_standard, strict=True))
        if t not in told and np.linalg.svd(own, compute_uv=False).min() < SINGULAR
    ]
    if groups:
        yield SingularFitWarning(
            f"singular fit: a variance of {' and '.join(groups)} is zero, or its covariance "
            "matrix singular; a smaller term gives the same fit"
        )
    if parts.nominal is not None and (
        lost := int(crossed(parts.moved_cuts(parts.nominal.X[:, 1:])).sum())
    ):
        yield RanefWarning(
            f"{cross_in(parts, lost)}. Move the predictor to the formula or to scale=, or merge "
            "categories."
        )
    yield from (ConvergenceWarning(f"{reason}. {ENDLESS}") for reason in parts.endless)
    if e.separated:
        far = " and ".join(
            "the thresholds" if part == "thresholds" else repr(name)
            for part, name in dict.fromkeys(
                (part, "" if part == "thresholds" else name) for part, name in e.separated
            )
        )
        yield ConvergenceWarning(
            f"the likelihood rises without bound with {far}: a category, or a level of a "
            "predictor, occurs alone, so that no finite coefficient exists and its standard "
            "error is left out. Merge categories or levels."
        )
    elif not parts.endless:
        yield from not_there(parts, REMEDY)
