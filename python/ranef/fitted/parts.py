"""What a fitted model is made of, and the base class of every model and of each of its mixins."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import pandas as pd

from .._counted import counted
from .._options import check_option
from .._typing import Array, Positions
from ..design.design import Design
from ..design.snapshot import Kept
from ..errors import RanefWarning, UnsupportedAttributeError, UnsupportedError
from ..formula import unquoted
from ..inference.hypotheses import linear
from ..inference.hypotheses.linear import Approximation
from ..report.coefficients import coefficient_table
from ..report.summary import Summary
from ..words.answers import Spoken, attribute_message, no_attribute, target
from .design_view import DesignView

if TYPE_CHECKING:
    from ..inference.sandwich.tests import WaldTest

__all__ = ["Base", "Parts"]

#: How a summary names the degrees of freedom of its tests.
DDF_TITLES = {
    "satterthwaite": "Satterthwaite's degrees of freedom",
    "kenward-roger": "Kenward and Roger's standard errors and degrees of freedom",
    "residual": "residual degrees of freedom",
    "inf": "normal tests",
}

#: Other names of degrees of freedom.
DDF_NAMES = {"normal": "inf", "infinite": "inf", "wald": "inf", "kr": "kenward-roger"}


@dataclass(frozen=True, eq=False, repr=False)
class Parts(ABC):
    """One fit, frozen: all that a model's methods and other rooms read of it.

    Attributes
    ----------
    design : Design
        Response, matrices and terms of the rows that were used.
    estimate : object
        What the search or the solver found.
    call : object
        The arguments of the fit.
    data : frame or None
        The caller's frame; None after pickling and for data that were read in chunks.
    kernel : object or None
        The compiled object of the fit, if it is at hand; ``core`` builds it again.
    warnings : tuple of RanefWarning
        Warnings of the fit.
    """

    design: Design
    estimate: Any
    call: Any
    data: Any = Kept()  # noqa: RUF009 - by value: later changes of the caller's do not reach it
    kernel: Any = None
    warnings: tuple[RanefWarning, ...] = ()

    #: Kinds of degrees of freedom, the usual one first.
    ddf: ClassVar[tuple[str, ...]] = ("inf",)
    #: Why no means are predicted over values of the formula's variables, if so.
    no_means: ClassVar[str] = ""
    #: Why there are no other kinds.
    no_ddf: ClassVar[str] = "the tests of this model have degrees of freedom of their own"

    def __getstate__(self) -> dict[str, Any]:
        # The kernel is built again when needed; the caller's frame is not copied.
        kept = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**kept, "data": None, "kernel": None}

    @property
    def link(self) -> str:
        """Link that turns the fixed part into means of the response."""
        return "identity"

    @property
    def draws_points(self) -> bool:
        """Whether responses stand on the scale of these means, so that a figure may show both."""
        return True

    # ------------------------------------------------------------------ coefficients

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the coefficients."""
        return self.design.fixed_names

    @property
    def beta(self) -> Array:
        """Estimates, NaN where aliased, shape (p,)."""
        return np.asarray(self.estimate.beta)

    @property
    def kept(self) -> Positions:
        """Positions of the coefficients that are not aliased."""
        return np.flatnonzero(~np.isnan(self.beta))

    @property
    def cov(self) -> Array:
        """Covariance of the coefficients that are not aliased, shape (n_kept, n_kept)."""
        return np.asarray(self.estimate.cov_beta)

    @property
    def terms(self) -> Sequence[tuple[str, tuple[int, ...]]]:
        """Terms of the formula and the positions of their coefficients."""
        return self.design.fixed_terms

    @property
    def formula(self) -> str:
        """The formula as written."""
        return str(self.call.formula)

    def full(self, values: Any) -> pd.Series[Any]:
        """Label values of the kept coefficients; NaN for aliased ones."""
        out = np.full(len(self.beta), np.nan)
        out[self.kept] = values
        return pd.Series(out, index=pd.Index(self.names))

    @property
    def params(self) -> pd.Series[Any]:
        """Coefficients by name."""
        return pd.Series(self.beta, index=pd.Index(self.names))

    @property
    def bse(self) -> pd.Series[Any]:
        """Standard errors by name."""
        return self.full(np.sqrt(np.diag(self.cov)))

    def coef_table(self, ddf: str | None = None) -> pd.DataFrame:
        """Lay out estimates, standard errors and tests."""
        found = self.approximation(ddf)
        return coefficient_table(
            self.names,
            self.beta,
            self.full(np.sqrt(np.diag(found.cov))),
            self.full(found.df(np.eye(len(self.kept)))),
        )

    # ------------------------------------------------------------------ tests

    def ddf_name(self, ddf: str | None) -> str:
        """Read the name of a kind of degrees of freedom; the usual one for None."""
        if ddf is None:
            return self.ddf[0]
        known = ("satterthwaite", "kenward-roger", "residual", "inf")
        name = check_option(
            "ddf", ddf, dict.fromkeys((*self.ddf, *known)), DDF_NAMES, shown=self.ddf
        )
        if name not in self.ddf:
            raise UnsupportedError(
                f"ddf={name!r} is not available here: {self.no_ddf}; use "
                f"ddf={' or '.join(map(repr, self.ddf))}"
            )
        return name

    def ddf_label(self, ddf: str | None) -> str:
        """Name the degrees of freedom of a test for its reader."""
        return self.ddf_name(ddf)

    def tests_title(self, ddf: str | None = None) -> str:
        """State where the degrees of freedom of the tests come from."""
        return DDF_TITLES.get(self.ddf_name(ddf), "")

    def approximation(self, ddf: str | None = None) -> Approximation:
        """Look up the reference distribution of the tests, worked out once."""
        name = self.ddf_name(ddf)
        known: dict[str, Approximation] = self.__dict__.setdefault("_known", {})
        if name not in known:
            known[name] = self.approximate(name)
        return known[name]

    @abstractmethod
    def approximate(self, ddf: str) -> Approximation:
        """Compute the reference distribution of the tests."""

    def estimable(self, L: Array) -> Array:
        """Write hypotheses in the coefficients that are not aliased, shape (r, n_kept)."""
        rows = linear.estimable(L, self.kept, (), np.empty((len(self.kept), 0)), self.names)
        aliased = np.isnan(self.beta) & (L != 0.0).any(axis=0)
        if aliased.any():
            raise ValueError(
                f"{self.names[int(np.argmax(aliased))]!r} has no estimate of its own; leave it out "
                "of the hypothesis"
            )
        return rows

    def wald(self, contrasts: Array, left: Array) -> WaldTest:
        """Test contrasts of the kept coefficients, minus their hypothetical values, jointly."""
        from ..inference.sandwich.tests import wald_f

        found = self.approximation()
        return wald_f(contrasts, left, found.cov, found.joint(contrasts)[1])

    # ------------------------------------------------------------------ rows

    @property
    def nobs(self) -> int:
        """Rows that were used."""
        return self.design.n_obs

    def label(self, values: Any) -> pd.Series[Any]:
        """Label values of the rows used as the caller's rows are."""
        index = self.design.index
        if index is not None and self.design.rows is not None:
            index = index[self.design.rows]
        return pd.Series(values, index=index)

    def training_data(self, remedy: str = "") -> Any:
        """Return the caller's frame.

        Raises
        ------
        ValueError
            If it is no longer known.
        """
        if self.data is None:
            raise ValueError(
                "this model was unpickled, or fitted from chunks or from another model, and does "
                "not know its data; "
                + (
                    remedy
                    or "pass them to predict(newdata), update(data=...) or doctor(model, data)"
                )
            )
        return self.data

    # ------------------------------------------------------------------ text

    def glance(self) -> dict[str, Any]:
        """Collect the numbers about the fit under broom's names."""
        return {"nobs": self.nobs, "df.residual": self.nobs - len(self.kept)}

    def brief(self) -> str:
        """Describe in a few words what was fitted."""
        return f"{counted(self.nobs, 'row')}"

    @property
    def table_hidden(self) -> Sequence[str]:
        """Statistics that mean nothing in a regression table beside those of other models."""
        return ()

    @property
    def table_response(self) -> str:
        """Name of the response in a regression table."""
        return unquoted(self.design.response)

    @property
    def table_absorbed(self) -> str | None:
        """Absorbed factors in a regression table."""
        return None

    def table_rows(self) -> dict[str, Any]:
        """List the rows of a regression table below the coefficients."""
        return {"N": self.nobs}

    def table_covariance(self) -> dict[str, Any]:
        """Describe the covariance for a regression table."""
        return {}


#: Words of linear mixed models where a kind has none of its own to propose.
ELSEWHERE: Mapping[str, str] = {
    **dict.fromkeys(
        ("aic", "aicc", "bic", "llf"), "models with a likelihood have it, such as ranef.lmer's"
    ),
    **dict.fromkeys(
        (
            "bootstrap",
            "caic",
            "heritability",
            "icc",
            "influence",
            "penalty",
            "ranova",
            "surface",
            "theta",
        ),
        "models of ranef.lmer have it",
    ),
    **dict.fromkeys(
        (
            "coef",
            "covariance_params",
            "is_singular",
            "ranef",
            "reml",
            "varcorr",
            "variance_decomposition",
        ),
        "random effects are those of ranef.lmer and ranef.glmer",
    ),
    **dict.fromkeys(
        ("converged", "convergence"), "model.warnings lists what the fit warned about, if anything"
    ),
    **dict.fromkeys(
        ("robust", "wild_bootstrap"), "models of ranef.lmer, ranef.gee and ranef.feols have it"
    ),
    "anova": "fit again without a term and compare the two",
    "augment": "join model.fittedvalues and model.resid to the rows of the data",
    "augment_chunks": "models of ranef.lmer have it; join fitted values chunk by chunk",
    **dict.fromkeys(
        ("smooth", "smooths"), "smooth terms, s(x), are those of ranef.lmer and ranef.glmer"
    ),
    **dict.fromkeys(
        ("residual_covariance", "resid_normalized"),
        "ranef.gls has it, whose residuals may be correlated; those here are independent, and "
        "model.varcorr has the covariance of a structure inside a bar, such as ar1(0 + f | g)",
    ),
    "glance": "model.summary() says what is known of the fit",
    "in_units": "rescale the columns of the data and fit again",
    "ngroups": "model.summary() counts the groups",
    "npar": "len(model.params) counts the coefficients",
    "plot": "ranef.plot_coefficients(model) shows its coefficients",
    "predict": "models of ranef.lmer, ranef.glmer, ranef.gls, ranef.gee and ranef.feols have it",
    "profile": "model.conf_int() gives intervals of the coefficients",
    "r2": "models of ranef.lmer and ranef.glmer have it",
    "refit": "fit again with the new response as a column of the data",
    "sample": "models of ranef.lmer and ranef.glmer have a posterior",
    "sigma": "model.summary() has what is known of the residual variance",
    "simulate": "models of ranef.lmer and ranef.glmer draw responses",
    "tidy": "model.coef_table() and model.conf_int() contain what a tidy table has",
    "update": "call the function again with other arguments; model.call has these",
}


class Base(Spoken, ABC):
    """A model as its user has it: parts, and what every model does with them.

    Every mixin of a model inherits this class and no other. Nothing of a model changes after the
    fit.
    """

    parts: Parts

    #: Words of other models that this one lacks, and what to use instead.
    instead: ClassVar[Mapping[str, str]] = {}
    #: What kind of model this is, for functions that treat some kinds.
    model_kind: ClassVar[str] = "regression"
    #: Functions that do not treat this kind, and what to use instead; "" for all others.
    elsewhere: ClassVar[Mapping[str, str]] = {
        "": "its likelihood, if it has one, is not that of a mixed model for the same response"
    }

    def __init__(self, parts: Parts):
        object.__setattr__(self, "parts", parts)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(
            f"{name!r} cannot be set: a fitted model does not change; use update(...)"
        )

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            kind = type(self).__name__
            cure = type(self).instead.get(name) or ELSEWHERE.get(name)
            if cure is not None:
                raise UnsupportedAttributeError(
                    f"{name} is not available for a {kind}; {cure}", name=name, obj=self
                )
            if message := attribute_message(name):
                ours = target(name)
                other = type(self).instead.get(ours) or ELSEWHERE.get(ours)
                if other is not None and not hasattr(type(self), ours):
                    message = f"{message}, which is not available for a {kind}; {other}"
                raise UnsupportedAttributeError(message, name=name, obj=self)
            raise AttributeError(no_attribute(type(self), name), name=name, obj=self)

    def __copy__(self) -> Self:
        new = object.__new__(type(self))
        new.__dict__.update(self.__dict__)
        return new

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.__copy__()  # frozen: it may share everything, the data and the kernel included

    @property
    def call(self) -> Any:
        """The arguments that made the model."""
        return self.parts.call

    @property
    def warnings(self) -> tuple[RanefWarning, ...]:
        """Warnings of the fit."""
        return self.parts.warnings

    @property
    def design(self) -> DesignView:
        """Response and design matrices of the rows used: ``y``, ``X``, ``Z``, ``names``."""
        return DesignView(self.parts.design)

    def __str__(self) -> str:
        return str(self.summary())

    @abstractmethod
    def summary(self) -> Summary:
        """Summarise the fit; prints as text, shows as HTML in a notebook."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.parts.formula!r}, {self.parts.brief()}>"

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()
