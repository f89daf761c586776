"""Simulation studies on the batch engine: bias, precision, coverage and power."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ..design.design import Design
from ..errors import RanefWarning, UnsupportedError
from ..formula import parse
from ..inference.study import Truth, draw_responses
from ..models import batch, lmm
from ..models.batch import NOT_RUN, BatchEstimate, Settings
from ..models.batch_blocks import Progress
from ..models.lmm import Control
from .batch_folder import BatchFolder
from .batch_result import BatchResult, Labels
from .batch_tables import named_spread
from .fit_many import STAND_IN, check_ddf, read_tests, shared_design, worker_count
from .fit_many_run import call_plan, design_digest
from .fitted import Call
from .mixed_model import LinearMixedModel
from .study_result import Study, StudyRun
from .study_settings import Axes, Setting, called, extended, read_truth, used_columns

__all__ = ["Engine", "make_engine", "simulate_study"]

#: Numbers that are drawn at a time.
NUMBERS = 4_000_000


def simulate_study(  # noqa: PLR0913 (what is drawn, what varies, and every option of a fit)
    model: str | LinearMixedModel,
    data: Any = None,
    *,
    params: Any = None,
    varcorr: Any = None,
    sigma: Any = None,
    settings: Mapping[str, Any] | None = None,
    levels: Mapping[str, Any] | None = None,
    within: Mapping[str, Any] | None = None,
    fit: str | None = None,
    tests: Sequence[Any] = (),
    n: int = 500,
    alpha: float = 0.05,
    ddf: str = "satterthwaite",
    reml: bool = True,
    seed: int | None = None,
    workers: int | None = None,
    progress: bool = True,
    control: Control | None = None,
    out: Any = None,
) -> Study:
    """Simulate data sets, fit each, and tell how well the parameters are found.

    Parameters
    ----------
    model : str or LinearMixedModel
        A formula, or a fitted model, whose data and parameters then are the defaults.
    data : DataFrame or callable, optional
        The design's columns, or a function of ``settings`` that makes them. A response is not
        needed.
    params : mapping of str to number or numbers, or callable, optional
        Fixed effects by name; 0, or the model's, where not given.
    varcorr : mapping, or callable, optional
        For each grouping factor, standard deviations of its random effects (independent ones) or
        their covariance matrix.
    sigma : float or sequence of float, or callable, optional
        Residual standard deviation.
    settings : mapping of str to values, optional
        What the functions in place of ``data``, ``params``, ``varcorr`` and ``sigma`` take; each
        is called with those that it has parameters for.
    levels : mapping of str to int or ints, optional
        Number of levels of grouping columns. Levels of the data are taken in order and then again
        as new levels, together with the levels of columns nested in them.
    within : mapping of str to int or ints, optional
        Rows of each level of a grouping column, taken in order and then again.
    fit : str, optional
        Formula that is fitted, where it is not the one that data are drawn from.
    tests : sequence
        Hypotheses beside those that each coefficient is 0, as in :func:`ranef.fit_many`.
    n : int
        Data sets for each setting.
    alpha : float
        Level of the tests; intervals cover 1 - alpha.
    ddf, reml, workers, progress, control
        As in :func:`ranef.fit_many`.
    seed : int, optional
        Makes the study repeatable, to the last bit for any number of workers.
    out : str or path, optional
        Folder that keeps the fits of a long study: the same call goes on where it was stopped.
        Needs a seed.

    Returns
    -------
    Study
        Tables and figures. Lists in ``settings``, ``levels``, ``within``, ``params`` and ``sigma``
        are crossed, and each point of the grid is a setting.

    Notes
    -----
    A setting has one design, and its data sets are responses of one batch. Fits that do not
    converge are counted and left out of the other measures. Ctrl-C ends the study and keeps the
    fits that are made.

    Examples
    --------
    >>> import numpy as np, pandas as pd, ranef
    >>> def growth(clusters, times):
    ...     return pd.DataFrame(
    ...         {
    ...             "id": np.repeat(np.arange(clusters), times),
    ...             "time": np.tile(np.arange(times), clusters),
    ...         }
    ...     )
    >>> study = ranef.simulate_study(
    ...     "y ~ time + (time | id)",
    ...     growth,
    ...     params={"time": 0.2},
    ...     varcorr={"id": [1.0, 0.3]},
    ...     sigma=1.0,
    ...     settings={"clusters": [10, 30], "times": 5},
    ...     n=100,
    ...     seed=1,
    ...     progress=False,
    ... )
    >>> study.table.query("term == 'time'")[["clusters", "truth", "n"]].to_numpy().tolist()
    [[10.0, 0.2, 100.0], [30.0, 0.2, 100.0]]
    """
    engine = make_engine(
        model,
        fit=fit,
        tests=tests,
        settings=Settings(
            reml=reml,
            satterthwaite=ddf == "satterthwaite",
            workers=worker_count(workers),
            control=control or Control(),
        ),
        ddf=ddf,
        data=data,
        params=params,
        varcorr=varcorr,
        sigma=sigma,
    )
    if n != int(n) or n < 1:
        raise ValueError(f"n must be a whole number from 1 on, not {n!r}")
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha must lie between 0 and 1, not {alpha}")
    fixed = {} if callable(params) else params or {}
    varying = None if callable(sigma) else sigma
    grid = Axes(settings or {}, fixed, levels or {}, within or {}, varying).grid()
    seeds = np.random.SeedSequence(seed).spawn(len(grid))
    folder = None if out is None else engine.folder(out, grid, int(n), seed)
    line = Progress(len(grid) * n, "fits", shown=progress)
    runs = []
    for i, (setting, own) in enumerate(zip(grid, seeds, strict=True)):
        runs.append(engine.run(i, setting, int(n), own, line, folder))
        if line.interrupted:
            break
    line.close()
    if line.interrupted:
        warnings.warn(
            f"interrupted after {line.done} of {line.total} fits; the tables are of those",
            RanefWarning,
            stacklevel=2,
        )
    return Study(runs, alpha, interrupted=line.interrupted)


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
        estimate = batch.empty_estimate(n, fitted, settings)
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
            columns = used_columns(self.pilot._training_data(), self.pilot._design.rows)
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
            f"model must be a formula or a model fitted by lmer, not a {type(model).__name__}"
        )
    formula = model if pilot is None else pilot.call.formula
    if pilot is not None:
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
    """Give the right side of a formula; a response is drawn, whatever it is called."""
    return "~" + formula.rpartition("~")[2]


def no_single(_: int) -> LinearMixedModel:
    """Refuse to fit a data set of a study again."""
    raise UnsupportedError("the data sets of a study are not kept")


def stated(fitted: Design, drawn: Design, truth: Truth, settings: Settings) -> dict[str, float]:
    """Give the true value of each coefficient, hypothesis, standard deviation and correlation."""
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
