"""A ladder of models, from the simplest to the fullest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

import pandas as pd

from .._counted import counted
from ..comparison.building import changes, shared_rows, text_of
from ..errors import ModelError, RanefError
from ..formula import parse
from ..parallel.progress import tracked
from ..report.tabled import Tabled
from ..words.answers import answering
from .anova import anova
from .glmer import glmer
from .lmer import lmer

__all__ = ["ladder"]


@answering
def ladder(
    formulas: Iterable[str] | Mapping[str, str],
    data: Any,
    *,
    family: str | None = None,
    progress: bool = True,
    **options: Any,
) -> Tabled:
    """Fit models from the simplest to the fullest and tabulate what changes.

    Parameters
    ----------
    formulas : iterable of str, or mapping of name to formula
        Two or more formulas with random effects, in any order.
    data : DataFrame
        The data. Rows with a value missing in any of the formulas are dropped from all fits.
    family : str, optional
        Family of :func:`ranef.glmer`; without it the models are those of :func:`ranef.lmer`.
    progress : bool
        Whether to show a progress bar when it takes longer than a second.
    **options
        Other arguments of either function.

    Returns
    -------
    Tabled
        ``table`` with one row per model, by number of parameters: npar, aic, aicc, bic, llf, the
        test against the row above where one is allowed (chisq, df, pvalue, pvalue_boundary), what
        changes, and a note; ``notes``.

    Raises
    ------
    ModelError
        If a model cannot be fitted; the message names its formula.

    Notes
    -----
    The rules are those of :func:`ranef.anova`: fixed parts are compared by maximum likelihood,
    random parts alone by REML, nested models only, and not both parts at once.

    Examples
    --------
    >>> import ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> steps = ["Reaction ~ 1 + (1 | Subject)", "Reaction ~ Days + (1 | Subject)"]
    >>> ranef.ladder(steps, sleep).table[["npar", "df", "changes"]].to_numpy().tolist()
    [[3, nan, ''], [4, 1.0, '+ Days']]
    """
    named = dict(formulas) if isinstance(formulas, Mapping) else {f: f for f in formulas}
    if isinstance(formulas, str) or len(named) < 2:
        raise ModelError("a ladder has two or more different formulas; pass a list of them")
    frame, dropped = shared_rows(list(named.values()), data)
    fit: Any = lmer if family is None else glmer
    if family is not None:
        options["family"] = family
    models: dict[str, Any] = {}
    for name, formula in tracked(named.items(), len(named), "fits", shown=progress):
        try:
            models[name] = fit(formula, frame, **options)
        except RanefError as error:
            raise ModelError(f"the ladder stops at {text_of(formula)!r}: {error}") from error
    table: pd.DataFrame = anova(*models.values())
    order = sorted(models, key=lambda name: models[name].npar)
    parsed = [parse(named[name]) for name in order]
    found = pd.DataFrame(table).set_axis([text_of(name) for name in order])
    count, rows = found["npar"], next(iter(models.values())).nobs
    correction = 2.0 * count * (count + 1) / (rows - count - 1)
    found.insert(2, "aicc", found["aic"] + correction)
    steps = [changes(a, b) for a, b in pairwise(parsed)]
    found.insert(len(found.columns) - 2, "changes", ["", *steps])
    notes = ["each row is tested against the row above; the order is by number of parameters"]
    if dropped:
        notes.append(
            f"dropped from all fits: {counted(dropped, 'row')} with values missing in one of the "
            "formulas"
        )
    return Tabled(found.drop(columns="deviance"), tuple(notes))
