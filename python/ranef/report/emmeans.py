"""Marginal means and their contrasts as labelled tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from html import escape
from numbers import Number
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray
from pandas.api.types import is_numeric_dtype

from .._options import check_option
from .._typing import Array
from ..families.links import limits_of, link_named, mean_of, slope_of
from ..inference.coverage import check_level
from ..inference.emmeans import contrast_weights
from ..inference.families_of_tests import ADJUSTMENTS, adjusted, critical
from ..inference.hypotheses.linear import Approximation, contrasts
from ..inference.letters import letters as compact
from ..words.answers import Spoken
from ..words.rarer import MEANS
from .coefficients import statistic_name
from .numbers import in_one_scale
from .whole_frame import column_text, html_of, latex_of, markdown_of

__all__ = ["ContrastTable", "MarginalMeans", "on_response"]


#: The default adjustment of each kind of contrast.
DEFAULTS = {
    "pairwise": "tukey",
    "revpairwise": "tukey",
    "trt.vs.ctrl": "sidak",
    "dunnett": "dunnett",
    "poly": "none",
}


#: What is estimated, in words.
LABELS = {
    "emmean": "marginal means",
    "trend": "slopes",
    "response": "means of the response",
    "mean": "means of the response",
    "prob": "probabilities",
}


class ContrastTable(Spoken):
    """A table with its notes.

    Attributes
    ----------
    frame : DataFrame
        The numbers.
    notes : tuple of str
        How to read them.
    """

    model_is: ClassVar[str] = "the fitted model"
    spoken: ClassVar[Mapping[str, str]] = MEANS

    def __init__(self, frame: pd.DataFrame, notes: Sequence[str]):
        self.frame = frame
        self.notes = tuple(notes)

    def to_frame(self) -> pd.DataFrame:
        """Return the numbers as a frame of their own."""
        return self.frame.copy()

    def plot(self, *, ax: Any = None) -> Any:
        """Draw the contrasts with their intervals.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        matplotlib Axes
        """
        from .plots.means import contrast_axes

        columns = list(self.frame.columns)
        names = columns[: columns.index("contrast") + 1]
        return contrast_axes(self.frame, names, f"Contrasts; {self.notes[0]}", ax)

    def to_latex(self, buf: Any = None, **options: Any) -> Any:
        """Write the table for LaTeX as it prints; arguments are those of ``DataFrame.to_latex``."""
        return latex_of(self.frame, _shown(self.frame), buf, {"index": False, **options})

    def to_html(self, buf: Any = None, **options: Any) -> Any:
        """Write the table for HTML as it prints; arguments are those of ``DataFrame.to_html``."""
        return html_of(self.frame, _shown(self.frame), buf, {"index": False, **options})

    def to_markdown(self, buf: Any = None, **options: Any) -> Any:
        """Write the table for Markdown as it prints, as ``DataFrame.to_markdown`` does."""
        return markdown_of(self.frame, _shown(self.frame), buf, {"index": False, **options})

    def __repr__(self) -> str:
        return "\n".join([_shown(self.frame).to_string(index=False), "", *self.notes])

    def _repr_html_(self) -> str:
        table = _shown(self.frame).to_html(index=False)
        return table + "".join(f"<p>{escape(note)}</p>" for note in self.notes)


@dataclass(frozen=True, repr=False)
class MarginalMeans(Spoken):
    """Estimated marginal means, or trends, of a fitted model.

    Attributes
    ----------
    what : {"emmean", "trend", "response"}
        What is estimated.
    cells : DataFrame
        Combinations of the variables that the means are for, those of ``by`` last.
    by : tuple of str
        Variables within whose levels contrasts are taken.
    L : ndarray of shape (cells, p)
        Means as combinations of the kept coefficients; NaN where a mean is not estimable.
    offset : ndarray of shape (cells,)
        Known part.
    beta : ndarray of shape (p,)
        Kept coefficients.
    approximation : Approximation
        Covariance and degrees of freedom.
    level : float
        Coverage of intervals.
    notes : tuple of str
        How the means were made.
    link : str
        Link by which means are transformed back; "identity" if they are not.
    method : str
        Kind of contrasts that the specs asked for; empty for none.
    response : str
        What the model is of.
    is_predictor : bool
        Whether means and trends are those of a linear predictor.
    """

    model_is: ClassVar[str] = "the fitted model"
    spoken: ClassVar[Mapping[str, str]] = MEANS
    what: str
    cells: pd.DataFrame
    by: tuple[str, ...]
    L: Array
    offset: Array
    beta: Array
    approximation: Approximation
    level: float
    notes: tuple[str, ...]
    link: str = "identity"
    method: str = ""
    response: str = ""
    is_predictor: bool = False

    @property
    def label(self) -> str:
        """Label of the means in a figure."""
        if self.what == "prob":
            return f"probability of {self.response}"
        response = self.response
        if response.startswith("cbind("):
            response = f"share of {response[6:].partition(',')[0].strip()}"
        if self.is_predictor and self.what in ("emmean", "trend"):
            response = f"linear predictor of {response}"
        if self.what == "trend":
            return f"slope of {response}"
        if self.what == "response" and "(" in response:
            return f"{response}, back-transformed"
        return response if self.is_predictor and self.what == "emmean" else f"mean {response}"

    @property
    def contrasts(self) -> ContrastTable:
        """Contrasts of the kind that the specs asked for; all pairs by default."""
        return self.contrast(self.method or "pairwise")

    @property
    def frame(self) -> pd.DataFrame:
        """Means with standard errors, degrees of freedom and confidence limits."""
        table = _tested(self.L, self)
        half = critical(table["df"].to_numpy(), self.level, "none", 0) * table["se"]
        mean = table["estimate"] + self.offset
        limits = chance_limits if self.what == "prob" else partial(limits_of, self.link)
        lower, upper = limits(mean.to_numpy(), half.to_numpy())
        columns = {
            self.what: mean_of(self.link, mean.to_numpy()),
            "se": table["se"] * np.abs(slope_of(self.link, mean.to_numpy())),
            "df": table["df"],
            "lower": lower,
            "upper": upper,
        }
        out = pd.DataFrame(columns)
        return pd.concat([self.cells.reset_index(drop=True), out], axis=1)

    def to_frame(self) -> pd.DataFrame:
        """Return ``frame``."""
        return self.frame

    def to_latex(self, buf: Any = None, **options: Any) -> Any:
        """Write the means for LaTeX as they print, as ``DataFrame.to_latex`` does."""
        return ContrastTable(self.frame, self.notes).to_latex(buf, **options)

    def to_html(self, buf: Any = None, **options: Any) -> Any:
        """Write the means for HTML as they print, as ``DataFrame.to_html`` does."""
        return ContrastTable(self.frame, self.notes).to_html(buf, **options)

    def to_markdown(self, buf: Any = None, **options: Any) -> Any:
        """Write the means for Markdown as they print, as ``DataFrame.to_markdown`` does."""
        return ContrastTable(self.frame, self.notes).to_markdown(buf, **options)

    def plot(self, *, axes: Any = None) -> Any:
        """Draw the means with their intervals.

        The first variable is along the axis; the levels of the second make lines, whose
        differences in slope are the interaction; those of ``by`` make panels.

        Parameters
        ----------
        axes : Axes or sequence of Axes, optional
            Where to draw; one for each combination of ``by``.

        Returns
        -------
        matplotlib Axes, or Panels where there are several

        Examples
        --------
        >>> import ranef
        >>> cake = ranef.datasets.load("cake")
        >>> model = ranef.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", cake)
        >>> axes = ranef.emmeans(model, "~ temperature * recipe").plot()
        >>> axes.get_xlabel()
        'temperature'
        """
        from .plots.means import means_figure

        variables = [name for name in self.cells.columns if name not in self.by]
        title = f"Estimated {LABELS[self.what]}, {self.level:.0%} intervals"
        return means_figure(
            self.frame, variables, list(self.by), self.what, title, axes, label=self.label
        )

    def pairs(self, adjust: str = "tukey", reverse: bool = False) -> ContrastTable:
        """Compare all pairs of means.

        Parameters
        ----------
        adjust : {"tukey", "mvt", "sidak", "bonferroni", "holm", "fdr", "none"}
            Adjustment of p-values and intervals for the number of comparisons.
        reverse : bool
            Whether to subtract earlier means from later ones.

        Returns
        -------
        ContrastTable
            Columns contrast, estimate, se, df, t, pvalue, lower, upper.
        """
        return self.contrast("revpairwise" if reverse else "pairwise", adjust)

    def contrast(
        self, method: Any = "pairwise", adjust: str | None = None, ref: int | str = 0
    ) -> ContrastTable:
        """Compare means.

        Parameters
        ----------
        method : str or mapping
            "pairwise" or "revpairwise": all pairs. "trt.vs.ctrl" or "dunnett": each mean minus a
            control. "consec": each minus the one before. "eff": each minus the mean of all. "poly":
            orthogonal polynomials over equal steps, in whole numbers. Or weights by name.
        adjust : {"tukey", "mvt", "dunnett", "sidak", "bonferroni", "holm", "fdr", "none"}, optional
            Adjustment for the number of comparisons within each level of ``by``. "mvt", or
            "dunnett" for comparisons with a control, is by the joint distribution of the contrasts,
            on the fewest degrees of freedom where they differ. "fdr" bounds the rate of false
            discoveries. By default Tukey's for pairs, Dunnett's for method "dunnett", Sidak's for
            "trt.vs.ctrl", none for polynomials and weights, and Holm's otherwise.
        ref : int or str
            The control, by position or name.

        Returns
        -------
        ContrastTable
            Columns contrast, estimate, se, df, t, pvalue, lower, upper; ratio or odds_ratio in
            place of estimate where the means were transformed back from a log or logit.
        """
        if adjust is None:
            named = isinstance(method, str)
            adjust = DEFAULTS.get(method, "holm") if named else "none"
        adjust = check_option("adjust", adjust, ADJUSTMENTS, {"bh": "fdr"})
        if adjust == "tukey" and method not in ("pairwise", "revpairwise"):
            raise ValueError(
                "Tukey's adjustment is for all pairs of means; use 'sidak', 'holm' or 'bonferroni'"
            )
        if isinstance(method, str):
            self.check_comparable()
        parts = [self._family(rows, method, adjust, ref) for rows in self._families()]
        notes = [f"p-values and intervals adjusted: {adjust}", *self.notes]
        if adjust in ("holm", "fdr"):
            notes[0] = f"p-values adjusted: {adjust}; intervals: bonferroni"
        contrast = link_named(self.link).contrast
        if contrast and not _sums_to_zero(method):
            notes.append("weights do not sum to zero: exponentials, not ratios")
        elif self.link != "identity" and not contrast:
            notes.append(f"comparisons stay on the scale of the link ({self.link})")
        return ContrastTable(pd.concat(parts, ignore_index=True), notes)

    def letters(self, alpha: float = 0.05, adjust: str = "tukey") -> ContrastTable:
        """Return the means with compact letters: means that share one do not differ significantly.

        Parameters
        ----------
        alpha : float
            Adjusted p-values below it are differences.
        adjust : str
            Adjustment of the pairs, as in ``pairs``.

        Returns
        -------
        ContrastTable
            The means within each level of ``by``, lowest first, with a column letters.

        Notes
        -----
        Means that share a letter are not shown to be equal.

        References
        ----------
        Piepho (2004), J. Comput. Graph. Stat. 13(2), 456-466.
        """
        check_level(alpha)
        frame, parts = self.frame, []
        for rows in self._families():
            pvalues = self._family(rows, "pairwise", adjust, 0)["pvalue"].to_numpy()
            differ = np.zeros((len(rows), len(rows)), dtype=bool)
            differ[np.triu_indices(len(rows), 1)] = pvalues < alpha
            order = np.argsort(frame[self.what].to_numpy()[rows], kind="stable")
            found = compact(differ | differ.T, order.tolist())
            parts.append(frame.iloc[rows].assign(letters=found).iloc[order])
        notes = [
            f"means that share a letter do not differ at {alpha:g} (adjusted: {adjust})",
            *self.notes,
        ]
        return ContrastTable(pd.concat(parts, ignore_index=True), notes)

    def compared(self, method: str) -> MarginalMeans:
        """Return the means with contrasts of a kind, which they print; without any for ""."""
        if method:
            self.check_comparable()
        return replace(self, method=method)

    def check_comparable(self) -> None:
        """Refuse contrasts where no two means can be compared.

        Raises
        ------
        ValueError
            If there is one mean within each level of ``by``.
        """
        if max(len(rows) for rows in self._families()) > 1:
            return
        own = self.cells.drop(columns=list(self.by))
        at = ", ".join(f"{name} = {shown_value(own[name].iloc[0])}" for name in own)
        numeric = [name for name in own if is_numeric_dtype(own[name].dtype)]
        cure = ""
        if numeric:
            cure = (
                f". {numeric[0]!r} is a number, which is held at its mean: name values of it, as in"
                f" at={{{numeric[0]!r}: [1, 2, 3]}}, or write factor({numeric[0]}) in the model's "
                "formula if its values are categories"
            )
        raise ValueError(f"there is one mean, {at or 'of all rows'}, and nothing to compare{cure}")

    def _families(self) -> list[NDArray[np.intp]]:
        """Positions of the means within each level of ``by``."""
        if not self.by:
            return [np.arange(len(self.cells))]
        groups = self.cells.groupby(list(self.by), sort=False, observed=True)
        return [np.asarray(rows) for rows in groups.indices.values()]

    def _family(
        self, rows: NDArray[np.intp], method: Any, adjust: str, ref: int | str
    ) -> pd.DataFrame:
        own = self.cells.drop(columns=list(self.by)).iloc[rows]
        labels = [_label(list(own.columns), row) for row in own.itertuples(index=False)]
        ratios = link_named(self.link).contrast
        names, C = contrast_weights(method, labels, ref, "/" if ratios else "-")
        means = self.L[rows]
        unknown = (C != 0) @ np.isnan(means).any(axis=1)
        L = np.where(unknown[:, None], np.nan, C @ np.nan_to_num(means))
        table = _tested(L, self, C @ self.offset[rows])
        t, df = table["t"].to_numpy(), table["df"].to_numpy()
        R = _correlation(L, self.approximation.cov) if adjust in ("mvt", "dunnett") else None
        table["pvalue"] = adjusted(t, df, adjust, len(rows), R)
        half = critical(df, self.level, adjust, len(rows), R) * table["se"]
        table["lower"], table["upper"] = table["estimate"] - half, table["estimate"] + half
        if ratios:
            table = _exponentials(table, ratios)
        table = table.rename(columns={"t": statistic_name(df)})
        table.insert(0, "contrast", names)
        for column in reversed(self.by):
            table.insert(0, column, self.cells[column].iloc[rows[0]])
        return table

    def __repr__(self) -> str:
        means = repr(ContrastTable(self.frame, self.notes))
        return f"{means}\n\n{self.contrasts!r}" if self.method else means

    def _repr_html_(self) -> str:
        means = ContrastTable(self.frame, self.notes)._repr_html_()
        return means + (self.contrasts._repr_html_() if self.method else "")


def shown_value(value: Any) -> str:
    """Show a value of a variable."""
    return f"{value:.5g}" if isinstance(value, Number) else str(value)


def on_response(means: MarginalMeans, link: str) -> MarginalMeans:
    """Turn means of a linear predictor back into means of the response."""
    if link == "identity":
        return means
    notes = (*means.notes, f"back-transformed from the link ({link}) after averaging")
    return replace(means, what="response", link=link, notes=notes)


def chance_limits(chance: Array, half: Array) -> tuple[Array, Array]:
    """Return limits of probabilities, symmetric on the scale of the logit and so within 0 and 1.

    The half width is taken there by the delta method: ``half / (p (1 - p))``.
    """
    slope = chance * (1.0 - chance)
    inner = slope > 0.0
    wide = np.divide(half, slope, out=np.zeros_like(half), where=inner)
    logit = scipy.special.logit(np.where(inner, chance, 0.5))
    low, high = scipy.special.expit(logit - wide), scipy.special.expit(logit + wide)
    return np.where(inner, low, chance), np.where(inner, high, chance)


def _shown(frame: pd.DataFrame) -> pd.DataFrame:
    """Write the numbers as text: estimates and limits as precisely as their standard errors."""
    out = frame.copy()
    scale = frame["se"].to_numpy(float)
    for name in frame.columns[list(frame.columns).index("se") - 1 :]:
        values = frame[name]
        if name in ("df", "t", "z", "pvalue"):
            out[name] = column_text(values)
        elif pd.api.types.is_numeric_dtype(values):
            out[name] = in_one_scale(values, scale)
    return out


def _sums_to_zero(method: Any) -> bool:
    """Whether every contrast compares: named ones do."""
    if isinstance(method, str):
        return True
    return all(abs(float(np.sum(weights))) < 1e-8 for weights in method.values())


def _exponentials(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Ratios, standard errors by the delta method, and limits; tests stay as they are."""
    ratio = np.exp(table["estimate"])
    limits = {side: np.exp(table[side]) for side in ("lower", "upper")}
    table = table.assign(estimate=ratio, se=ratio * table["se"], **limits)
    return table.rename(columns={"estimate": name})


def _correlation(L: Array, cov: Array) -> Array:
    """Correlations of estimates; NaN of those that there are not."""
    joint = L @ cov @ L.T
    sd = np.sqrt(np.diag(joint))
    return np.asarray(joint / np.outer(sd, sd))


def _label(names: Sequence[str], values: Sequence[Any]) -> str:
    """Name a mean by its values, with the variable's name before a number."""
    parts = []
    for name, value in zip(names, values, strict=True):
        is_number = isinstance(value, Number) and not isinstance(value, bool | np.bool_)
        parts.append(f"{name}{value:g}" if is_number else str(value))
    return " ".join(parts)


def _tested(L: Array, means: MarginalMeans, offset: Array | float = 0.0) -> pd.DataFrame:
    """T tests of rows, NaN for those that are not estimable."""
    known = np.isfinite(L).all(axis=1)
    tests = contrasts(L[known], means.beta, means.approximation, 0.0)
    table = pd.DataFrame(index=range(len(L)), columns=["estimate", "se", "df", "t", "pvalue"])
    table = table.astype(float)
    table.loc[known, "estimate"] = tests.estimate
    table.loc[known, "se"] = tests.se
    table.loc[known, "df"] = tests.df
    table["estimate"] += offset
    table["t"] = table["estimate"] / table["se"]
    return table.drop(columns="pvalue")
