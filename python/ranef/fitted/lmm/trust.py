"""Whether to trust a fit: methods of a fitted mixed model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Self, cast

import numpy as np
import pandas as pd

from ... import _core
from ... import design as designs
from ..._typing import Array
from ...design.design import Design
from ...design.frame import open_frame
from ...errors import DroppedRowsWarning, UnsupportedError
from ...formula import parse
from ...inference.priors.parts import has_no_units
from ...models.lmm import LmmEstimate
from ...report import verdict
from ...report.verdict import Convergence
from ..parts import Base
from .fit import checked, estimated, made
from .parts import LmmParts

if TYPE_CHECKING:
    from ...inference.units import Recoding
    from ...report.influence import Influence

__all__ = ["Trust"]


class Trust(Base):
    """Convergence and what endangers it."""

    parts: LmmParts

    @property
    def convergence(self) -> Convergence:
        """Report on the optimum: exact gradient, curvature, boundary, evaluations, advice.

        Each access computes the exact Hessian again, at the cost of one gradient, and of two more
        for each covariance parameter of the largest term where terms are crossed or nested, of all
        terms where the factor is sparse.
        """
        notes = [str(w) for w in self.parts.warnings if not isinstance(w, DroppedRowsWarning)]
        has_prior = self.parts.call.prior is not None
        advice = verdict.restart_advice(has_prior)
        report = verdict.convergence(self.parts.estimate, self.parts.optimum(), notes, advice)
        return verdict.not_identified(report, self.parts.design, self.parts.spanned)

    @property
    def penalty(self) -> float:
        """-2 log density of what has a prior, under it; 0 without one."""
        return self.parts.penalty

    def in_units(self, **units: str) -> Self:
        """Express the model in other units of its predictors, exactly and without a search.

        Parameters
        ----------
        **units : str
            New column and how it is made of an old one, a constant plus a multiple:
            ``time="2008 + occasion / 2"``. The new column takes the old one's place in the formula.

        Returns
        -------
        LinearMixedModel
            The same model: coefficients, their covariance, covariances of the random effects and
            predictions in the new units. It predicts from frames that have the new column.

        Raises
        ------
        ModelError
            If the model means something else in the new units, as a slope without an intercept or
            ``||`` does when the origin moves.

        Notes
        -----
        The log-likelihood is the same. The restricted one changes by the constant log|T| of the
        change of columns, which says nothing about the fit.

        Examples
        --------
        >>> import ranef
        >>> sleep = ranef.datasets.load("sleepstudy")
        >>> model = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
        >>> model.in_units(hours="24 * Days").params.round(4).to_dict()
        {'Intercept': 251.4051, 'hours': 0.4361}
        """
        from ...inference.units import read_recoding

        if not has_no_units(self.parts.call.prior):
            raise UnsupportedError(
                "a density of covariances or of fixed effects is on the scale of the formula's "
                "columns; only the priors 'weak' and 'wishart', and one of the residual, mean the "
                "same in other units. Recode the data, and fit with the prior in those units"
            )
        parts = self.parts
        for new, text in units.items():
            parts = _in_units(parts, read_recoding(new, text))
        return type(self)(parts)

    def influence(
        self, groups: str | None = None, *, refit: bool = False, progress: bool = True
    ) -> Influence:
        """Measure how far the fixed effects move when each group of rows is deleted.

        Parameters
        ----------
        groups : str, optional
            A grouping factor of the model or a column of its data; the first grouping factor by
            default, and "rows" for single rows.
        refit : bool
            Whether the covariance parameters are estimated again without each group, instead of
            held fixed where the closed form applies.
        progress : bool
            Whether to show a progress bar when it takes longer than a second.

        Returns
        -------
        Influence
            ``table`` (Cook's distance, leverage, covratio), ``dfbeta``, ``dfbetas``, ``params``,
            ``top()``, ``plot()``.

        Notes
        -----
        Cook's distance is (b - b_g)' cov(b)^-1 (b - b_g) / p; DFBETAS divide by the standard errors
        without the group. Leverage is the sum of the derivatives of fitted values by their own
        responses, conditional on the random effects' distribution.

        Examples
        --------
        >>> import ranef
        >>> sleep = ranef.datasets.load("sleepstudy")
        >>> model = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
        >>> model.influence("Subject").top(1)
        ['309']
        """
        from ...inference import influence as deletions
        from ...report.influence import influence_tables
        from ..mixed.deleted import deleted_rows

        self.parts.exact_only("influence", "diagnostics of residuals")
        design, estimate = self.parts.design, self.parts.estimate
        label, codes, levels = deleted_rows(self.parts, groups)
        count = len(levels)

        def fit(rest: Design, core: _core.Lmm, start: tuple[Array, ...]) -> LmmEstimate:
            checked(rest, self.parts.call)
            return estimated(rest, core, self.parts.call, start)

        deletion = (
            deletions.refits(design, estimate, codes, count, fit, progress=progress)
            if refit
            else deletions.closed_form(
                design, estimate, codes, count, self.parts.prior_precision(), progress=progress
            )
        )
        weight = deletions.leverage(design, estimate, self.parts.core)
        return influence_tables(
            estimate,
            pd.Index(self.parts.names)[estimate.kept],
            deletion,
            levels,
            (label, np.bincount(codes), np.bincount(codes, weights=weight).astype(np.float64)),
            refitted=refit,
        )


def _in_units(parts: LmmParts, recoding: Recoding) -> LmmParts:
    """Express a model in other units of one predictor."""
    from ...inference.priors.mode import at_mode, penalized_at
    from ...inference.units import recoded_data, reexpress, renamed

    formula = parts.call.formula
    if renamed(formula, recoding.old, f"{recoding.old}_") == formula:
        raise ValueError(
            f"{recoding.old!r} is not in the formula {formula!r}; there is nothing to convert"
        )
    call = replace(parts.call, formula=renamed(formula, recoding.old, recoding.new))
    data: Any = recoded_data(open_frame(parts.training_data()), recoding)
    design = designs.build(
        parse(call.formula),
        data,
        weights=call.weights,
        offset=call.offset,
        contrasts=call.contrasts,
        missing=cast("Literal['drop', 'raise']", call.missing),
        covariance=call.covariance,
    )
    core, estimate = reexpress(parts.design, parts.estimate, design)
    if call.prior is not None:
        estimate = at_mode(penalized_at(design, core, estimate, call.prior), estimate)
    return made(design, estimate, call, core, data)
