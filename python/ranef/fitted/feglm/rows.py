"""Rows of a generalised linear model: fitted values, predictions, and its absorbed effects."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from ..._options import check_option
from ..._typing import Array, NewLevels
from ...design import Design, encode
from ...design.encode import NewRows
from ...errors import DataError, ModelError, UnsupportedError
from ...families.residuals import RESIDUALS, residuals
from ...inference.prediction.estimable import without_estimate, without_estimate_beside
from ...inference.prediction.table import labelled
from ...models.within import absorbed_effects
from ..parts import Base
from ..residual_series import Residuals
from .fitted import ConditionalFit
from .parts import FeglmParts

__all__ = ["Rows"]

#: Scales of predictions.
KINDS = ("response", "link")


class Rows(Base):
    """Fitted means, residuals, predictions and absorbed effects."""

    parts: FeglmParts

    @property
    def fittedvalues(self) -> pd.Series[Any]:
        """Fitted means, absorbed effects included.

        Of a binomial model that absorbs a factor they are the probabilities of a success given the
        number of successes of its level.
        """
        return self.parts.label(self.parts.estimate.mu)

    @property
    def resid(self) -> Residuals:
        """Responses minus fitted means."""
        return Residuals.over(self, self.parts.label(self.parts.design.y - self.parts.estimate.mu))

    def residuals(
        self, kind: Literal["response", "pearson", "deviance", "working"] = "response"
    ) -> pd.Series[Any]:
        """Compute residuals of the rows used.

        Parameters
        ----------
        kind : {"response", "pearson", "deviance", "working"}
            Response minus mean; over the standard deviation; signed root of the deviance; on the
            scale of the link.

        Returns
        -------
        Series of length n
            Labelled as the caller's rows.
        """
        parts = self.parts
        name = check_option("kind", kind, RESIDUALS)
        weights = np.ones(parts.nobs) if parts.design.weights is None else parts.design.weights
        found = residuals(
            parts.family,
            parts.family.link,
            name,
            parts.design.y,
            parts.estimate.eta,
            weights,
            {"trials": 1.0},
        )
        return parts.label(found)

    def effects(self) -> dict[str, pd.Series[Any]]:
        """Return the absorbed effects on the scale of the link, a series for each factor.

        Returns
        -------
        dict of str to Series
            Effects by level. Those of the first factor include the overall mean; those of each
            later one add up to zero over the rows. Across unconnected levels they cannot be
            compared.
        """
        estimate = self.parts.estimate
        absorption = estimate.absorption
        if absorption is None:
            raise ModelError("no factor was absorbed; the effects are among the coefficients")
        if isinstance(estimate, ConditionalFit):
            raise UnsupportedError(
                "a conditional likelihood does not depend on the effects, so they have no "
                "estimates; ranef.glmer has those of random ones, model.ranef()"
            )
        design = self.parts.design
        fixed = self.parts.linear(design.X[:, estimate.positions])
        offset = 0.0 if design.offset is None else design.offset
        residual = estimate.eta - offset - fixed
        found = absorbed_effects(residual, absorption, estimate.glm.weights)
        return {
            name: pd.Series(part, index=design.random[k].levels, name=name)
            for k, (name, part) in enumerate(zip(absorption.names, found, strict=True))
        }

    def predict(
        self,
        newdata: Any = None,
        *,
        kind: Literal["response", "link"] = "response",
        new_levels: NewLevels = "raise",
    ) -> pd.Series[Any]:
        """Predict means, or linear predictors.

        Parameters
        ----------
        newdata : frame, optional
            New rows; the rows of the fit by default.
        kind : {"response", "link"}
            Means, or linear predictors: of a binomial model that absorbs a factor without the
            effects of its levels.
        new_levels : {"raise", "population"}
            What to do with a level of an absorbed factor that the fit did not use: raise, or take
            the mean effect over the rows.

        Returns
        -------
        Series of length m
            Labelled as the rows of ``newdata``.
        """
        name, parts = check_option("kind", kind, KINDS), self.parts
        if newdata is None and name == "response":
            return self.fittedvalues
        if parts.is_conditional and name == "response":
            raise UnsupportedError(
                "the effects of the levels are not estimated, so new rows have no probabilities; "
                'use predict(newdata, kind="link"), which leaves them out, or ranef.glmer'
            )
        rows = self._encoded(parts.training_data() if newdata is None else newdata, new_levels)
        eta = parts.linear(rows.X[:, parts.estimate.positions])
        eta = eta + (0.0 if rows.offset is None else rows.offset) + self._effects_of(rows)
        return labelled(eta if name == "link" else parts.family.link.mean(eta), rows.index)

    def _encoded(self, newdata: Any, new_levels: str) -> NewRows:
        """Encode new rows; those that depend on what has no estimate are NaN."""
        parts, absorption = self.parts, self.parts.estimate.absorption
        listed = [] if absorption is None or parts.is_conditional else list(absorption.names)
        rows = encode(parts.design, newdata, random=listed, new_levels=new_levels)
        rows = used_levels(parts.design, rows, len(listed), new_levels)
        positions = np.asarray(parts.estimate.positions)
        if absorption is None:
            return without_estimate(parts.design, newdata, rows, positions[parts.kept])
        kept = ~np.isnan(parts.beta)
        return without_estimate_beside(parts.design, newdata, rows, positions, kept, absorption)

    def _effects_of(self, rows: NewRows) -> Array:
        """Add up the effects of the levels of new rows."""
        out = np.zeros(len(rows.X))
        if self.parts.estimate.absorption is None or self.parts.is_conditional:
            return out
        effects = list(self.effects().values())
        for term, effect, design in zip(
            rows.terms, effects, self.parts.design.random, strict=False
        ):
            assert term is not None
            mean = float(effect.to_numpy()[design.codes].mean())
            out = out + np.append(effect.to_numpy(), mean)[term.codes]
        return out


def used_levels(design: Design, rows: NewRows, count: int, new_levels: str) -> NewRows:
    """Code new rows by the levels that remain after uninformative ones were left out.

    Raises
    ------
    DataError
        If a row has a level that was left out, and ``new_levels`` is "raise".
    """
    terms = list(rows.terms)
    for k in range(count):
        term, learned = terms[k], design.encoder.groupings[k].levels
        assert term is not None
        place = np.append(design.random[k].levels.get_indexer(learned), -1)
        lost = (term.codes >= 0) & (place[term.codes] < 0)
        if new_levels == "raise" and lost.any():
            shown = ", ".join(repr(str(v)) for v in learned[np.unique(term.codes[lost])][:5])
            raise DataError(
                f"levels of {term.group!r} were left out of the fit, since their responses do not "
                f'vary, and have no effect: {shown}; with new_levels="population" they have the '
                "mean effect",
                term.group,
            )
        terms[k] = replace(term, codes=place[term.codes].astype(np.int32))
    return replace(rows, terms=tuple(terms))
