"""All models made of some terms of one, ranked by a criterion."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from .._counted import counted
from .._options import check_option, nearest
from ..comparison.building import fitted_by
from ..comparison.models import check_likelihood
from ..errors import ModelError
from ..fitted.feols.model import FixedEffectsModel
from ..fitted.gls.model import GLSModel
from ..fitted.kinds import check_mixed
from ..formula import parse
from ..inference import criteria
from ..inference.subsets import count_subsets, spelled, subsets
from ..report.dredge import Dredge
from ..words.answers import answering

__all__ = ["dredge"]

CRITERIA = ("aicc", "aic", "bic")


@answering
def dredge(
    model: Any,
    terms: Iterable[str] | None = None,
    *,
    fixed: Iterable[str] = (),
    by: str = "aicc",
    limit: int = 1000,
    progress: bool = True,
) -> Dredge:
    """Fit every model that is made of some fixed terms of one, and rank them.

    Parameters
    ----------
    model : LinearMixedModel, GeneralizedLinearMixedModel, GLSModel or FixedEffectsModel
        The model with all terms. Its random effects and all other arguments are those of each fit.
    terms : iterable of str, optional
        Terms that may be left out, as in ``model.anova()``; all but the intercept by default.
    fixed : iterable of str
        Terms that every model has.
    by : {"aicc", "aic", "bic"}
        What ranks them.
    limit : int
        The largest number of models to fit; more raise an error.
    progress : bool
        Whether to show a progress bar when it takes longer than a second.

    Returns
    -------
    Dredge
        ``table``, ``models``, ``best``, ``importance``, ``within(delta)``.

    Raises
    ------
    ModelError
        If there are more models than ``limit``.

    Notes
    -----
    All fits are by maximum likelihood on the rows of the model given. An interaction is never
    included without its main effects. Choosing among many models with the same data and then
    testing as if there had been only one makes p-values too small; average, or report the
    whole table [1]_.

    References
    ----------
    .. [1] Burnham and Anderson (2002), Model Selection and Multimodel Inference, section 1.7.

    Examples
    --------
    >>> import ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> model = ranef.lmer("Reaction ~ Days + I(Days ** 2) + (Days | Subject)", sleep)
    >>> ranef.dredge(model).table["weight"].round(2).tolist()
    [0.54, 0.42, 0.04, 0.0]
    """
    if not isinstance(model, GLSModel | FixedEffectsModel):
        check_mixed(model, "dredge", generalised=True)
        check_likelihood((model,), "dredge")
    criterion = check_option("by", by, CRITERIA)
    formula = parse(model.call.formula)
    named = [term.name for term in formula.terms if term.factors]
    chosen = named if terms is None else list(dict.fromkeys(terms))
    kept = list(fixed)
    for name in [*chosen, *kept]:
        if name not in named:
            raise ValueError(
                f"the model has no term {name!r}; it has {', '.join(named)}{nearest(name, named)}"
            )
    free = [name for name in named if name in chosen and name not in kept]
    if not free:
        raise ModelError("there is no term that may be left out; name some in terms=")
    count = count_subsets(formula.terms, free)
    if count > limit:
        raise ModelError(
            f"{len(free)} terms make {count:,} models, more than limit={limit:,}; keep some terms "
            "by fixed=, or raise limit"
        )
    sets = list(subsets(formula.terms, free))
    notes = ["by maximum likelihood on the same rows; p-values of the best model are too small"]
    if isinstance(model, FixedEffectsModel) and model.call.absorb:
        sets = [each for each in sets if any(term.factors for term in each)]
        if len(sets) < count:
            notes.append("without the empty model, of which absorbed factors leave nothing")
    texts = [spelled(formula, each) for each in sets]
    fits = fitted_by(model, texts, progress=progress)
    values = [criteria.value(criterion, fit.llf, fit.npar, fit.nobs) for fit in fits]
    table = pd.DataFrame(
        [{name: name in {term.name for term in each} for name in free} for each in sets]
    )
    table["npar"] = [fit.npar for fit in fits]
    table["llf"] = [fit.llf for fit in fits]
    table[criterion] = values
    table["delta"] = criteria.deltas(values)
    table["weight"] = criteria.weights(values)
    order = table[criterion].argsort(kind="stable")
    table = table.iloc[order].set_index(pd.Index([texts[i] for i in order]))
    stopped = sum(not fit.converged for fit in fits)
    if stopped:
        notes.append(f"{stopped} of {counted(len(fits), 'fit')} did not converge")
    models = tuple(fits[i] for i in order)
    return Dredge(table, tuple(notes), models, criterion, tuple(free))
