"""Reference grids of marginal means."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._options import check_option
from ..design.frame import used_instead
from ..errors import UnsupportedError
from ..fitted.feglm.model import GeneralizedFixedEffectsModel
from ..fitted.feols.model import FixedEffectsModel
from ..fitted.gls.model import GLSModel
from ..fitted.kinds import Answering, check_mixed, is_generalised
from ..inference.emmeans import METHODS
from ..report.emmeans import MarginalMeans
from .parts import MarginalPart, part_of

__all__ = [
    "assemble",
    "check_known",
    "check_model",
    "grid_notes",
    "names_of",
    "response_link",
    "training",
]

#: What levels mean where an intercept is absorbed.
ABSORBED = (
    "at the mean of the absorbed effects over the rows, the mean of the rows' predictors taken as "
    "known; differences do not depend on it"
)
#: Functions whose inverse is the exponential function.
LOGARITHMS = ("log", "np.log", "numpy.log")


def names_of(
    specs: str | Sequence[str], by: str | Sequence[str] | None
) -> tuple[list[str], list[str], str]:
    """Names of the variables of the means, of those to condition on, and of contrasts.

    A text with a tilde is emmeans' formula: ``"pairwise ~ a + b | c"``.
    """
    method = ""
    within = [] if by is None else [by] if isinstance(by, str) else list(by)
    if isinstance(specs, str) and "~" in specs:
        method, _, right = (part.strip() for part in specs.partition("~"))
        shown, _, given = right.partition("|")
        keep = variables_in(shown, specs)
        within = [*within, *(variables_in(given, specs) if "|" in right else [])]
    else:
        keep = [specs] if isinstance(specs, str) else list(specs)
    if method:
        check_option("the left side of specs", method, METHODS)
    return [name for name in keep if name not in within], within, method


def variables_in(side: str, specs: str) -> list[str]:
    """Split one side of a formula of marginal means at its signs."""
    names = [name.strip().strip("`") for name in re.split(r"[+*:]", side)]
    if names == ["1"]:
        return []
    if not all(names) or any("~" in name or "|" in name for name in names):
        raise ValueError(f"specs are 'a', ['a', 'b'] or 'pairwise ~ a + b | c', not {specs!r}")
    return list(dict.fromkeys(names))


def check_known(names: Sequence[str], grid: Mapping[str, Any]) -> None:
    """Refuse a variable that the fixed part does not use."""
    for name in names:
        if name not in grid:
            raise ValueError(f"the fixed part does not use {name!r}{used_instead(name, grid)}")


def check_model(model: Any, caller: str) -> None:
    """Refuse a model without means of this kind."""
    if not isinstance(model, GLSModel | FixedEffectsModel | GeneralizedFixedEffectsModel):
        check_mixed(model, caller, every=True)


def training(model: Answering, data: Any) -> Any:
    """Find the data of the fit."""
    return model.parts.training_data("pass them as data=") if data is None else data


def response_link(model: Answering, part: str = "location") -> str:
    """Name the link, or the transformation of the response, that means are turned back through.

    Raises
    ------
    UnsupportedError
        If the response was transformed by anything but a logarithm.
    """
    if is_generalised(model) or isinstance(model, GeneralizedFixedEffectsModel):
        return part_of(model, part).link
    response = model.parts.design.response
    try:
        tree = ast.parse(response.strip(), mode="eval").body
    except SyntaxError:  # a name in backquotes
        return "identity"
    if isinstance(tree, ast.Name):
        return "identity"
    if isinstance(tree, ast.Call) and ast.unparse(tree.func) in LOGARITHMS and len(tree.args) == 1:
        return "log"
    raise UnsupportedError(
        f"type='response' turns means of a logarithm back, and of a generalised model's link; the "
        f"response is {response}. Leave type out, and turn the means back by your own function"
    )


def assemble(
    model: Answering,
    what: str,
    cells: pd.DataFrame,
    within: Sequence[str],
    L: NDArray[np.float64],
    offset: NDArray[np.float64],
    grid: Mapping[str, pd.Series[Any]],
    ddf: str | None,
    level: float,
    weights: str = "equal",
    *,
    part: str = "location",
) -> MarginalMeans:
    """Put rows, coefficients and their covariance together."""
    own = part_of(model, part)
    means = what == "emmean"
    kept = own.means(L) if means else own.rows(L)
    absorbed = isinstance(model, FixedEffectsModel | GeneralizedFixedEffectsModel)
    if absorbed:
        notes = [f"degrees of freedom: {model.parts.ddf_label(ddf)}"]
        if means and own.center is not None:
            offset = offset + height_of(model, own)
            notes.append(ABSORBED)
    elif is_generalised(model):
        notes = [f"normal tests, on the scale of the link ({own.link})"]
    else:
        ddf = ddf or "satterthwaite"
        notes = [f"degrees of freedom: {ddf}"]
    notes = [*notes, *grid_notes(grid, list(cells.columns), weights)]
    return MarginalMeans(
        what,
        cells,
        tuple(within),
        kept,
        offset,
        own.beta,
        own.approximation or model.parts.approximation(ddf),
        level,
        tuple(notes),
        response=response_of(model),
        is_predictor=is_generalised(model) or isinstance(model, GeneralizedFixedEffectsModel),
    )


def height_of(model: Any, part: MarginalPart) -> float:
    """Mean of the predictor over the rows, absorbed effects included.

    Raises
    ------
    UnsupportedError
        If the absorbed effects are not estimated.
    """
    if np.isnan(part.height):
        raise UnsupportedError(
            "a conditional likelihood estimates no effect of a group, so there are no levels of "
            "means; odds ratios are in coef_table() and slopes in emtrends, and "
            "ranef.joint_tests(model) tests the terms"
        )
    return part.height


def response_of(model: Any) -> str:
    """Name the response of a model, without backticks."""
    return str(model.parts.design.response).strip("`")


def grid_notes(
    grid: Mapping[str, pd.Series[Any]], shown: Sequence[str], weights: str = "equal"
) -> list[str]:
    """State what the other variables are averaged over or held at."""
    averaged, held = [], []
    for name, values in grid.items():
        if name in shown:
            continue
        if len(values) > 1:
            averaged.append(name)
            continue
        value = values.iloc[0]
        number = pd.api.types.is_numeric_dtype(values.dtype)
        held.append(f"{name} = {value:.5g}" if number else f"{name} = {value}")
    notes = []
    if averaged:
        notes.append(f"averaged with {weights} weights over {', '.join(averaged)}")
    if held:
        notes.append(f"at {', '.join(held)}")
    return notes
