"""Linear hypotheses on fixed effects: methods of a fitted model, linear or generalised."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from .._typing import Array
from ..inference.hypotheses import linear as hypothesis
from ..inference.hypotheses.linear import Approximation, JointTest
from ..inference.hypotheses.terms import term_hypotheses
from ..inference.hypotheses.text import parse_hypotheses
from ..report.tests import LinearTest, contrast_frame
from .named import Effects

__all__ = ["Hypotheses"]


class Hypotheses(Effects):
    """Tests of linear hypotheses."""

    _usual_ddf = "satterthwaite"

    def _aliasing(self) -> tuple[Sequence[int], Array]:
        """Aliased columns, and each as a combination of the kept, shape (n_kept, n_aliased)."""
        raise NotImplementedError

    def _approximation(self, ddf: str | None) -> Approximation:
        """Look up the reference distribution of the tests; the usual one for None."""
        raise NotImplementedError

    def test(
        self, hypotheses: str | ArrayLike, value: ArrayLike = 0.0, ddf: str | None = None
    ) -> LinearTest:
        """Test linear hypotheses on the fixed effects.

        Parameters
        ----------
        hypotheses : str or array_like of shape (r, p)
            Equations such as ``"sex = 0, occasion = 0.1"`` or ``"x - 2 * z"``, or the rows of a
            matrix whose columns are the coefficients of ``params``.
        value : array_like of shape (r,)
            Right sides for a matrix.
        ddf : {"satterthwaite", "kenward-roger", "residual", "inf"}, optional
            Degrees of freedom: Satterthwaite's by default, and infinite for a generalised model.

        Returns
        -------
        LinearTest
            F test of all hypotheses together, and a t test of each.

        Raises
        ------
        ValueError
            If a name is no coefficient, or hypotheses are not estimable or contradict each other.

        Examples
        --------
        >>> import ranef
        >>> sleep = ranef.datasets.load("sleepstudy")
        >>> model = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
        >>> model.test("Days = 10")
        F(1, 17) = 0.091383, p = 0.7661  (satterthwaite)
                   estimate     se  df      t  pvalue
        Days = 10    10.467 1.5458  17 0.3023 0.76609
        """
        names = self._design.fixed_names
        if isinstance(hypotheses, str):
            L, right, labels = parse_hypotheses(hypotheses, names)
        else:
            L = np.atleast_2d(np.asarray(hypotheses, float))
            right = np.broadcast_to(np.asarray(value, float), len(L))
            labels = [f"row {i + 1}" for i in range(len(L))]
        approximation = self._approximation(ddf)
        beta = self._estimate.beta[self._estimate.kept]
        kept = self._estimable(L)
        every = hypothesis.joint(kept, beta, approximation, right)
        single = hypothesis.contrasts(kept, beta, approximation, right)
        return LinearTest(
            every.F,
            every.num_df,
            every.den_df,
            every.pvalue,
            contrast_frame(single, labels),
            ddf or self._usual_ddf,
        )

    def _term_tests(self, kind: int, ddf: str | None) -> dict[str, JointTest]:
        """Test each term of the fixed part."""
        estimate = self._estimate
        approximation = self._approximation(ddf)
        rows = term_hypotheses(self._design, estimate.kept, *self._aliasing(), kind)
        beta = estimate.beta[estimate.kept]
        return {name: hypothesis.joint(L, beta, approximation) for name, L in rows.items()}

    def _estimable(self, L: Array) -> Array:
        """Hypotheses in the coefficients that are not aliased, shape (r, n_kept)."""
        return hypothesis.estimable(
            L, self._estimate.kept, *self._aliasing(), self._design.fixed_names
        )
