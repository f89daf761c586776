"""Backward elimination of random and fixed effects."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from .._options import check_option, nearest
from ..comparison.models import by_likelihood, check_likelihood
from ..comparison.stepwise import Step, caic_steps, conditional, fixed_steps, random_steps
from ..fitted.kinds import check_mixed
from ..fitted.lmm.model import LinearMixedModel
from ..formula import parse
from ..parallel.progress import open_bar
from ..report.elimination import Elimination
from ..words.answers import answering

__all__ = ["step"]


@answering
def step(
    model: LinearMixedModel,
    *,
    alpha_random: float = 0.1,
    alpha_fixed: float = 0.05,
    random: bool = True,
    fixed: bool = True,
    keep: Iterable[str] = (),
    ddf: str | None = None,
    by: str = "pvalue",
    progress: bool = True,
) -> Elimination:
    """Drop effects one by one, random ones first, as long as p-values allow.

    Parameters
    ----------
    model : LinearMixedModel
        The fullest model. A fit by maximum likelihood is refitted by REML.
    alpha_random, alpha_fixed : float
        An effect goes if its p-value is larger.
    random, fixed : bool
        Which effects may go.
    keep : iterable of str
        Fixed terms that stay, and random ones written as ``(x | g)``.
    ddf : {"satterthwaite", "kenward-roger"}, optional
        Degrees of freedom of the F tests.
    by : {"pvalue", "caic"}
        What decides about random effects: likelihood ratios, or the conditional AIC, by which an
        effect goes if predictions of new rows of the same groups are expected to be better
        without it [2]_.
    progress : bool
        Whether to show what is done when it takes longer than a second.

    Returns
    -------
    Elimination
        ``table`` with what was dropped in which round and what stayed, and ``model``, the last one.

    Notes
    -----
    The rules are those of R's lmerTest [1]_: random effects by likelihood ratios of REML fits, one
    column of a term at a time and its intercept last; then fixed terms by F tests, among those that
    no other term needs. Without random effects the rest is least squares.

    What is left after elimination was chosen by the same data, so its p-values are too small and
    its intervals too narrow. Use it to simplify a large model, not for testing.

    References
    ----------
    .. [1] Kuznetsova, Brockhoff and Christensen (2017), J. Stat. Softw. 82(13).
    .. [2] Greven and Kneib (2010), Biometrika 97, 773-789.

    Examples
    --------
    >>> import ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> model = ranef.lmer("Reaction ~ Days + I(Days ** 2) + (Days | Subject)", sleep)
    >>> ranef.step(model).table[["part", "term", "eliminated"]].to_numpy().tolist()
    [['random', '(Days | Subject)', 0], ['fixed', 'I(Days ** 2)', 1], ['fixed', 'Days', 0]]
    """
    check_mixed(model, "step")
    check_likelihood((model,), "step")
    for name, value in (("alpha_random", alpha_random), ("alpha_fixed", alpha_fixed)):
        if not 0.0 <= value <= 1.0:
            raise ValueError(f"{name} is a probability, not {value!r}")
    chosen = check_option("by", by, ("pvalue", "caic"))
    kept = set(keep)
    known = [term.name for term in parse(model.call.formula).terms if term.factors]
    for name in kept:
        if not name.startswith("(") and name not in known:
            raise ValueError(
                f"keep names {name!r}, which is not a term of the model; it has {', '.join(known)}"
                f"{nearest(name, known)}"
            )
    current: Any = by_likelihood(model, reml=True)
    steps: list[Step] = []
    what = "chi-squared of random effects"
    with open_bar(None, "tests", shown=progress) as line:
        if random and chosen == "caic":
            whole = conditional(current)
            current, steps = caic_steps(current, kept, line)
            what = f"conditional AIC without random effects, {whole:.3f} with all of them"
        elif random:
            current, steps = random_steps(current, alpha_random, kept, line)
        if fixed:
            current, more = fixed_steps(current, alpha_fixed, kept, ddf, line)
            steps += more
    table = pd.DataFrame(
        [(s.part, s.term, s.round, s.statistic, s.num_df, s.den_df, s.pvalue) for s in steps],
        columns=["part", "term", "eliminated", "statistic", "num_df", "den_df", "pvalue"],
    )
    notes = (
        f"left: {current.parts.formula}",
        f"statistic: {what}, F of fixed ones; eliminated: the round in which a term went, 0 for "
        "what stayed",
        "chosen by the same data: p-values of what is left are too small",
    )
    return Elimination(table, notes, current)
