"""Make the learner that a caller names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from .._options import check_option, nearest
from .boosting import Boosting
from .crossfit import Estimator, check_estimator
from .forest import Forest
from .learned import Learner
from .tree import Tree

__all__ = ["FITTED", "learner_of"]

KINDS: dict[str, type[Any]] = {"tree": Tree, "forest": Forest, "boosting": Boosting}
#: Source of the predictions that random effects are estimated from.
FITTED = ("auto", "cross-fit", "in-sample")


def learner_of(learner: Any, options: Mapping[str, Any] | None, fitted: str) -> Learner:
    """Make a learner.

    Raises
    ------
    ValueError
        If there is no learner of that name, or it has no such setting.
    TypeError
        If it is not a regressor of scikit-learn's kind.
    """
    fitted = check_option("fitted", fitted, FITTED)
    if isinstance(learner, str):
        name = check_option("learner", learner, KINDS)
        if fitted != "auto":
            raise ValueError(
                f"fitted={fitted!r} is for estimators of your own; {name!r} has its own way"
            )
        return with_settings(KINDS[name], name, options or {})
    check_estimator(learner)
    if options:
        raise ValueError(
            f"options are settings of {', '.join(map(repr, KINDS))}; set those of "
            f"{type(learner).__name__} when you make it"
        )
    return Estimator(learner, fitted == "in-sample")


def with_settings(kind: type[Any], name: str, options: Mapping[str, Any]) -> Learner:
    """Make a learner with settings, which are numbers above zero."""
    known = [field.name for field in fields(kind)]
    for option, value in options.items():
        if option not in known:
            raise ValueError(
                f"{name!r} has no setting {option!r}{nearest(option, known)}; it has "
                f"{', '.join(known)}"
            )
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise ValueError(f"options[{option!r}] must be a number, 0 or above, not {value!r}")
        whole = not isinstance(getattr(kind, option), float)
        if whole and (value != int(value) or value < 1):
            raise ValueError(f"options[{option!r}] must be a positive integer, not {value!r}")
    found: Learner = kind(**options)
    return found
