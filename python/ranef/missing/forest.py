"""One-off imputation by random forests, variable after variable until little changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from .._typing import Array
from ..errors import UnsupportedError
from .chain import filled
from .coding import group_means
from .variables import Variables

__all__ = ["forest_frame"]

#: Trees of a forest.
TREES = 100


def forest_frame(variables: Variables, seed: int, cycles: int) -> pd.DataFrame:
    """Fill every gap with the prediction of a forest on all other variables and group means.

    Notes
    -----
    The scheme is that of Stekhoven and Buehlmann [1]_: begin with means and modes, predict the
    variables in turn, the least incomplete first, and stop when the imputed values move no less
    than in the cycle before.

    References
    ----------
    .. [1] Stekhoven and Buehlmann (2012), Bioinformatics 28, 112-118.
    """
    values = {name: start(variables, name) for name in variables.items}
    order = sorted(variables.incomplete, key=lambda name: variables.items[name].n_missing)
    last, best = np.inf, {name: values[name].copy() for name in order}
    for cycle in range(cycles):
        moved = 0.0
        for name in order:
            old = values[name].copy()
            values[name] = predicted(variables, name, values, seed + cycle)
            gaps = ~variables.items[name].observed
            spread = max(float(np.var(values[name][~gaps])), 1e-300)
            moved += float(np.mean((values[name][gaps] - old[gaps]) ** 2)) / spread
        if moved >= last:
            break
        last, best = moved, {name: values[name].copy() for name in order}
    out = variables.frame.copy()
    for name in order:
        out[name] = filled(out[name], variables.items[name], best[name])
    return out


def start(variables: Variables, name: str) -> Array:
    """Numbers of a variable, its mean or most frequent value in the gaps."""
    item, column = variables.items[name], variables.frame[name]
    if item.levels:
        codes = pd.Categorical(column, categories=list(item.levels)).codes.astype(float)
        codes[~item.observed] = np.bincount(codes[item.observed].astype(int)).argmax()
        return np.asarray(codes)
    out = column.to_numpy(dtype=float, na_value=np.nan).copy()
    out[~item.observed] = out[item.observed].mean()
    return out


def predicted(variables: Variables, name: str, values: dict[str, Array], seed: int) -> Array:
    """Predict the gaps of one variable from the others."""
    try:
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
    except ImportError as error:
        raise UnsupportedError(
            'method="forest" uses scikit-learn; pip install "ranef[learn]"'
        ) from error
    item = variables.items[name]
    X = features(variables, name, values)
    forest: Any = RandomForestClassifier if item.levels else RandomForestRegressor
    forest = forest(n_estimators=TREES, random_state=seed % 2**31, n_jobs=1)
    seen, out = item.observed, values[name].copy()
    if item.levels:
        forest.fit(X[seen], out[seen].astype(int))
        out[~seen] = forest.predict(X[~seen])
    else:
        centre, unit = float(out[seen].mean()), float(out[seen].std()) or 1.0
        forest.fit(X[seen], (out[seen] - centre) / unit)
        out[~seen] = centre + unit * forest.predict(X[~seen])
    if item.level:
        codes = variables.groups[item.level][0]
        known = group_values(out, seen, codes)
        out[~seen] = np.where(np.isnan(known[codes]), out, known[codes])[~seen]
    return out


def features(variables: Variables, name: str, values: dict[str, Array]) -> Array:
    """Collect the other variables and their means in every group, standardised.

    Trees use single precision, and ignore differences below a fixed size.
    """
    others = np.column_stack([values[other] for other in variables.items if other != name])
    means = [
        group_means(others, codes, len(levels))[codes]
        for codes, levels in variables.groups.values()
    ]
    out = np.column_stack([others, *means])
    spread = out.std(axis=0)
    return np.asarray((out - out.mean(axis=0)) / np.where(spread > 0.0, spread, 1.0))


def group_values(values: Array, seen: Any, codes: Any) -> Array:
    """Find a group's observed value, or the mean of those predicted for its rows."""
    n = int(codes.max()) + 1
    shown = np.full(n, np.nan)
    sums = np.bincount(codes, values, n) / np.maximum(np.bincount(codes, minlength=n), 1)
    shown[:] = sums
    shown[codes[seen]] = values[seen]
    return shown
