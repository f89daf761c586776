"""Both models as one, so that random slopes of the two paths can covary."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import scipy

from .._typing import Array
from ..design.design import Design, RandomTerm
from ..design.structured import StructuredDesign
from ..errors import ModelError, UnsupportedError
from ..inference.growth import covariance, covariance_elements
from ..inference.mediation.effects import Side
from ..models.gls.model import GlsEstimate, GlsModel, fit_gls, gls_model
from ..models.lmm import Control
from .roles import Role

__all__ = ["JointFit", "fit_joint"]


@dataclass(frozen=True)
class JointFit:
    """Mediator and outcome in one model, on stacked rows.

    Attributes
    ----------
    llf : float
        Log-likelihood; restricted if both models' are.
    side : Side
        Coefficients of the mediator's model, of the outcome's, and the covariance of the slopes.
    n_mediator : int
        How many of the coefficients are the mediator's.
    slopes : DataFrame
        Covariance of all random effects, labelled by response and column.
    sigma : Series
        Residual standard deviations of the two responses.
    converged : bool
        Whether the search ended at an optimum.
    """

    llf: float
    side: Side
    n_mediator: int
    slopes: pd.DataFrame
    sigma: pd.Series
    converged: bool


def fit_joint(mediator: Role, outcome: Role, treatment: str, mediator_name: str) -> JointFit:
    """Fit the two models to stacked rows, with residual variances of their own [1]_.

    Raises
    ------
    UnsupportedError
        If one is not a linear mixed model with random effects of the same groups alone.
    ModelError
        If the slope of a path does not vary between groups.

    References
    ----------
    .. [1] Bauer, Preacher and Gil (2006), Psychol. Methods 11(2), 142-163.
    """
    terms = [only_term(role) for role in (mediator, outcome)]
    if terms[0].group != terms[1].group:
        raise UnsupportedError(
            f"the slopes vary by {terms[0].group} in one model and by {terms[1].group} in the "
            "other, and slopes covary within the same groups"
        )
    places = [
        slope_place(term, name, role.what)
        for term, name, role in zip(
            terms, (treatment, mediator_name), (mediator, outcome), strict=True
        )
    ]
    rows, columns, units = stacked(mediator.parts.design, outcome.parts.design, terms)
    k = terms[0].n_cols
    model = gls_model(rows, "independence")
    reml = mediator.model.call.reml and outcome.model.call.reml
    estimate = fit_gls(rows, model, reml=reml, control=Control())
    return described(rows, estimate, model, columns, terms, (places[0], k + places[1]), units)


def only_term(role: Role) -> RandomTerm:
    """Return the one random-effects term of a linear mixed model."""
    design = role.parts.design
    if not role.is_linear or role.is_split or len(design.random) != 1:
        raise UnsupportedError(
            f"joint=True takes two models of ranef.lmer with random effects of the same groups; "
            f"the {role.what}'s model is another"
        )
    if design.weights is not None or design.offset is not None:
        raise UnsupportedError("joint=True takes models without weights and offsets")
    term: RandomTerm = design.random[0]
    return term


def slope_place(term: RandomTerm, name: str, what: str) -> int:
    """Find the column of a random slope."""
    if name not in term.names:
        raise ModelError(
            f"the slope of {name!r} does not vary by {term.group} in the {what}'s model, whose "
            f"random effects are {', '.join(term.names)}; without it there is no covariance of "
            "slopes, and joint=True is not needed"
        )
    return term.names.index(name)


@dataclass(frozen=True)
class JointUnits:
    """Units in which the two models are searched as one.

    Attributes
    ----------
    response : ndarray of shape (2,)
        Of mediator and outcome.
    rows : ndarray of shape (2,)
        Their numbers of rows.
    fixed, random : ndarray of shape (p,), (s,)
        What a coefficient or a random effect is to be multiplied by.
    """

    response: Array
    rows: Array
    fixed: Array
    random: Array

    def llf(self, value: float, *, reml: bool) -> float:
        """Return the log-likelihood of responses and coefficients as written."""
        value -= float(np.sum(self.rows * np.log(self.response)))
        return value + float(np.sum(np.log(self.fixed))) if reml else value


def in_units(columns: Array) -> tuple[Array, Array]:
    """Divide columns by powers of two near their largest values."""
    size = np.abs(columns).max(axis=0, initial=0.0)
    unit = np.exp2(np.round(np.log2(np.where(size > 0.0, size, 1.0))))
    return columns / unit, unit


def stacked(
    mediator: Design, outcome: Design, terms: list[RandomTerm]
) -> tuple[StructuredDesign, int, JointUnits]:
    """Put the rows of the outcome below those of the mediator, each with columns of its own.

    Responses and columns are each divided by their own unit, since one tolerance serves the whole
    search.

    Returns
    -------
    tuple of StructuredDesign, int and JointUnits
        The rows, how many columns of X are the mediator's, and the units.
    """
    levels = terms[0].levels.union(terms[1].levels, sort=True)
    codes = np.concatenate([levels.get_indexer(term.levels)[term.codes] for term in terms]).astype(
        np.int32
    )
    n, m = mediator.n_obs, outcome.n_obs
    response = np.exp2(np.round(np.log2([design.y.std() for design in (mediator, outcome)])))
    (first, a), (second, b) = (
        in_units(design.X[:, independent(design.X)]) for design in (mediator, outcome)
    )
    (z_first, c), (z_second, d) = (
        in_units(design.z(term)) for design, term in zip((mediator, outcome), terms, strict=True)
    )
    units = JointUnits(
        response,
        np.array([n, m]),
        np.concatenate([response[0] / a, response[1] / b]),
        np.concatenate([response[0] / c, response[1] / d]),
    )
    columns = list(scipy.linalg.block_diag(first, second).T)
    fixed = tuple(range(len(columns)))
    columns += list(scipy.linalg.block_diag(z_first, z_second).T)
    s = terms[0].n_cols + terms[1].n_cols
    random = replace(
        terms[0],
        codes=codes,
        levels=levels,
        columns=tuple(range(len(fixed), len(columns))),
        names=tuple(map(str, range(s))),
        blocks=(tuple(range(s)),),
        places=None,
    )
    which = np.repeat([0, 1], [n, m]).astype(np.int32)
    design = replace(
        mediator,
        y=np.concatenate([mediator.y / response[0], outcome.y / response[1]]),
        columns=tuple(np.ascontiguousarray(column) for column in columns),
        fixed=fixed,
        fixed_names=tuple(map(str, fixed)),
        fixed_terms=tuple((str(j), (j,)) for j in fixed),
        random=(random,),
        rows=None,
        n_data=n + m,
        index=None,
    )
    strata = RandomTerm("response", which, pd.RangeIndex(2), (), (), ())
    rows = StructuredDesign(
        design=design,
        cluster=codes,
        levels=levels,
        unit=codes,
        time=None,
        time_levels=None,
        strata=strata,
        D=np.asfortranarray(which[:, None].astype(float)),
        D_names=("outcome",),
    )
    return rows, first.shape[1], units


def independent(X: Array) -> list[int]:
    """Positions of columns that earlier ones do not span."""
    kept: list[int] = []
    for j in range(X.shape[1]):
        trial = X[:, [*kept, j]]
        if np.linalg.matrix_rank(trial / np.maximum(np.abs(trial).max(axis=0), 1e-300)) > len(kept):
            kept.append(j)
    return kept


def described(
    rows: StructuredDesign,
    estimate: GlsEstimate,
    model: GlsModel,
    columns: int,
    terms: list[RandomTerm],
    places: tuple[int, int],
    units: JointUnits,
) -> JointFit:
    """Take coefficients, the covariance of the slopes and their joint covariance."""
    psi = estimate.sigmas[0] * np.outer(units.random, units.random)
    kept = units.fixed[estimate.kept]
    whole = covariance(rows, model, estimate, observed=True)
    p, pairs = len(estimate.kept), covariance_elements(len(psi))
    at = pairs.index((max(places), min(places)))
    chosen = [*range(p), p + at]
    names = [
        f"{side}: {name}"
        for side, term in zip(("mediator", "outcome"), terms, strict=True)
        for name in term.names
    ]
    beta = np.append(kept * estimate.beta[estimate.kept], psi[places])
    unit = np.append(kept, np.prod(units.random[list(places)]))
    return JointFit(
        llf=units.llf(-0.5 * estimate.objective, reml=estimate.reml),
        side=Side(beta, whole[np.ix_(chosen, chosen)] * np.outer(unit, unit)),
        n_mediator=int(np.sum(estimate.kept < columns)),
        slopes=pd.DataFrame(psi, index=names, columns=names),
        sigma=pd.Series(
            units.response * estimate.sigma * np.exp([0.0, float(estimate.delta[0])]),
            index=["mediator", "outcome"],
        ),
        converged=estimate.converged,
    )
