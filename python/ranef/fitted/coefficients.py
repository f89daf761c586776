"""Coefficients of a fitted model with their tests and intervals: the same words for all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from .._counted import counted
from ..design.aligned import by_name
from ..inference.hypotheses import linear as hypothesis
from ..report.coefficients import interval_table
from .parts import Base, Parts

if TYPE_CHECKING:
    from ..report.tests import LinearTest

__all__ = ["Coefficients", "LinearTests", "WaldIntervals", "level_and_method", "wald_intervals"]


class Coefficients(Base):
    """Estimates by name, their standard errors and their table."""

    @property
    def params(self) -> pd.Series[Any]:
        """Coefficients by name; NaN where a column is aliased."""
        return self.parts.params

    @property
    def bse(self) -> pd.Series[Any]:
        """Standard errors of the coefficients."""
        return self.parts.bse

    @property
    def tvalues(self) -> pd.Series[Any]:
        """Coefficients divided by their standard errors."""
        return self.parts.params / self.parts.bse

    @property
    def pvalues(self) -> pd.Series[Any]:
        """Two-sided p-values of the coefficients, as in ``coef_table()``."""
        return self.parts.coef_table()["pvalue"].rename(None)

    def cov_params(self) -> pd.DataFrame:
        """Return the covariance matrix of the coefficients that are not aliased."""
        names = pd.Index(self.parts.names)[self.parts.kept]
        return pd.DataFrame(self.parts.cov, index=names, columns=names)

    def coef_table(self, ddf: str | None = None) -> pd.DataFrame:
        """Return a table of estimates, standard errors and tests of the coefficients.

        Parameters
        ----------
        ddf : {"satterthwaite", "kenward-roger", "residual", "inf"}, optional
            Degrees of freedom: Satterthwaite's; Kenward and Roger's, which also correct the
            standard errors and need a REML fit; rows minus the rank of X; or infinite (Wald's
            normal tests). By default Satterthwaite's for linear mixed models, those of the
            covariance of the coefficients for models with robust standard errors, and infinite
            otherwise. With priors, Satterthwaite's use the curvature of the penalised likelihood,
            and a coefficient's standard error is the standard deviation of its posterior.

        Returns
        -------
        DataFrame
            Columns estimate, se, df, t (or z, where the reference is normal), pvalue; one row per
            coefficient.

        Examples
        --------
        >>> import ranef
        >>> sleep = ranef.datasets.load("sleepstudy")
        >>> model = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
        >>> model.coef_table("kenward-roger").round(3)
                   estimate     se    df       t  pvalue
        Intercept   251.405  6.825  17.0  36.838     0.0
        Days         10.467  1.546  17.0   6.771     0.0
        """
        return self.parts.coef_table(ddf)


class LinearTests(Base):
    """Tests of linear hypotheses on the coefficients."""

    def test(
        self,
        hypotheses: str | Sequence[str] | ArrayLike,
        value: ArrayLike | None = None,
        ddf: str | None = None,
    ) -> LinearTest:
        """Test linear hypotheses on the coefficients.

        Parameters
        ----------
        hypotheses : str, sequence of str or array_like of shape (r, p)
            Equations such as ``"sex = 0, occasion = 0.1"`` or ``"x - 2 * z"``, or the rows of a
            matrix whose columns are the coefficients of ``params``.
        value : float or array_like of shape (r,), optional
            Right sides of expressions without ``=`` or of the rows of a matrix; zero by default.
        ddf : str, optional
            Degrees of freedom, as in ``coef_table``.

        Returns
        -------
        LinearTest
            F test of all hypotheses together, and a t test of each.

        Raises
        ------
        ValueError
            If a name is no coefficient, or hypotheses are not estimable or contradict each other,
            or ``value`` is given with an equation that has a right side.

        Examples
        --------
        >>> import ranef
        >>> sleep = ranef.datasets.load("sleepstudy")
        >>> model = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
        >>> model.test("Days = 10")
        F(1, 17) = 0.091383, p = 0.7661  (satterthwaite)
                   estimate     se  df      t  pvalue
        Days = 10    10.467 1.5458  17 0.3023 0.76609
        """
        return linear_test(self.parts, hypotheses, value, ddf)


def linear_test(
    parts: Parts,
    hypotheses: str | Sequence[str] | ArrayLike,
    value: ArrayLike | None = None,
    ddf: str | None = None,
) -> LinearTest:
    """Test linear hypotheses; see :meth:`LinearTests.test`."""
    from ..report.tests import LinearTest, contrast_frame

    L, right, labels = read_hypotheses(parts, hypotheses, value)
    approximation = parts.approximation(ddf)
    beta = parts.beta[parts.kept]
    kept = parts.estimable(L)
    every = hypothesis.joint(kept, beta, approximation, right)
    single = hypothesis.contrasts(kept, beta, approximation, right)
    table = contrast_frame(single, labels)
    return LinearTest(
        every.F, every.num_df, every.den_df, every.pvalue, table, parts.ddf_label(ddf)
    )


def read_hypotheses(
    parts: Parts, hypotheses: str | Sequence[str] | ArrayLike, value: ArrayLike | None
) -> tuple[Any, Any, list[str]]:
    """Read rows, right sides and labels of hypotheses as text or as numbers."""
    from ..inference.hypotheses.text import parse_hypotheses

    if isinstance(hypotheses, list | tuple) and any(isinstance(h, str) for h in hypotheses):
        hypotheses = ", ".join(map(str, hypotheses))
    given = None if value is None else np.asarray(value, float)
    if isinstance(hypotheses, str):
        L, right, labels = parse_hypotheses(hypotheses, parts.names)
        if given is None:
            return L, right, labels
        if "=" in hypotheses:
            raise ValueError(
                f"{hypotheses!r} has a right side of its own, and value={value!r} was given beside "
                "it; write the value into the text, or the text without '='"
            )
        right = right + broadcast(given, len(L))
        labels = [f"{label} = {v:g}" for label, v in zip(labels, right, strict=True)]
        return L, right, labels
    given_rows = by_name(hypotheses, parts.names, "hypotheses")
    L = np.atleast_2d(np.asarray(given_rows, float))
    right = np.zeros(len(L)) if given is None else broadcast(given, len(L))
    return L, right, [f"row {i + 1}" for i in range(len(L))]


def broadcast(value: Any, n: int) -> Any:
    """Spread right sides over the rows."""
    if value.size not in (1, n):
        raise ValueError(
            f"value has {value.size} right sides for {counted(n, 'hypothesis', 'hypotheses')}"
        )
    return np.broadcast_to(value.ravel(), n)


class WaldIntervals(Base):
    """Confidence intervals from the quantiles of the tests' distribution."""

    def conf_int(
        self,
        level: float | str = 0.95,
        method: str | float = "wald",
        *,
        ddf: str | None = None,
    ) -> pd.DataFrame:
        """Compute confidence intervals from the quantiles of t.

        Parameters
        ----------
        level : float
            Coverage, between 0 and 1.
        method : {"wald"}
            How they are found.
        ddf : str, optional
            Degrees of freedom, as in ``coef_table``.

        Returns
        -------
        DataFrame
            Columns lower, upper; one row per coefficient.
        """
        level, _ = level_and_method(level, method, ("wald",), type(self).__name__)
        return wald_intervals(self.parts, level, ddf)


def wald_intervals(parts: Parts, level: float, ddf: str | None) -> pd.DataFrame:
    """Compute intervals by the reference distribution of the coefficient table."""
    table = parts.coef_table(ddf)
    return interval_table(parts.names, table["estimate"], table["se"], table["df"], level)


def level_and_method(
    level: float | str, method: str | float, allowed: Sequence[str], kind: str
) -> tuple[float, str]:
    """Distinguish coverage and method, which may come in either order."""
    from .._options import check_option
    from ..errors import UnsupportedError
    from ..inference.coverage import check_level

    if not isinstance(method, str):
        level, method = method, (level if isinstance(level, str) else "wald")
    elif isinstance(level, str):
        if any(letter.isdigit() for letter in level):
            coverage: Any = level  # written as text, such as "95%"
            check_level(coverage)
        level, method = 0.95, level
    name = check_option("method", method, ("wald", "profile", "boot"), shown=allowed)
    if name not in allowed:
        raise UnsupportedError(
            f"method={name!r} is not available for a {kind}; there is "
            f"{' and '.join(map(repr, allowed))}"
        )
    check_level(level)
    return float(level), name
