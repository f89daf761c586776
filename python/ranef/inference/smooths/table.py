"""The table of the smooth terms of a fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..._typing import Array, Positions
from ...design.design import Design
from ...formula import Smooth
from .joint import Joint, joint_of
from .tests import curve_test, variance_test

__all__ = ["Fitted", "Row", "rows_of"]

#: Random effects of one term up to which their variance is tested.
MOST_EFFECTS = 2000


@dataclass(frozen=True)
class Fitted:
    """What the table needs of a fit.

    Attributes
    ----------
    design : Design
        The rows.
    kept : ndarray of int
        Columns of X that are not aliased.
    beta : ndarray of shape (p,)
        Fixed effects.
    modes, factors : sequence of ndarray
        Modes and relative covariance factor of each term.
    sigma : float
        Residual standard deviation; 1 where the scale is known.
    weights : ndarray of shape (n,) or None
        W, relative to 1 / sigma^2.
    levels : sequence of ndarray of shape (levels, s, s)
        Covariance of each level's effects given the fixed ones, for each term.
    known_scale : bool
        Whether tests are chi-squared rather than F.
    """

    design: Design
    kept: Positions
    beta: Array
    modes: Sequence[Array]
    factors: Sequence[Array]
    sigma: float
    weights: Array | None
    levels: Sequence[Array]
    known_scale: bool

    @property
    def curves(self) -> list[int]:
        """Positions of the terms that are curves."""
        return [t for t, term in enumerate(self.design.random) if term.is_curve]

    @cached_property
    def joint(self) -> Joint:
        """Fixed effects and curves."""
        return self.joint_with(())

    def joint_with(self, more: Sequence[int]) -> Joint:
        """Compute fixed effects, curves and the effects of other terms jointly."""
        return joint_of(
            self.design,
            self.kept,
            self.beta,
            self.modes,
            self.factors,
            self.weights,
            sorted({*self.curves, *more}),
        )

    def fixed_places(self, t: int) -> Positions:
        """Places of a smooth's fixed effects among those kept."""
        smooth = self.design.random[t].smooth
        names = smooth.fixed_names if smooth is not None else ()
        return np.flatnonzero([self.design.fixed_names[j] in names for j in self.kept])

    def places(self, t: int, joint: Joint) -> Positions:
        """Places of all coefficients of a smooth in a joint covariance."""
        term = self.design.random[t]
        random = joint.places(t, term.n_levels * term.n_cols)
        return np.concatenate([self.fixed_places(t), random])

    def grouped_edf(self, t: int, columns: Sequence[int]) -> float:
        """Effective degrees of freedom of some columns of a term with levels.

        Notes
        -----
        The covariance given the fixed effects is the kernel's; their own part is added.
        """
        term, factor = self.design.random[t], self.factors[t]
        at = list(columns)
        block = factor[np.ix_(at, at)]
        inverse = np.linalg.pinv(block, rcond=1e-12)
        within = self.levels[t][:, at][:, :, at] / self.sigma**2
        conditional = np.einsum("ij,ljk,ik->", inverse, within, inverse)
        joint = self.joint
        assert joint.others is not None
        rest = [i for i in range(len(self.design.random)) if i not in joint.terms]
        sizes = [self.design.random[i].n_levels * self.design.random[i].n_cols for i in rest]
        start = sum(sizes[: rest.index(t)])
        mine = np.arange(term.n_levels)[:, None] * term.n_cols + np.array(at) + start
        V = joint.others[mine.ravel()][:, : joint.p]
        own = joint.covariance[: joint.p, : joint.p]
        through = float(np.einsum("ij,ij->", V, np.linalg.solve(own, V.T).T))
        rank = np.linalg.matrix_rank(block)
        return float(term.n_levels * rank - conditional - through)

    @cached_property
    def total_edf(self) -> float:
        """Effective degrees of freedom of the whole model."""
        total = float(self.joint.edf().sum())
        for t, term in enumerate(self.design.random):
            if not term.is_curve:
                total += sum(self.grouped_edf(t, block) for block in term.blocks)
        return total

    @property
    def residual_df(self) -> float:
        """Degrees of freedom of the tests: of the residuals, or infinite."""
        return np.inf if self.known_scale else self.design.n_obs - self.total_edf


@dataclass(frozen=True)
class Row:
    """One smooth: ``statistic`` is an F, or a chi-squared where the scale is known."""

    term: str
    edf: float
    ref_df: float
    statistic: float
    pvalue: float
    sd: float


def rows_of(fit: Fitted, smooths: Sequence[Smooth]) -> list[Row]:
    """Compute the table, in the order of the formula."""
    out = []
    for smooth in smooths:
        if smooth.bs[0] == "re":
            out.append(_random_row(fit, smooth))
            continue
        for t, term in enumerate(fit.design.random):
            if term.smooth is not None and term.smooth.smooth == smooth:
                out.append(_curve_row(fit, t) if term.is_curve else _grouped_row(fit, t))
    return out


def _deviation(fit: Fitted, t: int, columns: Sequence[int]) -> float:
    """Root of the mean variance of the random coefficients."""
    factor = fit.factors[t][list(columns)]
    return float(fit.sigma * np.sqrt(np.mean(np.sum(factor**2, axis=1))))


def _curve_row(fit: Fitted, t: int) -> Row:
    term, joint = fit.design.random[t], fit.joint
    at = fit.places(t, joint)
    edf = float(joint.edf()[at].sum())
    reference = float(joint.reference_df()[at].sum())
    if not len(fit.fixed_places(t)):
        statistic, pvalue, rank = variance_test(
            joint.coefficients,
            joint.covariance,
            joint.information,
            at,
            fit.sigma**2,
            fit.residual_df,
        )
        reference = float(rank)
    else:
        reference = min(reference, float(len(at)))
        statistic, pvalue = curve_test(
            joint.coefficients[at],
            fit.sigma**2 * joint.covariance[np.ix_(at, at)],
            joint.gram[np.ix_(at, at)],
            reference,
            fit.residual_df,
        )
    return _row(
        fit, term.group, edf, reference, statistic, pvalue, _deviation(fit, t, range(term.n_cols))
    )


def _row(
    fit: Fitted,
    label: str,
    edf: float,
    reference: float,
    statistic: float,
    pvalue: float,
    sd: float,
) -> Row:
    value = statistic if fit.known_scale else statistic / max(reference, 1e-300)
    return Row(label, edf, reference, value, pvalue, sd)


def _grouped_row(fit: Fitted, t: int, columns: Sequence[int] = (), label: str = "") -> Row:
    """Return the row of effects that vary over the levels of a factor."""
    term = fit.design.random[t]
    chosen = list(columns) or list(range(term.n_cols))
    blocks = [b for b in ([c for c in block if c in chosen] for block in term.blocks) if b]
    edf = sum(fit.grouped_edf(t, block) for block in blocks)
    sd = _deviation(fit, t, chosen)
    count = term.n_levels * len(chosen)
    if count > MOST_EFFECTS:
        return Row(label or term.group, edf, float(count), np.nan, np.nan, sd)
    joint = fit.joint_with([t])
    mine = joint.places(t, term.n_levels * term.n_cols).reshape(term.n_levels, term.n_cols)
    statistic, pvalue, rank = variance_test(
        joint.coefficients,
        joint.covariance,
        joint.information,
        mine[:, chosen].ravel(),
        fit.sigma**2,
        fit.residual_df,
    )
    return _row(fit, label or term.group, edf, float(rank), statistic, pvalue, sd)


def _random_row(fit: Fitted, smooth: Smooth) -> Row:
    """Return the row of a smooth that is a random intercept or slope."""
    names = {factor.expr for factor in smooth.variables}
    encoder = fit.design.encoder
    for t, grouping in enumerate(encoder.groupings):
        for j, column in enumerate(encoder.random[t]):
            parts = {expr for expr, _ in column.parts}
            if (
                grouping.names
                and not parts & set(grouping.names)
                and {*grouping.names, *parts} == names
            ):
                return _grouped_row(fit, t, [j], smooth.label)
    raise KeyError(smooth.label)
