"""The effects of a grouping factor, fixed and random, side by side."""

from __future__ import annotations

from typing import Any

from .._typing import Missing
from ..comparison.fixed_or_random import FixedOrRandom, compared
from ..errors import UnsupportedError
from ..formula import parse
from ..formula.terms import quoted
from ..words.answers import answering
from .lmer import lmer

__all__ = ["fixed_or_random"]


@answering
def fixed_or_random(
    formula: str,
    data: Any,
    group: str,
    *,
    weights: Any = None,
    contrasts: Any = None,
    missing: Missing = "drop",
) -> FixedOrRandom:
    """Fit one intercept per group as fixed and as random effects, and compare the two.

    Parameters
    ----------
    formula : str
        The fixed part, such as ``"gpa ~ occasion + job"``; ``(1 | group)`` need not be written.
    data : DataFrame
        pandas, polars or Arrow table, or a mapping of columns.
    group : str
        The grouping factor: a column, or ``a:b``.
    weights : str or array-like, optional
        Precision weights.
    contrasts : mapping, optional
        Coding of categorical columns, by name.
    missing : {"drop", "raise"}
        What to do with rows that have missing values in a column that is used.

    Returns
    -------
    FixedOrRandom
        ``table`` of effective degrees of freedom and errors of prediction, ``coefficients`` and
        ``effects`` of both, the ``contextual`` test, ``notes``, ``plot()``.

    Raises
    ------
    UnsupportedError
        If the formula has random-effects terms of other kinds, or smooths.
    ModelError
        If every level has one row only, so that fixed effects leave no residual.

    Notes
    -----
    Fixed effects are random effects whose standard deviation is taken to be infinite: nothing is
    shrunk, and only variation within groups informs the coefficients. The random fit estimates that
    standard deviation by REML. With C the covariance of the errors of the effects, errors of the
    coefficients included, and tau their standard deviation, L levels are worth L - tr(C) / tau^2
    coefficients beside the fixed part, L - 1 in the limit.

    Rows and groups are left out one by one in closed form, variances held at their estimates. The
    contextual test adds group means of the predictors [1]_ and is Wald's F on Satterthwaite's
    degrees of freedom; it asks what Hausman's test asks.

    References
    ----------
    .. [1] Mundlak (1978), Econometrica 46(1), 69-85.

    Examples
    --------
    >>> import ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> found = ranef.fixed_or_random("Reaction ~ Days", sleep, "Subject")
    >>> found.table[["edf", "rmse_rows"]].round(2)
                 edf  rmse_rows
    no groups   2.00      48.00
    fixed      19.00      32.82
    random     17.89      32.70
    """
    text = str(formula)
    parsed = parse(text)
    own = [bar for bar in parsed.random if bar.group == group and bar.left.strip() == "1"]
    if len(own) != len(parsed.random) or parsed.smooths or len(own) > 1:
        raise UnsupportedError(
            f"fixed_or_random compares one intercept for each level of {group}; pass the fixed "
            "part of the formula alone, without other random-effects terms and smooths"
        )
    if not own:
        factors = ":".join(quoted(name) for name in str(group).split(":"))
        text = f"{text} + (1 | {factors})"
    model = lmer(text, data, weights=weights, contrasts=contrasts, missing=missing)
    return compared(model, group)
