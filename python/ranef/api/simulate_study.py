"""Simulation studies on the batch engine: bias, precision, coverage and power."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from .._caller import warn_caller
from .._counted import counted
from ..batch.counts import batch_ddf, batch_spec
from ..errors import RanefWarning
from ..fitted.glmm.model import GeneralizedLinearMixedModel
from ..fitted.lmm.model import LinearMixedModel
from ..models.batch.blocks import Progress
from ..models.batch.estimate import Settings
from ..models.lmm import Control
from ..parallel.workers import worker_count
from ..study.engine import make_engine, spec_of
from ..study.result import Study
from ..study.settings import Axes
from ..words.answers import answering

__all__ = ["simulate_study"]


@answering
def simulate_study(
    model: str | LinearMixedModel | GeneralizedLinearMixedModel,
    data: Any = None,
    *,
    family: str | None = None,
    link: str | None = None,
    params: Any = None,
    varcorr: Any = None,
    sigma: Any = None,
    dispersion: Any = None,
    weights: str | None = None,
    offset: str | None = None,
    settings: Mapping[str, Any] | None = None,
    levels: Mapping[str, Any] | None = None,
    within: Mapping[str, Any] | None = None,
    fit: str | None = None,
    tests: Sequence[Any] = (),
    n: int = 500,
    alpha: float = 0.05,
    ddf: str | None = None,
    reml: bool = True,
    seed: int | None = None,
    workers: int | None = None,
    progress: bool = True,
    control: Control | None = None,
    out: Any = None,
) -> Study:
    """Simulate data sets, fit each, and report how well the parameters are recovered.

    Parameters
    ----------
    model : str, LinearMixedModel or GeneralizedLinearMixedModel
        A formula, or a model fitted by ``lmer`` or ``glmer``, whose data and parameters then are
        the defaults.
    data : DataFrame or callable, optional
        The design's columns, or a function of ``settings`` that makes them. A response is not
        needed.
    family, link : str, optional
        ``"binomial"``, ``"poisson"``, ``"negative_binomial"`` or ``"gamma"``, and its link, as of
        :func:`ranef.fit_many`; those of a fitted model. Without a family the model is linear.
    params : mapping of str to number or numbers, or callable, optional
        Fixed effects by name; 0, or the model's, where not given.
    varcorr : mapping, or callable, optional
        For each grouping factor, standard deviations of its random effects (independent ones) or
        their covariance matrix.
    sigma : float or sequence of float, or callable, optional
        Residual standard deviation of a linear model.
    dispersion : float or sequence of float, or callable, optional
        Size of a negative binomial, or dispersion of a gamma.
    weights, offset : str, optional
        Columns of the data: weights are precisions of a linear model, and trials of a binomial
        one, 1 where not given.
    settings : mapping of str to values, optional
        What the functions in place of ``data``, ``params``, ``varcorr`` and ``sigma`` take; each
        is called with those that it has parameters for.
    levels : mapping of str to int or ints, optional
        Number of levels of grouping columns. Levels of the data are taken in order and then again
        as new levels, together with the levels of columns nested in them.
    within : mapping of str to int or ints, optional
        Rows of each level of a grouping column, taken in order and then again.
    fit : str, optional
        Formula to fit, if it differs from the one that data are drawn from.
    tests : sequence
        Hypotheses besides those that each coefficient is 0, as in :func:`ranef.fit_many`.
    n : int
        Data sets for each setting.
    alpha : float
        Level of the tests; intervals cover 1 - alpha.
    ddf : {"satterthwaite", "residual", "inf"}, optional
        Degrees of freedom; by default Satterthwaite's, and normal tests of generalised models.
    reml, workers, progress, control
        As in :func:`ranef.fit_many`.
    seed : int, optional
        Makes the study repeatable, to the last bit for any number of workers.
    out : str or path, optional
        Folder for the fits of a long study: the same call continues where it was stopped.
        Needs a seed.

    Returns
    -------
    Study
        Tables and figures. Lists in ``settings``, ``levels``, ``within``, ``params``, ``sigma`` and
        ``dispersion`` are crossed, and each point of the grid is a setting.

    Notes
    -----
    A setting has one design, and its data sets are responses of one batch. Fits that do not
    converge are counted and excluded from the other measures. Ctrl-C ends the study and keeps
    the finished fits.

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

    Yes and no:

    >>> study = ranef.simulate_study(
    ...     "y ~ time + (1 | id)",
    ...     growth(30, 6),
    ...     family="binomial",
    ...     params={"time": 0.3},
    ...     varcorr={"id": [0.5]},
    ...     n=50,
    ...     seed=1,
    ...     progress=False,
    ... )
    >>> study.table["term"].tolist()
    ['Intercept', 'time', 'sd_Intercept|id']
    """
    spec = spec_of(model, batch_spec(family, link, None))
    degrees = (ddf or "satterthwaite") if spec is None else batch_ddf(ddf, spec)
    engine = make_engine(
        model,
        fit=fit,
        tests=tests,
        settings=Settings(
            reml=reml and spec is None,
            satterthwaite=degrees == "satterthwaite",
            workers=worker_count(workers),
            control=Control.of(control),
            spec=spec,
        ),
        ddf=degrees,
        dispersion=dispersion,
        weights=weights,
        offset=offset,
        data=data,
        params=params,
        varcorr=varcorr,
        sigma=sigma,
    )
    if n != int(n) or n < 1:
        raise ValueError(f"n must be a positive integer, not {n!r}")
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha must lie between 0 and 1, not {alpha}")
    fixed = {} if callable(params) else params or {}
    varying = [None if callable(given) else given for given in (sigma, dispersion)]
    grid = Axes(settings or {}, fixed, levels or {}, within or {}, *varying).grid()
    seeds = np.random.SeedSequence(seed).spawn(len(grid))
    folder = None if out is None else engine.folder(out, grid, int(n), seed)
    runs = []
    with folder or nullcontext(), Progress(len(grid) * n, "fits", shown=progress) as line:
        for i, (setting, own) in enumerate(zip(grid, seeds, strict=True)):
            runs.append(engine.run(i, setting, int(n), own, line, folder))
            if line.interrupted:
                break
    if line.interrupted:
        warn_caller(
            RanefWarning(
                f"interrupted after {line.done} of {counted(len(grid) * int(n), 'fit')}; the "
                "tables are of those"
            )
        )
    return Study(runs, alpha, interrupted=line.interrupted)
