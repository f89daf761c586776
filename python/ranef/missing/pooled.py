"""Models of several imputations, pooled by Rubin's rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from .._counted import counted
from .._number import Count, Real
from .._options import check_option
from .._typing import Array
from ..errors import ModelError, UnsupportedError
from ..inference.coverage import t_quantile
from ..inference.hypotheses.linear import independent
from ..inference.hypotheses.text import parse_hypotheses
from ..inference.pooling import PooledTest, Rubin, d1, d2, d3, rubin
from ..inference.prediction.table import laid_out
from ..report.coefficients import coefficient_table
from ..report.summary import Summary
from ..words.answers import Spoken
from .likelihood import at_pooled
from .same import check_same, models_of

__all__ = ["PooledModel", "pool_models"]


@dataclass(frozen=True, repr=False)
class PooledModel(Spoken):
    """One model fitted to each of several imputed data sets.

    Returned by :func:`ranef.pool`.

    Attributes
    ----------
    models : tuple of models
        The fits.
    """

    model_is: ClassVar[str] = "one of pooled.models"

    models: tuple[Any, ...]
    _rubin: Rubin
    _names: tuple[str, ...]

    # ------------------------------------------------------------------ estimates

    @property
    def m(self) -> int:
        """Number of imputations."""
        return len(self.models)

    @property
    def nobs(self) -> Count:
        """Rows of each completed data set."""
        return Count(self.models[0].nobs)

    @property
    def params(self) -> pd.Series[Any]:
        """Mean of the estimates, by coefficient."""
        return self._series(self._rubin.estimate)

    @property
    def bse(self) -> pd.Series[Any]:
        """Standard errors: within and between imputations."""
        return self._series(np.sqrt(np.diag(self._rubin.total)))

    @property
    def df(self) -> pd.Series[Any]:
        """Degrees of freedom of Barnard and Rubin (1999)."""
        return self._series(self._rubin.df)

    @property
    def riv(self) -> pd.Series[Any]:
        """Relative increase in variance that is due to missing values."""
        return self._series(self._rubin.riv)

    @property
    def fmi(self) -> pd.Series[Any]:
        """Fraction of missing information."""
        return self._series(self._rubin.fmi)

    @property
    def tvalues(self) -> pd.Series[Any]:
        """Estimates divided by their standard errors."""
        return self.params / self.bse

    @property
    def pvalues(self) -> pd.Series[Any]:
        """Two-sided p-values."""
        return self.coef_table()["pvalue"]

    def cov_params(self) -> pd.DataFrame:
        """Covariance of the estimates: within + (1 + 1/m) between."""
        return pd.DataFrame(self._rubin.total, index=list(self._names), columns=list(self._names))

    def coef_table(self) -> pd.DataFrame:
        """Return estimates with standard errors, degrees of freedom, t and p-values.

        Returns
        -------
        DataFrame
            estimate, se, df, t, pvalue by coefficient.
        """
        return coefficient_table(self._names, self.params, self.bse, self._rubin.df)

    def conf_int(self, level: float = 0.95) -> pd.DataFrame:
        """Return confidence intervals of the coefficients.

        Parameters
        ----------
        level : float
            Coverage.

        Returns
        -------
        DataFrame
            lower and upper by coefficient, from t with the degrees of freedom of the table.
        """
        half = t_quantile(level, self._rubin.df) * self.bse.to_numpy()
        return pd.DataFrame({"lower": self.params - half, "upper": self.params + half})

    @property
    def varcorr(self) -> dict[str, pd.DataFrame]:
        """Mean over imputations of each covariance matrix of random effects."""
        each = [model.varcorr for model in self.models]
        return {group: sum(v[group] for v in each) / self.m for group in each[0]}

    @property
    def sigma(self) -> Real:
        """Root of the mean residual variance over imputations."""
        return Real(np.sqrt(np.mean([model.sigma**2 for model in self.models])))

    # ------------------------------------------------------------------ tests

    def test(
        self, hypotheses: str | PooledModel, value: float = 0.0, *, method: str = "D1"
    ) -> PooledTest:
        """Test linear hypotheses, or a smaller model that was pooled too.

        Parameters
        ----------
        hypotheses : str or PooledModel
            Equations such as ``"x = 0, z = 0"``, or the pooled fits of a smaller model to the same
            imputations.
        value : float
            Not used with a text, which has its own right sides.
        method : {"D1", "D2", "D3"}
            From pooled estimates and covariances; from the Wald statistic of each imputation; from
            likelihood ratios, which needs a pooled smaller model and fits by maximum likelihood.

        Returns
        -------
        PooledTest
            ``F``, ``num_df``, ``den_df``, ``pvalue``.

        Raises
        ------
        ValueError
            If a name is no coefficient, or the method is unknown.
        ModelError
            If the other model is not smaller, or D3 is asked of fits by REML.
        """
        method = check_option("method", method, ("D1", "D2", "D3"))
        if value != 0.0:
            raise ValueError('write the value into the text: test("x = 0.5")')
        if isinstance(hypotheses, PooledModel):
            return self._against(hypotheses, method)
        if method == "D3":
            raise ModelError(
                "D3 compares likelihoods: give the pooled fits of the smaller model in place of a "
                "text, or take D1"
            )
        L, right, _ = parse_hypotheses(hypotheses, self._names)
        return self._linear(*independent(L, right), method)

    def _against(self, small: PooledModel, method: str) -> PooledTest:
        """Test against a smaller model."""
        if small.m != self.m or small.nobs != self.nobs:
            raise ModelError(
                f"the smaller model has {counted(small.m, 'fit')} of {counted(small.nobs, 'row')}, "
                f"this one {self.m} of {self.nobs}; both must be fitted to the same imputations"
            )
        lacking = [name for name in small._names if name not in self._names]
        extra = [name for name in self._names if name not in small._names]
        if lacking or not extra:
            what = f"has {lacking[0]!r}, which this one lacks" if lacking else "is not smaller"
            raise ModelError(f"the model to test against {what}; use the larger model's test()")
        if method == "D3":
            own = [2.0 * (a.llf - b.llf) for a, b in zip(self.models, small.models, strict=True)]
            large_at, small_at = at_pooled(self.models), at_pooled(small.models)
            ratios = 2.0 * (np.array(large_at) - np.array(small_at))
            return d3(own, ratios, int(self.models[0].npar - small.models[0].npar))
        L = np.zeros((len(extra), len(self._names)))
        L[np.arange(len(extra)), [self._names.index(name) for name in extra]] = 1.0
        return self._linear(L, np.zeros(len(extra)), method)

    def _linear(self, L: Array, right: Array, method: str) -> PooledTest:
        """Test L q = right."""
        if method == "D1":
            return d1(self._rubin, L, right)
        statistics = []
        for model in self.models:
            gap = L @ model.params.dropna().to_numpy(float) - right
            cov = L @ model.cov_params().to_numpy(float) @ L.T
            statistics.append(float(gap @ np.linalg.solve(cov, gap)))
        return d2(statistics, len(L))

    # ------------------------------------------------------------------ predictions and tables

    def predict(
        self,
        newdata: Any = None,
        *,
        interval: str | None = None,
        se: bool = False,
        level: float = 0.95,
        **options: Any,
    ) -> Any:
        """Predict by the mean of the models' predictions.

        Parameters
        ----------
        newdata : DataFrame, optional
            Rows to predict; by default each model predicts its own completed rows.
        interval : {"confidence"}, optional
            Interval of the mean, by Rubin's rules row by row.
        se : bool
            Whether to add a column ``se``: standard errors of the mean by Rubin's rules.
        level : float
            Its coverage.
        **options
            As of the models' ``predict``, such as ``random="none"``.

        Returns
        -------
        Series of length m, or DataFrame with columns mean, se, lower, upper
            Labelled as the rows of ``newdata``.
        """
        if interval is None and not se:
            each = [m.predict(newdata, **options) for m in self.models]
            return pd.Series(np.mean(np.column_stack(each), axis=1), index=each[0].index)
        if interval not in (None, "confidence"):
            raise UnsupportedError(
                'pooled models predict with interval="confidence"; for intervals of new '
                "observations predict from each of pooled.models"
            )
        wide = [m.predict(newdata, se=True, **options) for m in self.models]
        mean, error = (np.column_stack([w[column] for w in wide]) for column in ("mean", "se"))
        rows = [
            rubin(q[:, None], (s**2)[:, None, None], self._df_complete())
            for q, s in zip(mean, error, strict=True)
        ]
        centre = np.array([r.estimate[0] for r in rows])
        total = np.array([np.sqrt(r.total[0, 0]) for r in rows])
        half = np.array([t_quantile(level, r.df)[0] for r in rows]) * total
        limits = None if interval is None else (centre - half, centre + half)
        return laid_out(centre, total if se else None, limits, wide[0].index)

    def _df_complete(self) -> float:
        return float(self.nobs - len(self._names))

    def tidy(self) -> pd.DataFrame:
        """Return the coefficients under broom's names, with riv, fmi and df."""
        table = self.coef_table()
        ends = self.conf_int()
        return pd.DataFrame(
            {
                "term": table.index,
                "estimate": table["estimate"].to_numpy(),
                "std.error": table["se"].to_numpy(),
                "statistic": table["t"].to_numpy(),
                "df": table["df"].to_numpy(),
                "p.value": table["pvalue"].to_numpy(),
                "conf.low": ends["lower"].to_numpy(),
                "conf.high": ends["upper"].to_numpy(),
                "riv": self.riv.to_numpy(),
                "fmi": self.fmi.to_numpy(),
            }
        )

    def glance(self) -> pd.DataFrame:
        """Return one row about the pooled fit."""
        return pd.DataFrame(
            {"m": [self.m], "nobs": [self.nobs], "sigma": [self.sigma], "max.fmi": [self.fmi.max()]}
        )

    def summary(self) -> Summary:
        """Summarise the pooled fit for reading.

        Returns
        -------
        Summary
            Prints as text, and as HTML in a notebook.
        """
        worst = self.fmi.idxmax()
        notes = [
            f"Largest fraction of missing information: {self.fmi.max():.2f}, of {worst!r}.",
            "Standard deviations of random effects are roots of mean variances; they have no "
            "pooled standard errors.",
        ]
        if self.m < 100 * self.fmi.max():
            notes.append(
                f"With {self.fmi.max():.0%} of the information missing, about "
                f"{int(np.ceil(100 * self.fmi.max()))} imputations make the standard errors "
                f"repeatable; there are {self.m} here."
            )
        first = self.models[0]
        varcorr = self.varcorr if hasattr(first, "varcorr") else {}
        facts = [
            ("Formula", str(first.call.formula)),
            ("Imputations", str(self.m)),
            ("Rows", f"{self.nobs:,}"),
            *(
                (f"SD {name}|{group}", f"{np.sqrt(cov.to_numpy()[i, i]):.4g}")
                for group, cov in varcorr.items()
                for i, name in enumerate(cov.index)
            ),
        ]
        if first.parts.link == "identity" and getattr(first, "sigma", 1.0) != 1.0:
            facts.append(("SD residual", f"{self.sigma:.4g}"))
        if not varcorr:
            del notes[1]
        return Summary(
            "Mixed model pooled over imputations" if varcorr else "Model pooled over imputations",
            facts,
            None,
            self.coef_table(),
            notes,
            "Barnard and Rubin's degrees of freedom",
        )

    def _series(self, values: Array) -> pd.Series[Any]:
        return pd.Series(values, index=pd.Index(self._names))

    def __repr__(self) -> str:
        rows = counted(self.nobs, "row")
        return f"<PooledModel {self.models[0].call.formula!r}, m={self.m}, {rows}>"

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()


def pool_models(models: Sequence[Any]) -> PooledModel:
    """Pool fits of one model to several imputed data sets; see ``pool``."""
    fits = models_of(models)
    if len(fits) < 2:
        raise ModelError(
            f"pool was given {len(fits)} model{'s' if len(fits) != 1 else ''}; the spread over "
            "imputations needs at least two, and twenty are usual"
        )
    first = fits[0]
    for place, model in enumerate(fits[1:], start=2):
        if type(model) is not type(first):
            raise ModelError(
                f"model {place} is a {type(model).__name__}, and model 1 a {type(first).__name__}"
            )
        if list(model.params.index) != list(first.params.index):
            odd = set(model.params.index) ^ set(first.params.index)
            raise ModelError(
                f"model {place} has other coefficients than model 1: "
                f"{', '.join(sorted(map(str, odd)))}. A level that occurs in some imputations "
                "only does that; make the column a Categorical with all levels"
            )
        if model.nobs != first.nobs:
            raise ModelError(
                f"model {place} has {counted(model.nobs, 'row')} and model 1 {first.nobs}; "
                "imputations of one data set have the same rows. Is something still missing?"
            )
        check_same(first, model, place)
    kept = [model.params.notna() for model in fits]
    if any((k != kept[0]).any() for k in kept):
        raise ModelError("the models alias different coefficients; leave one of them out")
    names = tuple(map(str, first.params.index[kept[0]]))
    estimates = [model.params[kept[0]].to_numpy(float) for model in fits]
    covariances = [model.cov_params().to_numpy(float) for model in fits]
    return PooledModel(fits, rubin(estimates, covariances, float(first.nobs - len(names))), names)
