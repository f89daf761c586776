"""Answers to arguments of other estimators that these do not take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from inspect import signature
from typing import Any, TypeVar

from ..words.answers import keyword_message

__all__ = ["answering_init", "refuse"]

F = TypeVar("F", bound=Callable[..., None])

#: What to write in place of an argument.
ANSWERS = {
    "groups": 'the groups are a column of X that the formula names, such as "x + (1 | g)"; a '
    "splitter takes them from the search or the score: GridSearchCV(...).fit(X, y, groups=X['g']), "
    "cross_val_score(estimator, X, y, groups=X['g'], cv=GroupKFold())",
    "sample_weight": "weights may be counts or precisions, which differ for a mixed model; repeat "
    "rows that count several times, and pass precisions to ranef.lmer(formula, data, weights=...)",
    "interval": "estimator.model_.predict(X, interval='prediction', new_levels='population') "
    "returns intervals, wider for groups that the fit has not seen",
}


def refuse(estimator: Any, method: str, unknown: Mapping[str, Any]) -> None:
    """Say what to write in place of arguments that a method does not take.

    Parameters
    ----------
    estimator : estimator
        Whose method was called.
    method : str
        Its name.
    unknown : mapping
        Arguments by name.

    Raises
    ------
    TypeError
        If there are any.
    """
    for name in unknown:
        answer = f": {ANSWERS[name]}" if name in ANSWERS else ""
        raise TypeError(f"{type(estimator).__name__}.{method}() has no argument {name!r}{answer}")


def answering_init(init: F) -> F:
    """Make an estimator explain settings that it does not have; ``init`` keeps its signature."""
    known = [name for name in signature(init).parameters if name != "self"]

    @wraps(init)
    def answered(self: Any, *arguments: Any, **settings: Any) -> None:
        for name in settings:
            if name not in known:
                kind = type(self).__name__
                told = f"{kind}() has no argument {name!r}: {ANSWERS.get(name)}"
                raise TypeError(told if name in ANSWERS else keyword_message(kind, name, known))
        init(self, *arguments, **settings)

    return answered  # type: ignore[return-value]
