"""Whether to trust a fit: methods of a fitted mixed model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, cast

from .. import design as designs
from ..design.frame import open_frame
from ..errors import DroppedRowsWarning
from ..formula import parse
from ..inference.optimum import examine
from ..inference.units import Recoding, read_recoding, recoded_data, reexpress, renamed
from ..report import verdict
from ..report.verdict import Convergence
from .fitted import Fitted

if TYPE_CHECKING:
    from .mixed_model import LinearMixedModel

__all__ = ["Trust"]


class Trust(Fitted):
    """Convergence and what endangers it."""

    @property
    def convergence(self) -> Convergence:
        """Report on the optimum: exact gradient, curvature, boundary, evaluations, advice.

        Each access computes the exact Hessian anew, at the cost of two gradients a covariance
        parameter.
        """
        notes = [str(w) for w in self.warnings if not isinstance(w, DroppedRowsWarning)]
        optimum = examine(self._design, self._core, self._estimate)
        return verdict.convergence(self._estimate, optimum, notes)

    def in_units(self, **units: str) -> LinearMixedModel:
        """Express the model in other units of its predictors, exactly and without a search.

        Parameters
        ----------
        **units : str
            New column and how it is made of an old one, a constant plus a multiple:
            ``time="2008 + occasion / 2"``. The new column takes the old one's place in the formula.

        Returns
        -------
        LinearMixedModel
            The same model: coefficients, their covariance, covariances of the random effects and
            predictions in the new units. It predicts from frames that hold the new column.

        Raises
        ------
        ModelError
            If the model means something else in the new units, as a slope without an intercept or
            ``||`` does when the origin moves.

        Notes
        -----
        The log-likelihood is the same. The restricted one changes by the constant log|T| of the
        change of columns, which says nothing about the fit.

        Examples
        --------
        >>> import ranef
        >>> sleep = ranef.datasets.load("sleepstudy")
        >>> model = ranef.lmer("Reaction ~ Days + (Days | Subject)", sleep)
        >>> model.in_units(hours="24 * Days").params.round(4).to_dict()
        {'Intercept': 251.4051, 'hours': 0.4361}
        """
        model = cast("LinearMixedModel", self)
        for new, text in units.items():
            model = _in_units(model, read_recoding(new, text))
        return model


def _in_units(model: LinearMixedModel, recoding: Recoding) -> LinearMixedModel:
    """Express a model in other units of one predictor."""
    call = replace(model.call, formula=renamed(model.call.formula, recoding.old, recoding.new))
    data: Any = recoded_data(open_frame(model._training_data()), recoding)
    design = designs.build(
        parse(call.formula),
        data,
        weights=call.weights,
        offset=call.offset,
        contrasts=call.contrasts,
        missing=cast("Literal['drop', 'raise']", call.missing),
    )
    core, estimate = reexpress(model._design, model._estimate, design)
    return type(model)(design, estimate, call, core=core, data=data)
