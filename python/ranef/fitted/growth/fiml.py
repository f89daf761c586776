"""A growth curve whose covariates are modelled too, since some of them are missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from ..._counted import counted
from ..._number import Count
from ..._typing import Array
from ...design.frame import open_frame
from ...design.structured import build_structured
from ...errors import ConvergenceWarning, DataError, ModelError, RanefWarning
from ...formula import parse
from ...inference.growth import covariance_elements
from ...inference.hypotheses.linear import FixedDf
from ...models.growth_fiml import FimlEstimate, FimlModel, fit_fiml
from ...report import tidy as tidying
from ...report.summary import Summary
from ..coefficients import Coefficients, LinearTests, WaldIntervals
from ..parts import Base, Parts
from ..plain import Figures
from ..updating import changed
from ..warned import tell
from .call import FACTORS, SHAPES, GrowthCall
from .fit import check_times, checked_call, formula_of
from .lavaan import write_syntax

__all__ = ["FimlGrowthModel", "fit_fiml_model", "is_joint"]

PLAIN = "fit the rows with covariates by growth(..., missing='drop')"


@dataclass(frozen=True, eq=False, repr=False)
class FimlParts(Parts):
    """The estimate of outcomes and covariates together, and what it is named."""

    no_means: ClassVar[str] = (
        "covariates are outcomes of the model; use growth(..., missing='drop')"
    )

    estimate: FimlEstimate
    call: GrowthCall
    covariates: tuple[str, ...] = ()
    occasions: tuple[float, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all parameters."""
        return tuple(name for name, _ in self._labels)

    @cached_property
    def _labels(self) -> list[tuple[str, int]]:
        """Names, and the place of each parameter in the estimate, as a reader wants them."""
        k, r = SHAPES[self.call.shape], SHAPES[self.call.random]
        factors, x = FACTORS[:k], self.covariates
        free = self.call.residuals == "free"
        blocks = [
            list(factors),
            [
                f"{f} ~ {name}"
                for f, own in zip(factors, self.call.regressors, strict=True)
                for name in x
                if name in own
            ],
            list(pairs(FACTORS[:r])),
            [f"Var(residual, {t:g})" for t in self.occasions] if free else ["Var(residual)"],
            [f"Mean({name})" for name in x],
            list(pairs(x)),
            [f"loading({t:g})" for t in self.occasions[1:-1]] * (self.call.shape == "basis"),
        ]
        return [(name, i) for i, name in enumerate(name for block in blocks for name in block)]

    @property
    def beta(self) -> Array:
        """Estimates of all parameters."""
        return self.estimate.params

    @property
    def cov(self) -> Array:
        """Covariance of all parameters, from the observed information."""
        return self.estimate.cov

    @property
    def formula(self) -> str:
        """Outcome and curve."""
        return f"{self.call.outcome} ~ {self.call.shape} in {self.call.time}"

    def approximate(self, ddf: str) -> FixedDf:
        """Compute the reference distribution of the tests: normal."""
        return FixedDf(self.cov, np.inf)

    def brief(self) -> str:
        """Describe in a few words what was fitted."""
        return f"{counted(self.estimate.n_units, 'group')}, llf {self.estimate.llf:.4f}"


def pairs(names: tuple[str, ...]) -> Iterable[str]:
    """Name variances and covariances, row by row; the two of a covariance in order."""
    for i, j in covariance_elements(len(names)):
        a, b = (
            sorted((names[j], names[i]))
            if names != FACTORS[: len(names)]
            else (
                names[j],
                names[i],
            )
        )
        yield f"Var({a})" if i == j else f"Cov({a}, {b})"


class FimlGrowthModel(Coefficients, LinearTests, WaldIntervals, Figures, Base):
    """A latent growth curve fitted jointly with covariates that have missing values.

    Returned by :func:`ranef.growth` with ``missing="fiml"``. ``params`` has the curve, its
    regressions on covariates, all variances, and means, variances and covariances of the
    covariates.
    """

    parts: FimlParts
    instead: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("ranef", "coef", "scores", "predict", "resid", "fittedvalues"), PLAIN),
        **dict.fromkeys(("bootstrap", "profile", "simulate", "icc", "r2", "augment"), PLAIN),
        "varcorr": "read the variances in params",
        "equate": "curves of complete covariates and a known shape are mixed models",
        "fit": "compare llf with that of another model by twice the difference",
    }

    @property
    def call(self) -> GrowthCall:
        """The arguments that made the model."""
        return self.parts.call

    @property
    def llf(self) -> float:
        """Log-likelihood of outcomes and covariates together."""
        return self.parts.estimate.llf

    @property
    def npar(self) -> int:
        """Number of parameters, those of the covariates included."""
        return len(self.parts.beta)

    @property
    def nobs(self) -> Count:
        """Rows with an outcome."""
        return Count(self.parts.nobs)

    @property
    def ngroups(self) -> dict[str, int]:
        """Groups with an observed outcome or covariate."""
        return {self.parts.call.groups: self.parts.estimate.n_units}

    @property
    def aic(self) -> float:
        """Akaike's criterion."""
        return 2.0 * self.npar - 2.0 * self.llf

    @property
    def bic(self) -> float:
        """Schwarz's criterion, counting groups."""
        return float(np.log(self.parts.estimate.n_units)) * self.npar - 2.0 * self.llf

    @property
    def converged(self) -> bool:
        """Whether this is an optimum by exact derivatives."""
        return self.parts.estimate.converged

    def update(self, data: Any = None, **changes: Any) -> Any:
        """Fit the same call with some arguments changed; see ``GrowthModel.update``."""
        call = checked_call(changed(self.call, None, changes, "growth"))
        return fit_fiml_model(call, self.parts.training_data() if data is None else data)

    def lavaan(self) -> str:
        """Write the model in lavaan's syntax, for its function growth() on wide data."""
        return write_syntax(self.call, list(self.parts.occasions))

    def tidy(self, conf_int: bool = False, level: float = 0.95) -> pd.DataFrame:
        """Return all parameters as a tidy frame, under the column names of R's broom.

        Parameters
        ----------
        conf_int : bool
            Whether to add conf.low and conf.high.
        level : float
            Their coverage.

        Returns
        -------
        DataFrame
            As of the other models.
        """
        rows = tidying.fixed_rows(self.parts.coef_table(), level if conf_int else None)
        return tidying.stack([rows])

    def glance(self) -> pd.DataFrame:
        """Return one row about the fit, under the column names of R's broom.

        Returns
        -------
        DataFrame
            nobs (rows with an outcome), npar, logLik, AIC, BIC.
        """
        numbers = {"nobs": self.nobs, "npar": self.npar}
        return pd.DataFrame([{**numbers, "logLik": self.llf, "AIC": self.aic, "BIC": self.bic}])

    def summary(self) -> Summary:
        """Summarise the fit; prints as text, shows as HTML in a notebook."""
        call, estimate = self.call, self.parts.estimate
        facts = [
            ("Outcome", call.outcome),
            ("Curve", f"{call.shape} in {call.time}; {call.residuals} residual variances"),
            ("Covariates", ", ".join(self.parts.covariates) or "none"),
            ("Groups", f"{call.groups} ({estimate.n_units:,}), {self.nobs:,} rows"),
            ("Log-likelihood", f"{self.llf:.4f}  (AIC {self.aic:.2f}, BIC {self.bic:.2f})"),
        ]
        notes = [
            *(str(w) for w in self.warnings),
            "outcomes and covariates are modelled as jointly normal; values are assumed to be "
            "missing at random",
            "standard errors are from the observed information; tests are normal",
        ]
        title = "Latent growth curve model by full information maximum likelihood"
        return Summary(title, facts, None, self.coef_table(), notes)


def is_joint(call: GrowthCall) -> bool:
    """Return whether outcomes and covariates are to be modelled together."""
    return call.missing == "fiml" or call.shape == "basis"


def fit_fiml_model(call: GrowthCall, data: Any) -> FimlGrowthModel:
    """Fit outcomes and covariates together, and issue warnings.

    Raises
    ------
    DataError
        If a covariate is not a number, or varies within groups.
    """
    frame = open_frame(data)
    values = {name: covariate(frame.series(name), name) for name in call.covariates}
    unit = pd.factorize(frame.series(call.groups), sort=True)[0]
    known = np.full((int(unit.max()) + 1, len(values)), np.nan)
    for j, x in enumerate(call.covariates):
        known[:, j] = first_of(values[x], unit, x, call.groups)
    plain = replace(call, covariates=(), by_factor=None, missing="drop", shape="linear")
    rows = build_structured(
        parse(formula_of(plain)),
        data,
        groups=call.groups,
        time=call.time,
        variance=None,
        missing="drop",
    )
    check_times(rows, call)
    assert rows.time is not None
    occasions, place = np.unique(rows.time, return_inverse=True)
    kept = np.arange(len(unit)) if rows.design.rows is None else rows.design.rows
    outcomes = np.full((len(known), len(occasions)), np.nan)
    outcomes[unit[kept], place] = rows.design.y
    model = FimlModel(
        loadings_of(call, occasions.astype(float)),
        SHAPES[call.random],
        len(call.covariates),
        call.residuals == "free",
        np.array([[x in own for x in call.covariates] for own in call.regressors], bool),
        call.shape == "basis",
    )
    estimate = fit_fiml(model, np.column_stack([outcomes, known]))
    found: list[RanefWarning] = []
    if not estimate.converged:
        found.append(
            ConvergenceWarning(
                "the search stopped where the likelihood can still rise, or is flat; take a "
                "simpler shape or random part"
            )
        )
    parts = FimlParts(
        rows.design,
        estimate,
        call,
        data,
        None,
        tuple(found),
        covariates=call.covariates,
        occasions=tuple(float(t) for t in occasions),
    )
    tell(parts.warnings)
    return FimlGrowthModel(parts)


def loadings_of(call: GrowthCall, occasions: Array) -> Array:
    """Powers of time; for a latent basis a straight line from 0 at the first time to 1.

    Raises
    ------
    ModelError
        If a latent basis has fewer than three times.
    """
    if call.shape != "basis":
        return np.vander(occasions, SHAPES[call.shape], increasing=True)
    if len(occasions) < 3:
        raise ModelError(
            f"a latent basis estimates loadings between the first time and the last, and there are "
            f"{counted(len(occasions), 'time')}; take shape='linear'"
        )
    share = (occasions - occasions[0]) / (occasions[-1] - occasions[0])
    return np.column_stack([np.ones(len(share)), share])


def covariate(column: pd.Series[Any], name: str) -> Array:
    """Read the numbers of a covariate."""
    if not pd.api.types.is_numeric_dtype(column):
        raise DataError(
            f"covariate {name!r} is not a number; full information models covariates as normal. "
            "Code its levels as 0 and 1, or impute it by ranef.impute",
            name,
        )
    return column.to_numpy(dtype=float, na_value=np.nan)


def first_of(values: Array, unit: Any, name: str, groups: str) -> Array:
    """Find the value of each group; missing where no row has one."""
    by = pd.Series(values).groupby(unit)
    if (by.nunique() > 1).any():
        raise DataError(
            f"covariate {name!r} varies within groups of {groups!r}; a covariate of growth factors "
            "is constant there",
            name,
        )
    return by.first().to_numpy(dtype=float)
