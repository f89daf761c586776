"""Tests of the variables of the fixed part, by contrasts of marginal means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ..design.values import is_numbers
from ..fitted.kinds import Answering
from ..inference.emmeans import reference_grid
from ..marginal.grid import check_known, check_model, training
from ..marginal.joint import effects_of, joint_rows
from ..report.whole_frame import WholeFrame
from ..words.answers import answering

__all__ = ["joint_tests"]


@answering
def joint_tests(
    model: Answering,
    by: str | Sequence[str] | None = None,
    *,
    at: Mapping[str, Any] | None = None,
    ddf: str | None = None,
    data: Any = None,
) -> pd.DataFrame:
    """Test main effects and interactions as contrasts of marginal means.

    Parameters
    ----------
    model : fitted model
        Of :func:`ranef.lmer`, :func:`ranef.glmer`, :func:`ranef.clmm`, :func:`ranef.gls`,
        :func:`ranef.feols` or :func:`ranef.feglm`.
        A fitted model.
    by : str or sequence of str, optional
        Variables within whose levels the others are tested: simple effects.
    at : mapping of str to value or sequence, optional
        Values of variables, as in :func:`emmeans`.
    ddf : {"satterthwaite", "kenward-roger", "residual", "inf"}, optional
        Degrees of freedom, as in :func:`emmeans`.
    data : DataFrame, optional
        The data of the fit, for a model that was unpickled.

    Returns
    -------
    DataFrame
        One row per term, within levels of ``by``: num_df, den_df, F, pvalue, note.

    Notes
    -----
    Each test is that all contrasts of the means of a term's variables are zero, with equal weights
    for the levels of the others. The slope of a number is tested between one below and one above
    its mean, or of the number that ``at`` gives.

    Examples
    --------
    >>> import ranef
    >>> cake = ranef.datasets.load("cake")
    >>> model = ranef.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", cake)
    >>> ranef.joint_tests(model)[["num_df", "F"]].round(2).rename_axis(None)
                        num_df      F
    recipe                   2   0.25
    temperature              5  20.52
    recipe:temperature      10   1.01
    """
    check_model(model, "joint_tests")
    within = [] if by is None else [by] if isinstance(by, str) else list(by)
    frame, given = training(model, data), dict(at or {})
    grid = reference_grid(model.parts.design, frame, given)
    check_known(within, grid)
    numbers = {
        name: [float(values.iloc[0]) - 1.0, float(values.iloc[0]) + 1.0]
        for name, values in grid.items()
        if name not in within and len(values) == 1 and is_numbers(values, name)
    }
    grid = reference_grid(model.parts.design, frame, given | numbers)
    effects = effects_of(model, frame, grid, within)
    if not effects:
        raise ValueError("the fixed part has no variable to test")
    return WholeFrame(joint_rows(model, grid, effects, within, ddf))
