"""The results of simulation studies: measures with their Monte Carlo errors, and figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from .._html import Preformatted
from .._options import check_option
from .._typing import Array
from ..batch.result import BatchResult
from ..inference.study import binomial_interval, performance
from ..report.plots.study import study_figure
from ..words.answers import Spoken

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..report.plots.base import Panels

__all__ = ["Power", "Study", "StudyRun"]


#: Measures of a study that can be drawn, and the column of each one's Monte Carlo error.
MEASURES = {
    "power": "power_mcse",
    "coverage": "coverage_mcse",
    "bias": "bias_mcse",
    "sd": "sd_mcse",
    "mean_se": None,
    "rmse": None,
}


@dataclass(frozen=True)
class StudyRun(Preformatted):
    """One setting of a study.

    Attributes
    ----------
    named : dict
        The setting, by column of the tables.
    result : BatchResult
        Its fits, one response per data set.
    truth : dict of str to float
        True values by term.
    """

    named: dict[str, Any]
    result: BatchResult
    truth: dict[str, float]

    def usable(self) -> NDArray[np.bool_]:
        """Find which fits converged."""
        return np.asarray(self.result.status.to_numpy() == "converged")

    def counts(self) -> dict[str, Any]:
        """Count the fits that converged, that failed, and that are singular."""
        ok = self.usable()
        made = self.result.status.to_numpy() != "not run"
        singular = self.result.fits["singular"].to_numpy()[ok]
        return {
            "n": int(ok.sum()),
            "failed": int((made & ~ok).sum()),
            "singular": float(singular.mean()) if len(singular) else np.nan,
        }

    def measures(self, alpha: float) -> pd.DataFrame:
        """Measure every coefficient, hypothesis, standard deviation and correlation."""
        ok = self.usable()
        tests = self.result.parts.tests()
        names = list(tests.names)
        truth = np.array([self.truth[name] for name in names])
        estimate, se, df = tests.estimate[ok], np.sqrt(tests.variance[ok]), tests.df[ok]
        p = tests.frame(adjusted=False)["pvalue"].to_numpy().reshape(-1, len(names))[ok]
        half = se * critical(df, alpha)
        covered = np.where(np.isnan(half), np.nan, np.abs(estimate - truth) <= half)
        covered[:, np.isnan(truth)] = np.nan
        parts = [
            pd.DataFrame(
                {
                    **frame_of(names, truth, estimate),
                    "mean_se": np.sqrt(mean(se**2)),
                    **proportion("coverage", covered),
                    **proportion("power", np.where(np.isnan(p), np.nan, p < alpha)),
                }
            )
        ]
        fits = self.result.fits
        spread = [c for c in map(str, fits) if c.startswith(("sd_", "cor_"))]
        spread += [name for name in ("sigma", "dispersion") if name in fits]
        stated = np.array([self.truth.get(name, np.nan) for name in spread])
        parts.append(pd.DataFrame(frame_of(spread, stated, fits[spread].to_numpy()[ok])))
        joint = self.result.parts.joint(adjusted=False)
        if len(joint):
            labels = list(dict.fromkeys(joint["test"]))
            p = joint["pvalue"].to_numpy().reshape(-1, len(labels))[ok]
            reject = np.where(np.isnan(p), np.nan, p < alpha)
            parts.append(pd.DataFrame({"term": labels, **proportion("power", reject)}))
        return pd.concat(parts, ignore_index=True)


def critical(df: Array, alpha: float) -> Array:
    """Return two-sided critical values of Student's t, or the normal where df is infinite."""
    finite = np.where(np.isinf(df), 1.0, df)
    t = -scipy.special.stdtrit(finite, 0.5 * alpha)
    return np.where(np.isinf(df), -scipy.special.ndtri(0.5 * alpha), t)


def frame_of(names: Sequence[str], truth: Array, estimates: Array) -> dict[str, Any]:
    """Lay out bias and precision of some parameters."""
    found = performance(estimates, truth)
    return {
        "term": list(names),
        "truth": truth,
        "n": found.n.astype(int),
        "mean": found.mean,
        "bias": found.bias,
        "bias_mcse": found.bias_mcse,
        "sd": found.sd,
        "sd_mcse": found.sd_mcse,
        "rmse": found.rmse,
    }


def mean(values: Array) -> Array:
    """Average the known values of each column."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, values, 0.0).sum(axis=0) / known.sum(axis=0))


def proportion(name: str, hits: Array) -> dict[str, Array]:
    """Return the share of hits in each column, with its Monte Carlo error."""
    share = mean(hits)
    n = (~np.isnan(hits)).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt(share * (1.0 - share) / n)
    return {name: share, f"{name}_mcse": error}


class Study(Spoken, Preformatted):
    """Results of :func:`ranef.simulate_study`.

    Attributes
    ----------
    settings : DataFrame
        One row per setting: what varies.
    interrupted : bool
        Whether the study was stopped from the keyboard.
    """

    def __init__(self, runs: Sequence[StudyRun], alpha: float, *, interrupted: bool):
        self.runs = list(runs)
        self.alpha = alpha
        self.interrupted = interrupted
        self.settings = pd.DataFrame([run.named for run in runs])

    def __repr__(self) -> str:
        counts = self.counts()
        return (
            f"<Study of {len(self.runs)} settings: {int(counts['n'].sum()):,} fits, "
            f"{int(counts['failed'].sum()):,} failed>"
        )

    def counts(self) -> pd.DataFrame:
        """Count for each setting the fits that converged and failed, and the singular share."""
        return self.by_setting([pd.DataFrame([run.counts()]) for run in self.runs])

    @property
    def table(self) -> pd.DataFrame:
        """A row for each setting and term.

        Columns: the setting, term, truth, n (data sets), mean, bias, sd (of the estimates), rmse,
        mean_se (root of the mean squared standard error), coverage, power; Monte Carlo standard
        errors in ``bias_mcse``, ``sd_mcse``, ``coverage_mcse`` and ``power_mcse``.
        """
        return self.by_setting([run.measures(self.alpha) for run in self.runs])

    @property
    def draws(self) -> pd.DataFrame:
        """A row for each setting, data set and coefficient or hypothesis, as in ``fit_many``."""
        return self.by_setting([self._numbered(run, "table") for run in self.runs])

    @property
    def fits(self) -> pd.DataFrame:
        """A row for each setting and data set: sigma, llf, sds, correlations, singular, status."""
        return self.by_setting([self._numbered(run, "fits") for run in self.runs])

    def plot(
        self,
        measure: str = "power",
        *,
        terms: Sequence[str] | None = None,
        x: str | None = None,
        axes: Any = None,
    ) -> Panels:
        """Draw a measure over the settings, with two Monte Carlo errors either way.

        Parameters
        ----------
        measure : {"power", "coverage", "bias", "sd", "mean_se", "rmse"}
            What to draw.
        terms : sequence of str, optional
            A panel for each; by default all coefficients and hypotheses but the intercept.
        x : str, optional
            Column of ``settings`` along the axis; by default the one with most values. The
            others make lines.
        axes : sequence of Axes, optional
            Where to draw; one for each term.

        Returns
        -------
        Panels
        """
        measure = check_option("measure", measure, MEASURES)
        table = self.table
        known = list(dict.fromkeys(table.loc[table[measure].notna(), "term"]))
        chosen = [t for t in known if t != "Intercept"] if terms is None else list(terms)
        for term in chosen:
            if term not in known:
                raise ValueError(f"no term {term!r} has {measure}; there are {', '.join(known)}")
        error = MEASURES[measure]
        table = table.assign(low=table[measure], high=table[measure])
        if error is not None:
            table["low"] = table[measure] - 2.0 * table[error]
            table["high"] = table[measure] + 2.0 * table[error]
        lines = {"coverage": 1.0 - self.alpha, "bias": 0.0}
        along = list(map(str, self.settings))
        return study_figure(
            table, chosen or known, measure, along, x, lines.get(measure), given=axes
        )

    @staticmethod
    def _numbered(run: StudyRun, name: str) -> pd.DataFrame:
        table: pd.DataFrame = getattr(run.result, name)
        return table.rename(columns={"response": "data_set"})

    def by_setting(self, parts: list[pd.DataFrame]) -> pd.DataFrame:
        """Put the settings before the rows of their tables."""
        out = []
        for run, part in zip(self.runs, parts, strict=True):
            named = {name: [value] * len(part) for name, value in run.named.items()}
            out.append(pd.concat([pd.DataFrame(named, index=part.index), part], axis=1))
        return pd.concat(out, ignore_index=True)


class Power(Spoken, Preformatted):
    """Results of :func:`ranef.power`.

    Attributes
    ----------
    test : str
        The hypothesis.
    table : DataFrame
        A row per setting: power, its exact 95 % interval lower and upper, Monte Carlo error mcse, n
        (fits that it rests on), failed, singular (share).
    study : Study
        All that was simulated.
    """

    def __init__(self, study: Study, test: str):
        self.study = study
        self.test = test
        self.table = study.by_setting([self._row(run) for run in study.runs])

    def __repr__(self) -> str:
        return f"Power of {self.test!r}\n{self.table.to_string(index=False)}"

    def _row(self, run: StudyRun) -> pd.DataFrame:
        found = run.measures(self.study.alpha).set_index("term").loc[[self.test]]
        counts = run.counts()
        power = found["power"].to_numpy(dtype=float)
        low, high = binomial_interval(np.round(power * counts["n"]), np.array([counts["n"]]))
        return pd.DataFrame(
            {
                "power": power,
                "lower": low,
                "upper": high,
                "mcse": found["power_mcse"].to_numpy(),
                **{name: [value] for name, value in counts.items()},
            }
        )

    def plot(
        self, *, x: str | None = None, target: float | None = 0.8, ax: Axes | None = None
    ) -> Axes:
        """Draw power over the settings, with exact 95 % intervals.

        Parameters
        ----------
        x : str, optional
            Column along the axis; by default the one with most values. The others make lines.
        target : float, optional
            Where to draw a line.
        ax : Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        matplotlib Axes
        """
        table = self.table.assign(term=self.test, low=self.table["lower"], high=self.table["upper"])
        along = list(map(str, self.study.settings))
        return study_figure(table, [self.test], "power", along, x, target, given=ax)[0]
