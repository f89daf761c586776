"""From a call of several formulas to designs on the same rows, checks, and the estimate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ... import _core
from ... import design as designs
from ..._options import options_text
from ..._typing import Array
from ...chunks.source import is_source
from ...design.design import Design
from ...design.frame import is_frame
from ...errors import UnsupportedError
from ...families import Family, find, known, lookup
from ...formula import parse
from ...models.glmm.plan import plan_of, whole_design
from ...models.glmm.several import fit_parts
from ..method import checked_method
from .call import PartsCall
from .checks import check_parts
from .findings import findings
from .parts import SeveralParts

__all__ = [
    "fit_call",
    "fit_designs",
    "needs_parts",
    "of_a_mean",
    "one_sided",
    "parts_call",
    "refuse_chunks",
    "refuse_covariance",
    "refuse_iteration",
    "refuse_prior",
    "same_rows",
]

#: Share of the zeros of a distribution with its own that the zero part starts with.
OWN_SHARE = 0.5


def parts_call(
    formula: str, family: str, link: str | None, zero: Any, dispersion: Any, nagq: int, **more: Any
) -> PartsCall:
    """Check the options of a model."""
    found = find(family, "glmer")
    links = [choice.name for choice in found.part_links]
    chosen = links[0] if link is None else str(link).lower()
    if chosen not in links:
        raise ValueError(
            f"the link of {found.named} family is {options_text(links)}, not {link!r}: "
            "with another one means leave the range of the distribution"
        )
    if not isinstance(nagq, int | np.integer) or isinstance(nagq, bool) or not 1 <= nagq <= 100:
        raise ValueError(
            f"nagq is a number of points from 1 to 100 for this model, not {nagq!r}; 0 is for the "
            f"families {of_a_mean()} without zero= and dispersion="
        )
    if zero is not None and not found.takes_zero:
        raise ValueError(f"{found.named} response has no zero part; leave zero= out")
    if dispersion is not None and not found.has_dispersion:
        wider = "betabinomial" if found.has_trials else "negative_binomial or nbinom1"
        raise ValueError(
            f"{found.named} response has no dispersion of its own; leave dispersion= out, or "
            f"take {wider}"
        )
    return PartsCall(
        str(formula),
        found.name,
        chosen,
        one_sided(zero, "zero"),
        one_sided(dispersion, "dispersion"),
        int(nagq),
        **more,
    )


def needs_parts(family: str, link: str | None, zero: Any, dispersion: Any) -> bool:
    """Return whether a model is one of several predictors, or of a form without a fast kernel."""
    found = find(family, "glmer")
    if zero is not None or dispersion is not None or "glmm" not in found.estimators:
        return True
    asked = "" if link is None else str(link).lower()
    wider = [choice.name for choice in found.part_links if choice not in found.links]
    return asked in wider


def of_a_mean() -> str:
    """List the families that have models of a mean alone."""
    *most, last = known("glmm")
    return f"{', '.join(most)} and {last}"


def refuse_iteration(method: Any, threads: Any) -> None:
    """Refuse the iterative method, which models of several predictors do not have.

    Raises
    ------
    UnsupportedError
        If it is asked for.
    """
    if checked_method(method, threads) == "iterative":
        raise UnsupportedError(
            "method='iterative' is not available with this family, link, zero= or dispersion=; it "
            f"is for {of_a_mean()} models of one predictor. Use method='exact'."
        )


def refuse_covariance(covariance: Any) -> None:
    """Refuse known covariances of levels, which models of several predictors do not have.

    Raises
    ------
    UnsupportedError
        If there is one.
    """
    if covariance is not None:
        raise UnsupportedError(
            "covariance= is not available with this family, link, zero= or dispersion=; it is for "
            f"{of_a_mean()} models of one predictor"
        )


def refuse_prior(prior: Any) -> None:
    """Refuse a prior of covariances, which the search of several predictors does not take.

    Raises
    ------
    UnsupportedError
        If there is one.
    """
    if prior is not None:
        raise UnsupportedError(
            "a prior of covariances is not available with this family, link, zero= or dispersion=; "
            "leave prior= out"
        )


def one_sided(text: Any, name: str) -> str | None:
    """Check a formula without a response."""
    if text is None:
        return None
    if (
        not isinstance(text, str)
        or not text.strip().startswith("~")
        or not text.strip()[1:].strip()
    ):
        raise ValueError(
            f"{name} is a formula without a response, such as '~ x + (1 | g)', not {text!r}"
        )
    return text.strip()


def read_designs(call: PartsCall, data: Any) -> tuple[tuple[str, Design], ...]:
    """Build the design of each part on the rows that all of them can use."""
    family = lookup(call.family)
    formula = parse(call.formula)
    options = {
        "contrasts": call.contrasts,
        "missing": call.missing,
        "response": "counts" if family.has_trials else "numeric",
    }
    found = [
        (
            "location",
            designs.build(formula, data, weights=call.weights, offset=call.offset, **options),
        )
    ]
    for name, text in (("dispersion", call.dispersion), ("zero", call.zero)):
        if text is not None:
            part = parse(f"{formula.response} {text}")
            found.append((name, designs.build(part, data, weights=call.weights, **options)))
    return same_rows(found)


def same_rows(found: Sequence[tuple[str, Design]]) -> tuple[tuple[str, Design], ...]:
    """Keep the rows that every part has."""
    rows = [np.arange(design.n_data) if design.rows is None else design.rows for _, design in found]
    common = rows[0]
    for other in rows[1:]:
        common = np.intersect1d(common, other)
    dropped: dict[str, int] = {}
    for _, design in found:
        dropped = {**design.dropped, **dropped}
    out = []
    for (name, design), own in zip(found, rows, strict=True):
        if len(own) != len(common):
            design = design.take(np.searchsorted(own, common))
        out.append((name, replace(design, dropped=dropped)))
    return tuple(out)


def starts(family: Family, link: str, found: Sequence[tuple[str, Design]]) -> dict[str, Array]:
    """Predictors near the responses: by row for the location, constants for the others."""
    known = dict(found)
    design = known["location"]
    y, n = design.y, design.n_obs
    zero = "zero" in known
    own = y[y != 0.0] if zero and family.is_hurdle else y
    trials = np.ones(n) if design.weights is None or not family.has_trials else design.weights
    scaled = y if family.located is None else family.located(np.where(y != 0.0, y, own.mean()))
    location = _core.link_start(
        family.core, link, np.ascontiguousarray(scaled), np.ascontiguousarray(trials)
    )
    if zero and family.is_hurdle:
        location = np.where(y != 0.0, location, location[y != 0.0].mean())
    out = {"location": location}
    for shape in family.shapes:
        out[shape.name] = np.full(n, shape.start(own))
    if zero:
        share = float(np.mean(y == 0.0)) * (1.0 if family.is_hurdle else OWN_SHARE)
        share = np.clip(share, 0.01, 0.99)
        out["zero"] = np.full(n, np.log(share / (1.0 - share)))
    return out


def fit_designs(
    call: PartsCall, found: tuple[tuple[str, Design], ...], data: Any = None
) -> SeveralParts:
    """Fit the designs of a call."""
    family = lookup(call.family)
    plan = plan_of(family, call.link, found, starts(family, call.link, found))
    estimate = fit_parts(plan, nagq=call.nagq, control=call.control)
    whole = whole_design(found)
    parts = SeveralParts(whole, estimate, call, data, designs=found, kernel_plan=plan)
    told = tuple(findings(parts))
    return replace(parts, warnings=told) if told else parts


def fit_call(call: PartsCall, data: Any) -> SeveralParts:
    """Carry out a call: parse, build, check, fit."""
    found = read_designs(call, data)
    check_parts(call, found)
    return fit_designs(call, found, data)


def refuse_chunks(data: Any) -> None:
    """Refuse data in chunks, which models of several predictors do not read.

    Raises
    ------
    UnsupportedError
        If the data are such.
    """
    if not is_frame(data) and is_source(data):
        raise UnsupportedError(
            "data in chunks are not read with this family, link, zero= or dispersion=; they are "
            f"for {of_a_mean()} models of one predictor. Give a frame in memory."
        )
