"""Residuals on one scale beside those of simulated fits, and the tests between the two."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from ..._counted import counted
from ..._html import Preformatted
from ..._options import check_option
from ..._typing import Array
from ...design.design import Design
from ...errors import DataError, ModelError, RanefError, UnsupportedError
from ...inference.residuals import statistics
from ...inference.residuals.source import FITTED, Source, Transform
from ...parallel.progress import tracked
from ...words.answers import Spoken
from ...words.checks import RESIDUALS
from ..augment import used_rows
from .residual_tests import ResidualTest, ResidualTests, columns_of

if TYPE_CHECKING:
    from ..plots.residuals import ResidualPlots

__all__ = ["SimulatedResiduals", "simulated"]

#: Numbers that the simulated fits may hold, which bounds the memory to about 2 GB.
MOST = 250_000_000
#: Share of simulated fits that may fail before the others are disregarded.
MOST_FAILED = 0.5


@dataclass(frozen=True, repr=False, eq=False)
class SimulatedResiduals(Spoken, Preformatted):
    """Residuals of a fit and of fits to responses drawn from it.

    Returned by ``model.simulated_residuals()``. If the model is right, the fit is like the
    simulated ones, and each test counts how many of those have a statistic as extreme. Those
    p-values allow for the parameters that were estimated and for rows that are not independent.

    Attributes
    ----------
    z : ndarray of shape (n,)
        Residuals, standard normal where the model holds but for shrinkage.
    simulated : ndarray of shape (n, m)
        Those of the simulated fits.
    y, responses_drawn : ndarray of shape (n,) and (n, m)
        Responses, and those that were drawn.
    fitted, fitted_drawn : ndarray of shape (n,) and (n, m)
        Means.
    zeros_expected : tuple of float and ndarray of shape (m,)
        Zeros that the fit, and each simulated fit, expects.
    effects : mapping of str to ndarray of shape (n, s)
        Columns that have random effects in the levels of each grouping factor.
    kind : str
        "conditional" or "marginal".
    place : float
        Where a whole number is placed among equal ones, drawn with the responses.
    notes : tuple of str
        What went wrong, and what was not checked.
    categories : tuple
        Ordered categories whose positions the responses are; none for numbers.
    along : str
        Label of ``fitted``: ordered categories have no mean, but a linear predictor.
    """

    model_is: ClassVar[str] = "the fitted model"
    spoken: ClassVar[Mapping[str, str]] = RESIDUALS

    z: Array
    simulated: Array
    y: Array
    responses_drawn: Array
    fitted: Array
    fitted_drawn: Array
    pearson: tuple[float, Array]
    zeros_expected: tuple[float, Array]
    frame: pd.DataFrame
    groups: Mapping[str, NDArray[np.int32]]
    effects: Mapping[str, Array]
    kind: str
    discrete: bool
    scale_is_free: bool
    place: float
    notes: tuple[str, ...]
    categories: tuple[Any, ...] = ()
    along: str = FITTED

    # ------------------------------------------------------------------ views

    @property
    def residuals(self) -> pd.Series[Any]:
        """The residuals, labelled as the rows of the data."""
        return pd.Series(self.z, index=self.frame.index)

    @property
    def probabilities(self) -> pd.Series[Any]:
        """The residuals as probabilities, uniform where the model holds."""
        return pd.Series(scipy.special.ndtr(self.z), index=self.frame.index)

    @property
    def plot(self) -> ResidualPlots:
        """Figures: ``qq``, ``against``, ``time``, ``responses``; need matplotlib."""
        from ..plots.residuals import ResidualPlots

        return ResidualPlots(self)

    # ------------------------------------------------------------------ tests of all rows

    def uniformity(self) -> ResidualTest:
        """Test the distribution of the residuals: Kolmogorov and Smirnov's distance."""
        own = statistics.kolmogorov(self.z[:, None])[0]
        return ResidualTest.of("uniformity", own, statistics.kolmogorov(self.simulated))

    def dispersion(self) -> ResidualTest:
        """Test the spread of the responses about their means: squared Pearson residuals.

        Above its expectation the responses vary more than the family allows, below less.

        Raises
        ------
        UnsupportedError
            If the model estimates a residual variance, which fits the overall spread of any data.
        """
        if self.scale_is_free:
            raise UnsupportedError(
                "the model estimates a residual variance, so the overall spread always fits; "
                "against() and by_group() test whether it is the same everywhere"
            )
        return ResidualTest.of("dispersion", *self.pearson, "both")

    def outliers(self, method: str = "exchange") -> ResidualTest:
        """Count rows outside all simulated residuals of their own.

        Parameters
        ----------
        method : {"exchange", "binomial"}
            ``"exchange"`` compares the count with that of each simulated fit among the others;
            equal counts are put in a random order, drawn once with the responses, so that the
            p-value is exact. ``"binomial"`` is the exact two-sided binomial test of a probability
            of 2 / (m + 1) a row, which is right for independent rows and too cautious where a
            residual variance or random effects are fitted to them.
        """
        chosen = check_option("method", method, ("exchange", "binomial"))
        count, draws = statistics.outside(self.z, self.simulated)
        found = ResidualTest.of("outliers", float(count), draws)
        if chosen == "exchange":
            return replace(found, pvalue=statistics.tied_pvalue(count, draws, self.place))
        rate = 2.0 / (self.simulated.shape[1] + 1.0)
        p = statistics.binomial_pvalue(count, len(self.z), rate)
        return replace(found, pvalue=p, expected=rate * len(self.z))

    def largest(self) -> ResidualTest:
        """Test the residual that is farthest from zero."""
        far = np.abs(self.simulated).max(axis=0)
        return ResidualTest.of("largest", float(np.abs(self.z).max()), far)

    def zeros(self) -> ResidualTest:
        """Test the number of responses that are zero, minus the number that the fit expects.

        Of simulated fits, too, the number is that beyond what each of them expects, so that what
        an estimate explains is not counted twice.

        Raises
        ------
        DataError
            If neither data nor model have any.
        """
        if not self._has_zeros:
            raise DataError("neither the responses nor those drawn from the model have zeros")
        own, drawn = self.zeros_expected
        if not np.isfinite(own):
            return self.compare(lambda y: float((y == 0.0).sum()), "zeros")
        count = float((self.y == 0.0).sum())
        excess = (self.responses_drawn == 0.0).sum(axis=0) - drawn
        found = ResidualTest.of("zeros", count - own, excess, "both")
        return replace(found, statistic=count, expected=own)

    @property
    def _has_zeros(self) -> bool:
        return bool((self.y == 0.0).any() or (self.responses_drawn == 0.0).any())

    def compare(self, statistic: Callable[[Array], float], name: str = "statistic") -> ResidualTest:
        """Compare any number computed from the responses with that of responses drawn.

        Parameters
        ----------
        statistic : callable
            Takes responses of shape (n,) and returns a number.
        name : str
            What it is called.
        """
        draws = np.array([float(statistic(column)) for column in self.responses_drawn.T])
        return ResidualTest.of(name, float(statistic(self.y)), draws, "both")

    def responses(self) -> pd.DataFrame:
        """Compare mean, spread, range and zeros of the responses with those drawn.

        Of ordered categories, the rows in each.

        Returns
        -------
        DataFrame
            Columns observed, lower, median, upper (of 95 % of the draws), pvalue.
        """
        shown = self._numbers_shown()
        tests = [self.compare(function, name) for name, function in shown.items()]
        limits = [np.quantile(test.draws, (0.025, 0.5, 0.975)) for test in tests]
        rows = [
            (test.statistic, *limit, test.pvalue) for test, limit in zip(tests, limits, strict=True)
        ]
        columns = ["observed", "lower", "median", "upper", "pvalue"]
        return pd.DataFrame(rows, index=list(shown), columns=columns)

    def _numbers_shown(self) -> dict[str, Callable[[Array], float]]:
        """Functions of the responses by name: counts of categories, or moments and range."""
        if self.categories:
            return {
                str(category): lambda y, code=code: float((y == code).sum())  # type: ignore[misc]
                for code, category in enumerate(self.categories)
            }
        shown: dict[str, Callable[[Array], float]] = {
            "mean": lambda y: float(y.mean()),
            "sd": lambda y: float(y.std(ddof=1)),
            "smallest": lambda y: float(y.min()),
            "largest": lambda y: float(y.max()),
        }
        if self._has_zeros:
            shown["zeros"] = lambda y: float((y == 0.0).sum())
        return shown

    # ------------------------------------------------------------------ tests against something

    def against(self, x: Any = None) -> ResidualTests:
        """Test whether residuals change along fitted values or a predictor.

        Parameters
        ----------
        x : str or array-like of shape (n,), optional
            A column of the data, in the model or not, or values; the fitted values by default.

        Returns
        -------
        ResidualTests
            Rows location (a curve that is missing), spread (a variance that changes) and, for
            numbers, quantiles (a distribution that changes otherwise). Numbers are followed by a
            smooth curve in their ranks, other values by their levels.
        """
        own, drawn = self.z[:, None], self.simulated
        if x is None:
            mine = statistics.smooth_along(self.fitted[:, None], own)
            theirs = statistics.smooth_along(self.fitted_drawn, drawn)
            name = "fitted" if self.along == FITTED else self.along
            return self._laid_out(name, mine, theirs)
        name, values = columns_of(self.frame, x, len(self.z))
        if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
            return self.by_group(x)
        Q = statistics.basis(values.to_numpy(dtype=float))
        if not Q.shape[1]:
            raise DataError(f"{name} is the same in every row", name)
        return self._laid_out(name, statistics.smooth(Q, own), statistics.smooth(Q, drawn))

    def by_group(self, group: Any = None) -> ResidualTests:
        """Test whether residuals differ between groups, in location or spread.

        Parameters
        ----------
        group : str or array-like of shape (n,), optional
            A column of the data or its values; the first grouping factor by default.

        Returns
        -------
        ResidualTests
            Rows location and spread, the latter about each group's mean; of a grouping factor of
            the model, whose random effects take differences of location up, the group farthest
            out in the place of location. ``groups`` has rows, mean and sd of each group's
            residuals.
        """
        name, codes, levels = self.grouped(group)
        place, spread = statistics.between(codes, len(levels), self.z[:, None])
        places, spreads = statistics.between(codes, len(levels), self.simulated)
        names = ("location", "spread")
        if name in self.effects:
            names = ("farthest", "spread")
            place = statistics.farthest(codes, len(levels), self.z[:, None])
            places = statistics.farthest(codes, len(levels), self.simulated)
        each = pd.Series(self.z).groupby(codes)
        table = pd.DataFrame({"rows": each.size(), "mean": each.mean(), "sd": each.std()})
        table.index = pd.Index(levels, name=name)
        found = self._laid_out(name, (place, spread), (places, spreads), names)
        return replace(found, groups=table)

    def autocorrelation(self, time: Any = None, groups: Any = None) -> ResidualTest:
        """Test whether consecutive residuals are alike, with Durbin and Watson's statistic.

        Parameters
        ----------
        time : str or array-like of shape (n,), optional
            What orders the rows; the order of the data by default. Rows of one time are averaged.
        groups : str or array-like of shape (n,), optional
            Groups within which rows are consecutive; the first grouping factor by default, and
            "none" for all rows together.

        Returns
        -------
        ResidualTest
            Two where neighbours are unrelated, below where they are alike. Within a grouping
            factor of the model residuals are taken as its random effects' columns leave them over
            in each level, so that it does not matter how well their variance is known.
        """
        series, place = self._series(time, groups)
        own, drawn = self._within(groups)
        return ResidualTest.of(
            "autocorrelation",
            float(statistics.durbin_watson(series, statistics.crossing(place, own))[0]),
            statistics.durbin_watson(series, statistics.crossing(place, drawn)),
            "both",
        )

    def _within(self, groups: Any) -> tuple[Array, Array]:
        """Residuals without what random effects of their group can take up, (n, 1) and (n, m)."""
        whole = self.z[:, None], self.simulated
        if groups is None:
            name = next(iter(self.groups), None)
        else:
            name = groups if isinstance(groups, str) else None
        if name is None or name not in self.effects:
            return whole
        codes, z = self.groups[name], self.effects[name]
        own, drawn = (statistics.left_of(codes, z, each) for each in whole)
        # Where the levels have no more rows than columns, nothing would be left to test.
        return (own, drawn) if (own**2).sum() > 1e-6 * (self.z**2).sum() else whole

    def spatial(self, *coordinates: Any) -> ResidualTest:
        """Test whether residuals of close places are alike: Moran's I over nearest neighbours.

        Parameters
        ----------
        *coordinates : str or array-like of shape (n,)
            Columns of the data, or values. Rows of one place are averaged.
        """
        if not coordinates:
            raise TypeError('spatial takes the coordinates, as in spatial("x", "y")')
        values = [columns_of(self.frame, each, len(self.z)) for each in coordinates]
        for name, column in values:
            if not pd.api.types.is_numeric_dtype(column):
                raise DataError(f"{name} is not numeric, so there are no distances", name)
        places = np.column_stack([column.to_numpy(dtype=float) for _, column in values])
        known, place = np.unique(places, axis=0, return_inverse=True)
        if len(known) < 10:
            raise DataError(
                f"there are {counted(len(known), 'place')}; a test of neighbours needs ten"
            )
        keys = place.ravel()
        return ResidualTest.of(
            "spatial",
            float(statistics.moran(known, statistics.crossing(keys, self.z[:, None]))[0]),
            statistics.moran(known, statistics.crossing(keys, self.simulated)),
            "both",
        )

    # ------------------------------------------------------------------ all at once

    @cached_property
    def table(self) -> pd.DataFrame:
        """Every test that needs no arguments: statistic, expected, pvalue."""
        tests = [self.uniformity()]
        if not self.scale_is_free:
            tests.append(self.dispersion())
        tests += [self.outliers(), self.largest()]
        if self._has_zeros and self.discrete and self.y.max() > 1.0:
            tests.append(self.zeros())
        rows = [(t.name, t.statistic, t.expected, t.pvalue) for t in tests]
        found = [self.against()] + ([self.by_group()] if self.groups else [])
        for several in found:
            rows += [(f"{several.by}: {row}", *values) for row, values in several.rows()]
        table = pd.DataFrame(rows, columns=["test", "statistic", "expected", "pvalue"])
        return table.set_index("test")

    def __repr__(self) -> str:
        n, m = self.simulated.shape
        shown = ResidualTests.text(self.table)
        against = counted(m, "simulated fit")
        title = f"{self.kind.capitalize()} residuals of {n:,} rows against {against}"
        return "\n".join([title, "", shown, "", *(f"- {note}" for note in self._remarks())])

    def _remarks(self) -> list[str]:
        """State what the numbers are, and what they do not cover."""
        count = len(self.table)
        return [
            *self.notes,
            f"{counted(count, 'test')}: if the model is right, about one in twenty has p < 0.05",
            "not looked at: predictors (against), time (autocorrelation), space (spatial)",
        ]

    # ------------------------------------------------------------------ inner

    def _laid_out(
        self,
        by: str,
        mine: tuple[Array, ...],
        theirs: Any,
        names: Sequence[str] = ("location", "spread", "quantiles"),
    ) -> ResidualTests:
        return ResidualTests(
            by,
            tuple(
                ResidualTest.of(name, float(own[0]), draws)
                for name, own, draws in zip(names, mine, theirs, strict=False)
            ),
        )

    def neighbours(self, time: Any = None, groups: Any = None) -> tuple[Array, Array]:
        """Return residuals, and those that follow them, as ``autocorrelation`` takes them."""
        series, place = self._series(time, groups)
        mean = statistics.crossing(place, self._within(groups)[0])[:, 0]
        same = np.flatnonzero(np.diff(series) == 0)
        return mean[same], mean[same + 1]

    def grouped(self, group: Any = None) -> tuple[str, NDArray[np.integer[Any]], pd.Index[Any]]:
        """Return name, code of each row and levels of a grouping."""
        if group is None:
            if not self.groups:
                raise ModelError("the model has no grouping factor; name a column of the data")
            group = next(iter(self.groups))
        if isinstance(group, str) and group in self.groups and group not in self.frame:
            known = self.groups[group]
            return group, known, pd.RangeIndex(int(known.max()) + 1)
        name, values = columns_of(self.frame, group, len(self.z))
        codes, levels = pd.factorize(values, sort=True)
        return name, codes, pd.Index(levels)

    def _series(self, time: Any, groups: Any) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Series of each place in time, in order, and place of each row."""
        n = len(self.z)
        alone = isinstance(groups, str) and groups == "none" and "none" not in self.frame
        if alone or (groups is None and not self.groups):
            codes: NDArray[Any] = np.zeros(n, dtype=np.int32)
        else:
            codes = self.grouped(groups)[1]
        when: Any = np.arange(n)
        if time is not None:
            when = pd.factorize(columns_of(self.frame, time, n)[1], sort=True)[0]
        known, place = np.unique(np.column_stack([codes, when]), axis=0, return_inverse=True)
        return known[:, 0], place.ravel()


def simulated(
    source: Source, n: int, kind: str, rng: np.random.Generator, *, progress: bool
) -> SimulatedResiduals:
    """Draw responses, fit each, and lay the residuals side by side."""
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 19:
        raise ValueError(f"n is a number of simulated fits, 19 or more, not {n!r}")
    rows = len(source.own.fitted)
    if 3 * rows * int(n) > MOST:
        most = max(19, MOST // (3 * rows))
        raise ValueError(
            f"{counted(n, 'simulated fit')} of {rows:,} rows take {3e-9 * 8 * rows * n:.1f} GB; "
            f"n={most} fit into 2 GB"
        )
    found: list[tuple[Array, Array, Array, float, float]] = []
    failed = ""
    for _ in tracked(range(int(n)), int(n), "fits", shown=progress):
        y = source.draw(rng)
        try:
            again = source.again(y)
        except (RanefError, np.linalg.LinAlgError) as error:
            failed = failed or str(error)
            continue
        found.append((y, *_numbers(again, rng)))
    if len(found) < max(19, MOST_FAILED * n):
        raise ModelError(
            f"{n - len(found)} of {n} responses drawn from the model could not be fitted, so "
            f"nothing is known of its residuals: {failed}"
        )
    own = source.own
    notes = (
        (f"{n - len(found)} of {n} responses drawn could not be fitted and were dropped: {failed}",)
        if failed
        else ()
    )
    Y, Z, F = (np.column_stack([each[k] for each in found]) for k in range(3))
    return SimulatedResiduals(
        own.normal_scores(rng),
        Z,
        source.design.y,
        Y,
        own.fitted,
        F,
        (float(np.mean(own.pearson**2)), np.array([each[3] for each in found])),
        (own.zeros, np.array([each[4] for each in found])),
        used_rows(source.design, source.data),
        {term.group: term.codes for term in source.design.bars if term.is_single},
        _effects(source.design),
        kind,
        source.discrete,
        source.scale_is_free,
        float(rng.random()),
        notes,
        source.categories,
        source.along,
    )


def _numbers(found: Transform, rng: np.random.Generator) -> tuple[Array, Array, float, float]:
    spread = float(np.mean(found.pearson**2))
    return found.normal_scores(rng), found.fitted, spread, found.zeros


def _effects(design: Design) -> dict[str, Array]:
    """Columns with independent random effects in each level, by grouping factor."""
    return {
        term.group: design.z(term)
        for term in design.bars
        if term.is_plain and not term.is_structured
    }
