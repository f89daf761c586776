"""A fitted growth mixture."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..._typing import Array
from ...errors import RanefWarning, UnsupportedError
from ...families.links import mean_of
from ...models.mixture.fit import MixtureEstimate
from ...parallel.workers import worker_count
from ...report.summary import Summary
from ..updating import changed
from ..warned import tell
from .bootstrap import ClassTest, bootstrap_test
from .call import MixtureCall, checked_call
from .fit import MixtureData, check_enough, estimated, findings, read, shape_of, standard_errors

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["GrowthMixture", "fit_model", "fit_rows"]

#: Names of the coefficients of a curve.
FACTORS = ("intercept", "slope", "quadratic")


@dataclass(frozen=True, eq=False, repr=False)
class GrowthMixture:
    """Growth curves of classes that are not observed.

    Made by :func:`ranef.growth_mixture`. Classes are numbered from 1, the largest first.

    Attributes
    ----------
    call : MixtureCall
        The arguments that made it.
    warnings : tuple of RanefWarning
        What the fit warned of.
    """

    call: MixtureCall
    warnings: tuple[RanefWarning, ...]
    _data: MixtureData
    _estimate: MixtureEstimate

    # ------------------------------------------------------------------ counts and criteria

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.call.classes

    @property
    def nobs(self) -> int:
        """Rows that were used."""
        return len(self._data.rows.y)

    @property
    def ngroups(self) -> dict[str, int]:
        """Number of groups that were used."""
        return {self.call.groups: self._data.rows.n_units}

    @property
    def npar(self) -> int:
        """Number of parameters."""
        return shape_of(self.call).npar(self.call.n_shape)

    @property
    def llf(self) -> float:
        """Log-likelihood."""
        return self._estimate.llf

    @property
    def aic(self) -> float:
        """Akaike's criterion."""
        return 2.0 * self.npar - 2.0 * self.llf

    @property
    def bic(self) -> float:
        """Schwarz's criterion, counting rows."""
        return float(np.log(self.nobs)) * self.npar - 2.0 * self.llf

    @property
    def icl(self) -> float:
        """BIC plus twice the entropy of the classes: low when groups are told apart as well."""
        return self.bic + 2.0 * self._uncertainty

    @property
    def entropy(self) -> float:
        """How well groups are told apart: 1 when every class is certain, 0 when none is."""
        if self.classes == 1:
            return 1.0
        return 1.0 - self._uncertainty / (self._data.rows.n_units * float(np.log(self.classes)))

    @property
    def _uncertainty(self) -> float:
        """Entropy of the posterior probabilities, summed over groups."""
        p = self._estimate.posterior
        return float(-np.sum(p * np.log(np.maximum(p, 1e-300))))

    @property
    def converged(self) -> bool:
        """Whether the best start ended at an optimum."""
        return self._estimate.converged

    @property
    def starts(self) -> pd.Series[Any]:
        """What became of the starts.

        Returns
        -------
        Series
            Numbers of starts: all; ``best``, at the best optimum; ``other``, at lower optima;
            ``empty``, lost a class; ``degenerate``, ran to a class without a variance, or of a
            single group with one of its own; ``broken``, met a number that is not finite.
        """
        found = self._estimate.outcomes
        reached = self._estimate.reached
        return pd.Series(
            {
                "all": sum(found.values()),
                "best": reached,
                "other": found["converged"] + found["stopped"] - reached,
                "empty": found["empty"],
                "degenerate": found["collapsed"] + found["single"],
                "broken": found["broken"],
            }
        )

    @property
    def optima(self) -> Array:
        """Log-likelihoods of the distinct optima that starts ended at, best first."""
        return self._estimate.optima

    # ------------------------------------------------------------------ estimates

    @property
    def _labels(self) -> pd.Index[Any]:
        return pd.RangeIndex(1, self.classes + 1, name="class")

    @property
    def shares(self) -> pd.Series[Any]:
        """Probabilities of the classes."""
        return pd.Series(self._estimate.shares, index=self._labels)

    @property
    def params(self) -> pd.DataFrame:
        """Coefficients of the curves, a column a class; counts: on the scale of the logarithm."""
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

    # ------------------------------------------------------------------ groups

    @property
    def posterior(self) -> pd.DataFrame:
        """Probability of each class for each group, in the order in which groups appear."""
        index = pd.Index(self._data.labels, name=self.call.groups)
        return pd.DataFrame(self._estimate.posterior, index=index, columns=self._labels)

    @property
    def assigned(self) -> pd.Series[Any]:
        """The most probable class of each group."""
        best = self._estimate.posterior.argmax(axis=1) + 1
        index = pd.Index(self._data.labels, name=self.call.groups)
        return pd.Series(best, index=index, name="class")

    @property
    def counts(self) -> pd.Series[Any]:
        """Number of groups by most probable class."""
        return self.assigned.value_counts().reindex(self._labels, fill_value=0)

    @property
    def certainty(self) -> pd.Series[Any]:
        """Mean probability of their own class of the groups that are assigned to it.

        Values under 0.7 or so say that a class is not told apart from the others.
        """
        own = pd.Series(self._estimate.posterior.max(axis=1))
        return own.groupby(self.assigned.to_numpy()).mean().reindex(self._labels)

    def curves(self, times: Any = None) -> pd.DataFrame:
        """Compute the mean curve of each class, on the scale of the outcome.

        Parameters
        ----------
        times : array_like, optional
            Times; those of the data by default.

        Returns
        -------
        DataFrame
            A row a time, a column a class.
        """
        at = np.unique(self._data.time) if times is None else np.asarray(times, float)
        if at.ndim != 1 or not np.isfinite(at).all():
            raise ValueError("times is a list of finite numbers")
        eta = np.vander(at, self.call.n_shape, increasing=True) @ self._estimate.beta.T
        mean = mean_of(self.call.distribution.link.name, eta.ravel()).reshape(eta.shape)
        return pd.DataFrame(mean, index=pd.Index(at, name=self.call.time), columns=self._labels)

    def bootstrap_test(
        self,
        n: int = 100,
        *,
        starts: int = 10,
        seed: int | None = None,
        workers: int | None = None,
        progress: bool = True,
    ) -> ClassTest:
        """Test against one class less by the bootstrap likelihood ratio.

        Parameters
        ----------
        n : int
            Data sets simulated from the model with one class less.
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
        model lies at the end of the larger one's parameters [1]_. The p-value is
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
                raise ValueError(f"{name}= reads other columns or rows; give them as data=")
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
        """Return estimates, standard errors and normal tests, a row a class and coefficient."""
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
            f"<GrowthMixture of {self.classes} classes, {self._data.rows.n_units} groups, "
            f"llf {self.llf:.4f}>"
        )

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_() + self._class_table().to_html()


def starts_text(found: pd.Series[Any]) -> str:
    """Say how often the best optimum was found."""
    text = f"{found['best']} of {found['all']} reached the best optimum"
    rest = {
        "other": "at lower optima",
        "empty": "lost a class",
        "degenerate": "degenerate",
        "broken": "broke down",
    }
    told = [f"{found[key]} {words}" for key, words in rest.items() if found[key]]
    return ", ".join([text, *told])


def fit_model(call: MixtureCall, data: Any, workers: int | None = None) -> GrowthMixture:
    """Carry out a call, and issue its warnings."""
    return fit_rows(call, read(call, data), workers)


def fit_rows(call: MixtureCall, data: MixtureData, workers: int | None = None) -> GrowthMixture:
    """Carry out a call on rows that were read, and issue its warnings."""
    check_enough(call, data)
    estimate = estimated(call, data.rows, worker_count(workers))
    model = GrowthMixture(call, tuple(findings(call, data, estimate)), data, estimate)
    tell(model.warnings)
    return model
