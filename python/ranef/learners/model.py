"""A learner with random effects, fitted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .._counted import counted
from .._typing import NewLevels, Random
from ..fitted.warned import tell
from ..inference.prediction.predict import chosen_groups
from ..report.summary import Summary
from .call import LearnerCall
from .conformal import Calibration, calibrated
from .fit import Fit, fit
from .importance import Importance, importance_of
from .rules import Rules, rules_of
from .shared import BesideMixed, rounds_of
from .tree import Leaves

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

__all__ = ["MixedLearner", "fit_model"]


class MixedLearner(BesideMixed):
    """A learner of scikit-learn's kind in place of the fixed part, with random effects.

    Made by :func:`ranef.re_em`. It does not change after the fit.

    Attributes
    ----------
    call : LearnerCall
        The arguments that made it.
    mixed : LinearMixedModel
        The linear mixed model beside the learner: of a tree, with a coefficient for each leaf; of
        other learners, of the response minus their predictions.
    trace : DataFrame
        Log-likelihood and residual standard deviation of each round.
    """

    call: LearnerCall
    fit: Fit

    # ------------------------------------------------------------------ estimates

    @property
    def learner(self) -> Any:
        """The learner fitted to all rows: an estimator of scikit-learn's, or ranef's forest.

        Its columns are ``features``, its response is y minus offset and random effects.
        """
        return self.fit.learned.estimator

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the learner's columns."""
        return self.fit.predictors.names

    @property
    def leaves(self) -> Rules:
        """Rules, rows and coefficients of the leaves of a tree.

        Raises
        ------
        UnsupportedError
            For learners other than ``"tree"``.
        """
        return rules_of(self.fit)

    @property
    def converged(self) -> bool:
        """Whether the log-likelihood of the alternation settled."""
        return self.fit.converged and self.mixed.converged

    # ------------------------------------------------------------------ rows

    @property
    def fittedvalues(self) -> pd.Series[Any]:
        """Predictions of the rows of the fit, random effects included.

        Those that the random effects were estimated from: out-of-bag for a forest, cross-fitted for
        boosting and other estimators, so that no learner saw the row's own group.
        """
        return self.mixed.fittedvalues

    def predict(
        self, newdata: Any = None, *, random: Random = "all", new_levels: NewLevels = "raise"
    ) -> pd.Series[Any]:
        """Predict the response by the learner of all rows.

        Parameters
        ----------
        newdata : DataFrame, optional
            New rows. Without it, ``fittedvalues`` or their part without random effects.
        random : {"all", "none"} or list of str
            Which random effects take part.
        new_levels : {"raise", "population"}
            What to do with groups that the fit has not seen: raise, or give them the effect zero.

        Returns
        -------
        Series of length m
            Labelled as the rows of ``newdata``. A row with missing values gives NaN.
        """
        base = self.fit.predictors.base
        groups = chosen_groups(base, random)
        if newdata is None:
            return self.mixed.predict(random=random)
        rows = self.fit.predictors.encode(newdata, groups, new_levels)
        mean = np.full(len(rows.missing), np.nan)
        usable = np.flatnonzero(~rows.missing)
        if len(usable):
            beta = np.asarray(self.mixed.params)
            mean[usable] = self.fit.learned.mean(np.ascontiguousarray(rows.X[usable]), beta)
        if rows.offset is not None:
            mean += rows.offset
        for new, modes in zip(rows.terms, self.mixed.parts.estimate.modes, strict=True):
            if new is not None:
                mean += np.where(rows.missing, np.nan, new.effect(modes))
        return pd.Series(mean, index=rows.index)

    def calibrate(self, folds: int = 5, *, progress: bool = True) -> Calibration:
        """Calibrate prediction intervals by fits without some groups and without some rows.

        Parameters
        ----------
        folds : int
            Parts to hold out; twice as many fits.
        progress : bool
            Whether to show a bar.

        Returns
        -------
        Calibration
            ``radius(level)`` and ``predict(newdata, level=)`` with intervals for new and for known
            groups.

        Notes
        -----
        Intervals are those of this model's predictions plus and minus a quantile of the absolute
        errors of held-out rows. They assume that groups are exchangeable, or rows within known
        groups; not that anything is normal.
        """
        return calibrated(self, self.call, self.fit, self.training_data(), folds, progress)

    def importance(
        self,
        sets: Mapping[str, Sequence[str]] | None = None,
        *,
        repeats: int = 5,
        rows: int = 10_000,
        seed: int = 1,
    ) -> Importance:
        """Compute how much worse predictions are once a predictor is shuffled.

        Parameters
        ----------
        sets : mapping of str to sequence of str, optional
            Predictors to shuffle together, by name of the set; by default each by itself, with all
            indicators of a categorical one together.
        repeats : int
            Times to shuffle.
        rows : int
            Rows at most.
        seed : int
            Seed of the shuffling.

        Returns
        -------
        Importance
            ``table`` and ``plot()``.

        Notes
        -----
        Rows are predicted as in ``fittedvalues``, by learners that did not see them. A predictor
        that is constant within the levels of a grouping factor is shuffled among these levels, not
        among rows, so that shuffled data look like data.
        """
        return importance_of(self.fit, sets, repeats, rows, seed)

    # ------------------------------------------------------------------ tables and text

    def glance(self) -> pd.DataFrame:
        """Return one row of numbers about the fit."""
        found = {
            "nobs": self.nobs,
            "sigma": self.sigma,
            "logLik": self.llf,
            "rounds": len(self.trace),
            "converged": self.converged,
        }
        return pd.DataFrame([found])

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Draw the tree, or the importance of the predictors of another learner.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        Axes
        """
        if isinstance(self.fit.learned, Leaves):
            return self.leaves.plot(ax=ax)
        return self.importance().plot(ax=ax)

    def summary(self) -> Summary:
        """Summarise the fit; prints as text, shows as HTML in a notebook."""
        fit, learned = self.fit, self.fit.learned
        groups = ", ".join(f"{group} ({count:,})" for group, count in self.ngroups.items())
        kind = "Restricted log-likelihood" if self.call.reml else "Log-likelihood"
        count = len(self.features)
        facts = [
            ("Formula", str(self.call.formula)),
            ("Rows", f"{self.nobs:,}"),
            ("Groups", groups),
            ("Learner", f"{fit.learner.label}, {count} column{'s' if count > 1 else ''}"),
            ("Fitted values", f"{learned.how}{self._held_out()}"),
            (kind, f"{self.llf:.4f}"),
        ]
        notes = [*(str(w) for w in self.warnings), *learned.notes()]
        if fit.converged:
            notes.append(f"The log-likelihood settled after {rounds_of(self.trace)}.")
        table = self.mixed.coef_table()
        if isinstance(learned, Leaves):
            table.index = pd.Index(self.leaves.table["rule"])
            notes.append("Standard errors treat the splits as known, so they are too small.")
        return Summary("Learner with random effects", facts, self.varcorr, table, notes)

    def _held_out(self) -> str:
        """State which units were held out together."""
        if self.fit.learned.how in ("in-sample", "leaves as fixed effects"):
            return ""
        whole = "rows" if self.fit.resample == "rows" else f"whole levels of {self.fit.resample}"
        return f", {whole} held out"

    def __repr__(self) -> str:
        return (
            f"<MixedLearner {str(self.call.formula)!r}, {self.fit.learner.label}, "
            f"{counted(self.nobs, 'row')}, llf {self.llf:.4f}>"
        )


def fit_model(call: LearnerCall, data: Any, *, progress: bool = True) -> MixedLearner:
    """Carry out a call, and issue its warnings."""
    found = fit(call, data, progress=progress)
    tell(found.warnings)
    return MixedLearner(call, found, data)
