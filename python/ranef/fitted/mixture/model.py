"""A fitted growth mixture."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..._counted import counted
from ..._typing import Array
from ...errors import RanefWarning, UnsupportedError
from ...parallel.workers import worker_count
from ...report.summary import Summary
from ...words.answers import Spoken
from ..updating import changed
from ..warned import tell
from .bootstrap import ClassTest, bootstrap_test
from .call import MixtureCall, checked_call
from .criteria import Criteria, starts_text
from .fit import MixtureData, check_enough, estimated, findings, read, shape_of, standard_errors
from .memberships import Memberships

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["GrowthMixture", "fit_model", "fit_rows"]

#: Names of the coefficients of a curve.
FACTORS = ("intercept", "slope", "quadratic")


@dataclass(frozen=True, eq=False, repr=False)
class GrowthMixture(Spoken, Criteria, Memberships):
    """Growth curves of classes that are not observed.

    Returned by :func:`ranef.growth_mixture`. Classes are numbered from 1, the largest first.

    Attributes
    ----------
    call : MixtureCall
        The arguments that made it.
    warnings : tuple of RanefWarning
        Warnings of the fit.
    """

    warnings: tuple[RanefWarning, ...] = ()

    # ------------------------------------------------------------------ estimates

    @property
    def shares(self) -> pd.Series[Any]:
        """Probabilities of the classes."""
        return pd.Series(self._estimate.shares, index=self._labels)

    @property
    def params(self) -> pd.DataFrame:
        """Coefficients of the curves, one column per class; log scale for counts."""
        return self._table(self._estimate.beta)

    @cached_property
    def bse(self) -> pd.DataFrame:
        """Standard errors of ``params``, from the observed information of all parameters."""
        return self._table(standard_errors(self._data.rows, self._estimate, shape_of(self.call)))

    @property
    def sigma(self) -> pd.Series[Any]:
        """Residual standard deviations of the classes; empty for counts."""
        sigma = self._estimate.sigma
        return pd.Series(sigma, index=self._labels[: len(sigma)], dtype=float)

    @property
    def varcorr(self) -> dict[int, pd.DataFrame]:
        """Covariance of the factors that vary within each class."""
        if not self.call.n_random:
            raise UnsupportedError(
                "nothing varies within the classes of this mixture; fit it with "
                "random='intercept' or 'linear'"
            )
        names = list(FACTORS[: self.call.n_random])
        return {
            int(k): pd.DataFrame(psi, index=names, columns=names)
            for k, psi in zip(self._labels, self._estimate.psi, strict=True)
        }

    def _table(self, values: Array) -> pd.DataFrame:
        """Label values (classes, coefficients)."""
        names = list(FACTORS[: self.call.n_shape])
        return pd.DataFrame(values.T, index=names, columns=self._labels)

    def bootstrap_test(
        self,
        n: int = 100,
        *,
        starts: int = 10,
        seed: int | None = None,
        workers: int | None = None,
        progress: bool = True,
    ) -> ClassTest:
        """Test against one class fewer by the bootstrap likelihood ratio.

        Parameters
        ----------
        n : int
            Data sets simulated from the model with one class fewer.
        starts : int
            Starts of each of their fits.
        seed : int, optional
            Makes the same data sets again, with any number of workers.
        workers : int, optional
            Threads; one for each core by default.
        progress : bool
            Whether to show a bar.

        Returns
        -------
        ClassTest
            ``statistic``, ``pvalue``, and the simulated statistics.

        Notes
        -----
        Twice the difference in log-likelihood has no chi-squared distribution, since the smaller
        model lies on the boundary of the larger one's parameter space [1]_. The p-value is
        (1 + b) / (1 + n), b the number of simulated statistics that are as large.

        References
        ----------
        .. [1] McLachlan (1987), J. R. Stat. Soc. C 36(3), 318-324.
        """
        return bootstrap_test(
            self.call, self._data, self._estimate, n, starts, seed, worker_count(workers), progress
        )

    def update(self, data: Any = None, **changes: Any) -> GrowthMixture:
        """Fit the same call with some arguments changed.

        Parameters
        ----------
        data : DataFrame, optional
            New data; the present rows by default.
        **changes
            Other arguments of :func:`ranef.growth_mixture`.
        """
        call = checked_call(changed(self.call, None, changes, "growth_mixture"))
        if data is not None:
            return fit_model(call, data)
        for name in ("outcome", "time", "groups", "missing"):
            if getattr(call, name) != getattr(self.call, name):
                raise ValueError(f"{name}= reads other columns or rows; pass them as data=")
        return fit_rows(call, replace(self._data, n_shape=call.n_shape))

    def frame(self) -> pd.DataFrame:
        """Return the rows that were used, sorted by group and time.

        Returns
        -------
        DataFrame
            Groups, times and outcome.
        """
        rows = self._data.rows
        return pd.DataFrame(
            {
                self.call.groups: np.asarray(self._data.labels)[rows.unit],
                self.call.time: self._data.time,
                self.call.outcome: rows.y,
            }
        )

    def plot(self, *, ax: Axes | None = None, most: int = 150) -> Axes:
        """Draw the curves of the classes over the data of the groups that are assigned to them.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; a new figure by default.
        most : int
            Groups to draw at most, spread over all.

        Returns
        -------
        Axes
        """
        from ...report.plots.mixture import mixture_axes

        low, high = self._data.time.min(), self._data.time.max()
        return mixture_axes(
            self.frame(),
            (self.call.groups, self.call.time, self.call.outcome),
            self.assigned,
            self.curves(np.linspace(low, high, 101)),
            self.shares,
            ax=ax,
            most=most,
        )

    # ------------------------------------------------------------------ text

    def summary(self) -> Summary:
        """Summarise the fit; prints as text, shows as HTML in a notebook."""
        call, found = self.call, self.starts
        within = "" if not call.n_random else f", {call.random} random within classes"
        variances = f"; {call.variances} variances" if len(self.sigma) else ""
        facts = [
            ("Outcome", f"{call.outcome} ({call.distribution.label})"),
            ("Curves", f"{call.shape} in {call.time}{within}{variances}"),
            ("Groups", f"{call.groups} ({self._data.rows.n_units:,}), {self.nobs:,} rows"),
            (
                "Log-likelihood",
                f"{self.llf:.4f}  (AIC {self.aic:.2f}, BIC {self.bic:.2f}, ICL {self.icl:.2f})",
            ),
            ("Entropy", f"{self.entropy:.3f}"),
            ("Starts", starts_text(found)),
        ]
        notes = [str(w) for w in self.warnings]
        notes.append("classes describe; that they fit better does not show that they exist")
        title = f"Growth mixture of {self.classes} class{'es' if self.classes > 1 else ''}"
        return Summary(title, facts, None, self.coef_table(), notes)

    def coef_table(self) -> pd.DataFrame:
        """Return estimates, standard errors and normal tests, one row per class and coefficient."""
        from ...report.coefficients import coefficient_table

        beta, se = self.params.to_numpy().T.ravel(), self.bse.to_numpy().T.ravel()
        names = [f"class {k}: {name}" for k in self._labels for name in self.params.index]
        return coefficient_table(names, beta, se, np.full(len(beta), np.inf))

    def __str__(self) -> str:
        return "\n".join([str(self.summary()), "", "Classes", self._class_table().to_string()])

    def _class_table(self) -> pd.DataFrame:
        """Lay out the classes as text: share, groups, how sure they are, residual deviation."""
        table = pd.DataFrame({"share": self.shares.map("{:.3f}".format), "groups": self.counts})
        table["certainty"] = self.certainty.map("{:.3f}".format)
        if len(self.sigma):
            table["sigma"] = self.sigma.map("{:.4g}".format)
        return table

    def __repr__(self) -> str:
        return (
            f"<GrowthMixture of {counted(self.classes, 'class', 'classes')}, "
            f"{counted(self._data.rows.n_units, 'group')}, llf {self.llf:.4f}>"
        )

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_() + self._class_table().to_html()


def fit_model(
    call: MixtureCall, data: Any, workers: int | None = None, *, progress: bool = False
) -> GrowthMixture:
    """Carry out a call, and issue its warnings."""
    return fit_rows(call, read(call, data), workers, progress=progress)


def fit_rows(
    call: MixtureCall, data: MixtureData, workers: int | None = None, *, progress: bool = False
) -> GrowthMixture:
    """Carry out a call on rows that were read, and issue its warnings."""
    check_enough(call, data)
    estimate = estimated(call, data.rows, worker_count(workers), progress=progress)
    model = GrowthMixture(call, data, estimate, tuple(findings(call, data, estimate)))
    tell(model.warnings)
    return model
