"""The engine of simulation studies: data sets of a setting, drawn and fitted as one batch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ..batch.folder import BatchFolder
from ..batch.many import STAND_IN, check_ddf, read_tests, shared_design
from ..batch.many_run import call_plan, design_digest
from ..batch.result import BatchResult, Labels
from ..batch.tables import named_spread
from ..design.design import Design, only_plain
from ..errors import UnsupportedError
from ..fitted.lmm.call import Call
from ..fitted.lmm.model import LinearMixedModel
from ..formula import like, parse
from ..inference.study import Truth, draw_responses
from ..models import lmm
from ..models.batch import fits as batch
from ..models.batch.blocks import Progress
from ..models.batch.estimate import NOT_RUN, BatchEstimate, Settings, empty_estimate
from .result import StudyRun
from .settings import Setting, called, extended, read_truth, used_columns

__all__ = ["Engine", "make_engine"]

#: Numbers that are drawn at a time.
NUMBERS = 4_000_000


@dataclass(frozen=True)
class Engine:
    """Makes and fits the data sets of a setting.

    Attributes
    ----------
    formula, fit : str
        What data are drawn from, and what is fitted.
    pilot : LinearMixedModel or None
        A model whose parameters are the defaults.
    data, params, varcorr, sigma : object
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
    pilot: LinearMixedModel | None
    data: Any
    params: Any
    varcorr: Any
    sigma: Any
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
        lmm.check(fitted)
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
        core = batch.shared_core(fitted)
        for first, own in zip(range(0, n, size), seed.spawn(-(-n // size)), strict=True):
            part = estimate.part(first, min(first + size, n))
            if line.interrupted or not (part.outcome == NOT_RUN).any():
                continue
            with line.interruptible():
                Y = draw_responses(drawn, truth, len(part.outcome), np.random.default_rng(own))
                batch.fit_responses(
                    fitted, Y, part.settings, progress=line, out=part, complete=core
                )

    def folder(self, out: Any, grid: list[Setting], n: int, seed: int | None) -> BatchFolder:
        """Open the folder of a study."""
        if seed is None:
            raise ValueError("out needs a seed, so that the same data sets are drawn again")
        call = Call(self.fit, self.settings.reml, control=self.settings.control)
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
            columns = used_columns(self.pilot.parts.training_data(), self.pilot.parts.design.rows)
        elif data is None:
            raise ValueError("data are needed where the model is a formula")
        else:
            columns = used_columns(called(data, setting.options))
        bars = parse(f"`{STAND_IN}` {self.formula}").random
        groups = {name for bar in bars for name in bar.factors}
        return extended(columns, setting.levels, setting.within, sorted(groups))

    def design(self, formula: str, columns: Mapping[str, Any]) -> Design:
        """Build the design of a formula."""
        call = None if self.pilot is None else self.pilot.call
        n = len(next(iter(columns.values())))
        if call is None:
            return shared_design(formula, columns, n, None, None, None)
        return shared_design(formula, columns, n, call.weights, call.offset, call.contrasts)

    def truth(self, design: Design, setting: Setting) -> Truth:
        """Read the parameters of a setting."""
        params = called(self.params, setting.options) if callable(self.params) else setting.params
        sigma = called(self.sigma, setting.options) if callable(self.sigma) else setting.sigma
        varcorr = called(self.varcorr, setting.options)
        return read_truth(design, self.pilot, params, varcorr, sigma)


def make_engine(model: Any, *, fit: str | None, ddf: str, **parts: Any) -> Engine:
    """Take a formula or a fitted model."""
    check_ddf(ddf)
    pilot = model if isinstance(model, LinearMixedModel) else None
    if pilot is None and not isinstance(model, str):
        raise TypeError(
            f"model must be a formula or a model fitted by lmer, not a {type(model).__name__}; for "
            "counts and shares give the columns of model.simulate(n) to ranef.fit_many(..., "
            "family=...), and count what it rejects"
        )
    formula = model if pilot is None else pilot.call.formula
    if pilot is not None:
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
    formula = complete(formula)
    return Engine(formula, formula if fit is None else complete(fit), pilot, ddf=ddf, **parts)


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
    relative = [cov[None] / truth.sigma**2 for cov in truth.cov]
    spread = named_spread(drawn, relative, np.array([truth.sigma]))
    return {
        **out,
        **{name: float(value[0]) for name, value in spread.items()},
        "sigma": truth.sigma,
    }
