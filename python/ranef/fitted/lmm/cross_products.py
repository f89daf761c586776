"""Cross products of rows in chunks: all that a fit needs, in bounded memory."""

from __future__ import annotations

from ...chunks.sums import Sums
from ...models.lmm import Control
from .call import Call
from .model import LinearMixedModel, fit_model

__all__ = ["CrossProducts"]


class CrossProducts(Sums):
    """Everything that a linear mixed model needs from its rows, added up chunk by chunk.

    Parameters
    ----------
    formula : str
        The model. Transformations that learn from the data, such as ``scale(x)``, are refused.
    schema : mapping of str to levels, or frame, optional
        Levels of the categorical predictors, or rows that include them all. Without it the first
        chunk must include them. Levels of grouping factors need not be known.
    weights, offset : str, optional
        Names of columns.
    contrasts : mapping, optional
        Coding of categorical columns, by name.

    Notes
    -----
    Memory use is one chunk and the cross products, whose size depends on the levels and on the
    pairs of levels that occur together. The sum of two objects, from different files, threads or
    machines, is the object of all their rows; objects can be pickled. A chunk that does not fit
    raises and adds nothing. Threads that add to one object wait for each other; with one object
    each, added up at the end, they do not.

    Examples
    --------
    >>> import ranef
    >>> sleep = ranef.datasets.load("sleepstudy")
    >>> sums = ranef.CrossProducts("Reaction ~ Days + (Days | Subject)")
    >>> for start in range(0, 180, 60):
    ...     sums = sums.add(sleep[start : start + 60])
    >>> round(sums.fit().llf, 4)
    -871.8141
    """

    def fit(self, *, reml: bool = True, control: Control | None = None) -> LinearMixedModel:
        """Fit the model to all rows so far.

        Parameters
        ----------
        reml : bool
            Whether to maximise the restricted likelihood.
        control : Control, optional
            Settings of the search.

        Returns
        -------
        LinearMixedModel
            The model. Methods that need rows, such as ``resid``, raise; ``predict(newdata)`` works.
        """
        return fit_model(Call(self.formula, reml, control=Control.of(control)), self)
