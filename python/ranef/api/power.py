"""Power of a test by simulation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..fitted.glmm.model import GeneralizedLinearMixedModel
from ..fitted.lmm.model import LinearMixedModel
from ..study.result import Power
from ..words.answers import answering
from .simulate_study import simulate_study

__all__ = ["power"]


@answering
def power(
    model: str | LinearMixedModel | GeneralizedLinearMixedModel,
    test: str,
    data: Any = None,
    *,
    params: Any = None,
    levels: Mapping[str, Any] | None = None,
    within: Mapping[str, Any] | None = None,
    n: int = 1000,
    alpha: float = 0.05,
    ddf: str | None = None,
    seed: int | None = None,
    **options: Any,
) -> Power:
    """Simulate how often a test rejects, over sizes of the design or of the effect.

    Parameters
    ----------
    model : str, LinearMixedModel or GeneralizedLinearMixedModel
        A fitted model (a pilot study), whose data and parameters are the defaults, or a formula.
    test : str
        A coefficient, which is tested against 0, or a hypothesis such as ``"a = 0, b = 0"``.
    data, params, levels, within
        As in :func:`ranef.simulate_study`: lists make curves. A pilot's own estimate is a poor
        guess of an effect; state the smallest effect that matters in ``params``.
    n : int
        Data sets for each setting; the Monte Carlo error is at most 0.5 / sqrt(n).
    alpha : float
        Level of the test.
    ddf : {"satterthwaite", "residual", "inf"}, optional
        Degrees of freedom; by default Satterthwaite's, for hypotheses of several rows "residual",
        and normal tests of generalised models.
    seed : int, optional
        Makes the result repeatable.
    **options
        ``family``, ``link``, ``varcorr``, ``sigma``, ``dispersion``, ``weights``, ``offset``,
        ``settings``, ``fit``, ``reml``, ``workers``, ``progress`` and ``control`` of
        :func:`ranef.simulate_study`.

    Returns
    -------
    Power
        ``table``, ``plot()``, and the whole ``study``.

    Examples
    --------
    How many people, for a slope of 5 ms a day?

    >>> import ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> pilot = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    >>> curve = ranef.power(
    ...     pilot,
    ...     "Days",
    ...     params={"Days": 5},
    ...     levels={"Subject": [6, 12, 24]},
    ...     n=200,
    ...     seed=1,
    ...     progress=False,
    ... )
    >>> curve.table["n_Subject"].tolist()
    [6, 12, 24]
    >>> bool(curve.table["power"].is_monotonic_increasing)
    True
    """
    several = "," in test
    linear = options.get("family") is None and not isinstance(model, GeneralizedLinearMixedModel)
    study = simulate_study(
        model,
        data,
        params=params,
        levels=levels,
        within=within,
        tests=[(test, test)] if "=" in test or several else [],
        n=n,
        alpha=alpha,
        ddf=ddf or ("residual" if several and linear else None),
        seed=seed,
        **options,
    )
    if test not in set(study.table["term"]):
        terms = ", ".join(study.runs[0].result.parts.labels.terms)
        raise ValueError(
            f"test {test!r} is neither a coefficient nor a hypothesis with an '='; the "
            f"coefficients are {terms}"
        )
    return Power(study, test)
