"""The usual issues of mixed models, filled in for one model."""

from __future__ import annotations

from ..fitted.kinds import Generalised, Model, check_mixed
from ..trust.checklist import Checklist, checklist_of
from ..words.answers import answering

__all__ = ["checklist"]


@answering
def checklist(model: Model | Generalised) -> Checklist:
    """Check one model against the list of issues in mixed models, with what to call next.

    Parameters
    ----------
    model : fitted model
        Of :func:`ranef.lmer`, :func:`ranef.glmer` or :func:`ranef.clmm`.

    Returns
    -------
    Checklist
        Prints as text; ``table`` has topic, answer and call.

    Raises
    ------
    ModelError
        For anything but a mixed model.

    Examples
    --------
    >>> import ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> found = ranef.checklist(ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep))
    >>> found.table.topic.tolist()[:4]
    ['variance accounted for', 'alternatives', 'growth curves', 'few clusters']
    >>> found.items[4].answer
    '10 rows a level of Subject.'
    """
    check_mixed(model, "checklist", every=True)
    return checklist_of(model)
