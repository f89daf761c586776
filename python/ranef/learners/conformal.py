"""Distribution-free prediction intervals, calibrated on held-out groups and rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .._counted import counted
from .._html import Preformatted
from .._options import check_option
from ..design.frame import to_pandas
from ..errors import ModelError, UnsupportedError
from ..parallel.progress import bar
from ..words.answers import Spoken
from .call import LearnerCall, positive
from .fit import Fit, fit, used_rows
from .task import folds_of, within_groups

__all__ = ["Calibration", "calibrated"]


@dataclass(frozen=True, repr=False, eq=False)
class Calibration(Spoken, Preformatted):
    """Absolute errors of predictions of held-out rows, and intervals from them.

    Attributes
    ----------
    group : str
        The grouping factor that tells known rows from new ones.
    new : DataFrame
        Errors of rows whose group was held out whole: ``level`` and ``error``.
    known : DataFrame
        Errors of rows that were held out of groups that stayed.
    """

    group: str
    new: pd.DataFrame
    known: pd.DataFrame
    _model: Any

    def radius(self, level: float = 0.9, *, groups: str = "new") -> float:
        """Return half the width of intervals.

        Parameters
        ----------
        level : float
            Coverage.
        groups : {"new", "known"}
            Whether for rows of new groups or of those of the fit.

        Notes
        -----
        Each of K groups that were held out has weight 1 / (K + 1), shared by its rows, and the
        group to predict the same weight at infinity [1]_; of rows in known groups each counts for
        itself.

        References
        ----------
        .. [1] Lee, Barber and Willett (2023), arXiv:2306.06342.
        """
        if not 0.0 < level < 1.0:
            raise ValueError(f"level must lie between 0 and 1, not {level!r}")
        groups = check_option("groups", groups, ("new", "known"))
        table = self.new if groups == "new" else self.known
        error = table["error"].to_numpy()
        if groups == "new":
            codes, levels = pd.factorize(table["level"])
            weight = 1.0 / np.bincount(codes)[codes] / (len(levels) + 1.0)
        else:
            weight = np.full(len(error), 1.0 / (len(error) + 1.0))
        order = np.argsort(error, kind="stable")
        reached = np.cumsum(weight[order]) >= level - 1e-12
        return float(error[order][reached.argmax()]) if reached.any() else np.inf

    def predict(self, newdata: Any, *, level: float = 0.9) -> pd.DataFrame:
        """Predict rows with intervals.

        Parameters
        ----------
        newdata : DataFrame
            New rows; a group that the fit has not seen has no effect of its own.
        level : float
            Coverage.

        Returns
        -------
        DataFrame
            Columns mean, lower, upper.
        """
        mean = self._model.predict(newdata, new_levels="population")
        rows = self._model.fit.predictors.encode(newdata, [self.group], "population")
        codes = next(new.codes for new in rows.terms if new is not None)
        half = np.full(len(mean), self.radius(level, groups="new"))
        if (codes >= 0).any():
            half[codes >= 0] = self.radius(level, groups="known")
        values = mean.to_numpy()
        return pd.DataFrame(
            {"mean": values, "lower": values - half, "upper": values + half}, index=mean.index
        )

    def __repr__(self) -> str:
        return (
            f"<Calibration: 90 % intervals are +- {self.radius(0.9):.4g} in new groups of "
            f"{self.group}, +- {self.radius(0.9, groups='known'):.4g} in known ones>"
        )


def calibrated(
    model: Any, call: LearnerCall, found: Fit, data: Any, folds: int, progress: bool
) -> Calibration:
    """Fit without groups, and without rows, and keep the errors of what was held out.

    Raises
    ------
    ModelError
        With fewer than two groups per part.
    UnsupportedError
        If weights or an offset were given as arrays.
    """
    positive("folds", folds, 2)
    base = found.predictors.base
    for name in ("weights", "offset"):
        value = getattr(call, name)
        if value is not None and not isinstance(value, str):
            raise UnsupportedError(
                f"calibration fits again without some rows, and {name} was given as an array; put "
                "it into a column of the data and name that"
            )
    plain = [one for one in base.random if len(one.memberships) == 1]
    if not plain:
        raise UnsupportedError(
            "calibration holds out whole groups, and a row of this model has several"
        )
    term = min(plain, key=lambda one: one.n_levels)
    group = found.resample if found.resample != "rows" else term.group
    term = next(one for one in plain if one.group == group)
    codes = np.asarray(term.codes, dtype=np.intp)
    frame = used_rows(to_pandas(data), base)
    new = folds_of(codes, folds, call.seed)
    known = within_groups(codes, folds, call.seed)
    if int(codes.max()) + 1 < 2 * folds:
        raise ModelError(
            f"{group} has {counted(int(codes.max()) + 1, 'level')}, too few for "
            f"{counted(folds, 'part')} of at least two; take fewer folds"
        )
    observed = pd.Series(base.y)
    errors = []
    with bar(2 * folds, "fits", shown=progress) as advance:
        for parts in (new, known):
            error = np.empty(base.n_obs)
            for k in range(folds):
                out = parts == k
                again = type(model)(call, fit(call, frame[~out], progress=False), None)
                found_here = again.predict(frame[out], new_levels="population")
                error[out] = np.abs(observed[out].to_numpy() - found_here.to_numpy())
                advance(1)
            errors.append(pd.DataFrame({"level": np.asarray(term.levels)[codes], "error": error}))
    return Calibration(group, errors[0], errors[1], model)
