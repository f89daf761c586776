"""A mediation from two models to its effects and their intervals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .._options import check_option
from .._typing import Array
from ..errors import ModelError
from ..inference.mediation.effects import Paths
from ..parallel.progress import bar
from ..parallel.seeds import root_seed
from ..parallel.workers import worker_count
from .checks import check_is_response, constant_within
from .joint import JointFit, fit_joint
from .paths import NOTHING, Question, Rows, paths_of, rows_of
from .resampling import resampled
from .result import Mediation, named_effects
from .roles import Role, role_of
from .split import PARTS, split_paths

__all__ = ["mediation"]

#: Draws when cross products suffice, draws when outcomes are averaged over rows, and resamples.
LINEAR_DRAWS, AVERAGED_DRAWS, RESAMPLES = 20_000, 1_000, 1_000
#: Draws processed at a time.
BLOCK = 50


@dataclass(frozen=True)
class Found:
    """The paths of one question, by suffix of their rows, and what they rest on."""

    paths: dict[str, Paths]
    rows: Rows | None
    joint: JointFit | None

    @property
    def length(self) -> float:
        """Units of the treatment between control and treatment, for a slope that varies."""
        assert self.rows is not None
        control, treated = self.rows.contrast
        return float(treated) - float(control)


def mediation(
    mediator_model: Any,
    outcome_model: Any,
    question: Question,
    *,
    method: str,
    draws: int | None,
    seed: int | None,
    workers: int | None,
    progress: bool,
) -> Mediation:
    """Compute the effects, and draw from their distribution."""
    check_option("method", method, ("montecarlo", "bootstrap"))
    if question.part is not None:
        check_option("part", question.part, PARTS)
    mediator, outcome = role_of(mediator_model, "mediator"), role_of(outcome_model, "outcome")
    found = found_paths(mediator, outcome, question)
    estimates = estimated(mediator, outcome, found)
    root = root_seed(seed)
    linear = mediator.is_linear and outcome.is_linear
    usual = RESAMPLES if method == "bootstrap" else LINEAR_DRAWS if linear else AVERAGED_DRAWS
    n = usual if draws is None else count(draws)
    failed = 0
    if method == "bootstrap":
        runs = resampled(
            mediator,
            outcome,
            lambda m, y: again(m, y, question),
            root.spawn(n),
            workers=worker_count(workers),
            progress=progress,
        )
        kept = [run for run in runs if run is not None]
        failed = n - len(kept)
        if len(kept) < 2:
            raise ModelError(f"{failed} of {n} resamples could not be fitted")
        table = pd.DataFrame(kept)[list(estimates)]
    else:
        table = drawn(mediator, outcome, found, n, np.random.default_rng(root), progress)
    entropy: Any = root.entropy
    return Mediation(
        question.treatment,
        question.mediator_name,
        outcome.parts.design.response,
        pd.Series(estimates),
        table,
        method,
        entropy,
        tuple(remarks(mediator, outcome, question, found)),
        failed,
        found.joint,
    )


def count(draws: Any) -> int:
    """Read a number of draws."""
    if isinstance(draws, bool) or not isinstance(draws, int | np.integer) or draws < 2:
        raise ValueError(f"draws must be a whole number, 2 or more, not {draws!r}")
    return int(draws)


def found_paths(mediator: Role, outcome: Role, question: Question) -> Found:
    """Find the paths, by suffix of their rows."""
    if outcome.is_split:
        if question.joint:
            raise ModelError("joint=True takes two models of ranef.lmer")
        split = split_paths(mediator, outcome, question)
        one = len(split) == 1
        named: dict[str, Paths] = {"" if one else f" {p}": path for p, path in split.items()}
        return Found(named, None, None)
    if mediator.is_split or question.part is not None:
        which = "outcome" if mediator.is_split else "mediator's and the outcome"
        raise ModelError(
            f"effects within and between groups need split columns in both models; fit the "
            f"{which}'s model by ranef.within_between"
        )
    rows = rows_of(mediator, outcome, question)
    joint = None
    if question.joint:
        joint = fit_joint(mediator, outcome, question.treatment, question.mediator_name)
    return Found({"": paths_of(mediator, outcome, rows, question)}, rows, joint)


def named(found: Found, m: Array, y: Array, extra: Array | float) -> dict[str, Array]:
    """Name the effects of draws of the coefficients, part by part."""
    out: dict[str, Array] = {}
    for suffix, paths in found.paths.items():
        effects = named_effects(paths(m, y), extra)
        out |= {f"{name}{suffix}": value for name, value in effects.items()}
    if len(found.paths) > 1:
        out["indirect difference"] = out["indirect between"] - out["indirect within"]
    return out


def estimated(mediator: Role, outcome: Role, found: Found) -> dict[str, float]:
    """Compute the effects at the estimates."""
    if found.joint is None:
        pair, extra = (mediator.side.beta, outcome.side.beta), 0.0
    else:
        beta, p = found.joint.side.beta, found.joint.n_mediator
        pair, extra = (beta[:p], beta[p:-1]), found.length * float(beta[-1])
    values = named(found, pair[0][None], pair[1][None], extra)
    return {name: float(value[0]) for name, value in values.items()}


def again(mediator_model: Any, outcome_model: Any, question: Question) -> dict[str, float]:
    """Compute the effects of refitted models."""
    mediator, outcome = role_of(mediator_model, "mediator"), role_of(outcome_model, "outcome")
    return estimated(mediator, outcome, found_paths(mediator, outcome, question))


def drawn(
    mediator: Role,
    outcome: Role,
    found: Found,
    n: int,
    rng: np.random.Generator,
    progress: bool,
) -> pd.DataFrame:
    """Draw coefficients and compute their effects."""
    if found.joint is None:
        m, y = mediator.side.draw(n, rng), outcome.side.draw(n, rng)
        extra = np.zeros(n)
    else:
        whole, p = found.joint.side.draw(n, rng), found.joint.n_mediator
        m, y, extra = whole[:, :p], whole[:, p:-1], found.length * whole[:, -1]
    linear = mediator.is_linear and outcome.is_linear
    pieces = []
    with bar(n, "draws", shown=progress) as advance:
        for first, last in blocks(n, n if linear else BLOCK):
            part = named(found, m[first:last], y[first:last], extra[first:last])
            pieces.append(pd.DataFrame(part))
            advance(last - first)
    return pd.concat(pieces, ignore_index=True)


def blocks(n: int, size: int) -> Iterator[tuple[int, int]]:
    """Consecutive parts of range(n)."""
    for first in range(0, n, size):
        yield first, min(first + size, n)


def remarks(mediator: Role, outcome: Role, question: Question, found: Found) -> Iterator[str]:
    """State what the numbers are, and what they leave out."""
    yield "causal only if nothing unmeasured is behind treatment, mediator and outcome"
    n, m = mediator.parts.nobs, outcome.parts.nobs
    if n != m:
        yield f"the mediator's model used {n:,} rows and the outcome's {m:,}"
    if found.rows is None:
        groups = outcome.parts.call.groups
        shown = " and ".join(s.strip() for s in found.paths) or "one part"
        yield f"effects by part of {groups}: {shown}"
        return
    yield from of_rows(mediator, outcome, question, found)
    yield from of_levels(mediator, outcome, question)


def of_rows(mediator: Role, outcome: Role, question: Question, found: Found) -> Iterator[str]:
    """State what was compared, and on which scale."""
    assert found.rows is not None
    control, treated = (f"{v:g}" if isinstance(v, float) else repr(v) for v in found.rows.contrast)
    yield f"{question.treatment} = {treated} against {control}"
    if remark := check_is_response(mediator, outcome, question.mediator_name):
        yield remark
    if question.at:
        yield "at " + ", ".join(f"{name} = {value}" for name, value in question.at.items())
    before, after = found.rows.rest
    if not np.any(np.abs(after - before) > NOTHING * np.abs(before).max(axis=0)):
        yield f"the outcome's model leaves {question.treatment} out: the direct effect is held at 0"
    if not (mediator.is_linear and outcome.is_linear):
        yield (
            "a and b are on the scale of the links; indirect, direct and total are differences of "
            "mean outcomes, over rows and random effects, whose variances are held"
        )


def of_levels(mediator: Role, outcome: Role, question: Question) -> Iterator[str]:
    """State what clustering does to the effects."""
    terms = outcome.parts.design.random
    if not terms:
        return
    term = terms[0]
    columns = outcome.columns
    if question.joint:
        yield (
            f"indirect includes the covariance of the slopes a and b between {term.group}, from a "
            "joint model of both responses"
        )
    elif varies(mediator, question.treatment) and varies(outcome, question.mediator_name):
        yield (
            f"a and b vary between {term.group}; indirect = a b leaves out their covariance, which "
            "separate models cannot estimate: joint=True estimates it"
        )
    fixed = constant_within(columns[question.treatment], term.codes)
    middle = constant_within(columns[question.mediator_name], term.codes)
    if not middle:
        yield (
            f"{question.mediator_name} varies within and between {term.group}, and b mixes both "
            "effects"
            + (f", while a treatment of whole {term.group} works between only" if fixed else "")
            + "; models by ranef.within_between tell them apart"
        )


def varies(role: Role, name: str) -> bool:
    """Return whether a slope varies between groups."""
    return any(name in term.names for term in role.parts.design.random)
