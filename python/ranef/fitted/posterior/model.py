"""A posterior as its user has it: thin methods over draws."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from ..._options import check_name, check_option
from ..._typing import Array, NewLevels
from ...inference.coverage import check_level
from ...inference.posterior.derived import described, ranks, statistics_at
from ...inference.posterior.diagnosis import summary_table, verdict
from ...inference.posterior.draws import Draws
from ...inference.posterior.effects import (
    averaged_effects,
    drawn_effects,
    summed_effects,
)
from ...inference.posterior.exchange import to_arviz
from ...inference.posterior.loo import Loo
from ...inference.posterior.priors import PosteriorPriors
from ...report.effects import RandomEffects
from ...report.plots.posterior import PosteriorPlots
from ...words.answers import Spoken
from .source import Rows, Source

__all__ = ["Posterior"]


class Posterior(Spoken):
    """Draws of a model's posterior distribution, and what follows from them.

    Returned by ``model.sample()``. It does not change.

    Attributes
    ----------
    prior : dict
        The priors, by the keys of ``prior=``; those that were left out have their default.
    sampler : str
        What drew them, in words.
    divergences : int
        Transitions that diverged; 0 for independent proposals.
    verdict : str
        Whether the draws can be trusted, and what to do if not.
    reliable : bool
        The same as a word.

    Notes
    -----
    A linear model samples covariances and sigma alone, on the exact marginal likelihood, so that
    the cost of a draw does not depend on the number of rows. Coefficients are drawn given these,
    and random effects only where they are asked for; their means and covariances are averages of
    exact ones given each draw.
    """

    def __init__(self, source: Source, draws: Draws, priors: PosteriorPriors, seed: int):
        self._source, self._draws, self._priors, self._seed = source, draws, priors, seed

    # ------------------------------------------------------------------ parameters

    @property
    def prior(self) -> dict[str, Any]:
        """The priors, by the keys of ``prior=``."""
        return dict(self._priors.said)

    @property
    def sampler(self) -> str:
        """What drew them, in words."""
        return self._draws.sampler

    @property
    def divergences(self) -> int:
        """Transitions that diverged."""
        return self._draws.divergences

    @property
    def names(self) -> list[str]:
        """Names of the parameters, as ``table`` has them."""
        return self._source.names(self._priors)

    @cached_property
    def _parameters(self) -> Array:
        """Parameters by chain and draw, shape (C, N, k)."""
        return self._source.parameters(self._draws, self._priors)

    @cached_property
    def _verdict(self) -> tuple[bool, str]:
        chains = self._draws.shape[0]
        return verdict(self.table(), chains, self.divergences, self._draws.still)

    @property
    def verdict(self) -> str:
        """Whether the draws can be trusted, and what to do if not."""
        return self._verdict[1]

    @property
    def reliable(self) -> bool:
        """Whether the draws can be trusted."""
        return self._verdict[0]

    @property
    def draws(self) -> pd.DataFrame:
        """Every draw: one column per parameter, indexed by chain and draw."""
        chains, count = self._draws.shape
        index = pd.MultiIndex.from_product(
            [range(1, chains + 1), range(1, count + 1)], names=["chain", "draw"]
        )
        return pd.DataFrame(
            self._parameters.reshape(chains * count, -1), index=index, columns=self.names
        )

    def table(self, prob: float = 0.95) -> pd.DataFrame:
        """Describe the posterior of each parameter.

        Parameters
        ----------
        prob : float
            Probability between lower and upper; the tails are equal.

        Returns
        -------
        DataFrame
            Columns mean, sd, lower, median, upper, rhat, ess (of bulk and tails, the smaller).
            Rows are coefficients, ``sd_TERM|GROUP``, ``cor_TERM.TERM|GROUP``, then ``sigma`` or a
            dispersion.

        References
        ----------
        Vehtari, Gelman, Simpson, Carpenter and Bürkner (2021), Bayesian Analysis 16, 667-718.
        """
        check_level(prob)
        return summary_table(self._parameters, self.names, prob)

    def __repr__(self) -> str:
        shown = self.table().round({"rhat": 3, "ess": 0}).to_string(float_format=_number)
        return "\n".join([self._title(), "", shown, "", *self._said(), "", self.verdict])

    def _title(self) -> str:
        chains, count = self._draws.shape
        return (
            f"Posterior of {self._source.formula}: {chains} chain{'s' * (chains > 1)} of {count:,} "
            f"draws, by {self.sampler}"
        )

    def _said(self) -> list[str]:
        return ["Priors:"] + [
            f"  {key}: {'flat' if prior is None else repr(prior)}"
            for key, prior in self.prior.items()
        ]

    def _repr_html_(self) -> str:
        priors = "".join(f"<li>{escape(line.strip())}</li>" for line in self._said()[1:])
        return (
            f"<h3>{escape(self._title())}</h3>{self.table().to_html(float_format=_number)}"
            f"<p>Priors</p><ul>{priors}</ul><p>{escape(self.verdict)}</p>"
        )

    # ------------------------------------------------------------------ random effects

    @cached_property
    def _effects(self) -> tuple[Array, ...]:
        """Random effects of every draw, shape (C, N, l, s) for each term."""
        if self._draws.effects is not None:
            return self._draws.effects
        levels = [term.n_levels for term in self._source.design.random]
        return drawn_effects(self._source.core(), self._draws, levels, self._seed + 1)

    def ranef(self) -> RandomEffects:
        """Return posterior means and covariances of the random effects.

        Returns
        -------
        RandomEffects
            Mapping of group to a frame of levels by terms; ``.cov[group]`` has each level's
            posterior covariance, shape (levels, s, s), parameters uncertain too.
        """
        terms = self._source.design.random
        if self._draws.effects is None:
            levels = [term.n_levels for term in terms]
            means, covs = averaged_effects(self._source.core(), self._draws, levels)
        else:
            means, covs = summed_effects(self._draws.effects)
        return RandomEffects(terms, means, lambda: covs)

    def ranks(self, group: str | None = None, column: str | None = None) -> pd.DataFrame:
        """Rank the levels of a grouping factor by their effects, the largest first.

        Parameters
        ----------
        group : str, optional
            The grouping factor; the first by default.
        column : str, optional
            The column whose effects are ranked; the first by default.

        Returns
        -------
        DataFrame
            One row per level; columns mean, lower, median, upper of its rank (95 %), and ``first``,
            the probability that it is the largest.
        """
        terms = {term.group: t for t, term in enumerate(self._source.design.random)}
        t = terms[check_group(group, list(terms))]
        term = self._source.design.random[t]
        j = term.names.index(check_group(column, list(term.names), "column"))
        b = self._effects[t][..., j].reshape(-1, term.n_levels)
        return ranks(b, term.levels)

    # ------------------------------------------------------------------ rows

    def predict(
        self,
        newdata: Any = None,
        *,
        kind: str = "response",
        random: str | Iterable[str] = "all",
        new_levels: NewLevels = "raise",
        interval: str | None = None,
        level: float = 0.95,
        trials: Any = None,
    ) -> Array | pd.DataFrame:
        """Predict means, with the uncertainty of all parameters.

        Parameters
        ----------
        newdata : DataFrame, optional
            New rows; the fitted rows by default.
        kind : {"response", "link"}
            The mean, or the linear predictor of a generalised model.
        random : {"all", "none"} or list of str
            Which random effects take part.
        new_levels : {"raise", "population"}
            What to do with levels the fit has not seen: raise, or draw their effects.
        interval : {"confidence", "prediction"}, optional
            Limits of the mean, or of one new observation.
        level : float
            Probability between the limits.
        trials : int, str or array-like, optional
            Trials of each new binomial response, as in ``model.predict``.

        Returns
        -------
        ndarray of shape (m,), or DataFrame with columns mean, lower, upper
            Posterior means; quantiles of the draws.
        """
        kind = check_option("kind", kind, ("response", "link"))
        if interval is not None:
            interval = check_option("interval", interval, ("confidence", "prediction"))
        check_level(level)
        rows = Rows(newdata, random, new_levels, trials)
        draws, effects = self._draws, self._effects_if_needed
        mean, index = self._source.means(draws, effects, rows, kind, self._rng(2))
        if interval is None:
            return np.asarray(mean.mean(axis=0))
        shown = mean
        if interval == "prediction":
            if kind == "link":
                raise ValueError("a prediction interval is for responses: use kind='response'")
            shown = self._source.responses(draws, effects, rows, self._rng(3))
        lower, upper = np.quantile(shown, [0.5 - level / 2.0, 0.5 + level / 2.0], axis=0)
        return pd.DataFrame(
            {"mean": mean.mean(axis=0), "lower": lower, "upper": upper}, index=index
        )

    def _rng(self, place: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, place])

    def simulate(self, n: int = 100, *, seed: Any = None, of: str = "posterior") -> Array:
        """Draw responses of the rows of the fit from a predictive distribution.

        Parameters
        ----------
        n : int
            Number of draws; of the posterior, evenly spaced ones.
        seed : int or Generator, optional
            Makes the draws repeatable.
        of : {"posterior", "prior"}
            Which distribution the parameters come from. Every coefficient needs a prior of its own
            for the second, and random effects are new ones.

        Returns
        -------
        ndarray of shape (nobs, n)
            One response per column.
        """
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise ValueError(f"n must be a whole number above zero, not {n!r}")
        of = check_option("of", of, ("posterior", "prior"))
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise ValueError(f"n must be a whole number above zero, not {n!r}")
        rng, source = np.random.default_rng(seed), self._source
        if of == "prior":
            drawn = source.from_prior(self._priors, n, rng)
            return np.asarray(source.responses(drawn, lambda: drawn.effects or (), Rows(), rng).T)
        found = source.responses(self._draws, self._effects_if_needed, Rows(), rng)
        return np.asarray(found[self._chosen(n)].T)

    def derive(
        self,
        statistic: Callable[[Any], Any],
        draws: int = 200,
        *,
        prob: float = 0.95,
        progress: bool = True,
    ) -> pd.DataFrame:
        """Summarise the posterior of any quantity computed from a model.

        Parameters
        ----------
        statistic : callable
            Takes a model whose coefficients, covariances, sigma and random effects are those of
            one draw, and returns a number, an array, or a Series or mapping of names to numbers, as
            ``lambda m: m.r2().marginal`` or
            ``lambda m: ranef.emmeans(m, "recipe").frame["emmean"]``.
        draws : int
            Posterior draws to take, evenly spaced; all of them at most.
        prob : float
            Probability between the limits.
        progress : bool
            Whether to show a progress bar when it takes longer than a second.

        Returns
        -------
        DataFrame
            Columns mean, sd, lower, median, upper, a row for each number. Standard errors inside
            the statistic are those of the fit, not of the posterior.
        """
        check_level(prob)
        chosen = self._chosen(draws)
        effects = self._effects
        found = statistics_at(
            statistic, lambda s: self._source.model_at(self._draws, effects, s), chosen, progress
        )
        return described(found, prob)

    def _chosen(self, draws: int) -> list[int]:
        if isinstance(draws, bool) or not isinstance(draws, int) or draws < 1:
            raise ValueError(f"draws must be a whole number above zero, not {draws!r}")
        total = self._draws.scale.size
        every = np.linspace(0, total - 1, min(draws, total)).round().astype(int)
        return [int(s) for s in every]

    # ------------------------------------------------------------------ comparison

    def loo(self, group: str | None = None) -> Loo:
        """Estimate how well the model predicts each row, or each level, from all others.

        Parameters
        ----------
        group : str, optional
            Leave out whole levels of this grouping factor instead of rows; for linear models.

        Returns
        -------
        Loo
            ``elpd_loo``, ``se``, ``p_loo``, ``looic``, ``pointwise`` (with Pareto k), ``verdict``.

        Notes
        -----
        Of a linear model only covariances, sigma and, for rows, the coefficients carry importance
        weights: random effects are integrated exactly, with and without the rows left out.

        References
        ----------
        Vehtari, Gelman and Gabry (2017), Stat. Comput. 27, 1413-1432.
        """
        return self._source.loo(self._draws, self._priors, self._effects_if_needed, group)

    def _effects_if_needed(self) -> tuple[Array, ...]:
        return self._effects

    def to_arviz(self) -> Any:
        """Return the draws as arviz's InferenceData, for its plots and comparisons.

        Returns
        -------
        arviz.InferenceData
            Group ``posterior``: parameters, and random effects by group, level and column; with
            the rows at hand ``log_likelihood`` and ``observed_data``, too.
        """
        design = self._source.design
        rows = None
        if self._source.has_rows:
            rows = self._source.log_likelihood(self._draws, self._effects_if_needed)
        parameters: Mapping[str, Array] = dict(
            zip(self.names, np.moveaxis(self._parameters, 2, 0), strict=True)
        )
        return to_arviz(design, self._draws, parameters, self._effects, rows)

    @property
    def plot(self) -> PosteriorPlots:
        """Figures: ``trace``, ``density``, ``intervals``, ``ppc``."""
        return PosteriorPlots(
            self.names,
            self._parameters,
            self._title(),
            np.asarray(self._source.design.y) if self._source.has_rows else None,
            self.simulate,
        )


def _number(value: float) -> str:
    return f"{value:.4g}"


def check_group(given: str | None, known: list[str], what: str = "group") -> str:
    """Return a name that is known; the first for None."""
    if given is None:
        return known[0]
    return check_name(what, given, known)
