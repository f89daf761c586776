"""The engine of simulation studies: data sets of a setting, drawn and fitted as one batch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from .._typing import Array
from ..batch.folder import BatchFolder
from ..batch.many import STAND_IN, check_ddf, read_tests, shared_design
from ..batch.many_run import call_plan, design_digest
from ..batch.result import BatchResult, Labels
from ..batch.tables import named_spread
from ..design.design import Design, only_plain
from ..design.structures.structure import check_free
from ..errors import UnsupportedError
from ..fitted.glmm.call import GlmerCall
from ..fitted.glmm.model import GeneralizedLinearMixedModel
from ..fitted.lmm.call import Call
from ..fitted.lmm.model import LinearMixedModel
from ..fitted.parts import Base
from ..formula import like, parse
from ..inference.study import Truth, draw_counts, draw_responses
from ..models import lmm
from ..models.batch import fits as batch
from ..models.batch.blocks import Progress
from ..models.batch.estimate import NOT_RUN, BatchEstimate, Settings, empty_estimate
from ..models.glmm import model as glmm
from ..models.glmm.estimate import GlmmSpec
from .result import StudyRun
from .settings import Pilot, Setting, called, extended, read_scale, read_truth, used_columns

__all__ = ["Engine", "make_engine", "spec_of"]

#: Numbers drawn at a time.
NUMBERS = 4_000_000
#: Column of the trials of a fitted model; no column of a frame has that name by accident.
TRIALS = "the study's trials"
#: What simulates and fits where this does not.
BY_HAND = (
    "draw Y = model.simulate(500, seed=1) from a fitted model, and see how often "
    "ranef.fit_many(right_side, data, Y).table rejects"
)


@dataclass(frozen=True)
class Engine:
    """Makes and fits the data sets of a setting.

    Attributes
    ----------
    formula, fit : str
        The model that data are drawn from, and the model that is fitted.
    pilot : LinearMixedModel, GeneralizedLinearMixedModel or None
        A model whose parameters are the defaults.
    data, params, varcorr, sigma, dispersion, weights, offset : object
        As in ``simulate_study``.
    tests : sequence
        Hypotheses.
    settings : Settings
        How to fit.
    ddf : str
        Kind of degrees of freedom.
    """

    formula: str
    fit: str
    pilot: Pilot | None
    data: Any
    params: Any
    varcorr: Any
    sigma: Any
    dispersion: Any
    weights: str | None
    offset: str | None
    tests: Sequence[Any]
    settings: Settings
    ddf: str

    def run(
        self,
        index: int,
        setting: Setting,
        n: int,
        seed: np.random.SeedSequence,
        line: Progress,
        folder: BatchFolder | None,
    ) -> StudyRun:
        """Simulate and fit one setting."""
        columns = self.columns(setting)
        drawn = self.design(self.formula, columns)
        fitted = drawn if self.fit == self.formula else self.design(self.fit, columns)
        if self.spec is None:
            lmm.check(fitted)
        else:
            glmm.check(fitted, self.spec)
        truth = self.truth(drawn, setting)
        contrasts = read_tests(self.tests, fitted.fixed_names, self.ddf)
        settings = replace(self.settings, contrasts=contrasts)
        estimate = empty_estimate(n, fitted, settings)
        if folder is None:
            self.fill(drawn, fitted, truth, estimate, seed, line)
        else:
            name = f"setting-{index:05d}.npz"
            values = truth.beta.tolist(), [cov.tolist() for cov in truth.cov], truth.sigma
            told = f"{design_digest(drawn)} {design_digest(fitted)} {values}"
            key = index, estimate, hashlib.sha256(told.encode()).hexdigest()[:32], name
            line.advance(folder.restore(*key))
            line.after = folder.saver(*key)
            self.fill(drawn, fitted, truth, estimate, seed, line)
            line.after = None
            folder.save(*key)
        result = BatchResult(
            Labels(("response",), pd.RangeIndex(len(estimate.outcome)), fitted.fixed_names),
            estimate,
            fitted,
            no_single,
            ddf=self.ddf,
            interrupted=line.interrupted,
        )
        return StudyRun(setting.named, result, stated(fitted, drawn, truth, settings))

    @staticmethod
    def fill(
        drawn: Design,
        fitted: Design,
        truth: Truth,
        estimate: BatchEstimate,
        seed: np.random.SeedSequence,
        line: Progress,
    ) -> None:
        """Draw and fit the data sets that have no fit yet, block by block, each with its seed."""
        n, size = len(estimate.outcome), max(1, NUMBERS // drawn.n_obs)
        spec = estimate.settings.spec
        core = batch.shared_core(fitted) if spec is None else None
        for first, own in zip(range(0, n, size), seed.spawn(-(-n // size)), strict=True):
            part = estimate.part(first, min(first + size, n))
            if line.interrupted or not (part.outcome == NOT_RUN).any():
                continue
            with line.interruptible():
                rng, count = np.random.default_rng(own), len(part.outcome)
                if spec is None:
                    Y = draw_responses(drawn, truth, count, rng)
                else:
                    Y = draw_counts(drawn, truth, spec, count, rng)
                batch.fit_responses(
                    fitted, Y, part.settings, progress=line, out=part, complete=core
                )

    def folder(self, out: Any, grid: list[Setting], n: int, seed: int | None) -> BatchFolder:
        """Open the folder of a study."""
        if seed is None:
            raise ValueError("out needs a seed, so that the same data sets are drawn again")
        call: Call | GlmerCall
        if self.spec is None:
            call = Call(self.fit, self.settings.reml, control=self.settings.control)
        else:
            call = GlmerCall(self.fit, self.spec, control=self.settings.control)
        return BatchFolder(
            out,
            {
                "function": "simulate_study",
                **call_plan(call, self.settings, self.ddf),
                "drawn from": self.formula,
                "tests": repr(list(self.tests)),
                "grid": [repr(setting) for setting in grid],
                "n": n,
                "seed": repr(seed),
            },
        )

    def columns(self, setting: Setting) -> dict[str, Any]:
        """Make the design's columns."""
        data = self.data
        if data is None and self.pilot is not None:
            parts = self.pilot.parts
            columns = used_columns(parts.training_data(), parts.design.rows)
            if self.weights == TRIALS:
                columns[TRIALS] = pd.Series(parts.design.weights)
        elif data is None:
            raise ValueError("data are needed where the model is a formula")
        else:
            columns = used_columns(called(data, setting.options))
        bars = parse(f"`{STAND_IN}` {self.formula}").random
        groups = {name for bar in bars for name in bar.factors}
        return extended(columns, setting.levels, setting.within, sorted(groups))

    def design(self, formula: str, columns: Mapping[str, Any]) -> Design:
        """Build the design of a formula."""
        parsed = parse(f"`{STAND_IN}` {formula}")
        check_free(parsed, "a simulated study", BY_HAND)
        parsed.refuse_smooths("a simulated study", BY_HAND)
        contrasts = None if self.pilot is None else self.pilot.call.contrasts
        n = len(next(iter(columns.values())))
        return shared_design(formula, columns, n, self.weights, self.offset, contrasts)

    @property
    def spec(self) -> GlmmSpec | None:
        """The specification of a generalised model; None for linear ones."""
        return self.settings.spec

    def truth(self, design: Design, setting: Setting) -> Truth:
        """Read the parameters of a setting."""
        params = called(self.params, setting.options) if callable(self.params) else setting.params
        sigma = called(self.sigma, setting.options) if callable(self.sigma) else setting.sigma
        varcorr = called(self.varcorr, setting.options)
        given = self.dispersion
        dispersion = called(given, setting.options) if callable(given) else setting.dispersion
        scale = read_scale(self.spec, self.pilot, sigma, dispersion)
        return read_truth(design, self.pilot, params, varcorr, scale)


def make_engine(
    model: Any,
    *,
    fit: str | None,
    ddf: str,
    weights: str | None,
    offset: str | None,
    settings: Settings,
    **parts: Any,
) -> Engine:
    """Take a formula or a fitted model."""
    check_ddf(ddf)
    pilot = model if isinstance(model, Pilot) else None
    if pilot is None and isinstance(model, Base):
        raise UnsupportedError(
            f"a study draws from models of lmer, and of glmer with one linear predictor, not from "
            f"a {type(model).__name__}; fit the columns of model.simulate(n) by model.refit(y) one "
            "by one, and count what is rejected"
        )
    if pilot is None and not isinstance(model, str):
        raise TypeError(
            f"model must be a formula or a model fitted by lmer or glmer, not a "
            f"{type(model).__name__}"
        )
    for name, given in (("weights", weights), ("offset", offset)):
        if given is not None and not isinstance(given, str):
            raise TypeError(f"{name} must be the name of a column, not a {type(given).__name__}")
    formula = model if pilot is None else pilot.call.formula
    if pilot is not None:
        check_pilot(pilot)
        weights = pilot.call.weights if weights is None else weights
        offset = pilot.call.offset if offset is None else offset
        if weights is None and settings.spec is not None:
            weights = trials_of(pilot, parts["data"])
    formula = complete(formula)
    told = formula if fit is None else complete(fit)
    return Engine(
        formula, told, pilot, ddf=ddf, weights=weights, offset=offset, settings=settings, **parts
    )


def spec_of(model: Any, spec: GlmmSpec | None) -> GlmmSpec | None:
    """Take the family of a fitted model, unless another is requested.

    Raises
    ------
    ValueError
        When both are given and differ.
    UnsupportedError
        For an approximation, or a link, that a batch does not have.
    """
    if not isinstance(model, Pilot):
        return spec
    own = model.call.spec if isinstance(model, GeneralizedLinearMixedModel) else None
    if spec is not None and spec != own:
        raise ValueError(
            "family and link are those of the fitted model; to draw from another family give the "
            "formula with params and varcorr"
        )
    if own is not None and (own.nagq != 1 or own.reml):
        raise UnsupportedError(
            "a study fits by Laplace's approximation; pass model.update(nagq=1, reml=False), or "
            "the formula with params and varcorr"
        )
    if own is not None and own.transform.positive:
        raise UnsupportedError("a study of gamma responses has the log link; refit with it")
    return own


def check_pilot(pilot: Pilot) -> None:
    """Refuse a model that a study cannot repeat."""
    only_plain(pilot.parts.design, "a simulated study", "draw by model.simulate()")
    if pilot.call.prior is not None:
        raise UnsupportedError(
            "a study fits by likelihood, and this model was fitted with a prior: the power "
            "would be that of another analysis. Give the formula with params, varcorr and "
            "sigma, or model.update(prior=None)."
        )
    for name in ("weights", "offset"):
        given = getattr(pilot.call, name)
        if given is not None and not isinstance(given, str):
            raise UnsupportedError(
                f"the model's {name} are an array, which new designs cannot have; refit it "
                "with the name of a column"
            )


def trials_of(pilot: Pilot, data: Any) -> str | None:
    """Name the column of the trials that a model's response was written with."""
    if pilot.parts.design.weights is None:
        return None
    if data is not None:
        raise ValueError(
            "the model's response was written as cbind(successes, failures); name the column of "
            "the new data that has the trials: weights='size'"
        )
    return TRIALS


def complete(formula: str) -> str:
    """Return the right side of a formula; a response is drawn, whatever it is called."""
    return like("~" + formula.rpartition("~")[2], formula)


def no_single(_: int) -> LinearMixedModel:
    """Refuse to fit a data set of a study again."""
    raise UnsupportedError("the data sets of a study are not kept")


def stated(fitted: Design, drawn: Design, truth: Truth, settings: Settings) -> dict[str, float]:
    """Return the true value of each coefficient, hypothesis, standard deviation and correlation."""
    known = dict(zip(drawn.fixed_names, truth.beta.tolist(), strict=True))
    beta = np.array([known.get(name, np.nan) for name in fitted.fixed_names])
    out = dict(zip(fitted.fixed_names, beta.tolist(), strict=True))
    for contrast in settings.single:
        used = contrast.rows[0] != 0.0
        out[contrast.name] = float(contrast.rows[0, used] @ beta[used] - contrast.values[0])
    scale = truth.sigma if settings.spec is None else 1.0
    relative = [cov[None] / scale**2 for cov in truth.cov]
    spread: dict[str, Array] = {}
    for term, cov in zip(drawn.random, relative, strict=True):
        spread.update(named_spread(term, cov, np.array([scale])))
    return {
        **out,
        **{name: float(value[0]) for name, value in spread.items()},
        "sigma" if settings.spec is None else "dispersion": truth.sigma,
    }
