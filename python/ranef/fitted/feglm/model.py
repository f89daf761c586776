"""A fitted generalised linear model with absorbed factors: thin methods over frozen arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ..._number import Count
from ...models.within import singletons
from ...report.summary import Summary
from ..checked import Checked
from ..coefficients import Coefficients, LinearTests, WaldIntervals
from ..feols.fit import names
from ..parts import Base
from ..plain import Figures, PlainTables
from ..regression_table import RegressionTable
from ..robust import RobustResult
from ..updating import changed
from ..wald_tests import WaldTests
from ..warned import tell
from .call import FeglmCall
from .covariance import robust_of
from .parts import FeglmParts, fit
from .rows import Rows
from .simulated import Checks

__all__ = ["GeneralizedFixedEffectsModel", "fit_model"]


class Criteria(Base):
    """Counts, likelihood and criteria."""

    parts: FeglmParts

    @property
    def nobs(self) -> Count:
        """Rows that were used."""
        return Count(self.parts.nobs)

    @property
    def df_resid(self) -> int:
        """Rows, as often as they were counted, minus parameters, and minus groups given sums."""
        return self.parts.df_resid

    @property
    def npar(self) -> int:
        """Coefficients and absorbed effects; a conditional likelihood has no effects."""
        return self.parts.npar

    @property
    def ngroups(self) -> dict[str, int]:
        """Levels of each absorbed factor that were used."""
        return self.parts.ngroups

    @property
    def dropped(self) -> dict[str, int]:
        """Levels of each absorbed factor that were left out, as their responses do not vary."""
        return dict(self.parts.lost.levels)

    @property
    def singletons(self) -> dict[str, int]:
        """Levels of each absorbed factor with one row, which says nothing about the rest."""
        absorption = self.parts.estimate.absorption
        return {} if absorption is None else singletons(absorption)

    @property
    def aliased(self) -> dict[str, str]:
        """Columns without a coefficient, and why."""
        return {self.parts.names[j]: why for j, why in self.parts.estimate.aliased.items()}

    @property
    def llf(self) -> float:
        """Log-likelihood; the conditional one of conditional logistic regression."""
        return self.parts.llf

    @property
    def aic(self) -> float:
        """Akaike's criterion."""
        return 2.0 * self.parts.npar - 2.0 * self.parts.llf

    @property
    def bic(self) -> float:
        """Schwarz's criterion, counting rows, each as often as its frequency says."""
        return self.parts.bic

    @property
    def converged(self) -> bool:
        """Whether the likelihood is at its maximum."""
        return bool(self.parts.estimate.converged)


class Robust(Base):
    """Every covariance of the coefficients."""

    parts: FeglmParts

    @property
    def vcov_type(self) -> str:
        """Which covariance the tests of this model use."""
        return self.parts.vcov.kind

    def robust(
        self, kind: str = "CR2", cluster: Any = None, *, ssc: str = "clubSandwich"
    ) -> RobustResult:
        """Return tests with a robust covariance.

        Parameters
        ----------
        kind : str
            HC0 to HC3 against unequal variances; CR0, CR1, CR1S, CR2, CR3 against clusters as well.
        cluster : str, sequence of str or array_like, optional
            Clusters: a column, several (CR0, CR1, CR1S), or one value for each row; by default
            those of the call. Of a binomial model that absorbs a factor they hold whole levels,
            and are the levels themselves by default.
        ssc : {"clubSandwich", "fixest", "stata"}
            Small-sample convention, see :func:`ranef.feols`.

        Returns
        -------
        RobustResult

        Notes
        -----
        CR2 and CR3 are those of the weighted least squares that the fit ends with, and of the
        groups' scores and information where the likelihood is conditional.

        Examples
        --------
        >>> import ranef
        >>> cbpp = ranef.datasets.load("cbpp")
        >>> model = ranef.feglm(
        ...     "incidence ~ period + offset(np.log(size))", cbpp, family="poisson", absorb="herd"
        ... )
        >>> model.robust("CR2", cluster="herd").bse.round(3).to_dict()
        {'period[T.2]': 0.405, 'period[T.3]': 0.473, 'period[T.4]': 0.325}
        """
        return robust_of(self.parts.estimate, self.parts, kind, cluster, ssc)


class GeneralizedFixedEffectsModel(
    Coefficients,
    Criteria,
    Rows,
    LinearTests,
    WaldTests,
    Robust,
    WaldIntervals,
    PlainTables,
    Figures,
    RegressionTable,
    Checks,
    Checked,
):
    """A fitted generalised linear model, pooled or with absorbed factors.

    Returned by :func:`ranef.feglm`; it does not change after the fit.

    Attributes
    ----------
    call : FeglmCall
        The arguments that made it.
    warnings : tuple of RanefWarning
        Warnings of the fit.
    """

    parts: FeglmParts
    instead: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(
            ("ranef", "varcorr", "icc"),
            "absorbed effects are in effects(); random ones come by ranef.glmer",
        ),
        **dict.fromkeys(("bootstrap", "profile", "wild_bootstrap"), "use robust('CR2')"),
        "anova": "use wald_test(terms)",
        "overdispersion": "model.simulated_residuals().dispersion() tests it",
        "coef": "the coefficients are in params, absorbed effects in effects()",
        "fixef": "absorbed effects are in effects(), coefficients in params",
        "simulate": "fit ranef.glmer to draw new responses",
        "r2": "use llf, aic or bic; ranef.glmer's models have r2()",
        "sigma": "a Poisson or binomial response has no residual variance of its own",
    }

    def __init__(self, parts: FeglmParts):
        super().__init__(parts)

    @property
    def call(self) -> FeglmCall:
        """The arguments that made the model."""
        return self.parts.call

    def update(
        self, formula: str | None = None, data: Any = None, **changes: Any
    ) -> GeneralizedFixedEffectsModel:
        """Fit the same call with some arguments changed.

        Parameters
        ----------
        formula : str, optional
            A new formula; a dot stands for that side of the present one, as in ``". ~ . + x"``.
        data : DataFrame, optional
            New data; the present ones by default.
        **changes
            Other arguments of :func:`ranef.feglm`.
        """
        named = {k: names(v) if k in ("absorb", "cluster") else v for k, v in changes.items()}
        call = changed(self.call, formula, named, "feglm")
        return fit_model(call, self.parts.training_data() if data is None else data)

    # ------------------------------------------------------------------ text

    def summary(self) -> Summary:
        """Summarise the fit; prints as text, shows as HTML in a notebook."""
        family = self.parts.family
        facts = [
            ("Formula", self.parts.call.formula),
            ("Family", f"{family.label}, {family.link.name} link"),
        ]
        if self.ngroups:
            groups = ", ".join(f"{name} ({count})" for name, count in self.ngroups.items())
            facts.append(("Absorbed", groups))
        facts += [("Rows", str(self.parts.nobs)), ("Log-likelihood", f"{self.llf:.4f}")]
        facts.append(("Covariance", self.vcov_type))
        if counted := self.parts.vcov.n_clusters:
            facts.append(("Clusters", ", ".join(f"{n} ({c})" for n, c in counted.items())))
        notes = [*map(str, self.warnings), *self.parts.vcov.notes]
        return Summary(self._title(), facts, None, self.coef_table(), notes)

    def _title(self) -> str:
        """State which likelihood was maximised."""
        if self.parts.is_conditional:
            group = next(iter(self.ngroups))
            return f"Conditional logistic regression, given the successes of each {group}"
        absorbed = " with absorbed effects" if self.ngroups else ""
        return f"Generalised linear model{absorbed} by maximum likelihood"


def fit_model(call: FeglmCall, data: Any) -> GeneralizedFixedEffectsModel:
    """Carry out a call, and issue its warnings."""
    parts = fit(call, data)
    tell(parts.warnings)
    return GeneralizedFixedEffectsModel(parts)
